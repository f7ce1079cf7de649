import CZlib
import Storage

/// What a compressed file holds (RFC 1952), read from front to back in two buffers' memory.
///
/// Where the stream is damaged it ends: what follows is lost with it. A damaged header costs nothing: `writeCompressed` makes
/// headers of one kind, so that it is known what follows them.
final class GzipSource: RecordSource {
  // Owned by the loop of its storage.

  /// RFC 1952, section 2.3: ten bytes and the header's checksum.
  static let headerSize = 12

  private let source: any RecordSource
  private let input: IOBuffer
  private var inputRange = 0..<0
  /// Nil before the first read.
  private var stream: OpaquePointer?
  private var hasEnded = false
  /// The stream is cut off, or one of its checksums does not hold.
  private(set) var isDamaged = false

  init(_ storage: any Storage, _ source: any RecordSource) {
    self.source = source
    input = storage.makeBuffer(capacity: 64 << 10)
  }

  deinit { if let stream { tl_zstream_end(stream) } }

  /// The first four bytes of every header that `writeCompressed` makes: ID1, ID2, CM, FLG (bit 1: FHCRC).
  static let headerStart: [UInt8] = [0x1F, 0x8B, 8, 2]

  /// Looks at the header, which is at the front of `input`.
  private func begin() -> OpaquePointer {
    var header = Array(input[0..<Self.headerSize])
    let startsRight = header.starts(with: Self.headerStart)
    header.replaceSubrange(0..<4, with: Self.headerStart)
    let holds = header.withUnsafeBytes { bytes in
      let base = bytes.baseAddress!  // 12 bytes
      return base.little(10, UInt16.self) == UInt16(truncatingIfNeeded: tl_crc32(0, base, 10))
    }
    // Of one of ours something is wrong: either of the first four bytes, or of the others.
    isDamaged = inputRange.count >= Self.headerSize && startsRight != holds
    if isDamaged { inputRange = Self.headerSize..<inputRange.upperBound }
    guard let stream = isDamaged ? tl_inflate_begin() : tl_gunzip_begin() else { fatalError("out of memory for a zlib stream") }
    return stream
  }

  var unreadableBytes: Int64 { source.unreadableBytes }

  func read(into buffer: IOBuffer, _ range: Range<Int>) async throws(StorageError) -> Int {
    while !hasEnded {
      if inputRange.isEmpty {
        inputRange = 0..<(try await source.read(into: input, 0..<input.capacity))
        if inputRange.isEmpty {
          (hasEnded, isDamaged) = (true, true)
          break
        }
      }
      let stream = self.stream ?? begin()
      self.stream = stream
      var (taken, made) = (inputRange.count, range.count)
      let code = tl_zstream_run(
        stream, input.base + inputRange.lowerBound, &taken, buffer.base + range.lowerBound, &made, 0)
      inputRange = inputRange.lowerBound + taken..<inputRange.upperBound
      switch code {
      case Int32(TL_Z_END): hasEnded = true
      case Int32(TL_Z_OK): break
      default: (hasEnded, isDamaged) = (true, true)
      }
      if made > 0 { return made }
    }
    return 0
  }
}
