import Glibc
import LogModel
import Storage

/// Reads one segment from front to back in pieces, and reports each valid batch. Where there is none, it looks for the
/// next one at every multiple of 8 bytes: damage costs the batches it touches and no more. So does a sector that cannot
/// be read.
///
/// Memory: one window of 512 KiB, which grows to the largest batch that a log may hold and no further, whatever a
/// damaged length field claims.
struct SegmentScanner {
  static let windowSize = 512 << 10
  private static let readSize = 256 << 10

  let storage: any Storage
  let file: FileID
  let path: String
  let size: Int64
  let salt: UInt64
  /// Where it is not, no checksum says anything.
  var isSaltKnown = true
  let parts: LogParts
  var window: IOBuffer
  /// Byte position in the file of the window's first byte, and the bytes that are valid in it.
  private var start: Int64 = 0
  private var filled = 0
  private(set) var bytesRead = 0
  /// Bytes that the device could not read: they count as zeros.
  private(set) var unreadable: [Range<Int64>] = []
  /// The first batch that `next` has passed over on its last way because its checksum is wrong.
  private(set) var mismatch: ChecksumMismatch?

  init(
    storage: any Storage, file: FileID, path: String, size: Int64, salt: UInt64, parts: LogParts, window: IOBuffer
  ) {
    self.storage = storage
    self.file = file
    self.path = path
    self.size = size
    self.salt = salt
    self.parts = parts
    self.window = window
  }

  enum Step {
    /// A valid batch; `skipped` is where the search for it began, if anything but padding was passed over.
    case batch(BatchHeader)
    /// No valid batch from the position to the end; whether all of it is zero.
    case end(blank: Bool)
  }

  /// The next valid batch at or after `position`.
  mutating func next(from position: Int64) async throws(StorageError) -> Step {
    var at = (position + 7) & ~7
    var blank = true
    mismatch = nil
    while at + Int64(BatchHeader.size) <= size {
      if !isLoaded(at, BatchHeader.size) { try await load(at, BatchHeader.size) }
      if let header = header(at: at), header.length <= LogConfiguration.largestCommit, at + Int64(header.length) <= size
      {
        if !isLoaded(at, header.length) { try await load(at, header.length) }
        if isValid(header, at: at) { return .batch(header) }
        noteMismatch(header)
      } else {
        try await refuseUnknownVersion(at: at)
      }
      // Look for the next magic within what is loaded.
      let begin = Int(at - start)
      let last = filled - BatchHeader.size
      var here = begin + parts.resynchronizing.distance(past: header(at: at))
      let base = UnsafeRawPointer(window.base)
      if blank { blank = base.load(fromByteOffset: begin, as: UInt64.self) == 0 }
      while here <= last {
        if Self.isBlank(base + here, atMost: last - here) {
          here &+= 64
          continue
        }
        let word = base.load(fromByteOffset: here, as: UInt64.self)
        if word != 0 {
          blank = false
          if UInt32(truncatingIfNeeded: word) == BatchHeader.magic { break }
        }
        here &+= 8
      }
      at = start + Int64(here)
    }
    if blank, at < size {
      try await load(at, Int(size - at))
      for index in Int(at - start)..<filled where window.base.load(fromByteOffset: index, as: UInt8.self) != 0 {
        blank = false
      }
    }
    return .end(blank: blank)
  }

  /// Has everything from `position` on read again: what was read once may not be what is on the medium.
  /// - Returns: false where that has been tried already, for the device could not read a part of it.
  mutating func forget(from position: Int64) -> Bool {
    if unreadable.contains(where: { $0.upperBound > position }) { return false }
    (start, filled) = (position & ~7, 0)
    return true
  }

  /// Whether the next 64 bytes are there and zero: a segment that was filled ahead ends with nothing else.
  @inline(__always)
  private static func isBlank(_ base: UnsafeRawPointer, atMost count: Int) -> Bool {
    guard count >= 64 else { return false }
    var any: UInt64 = 0
    for at in stride(from: 0, to: 64, by: 8) { any |= base.load(fromByteOffset: at, as: UInt64.self) }
    return any == 0
  }

  /// The bytes of a batch that `next` has just returned.
  func bytes(of header: BatchHeader) -> UnsafeRawPointer {
    UnsafeRawPointer(window.base) + Int(header.position - start)
  }

  private func header(at position: Int64) -> BatchHeader? {
    BatchHeader(
      at: UnsafeRawPointer(window.base) + Int(position - start), position: position,
      available: filled - Int(position - start))
  }

  /// Of a batch that is loaded, as far as the file has it.
  private func isValid(_ header: BatchHeader, at position: Int64) -> Bool {
    filled - Int(position - start) >= header.length
      && parts.validator.isIntact(header, at: bytes(of: header), salt: salt)
  }

  /// A later build has gone on with the log: what it wrote is no damage.
  private mutating func refuseUnknownVersion(at position: Int64) async throws(StorageError) {
    guard isSaltKnown,
      let header = BatchHeader(
        unknownAt: UnsafeRawPointer(window.base) + Int(position - start), position: position,
        available: filled - Int(position - start)),
      header.length <= LogConfiguration.largestCommit, position + Int64(header.length) <= size
    else { return }
    try await load(position, header.length)
    let base = bytes(of: header)
    guard filled - Int(position - start) >= header.length,
      BatchHeader.computeChecksum(at: base, length: header.length, position: position, salt: salt) == header.checksum
    else { return }
    let version = Int(base.load(fromByteOffset: 12, as: UInt8.self))
    throw StorageError(.unknownVersion(version, known: Int(BatchHeader.version)), .read, path, offset: position)
  }

