import Glibc

/// Bytes that can be read at any place, of a fixed set or of a file that others may change.
public protocol ByteSource: AnyObject {
  /// How many there are now.
  func currentSize() throws(LogToolError) -> Int64
  /// Reads from `position` on; fewer bytes than asked for at the end only.
  func read(at position: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(LogToolError) -> Int
  /// Bytes that the device cannot read: they read as zeros.
  var unreadable: [Range<Int64>] { get }
}

/// Bytes in memory.
public final class MemoryBytes: ByteSource {
  private let bytes: [UInt8]
  public var unreadable: [Range<Int64>] { [] }

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  public func currentSize() -> Int64 { Int64(bytes.count) }

  public func read(at position: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard position >= 0, position < Int64(bytes.count) else { return 0 }
    let count = min(buffer.count, bytes.count - Int(position))
    bytes.withUnsafeBytes { all in
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: all[Int(position)..<Int(position) + count]))
    }
    return count
  }
}

/// A regular file, open for reading only.
public final class FileBytes: ByteSource {
  private static let sector: Int64 = 512

  public let path: String
  let descriptor: Int32
  public private(set) var unreadable: [Range<Int64>] = []

  /// A file that is open already; it is closed with this object.
  init(path: String, descriptor: Int32) { (self.path, self.descriptor) = (path, descriptor) }

  /// - Throws: `notAFile` for folders, pipes, sockets and devices, without waiting for anybody; `system`.
  public convenience init(_ path: String) throws(LogToolError) {
    // O_NONBLOCK: a FIFO that nobody writes to is opened at once.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else {
      let code = errno
      if code == ENXIO { throw .notAFile(path: path, kind: "a socket, or a device that is not there") }
      throw .system(what: "open", path: path, errno: code)
    }
    self.init(path: path, descriptor: descriptor)
    let status = try status()
    guard status.st_mode & S_IFMT == S_IFREG else { throw .notAFile(path: path, kind: Self.kind(status.st_mode)) }
  }

  deinit { close(descriptor) }

  static func kind(_ mode: mode_t) -> String {
    switch mode & S_IFMT {
    case S_IFDIR: "a folder"
    case S_IFIFO: "a pipe"
    case S_IFSOCK: "a socket"
    case S_IFBLK, S_IFCHR: "a device"
    default: "something else"
    }
  }

  public func status() throws(LogToolError) -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(what: "read", path: path, errno: errno) }
    return status
  }

  public func currentSize() throws(LogToolError) -> Int64 { Int64(try status().st_size) }

  public func read(at position: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(LogToolError) -> Int {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let got = pread(descriptor, rest.baseAddress, rest.count, off_t(position) + off_t(done))
      if got > 0 {
        done += got
        continue
      }
      if got == 0 { return done }
      let code = errno
      if code == EINTR || code == EAGAIN { continue }
      guard code == EIO else { throw .system(what: "read", path: path, errno: code) }
      let count = try readSector(at: position + Int64(done), rest)
      if count == 0 { return done }
      done += count
    }
    return done
  }

  /// Up to the next boundary of a sector; what cannot be read is zeros.
  private func readSector(at position: Int64, _ buffer: UnsafeMutableRawBufferPointer) throws(LogToolError) -> Int {
    let size = try currentSize()
    let count = Int(min(Int64(buffer.count), Self.sector - position % Self.sector, size - position))
    guard count > 0 else { return 0 }
    let got = pread(descriptor, buffer.baseAddress, count, off_t(position))
    if got >= 0 { return got }
    guard errno == EIO else { throw .system(what: "read", path: path, errno: errno) }
    UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]).initializeMemory(as: UInt8.self, repeating: 0)
    let range = position..<position + Int64(count)
    if let last = unreadable.last, last.lowerBound <= range.lowerBound, range.lowerBound <= last.upperBound {
      unreadable[unreadable.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
    } else if !unreadable.contains(where: { $0.contains(range.lowerBound) }), unreadable.count < 1000 {
      unreadable.append(range)
    }
    return count
  }
}
