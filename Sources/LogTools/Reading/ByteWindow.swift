import CZlib
import Glibc
import RecordLogs

/// A window on a source: fields and checksums at any place, in bounded memory. What stands in the file decides what is
/// read, and never how much memory is taken: 640 KiB.
///
/// Reads do not throw: they give zeros after a failure, which whoever reads on looks at (`failure`, `shrunkTo`).
public final class ByteWindow {
  /// What `want` may ask for.
  static let mostWanted: Int64 = 256 << 10
  private static let largest = 512 << 10
  private static let sideCapacity = 128 << 10

  public let source: any ByteSource
  /// How many bytes the source had when it was last looked at.
  public private(set) var size: Int64
  /// The first failure to read.
  public private(set) var failure: LogToolError?
  /// The source has ended before its size: somebody has cut it.
  public private(set) var shrunkTo: Int64?
  /// Bytes that checksums have been computed of, and steps that were taken to explain a wrong one.
  var work: Int64 = 0

  /// As large as the source, and no larger than `largest`.
  private var buffer: UnsafeMutableRawPointer
  private var capacity: Int
  /// For what does not go through the window.
  private lazy var side = UnsafeMutableRawPointer.allocate(byteCount: Self.sideCapacity, alignment: 16)
  private var hasSide = false
  private var start: Int64 = 0
  private var filled: Int64 = 0
  private var flipped: BitFlip?

  /// - Parameter limit: what stands behind so many bytes is not looked at.
  public init(_ source: any ByteSource, limit: Int64 = .max) throws(LogToolError) {
    self.source = source
    size = min(limit, try source.currentSize())
    capacity = Self.capacity(for: size)
    buffer = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
  }

  deinit {
    buffer.deallocate()
    if hasSide { side.deallocate() }
  }

  private static func capacity(for size: Int64) -> Int { Int(max(64, min(Int64(largest), size))) }

  /// Looks at the size again. What has been read is forgotten, for the bytes behind the old end may be others now.
  func refresh() throws(LogToolError) {
    size = try source.currentSize()
    (start, filled) = (0, 0)
    guard Self.capacity(for: size) > capacity else { return }
    buffer.deallocate()
    capacity = Self.capacity(for: size)
    buffer = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
  }

  /// How much work may go into searches: damage costs time in proportion to the file, whatever it was made to look
  /// like.
  var mayWorkOn: Bool { work < 8 * size + 256 << 20 }

  // MARK: Bytes

  @inline(__always)
  func isLoaded(_ at: Int64, _ count: Int64) -> Bool { at >= start && at + count <= start + filled }

  /// Makes `count` bytes from `at` on present, as far as there are so many and the window can hold them.
  func want(_ at: Int64, _ count: Int64) {
    let count = min(count, Self.mostWanted, size - at)
    if count <= 0 || isLoaded(at, count) { return }
    if at >= start, at < start + filled {
      let keep = start + filled - at
      memmove(buffer, buffer + Int(at - start), Int(keep))
      (start, filled) = (at, keep)
    } else {
      (start, filled) = (at, 0)
    }
    let room = UnsafeMutableRawBufferPointer(start: buffer + Int(filled), count: capacity - Int(filled))
    filled += Int64(fill(start + filled, room))
  }

  /// The bytes from `at` on, if they are present.
  @inline(__always)
  func pointer(_ at: Int64, _ count: Int64) -> UnsafeRawPointer? {
    isLoaded(at, count) ? UnsafeRawPointer(buffer) + Int(at - start) : nil
  }

  /// Bytes that are present from `at` on.
  @inline(__always)
  func loaded(from at: Int64) -> Int64 { at >= start ? max(0, start + filled - at) : 0 }

  @inline(__always)
  func little<Value: FixedWidthInteger & BitwiseCopyable>(_ at: Int64, _ type: Value.Type) -> Value {
    let count = Int64(MemoryLayout<Value>.size)
    if isLoaded(at, count) {
      return Value(littleEndian: buffer.loadUnaligned(fromByteOffset: Int(at - start), as: type))
    }
    return distant(at, type)
  }

