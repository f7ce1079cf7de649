import CZlib
import CZstd
import Glibc

/// How a file is compressed.
public enum Compression: String, Hashable, Sendable {
  case none
  /// RFC 1952.
  case gzip
  /// RFC 8878.
  case zstd

  static func of(_ head: [UInt8]) -> Compression {
    if head.starts(with: [0x1F, 0x8B]) { return .gzip }
    if head.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) { return .zstd }
    return .none
  }

  /// What the name of such a file ends with.
  public var suffix: String {
    switch self {
    case .none: ""
    case .gzip: ".gz"
    case .zstd: ".zst"
    }
  }
}

/// Unpacks, piece by piece. Only at its end does a stream tell whether all of it was right.
final class Unpacker {
  private let compression: Compression
  private let stream: OpaquePointer

  init(_ compression: Compression) {
    self.compression = compression
    guard let stream = compression == .gzip ? tl_gunzip_begin() : tl_unzstd_begin() else {
      fatalError("out of memory for a decompressor")
    }
    self.stream = stream
  }

  deinit { if compression == .gzip { tl_zstream_end(stream) } else { tl_zstd_end(stream) } }

  enum Outcome { case goesOn, ended, damaged }

  func run(
    _ input: UnsafeRawBufferPointer, _ taken: inout Int, _ output: UnsafeMutableRawBufferPointer, _ made: inout Int
  ) -> Outcome {
    (taken, made) = (input.count, output.count)
    let code =
      compression == .gzip
      ? tl_zstream_run(stream, input.baseAddress, &taken, output.baseAddress, &made, 0)
      : tl_zstd_run(stream, input.baseAddress, &taken, output.baseAddress, &made, 0)
    return code == 0 ? .goesOn : code == 1 ? .ended : .damaged
  }
}

extension FileBytes {
  private static let pieceSize = 128 << 10

  /// What the file holds, in a file without a name that goes with the object: in TMPDIR, or /tmp. It takes the room of
  /// the log there.
  /// - Throws: `damagedArchive`, for then nothing of it can be believed.
  func unpacked(_ compression: Compression) throws(LogToolError) -> FileBytes {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    let descriptor = try Self.unnamedFile(in: folder)
    let target = FileBytes(path: path, descriptor: descriptor)
    try unpack(compression) { (bytes) throws(LogToolError) in
      try writeAll(bytes, to: descriptor, folder)
    }
    return target
  }

  /// Hands what the file holds to `body`, in pieces.
  func unpack(
    _ compression: Compression, _ body: (UnsafeRawBufferPointer) throws(LogToolError) -> Void
  ) throws(LogToolError) {
    var unpacker = Unpacker(compression)
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceSize, alignment: 16)
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceSize, alignment: 16)
    defer {
      input.deallocate()
      output.deallocate()
    }
    var (at, isWhole) = (Int64(0), false)
    while true {
      let got = try read(at: at, into: input)
      if got == 0 { break }
      at += Int64(got)
      var rest = UnsafeRawBufferPointer(rebasing: input[..<got])
      var mayMakeMore = true
      while !rest.isEmpty || mayMakeMore {
        // Frames and members may follow each other.
        if isWhole, rest.isEmpty { break }
        if isWhole { (unpacker, isWhole) = (Unpacker(compression), false) }
        var (taken, made) = (0, 0)
        let outcome = unpacker.run(rest, &taken, output, &made)
        if outcome == .damaged { throw .damagedArchive(path: path) }
        if made > 0 { try body(UnsafeRawBufferPointer(rebasing: output[..<made])) }
        isWhole = outcome == .ended
        if taken == 0, made == 0, !rest.isEmpty { throw .damagedArchive(path: path) }
        rest = UnsafeRawBufferPointer(rebasing: rest[taken...])
        mayMakeMore = made == output.count
      }
    }
    if !isWhole || !unreadable.isEmpty { throw .damagedArchive(path: path) }
  }

  static func unnamedFile(in folder: String) throws(LogToolError) -> Int32 {
    let unnamed = open(folder, O_RDWR | O_CLOEXEC | Int32(0o20000000 | O_DIRECTORY), 0o600)  // O_TMPFILE
    if unnamed >= 0 { return unnamed }
    var template = Array("\(folder)/tornlog-wal-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    guard descriptor >= 0 else { throw .system(what: "unpack an archive into", path: folder, errno: errno) }
    unlink(template)
    return descriptor
  }
}

/// Writes all of `bytes` to a descriptor.
func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, _ path: String) throws(LogToolError) {
  var rest = bytes
  while !rest.isEmpty {
    let count = write(descriptor, rest.baseAddress, rest.count)
    if count < 0 {
      if errno == EINTR { continue }
      throw .system(what: "write", path: path, errno: errno)
    }
    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
  }
}