  private mutating func noteMismatch(_ header: BatchHeader) {
    let end = header.position + Int64(header.length)
    // What could not be read is zero here: nobody has seen a checksum of it.
    guard mismatch == nil, isLoaded(header.position, header.length),
      !unreadable.contains(where: { $0.lowerBound < end && $0.upperBound > header.position })
    else { return }
    let computed = BatchHeader.computeChecksum(
      at: bytes(of: header), length: header.length, position: header.position, salt: salt)
    guard computed != header.checksum else { return }
    mismatch = ChecksumMismatch(at: header.position, stored: UInt64(header.checksum), computed: UInt64(computed))
  }

  private func isLoaded(_ position: Int64, _ count: Int) -> Bool {
    position >= start && position + Int64(count) <= start + Int64(filled)
  }

  /// Makes `count` bytes from `position` present in the window, or as many as the file has.
  private mutating func load(_ position: Int64, _ count: Int) async throws(StorageError) {
    if isLoaded(position, count) { return }
    if position < start || position > start + Int64(filled) {
      start = position & ~7
      filled = 0
    }
    let offset = Int(position - start)
    if offset + count + Self.readSize > window.capacity || offset > window.capacity / 2 {
      // Move what is still needed to the front of the window, or of a larger one.
      let keep = filled - offset
      if count + Self.readSize > window.capacity {
        let larger = storage.makeBuffer(capacity: count + Self.readSize)
        larger.base.copyMemory(from: window.base + offset, byteCount: keep)
        window = larger
      } else {
        window.base.copyMemory(from: window.base + offset, byteCount: keep)
      }
      start = position
      filled = keep
    }
    while Int(position - start) + count > filled {
      let target = start + Int64(filled)
      let wanted = min(Self.readSize, window.capacity - filled, Int(size - target))
      guard wanted > 0 else { return }
      let got = try await storage.readAround(
        file, at: target, into: window, filled..<(filled + wanted), .recovery, &unreadable)
      bytesRead += got
      filled += got
      if got == 0 { return }
    }
  }
}

extension Storage {
  /// `readWhole`, as one call site.
  func readRetrying(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int { try await here().readWhole(file, at: offset, into: buffer, range) }

  /// As `readWhole`, but that a sector which the device cannot read costs its own bytes and no others: they read as
  /// zeros, which no batch survives, and are noted in `unreadable`.
  /// - Throws: EIO where more than `patience.mostUnreadable` bytes in a row cannot be read.
  func readAround(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>, _ patience: ReadLimits,
    _ unreadable: inout [Range<Int64>]
  ) async throws(StorageError) -> Int {
    // `readWhole`, with nothing between it and the storage: recovery is made of reads.
    var attempts = 0
    var at = range.lowerBound
    while at < range.upperBound {
      let position = offset + Int64(at - range.lowerBound)
      do throws(StorageError) {
        let got = try await here().read(file, at: position, into: buffer, at..<range.upperBound)
        if got == 0 { return at - range.lowerBound }
        at += got
      } catch {
        if error.isErrno(EIO) { break }
        try await pause(after: error, &attempts)
      }
    }
    while at < range.upperBound {
      let position = offset + Int64(at - range.lowerBound)
      // Up to the next boundary of a sector.
      let end = min(range.upperBound, at + 512 - Int(position % 512))
      do throws(StorageError) {
        let got = try await readPatiently(file, at: position, into: buffer, at..<end, patience)
        if got == 0 { break }
        at += got
      } catch {
        guard error.isErrno(EIO) else { throw error }
        memset(buffer.base + at, 0, end - at)
        var bad = position..<position + Int64(end - at)
        if let last = unreadable.last, last.lowerBound <= bad.lowerBound, bad.lowerBound <= last.upperBound {
          unreadable.removeLast()
          bad = last.lowerBound..<max(last.upperBound, bad.upperBound)
        }
        unreadable.append(bad)
        if bad.count > patience.mostUnreadable { throw error }
        at = end
      }
    }
    return at - range.lowerBound
  }

  private func readPatiently(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>, _ patience: ReadLimits
  ) async throws(StorageError) -> Int {
    for _ in 1..<patience.attempts {
      do throws(StorageError) {
        return try await readRetrying(file, at: offset, into: buffer, range)
      } catch {
        guard error.isErrno(EIO) else { throw error }
      }
      if patience.pause > .zero { await loop.sleep(until: loop.now + patience.pause) }
    }
    return try await readRetrying(file, at: offset, into: buffer, range)
  }

  /// - Throws: `error`, where there is no point in trying again.
  private func pause(after error: StorageError, _ attempts: inout Int) async throws(StorageError) {
    attempts += 1
    guard error.saysNothingHappened, attempts < RetryingStorage.attempts else { throw error }
    await loop.sleep(until: loop.now + .microseconds(100))
  }
}

/// How a sector is read that the device says it cannot read.
struct ReadLimits {
  /// Reads of a sector before it is given up.
  var attempts: Int
  var pause: Duration
  var mostUnreadable: Int64

  /// A fetch costs nobody anything but its answer, and can be made again.
  static let serving = ReadLimits(attempts: 2, pause: .zero, mostUnreadable: .max)
  /// What recovery cannot read it counts as lost, so it does not believe it at once. And a device that fails 64 KiB in
  /// a row fails altogether: its word is no ground for deciding anything.
  static let recovery = ReadLimits(attempts: 6, pause: .milliseconds(1), mostUnreadable: 64 << 10)
}