  /// A field outside of the window, which stays where it is.
  private func distant<Value: FixedWidthInteger & BitwiseCopyable>(_ at: Int64, _ type: Value.Type) -> Value {
    var value: Value = 0
    withUnsafeMutableBytes(of: &value) { raw in _ = fill(at, raw) }
    return Value(littleEndian: value)
  }

  /// Copies of the bytes, at most 64 KiB at once.
  public func bytes(_ range: Range<Int64>) -> [UInt8] {
    let count = Int(min(Int64(range.count), 64 << 10))
    return [UInt8](unsafeUninitializedCapacity: count) { target, made in
      made = fill(range.lowerBound, UnsafeMutableRawBufferPointer(target))
    }
  }

  /// Calls `body` with the bytes in pieces, in their order. What is missing at the end is left out.
  public func forEachPiece<E: Error>(
    _ range: Range<Int64>, _ body: (UnsafeRawBufferPointer) throws(E) -> Void
  ) throws(E) {
    var at = range.lowerBound
    if let base = pointer(at, 1) {
      let count = min(Int64(range.count), loaded(from: at))
      try body(UnsafeRawBufferPointer(start: base, count: Int(count)))
      at += count
    }
    if at < range.upperBound { hasSide = true }
    while at < range.upperBound {
      let count = Int(min(Int64(Self.sideCapacity), range.upperBound - at))
      let got = fill(at, UnsafeMutableRawBufferPointer(start: side, count: count))
      if got == 0 { return }
      try body(UnsafeRawBufferPointer(start: side, count: got))
      at += Int64(got)
    }
  }

  private func fill(_ at: Int64, _ target: UnsafeMutableRawBufferPointer) -> Int {
    var got = 0
    if failure == nil {
      do throws(LogToolError) { got = try source.read(at: at, into: target) } catch { failure = error }
    }
    let expected = Int(max(0, min(Int64(target.count), size - at)))
    if got < expected, let rest = target.baseAddress {
      if failure == nil { shrunkTo = min(shrunkTo ?? .max, at + Int64(got)) }
      memset(rest + got, 0, expected - got)
    }
    // What has been added since is not looked at: it may be half written.
    if let flipped, let base = target.baseAddress, flipped.at >= at, flipped.at < at + Int64(expected) {
      let byte = base + Int(flipped.at - at)
      byte.storeBytes(of: byte.load(as: UInt8.self) ^ flipped.mask, as: UInt8.self)
    }
    return expected
  }

  // MARK: Checksums

  /// CRC-32 of the bytes, continued from `seed`.
  func crc32(_ seed: UInt32, _ range: Range<Int64>) -> UInt32 {
    work += Int64(range.count)
    if let base = pointer(range.lowerBound, Int64(range.count)) { return tl_crc32(seed, base, range.count) }
    var crc = seed
    forEachPiece(range) { crc = tl_crc32(crc, $0.baseAddress, $0.count) }
    return crc
  }

  func crc64(_ range: Range<Int64>) -> UInt64 {
    work += Int64(range.count)
    if let base = pointer(range.lowerBound, Int64(range.count)) {
      return CRC64.checksum(UnsafeRawBufferPointer(start: base, count: range.count))
    }
    var crc = CRC64.checksum(UnsafeRawBufferPointer(start: nil, count: 0))
    forEachPiece(range) { crc = CRC64.checksum($0, after: crc) }
    return crc
  }

  // MARK: Hypotheses

  /// Calls `body` as if this bit were the other way round.
  func supposing<Result>(_ flip: BitFlip, _ body: () -> Result) -> Result {
    turn(flip)
    flipped = flip
    defer {
      flipped = nil
      turn(flip)
    }
    return body()
  }

  private func turn(_ flip: BitFlip) {
    guard isLoaded(flip.at, 1) else { return }
    let byte = buffer + Int(flip.at - start)
    byte.storeBytes(of: byte.load(as: UInt8.self) ^ flip.mask, as: UInt8.self)
  }
}

/// One bit of a file.
public struct BitFlip: Hashable, Sendable, CustomStringConvertible {
  /// The byte in the file.
  public var at: Int64
  /// 0 is the lowest.
  public var bit: Int

  public init(at: Int64, bit: Int) { (self.at, self.bit) = (at, bit) }

  public var mask: UInt8 { 1 << UInt8(bit) }
  public var description: String { "bit \(bit) of byte \(at)" }
}
