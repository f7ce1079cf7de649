import CZlib
import CZstd
import Glibc
import LogModel

/// Compresses a log's file for the archive, and unpacks it.
public struct LogArchive: Hashable, Sendable {
  /// Levels of zstd by the names of airunner's library (klauspost/compress, `zstd.EncoderLevelFromZstd`).
  public enum Level: String, Hashable, Sendable, CaseIterable {
    case fastest, standard = "default", better, best

    var number: Int32 {
      switch self {
      case .fastest: 1
      case .standard: 3
      case .better: 7
      case .best: 11
      }
    }
  }

  public let archive: String
  public let bytes: Int64
  public let packedBytes: Int64
  /// Whether the log's own file is gone.
  public let isRemoved: Bool

  /// Compresses `path` into a file of `folder`. It is read back and compared before it gets its name; only then the log
  /// goes, where that is asked for.
  /// - Throws: `inUse`; `refused` for a log with events that were not sent, unless it is forced.
  public init(
    _ path: String, into folder: String, level: Level = .standard, removing: Bool = false, isForced: Bool = false
  ) throws(LogToolError) {
    guard let log = try LogFolder(path).logs.first, log.paths == [path] else {
      throw .refused(path: path, why: "is a folder; name its files")
    }
    guard !LogFolder.isCompressed(path) else { throw .refused(path: path, why: "is compressed already") }
    let lock = try LogLock.take(log, isForced: isForced)
    defer { withExtendedLifetime(lock) {} }
    if !isForced { try Self.requireSettled(path) }
    let source = try FileBytes(path)
    try Folders.make(folder)
    archive = "\(folder)/\(LogFolder.split(path).name).zst"
    let target = try NewFile(archive)
    let size = try source.currentSize()
    let checksum = try Self.compress(source, size, target, level)
    let written = try target.written()
    packedBytes = try written.currentSize()
    var (back, count): (UInt32, Int64) = (0, 0)
    try written.unpack(.zstd) { (piece) throws(LogToolError) in
      back = tl_crc32(back, piece.baseAddress, piece.count)
      count += Int64(piece.count)
    }
    guard back == checksum, count == size, try source.currentSize() == size, source.unreadable.isEmpty else {
      throw .differs(path: archive, why: "\(count) of \(size) bytes")
    }
    target.takeAttributes(of: try source.status())
    try target.finish()
    bytes = size
    if removing {
      guard unlink(path) == 0 else { throw .system(what: "remove", path: path, errno: errno) }
      try Folders.sync(of: path)
    }
    isRemoved = removing
  }

  /// - Throws: `refused` where events of a job are neither sent nor refused for good, or that cannot be told.
  static func requireSettled(_ path: String) throws(LogToolError) {
    let file: LogFile
    do throws(LogToolError) { file = try LogFile(path) } catch {
      throw .refused(path: path, why: "cannot be read, so that nobody knows what was sent (\(error)); see --force")
    }
    var ordinal: Int64 = 0
    let summary = try LogSummary(file, ordinal: &ordinal)
    guard file.system == .airunner else { return }
    if let pending = summary.pending, pending > 0 {
      throw .refused(path: path, why: "holds \(pending) events that were not sent; replay them first, or see --force")
    }
    if summary.pending == nil || summary.damaged > 0 {
      throw .refused(path: path, why: "is damaged, so that nobody knows what was sent; see --force")
    }
  }

  /// - Returns: the checksum of what was read.
  private static func compress(
    _ source: FileBytes, _ size: Int64, _ target: NewFile, _ level: Level
  ) throws(LogToolError) -> UInt32 {
    guard let stream = tl_zstd_begin(level.number, UInt64(size)) else {
      throw .system(what: "compress", path: source.path, errno: ENOMEM)
    }
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 16)
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 16)
    defer {
      tl_zstd_end(stream)
      input.deallocate()
      output.deallocate()
    }
    var (at, checksum, isOver) = (Int64(0), UInt32(0), false)
    while !isOver {
      let wanted = Int(min(Int64(input.count), size - at))
      let got = try source.read(at: at, into: UnsafeMutableRawBufferPointer(rebasing: input[..<wanted]))
      guard got == wanted else { throw .refused(path: source.path, why: "was cut while it was read") }
      checksum = tl_crc32(checksum, input.baseAddress, got)
      at += Int64(got)
      let isLast = at == size
      var done = 0
      repeat {
        var (taken, made) = (got - done, output.count)
        let base = input.baseAddress.map { UnsafeRawPointer($0) + done }
        let code = tl_zstd_run(stream, base, &taken, output.baseAddress, &made, isLast ? 1 : 0)
        guard code != Int32(TL_ZSTD_DAMAGED) else {
          throw .refused(
            path: source.path, why: "cannot be compressed: memory for this level is short; choose a lower one")
        }
        done += taken
        try target.write(UnsafeRawBufferPointer(rebasing: output[..<made]))
        isOver = code == Int32(TL_ZSTD_END)
      } while done < got || isLast && !isOver
    }
    return checksum
  }
}

/// A file out of the archive.
public struct LogRestore: Hashable, Sendable {
  public let path: String
  public let bytes: Int64

  /// Unpacks an archive, of zstd or gzip, into a file of `folder` with its name but for the ending.
  /// - Throws: `damagedArchive`, and nothing is there then; `exists`.
  public init(_ archive: String, into folder: String) throws(LogToolError) {
    let source = try FileBytes(archive)
    let window = try ByteWindow(source, limit: 4)
    let compression = Compression.of(window.size == 4 ? window.bytes(0..<4) : [])
    let name = LogFolder.split(archive).name
    guard compression != .none else { throw .refused(path: archive, why: "is no archive: neither zstd nor gzip") }
    let suffix = [".zst", ".gz"].first { name.hasSuffix($0) } ?? ""
    try Folders.make(folder)
    path = "\(folder)/\(suffix.isEmpty ? name + ".wal" : String(name.dropLast(suffix.count)))"
    let target = try NewFile(path)
    try source.unpack(compression) { (piece) throws(LogToolError) in try target.write(piece) }
    target.takeAttributes(of: try source.status())
    try target.finish()
    bytes = target.size
  }
}
