import Foundation
import Glibc

/// Codable values in files, replaced whole or not at all.
enum JSONFile {
  static func write(_ value: some Encodable, to path: String) throws(TrialError) {
    let bytes: Data
    do {
      bytes = try JSONEncoder().encode(value)
    } catch {
      throw .notEncodable(path, reason: "\(error)")
    }
    let temporary = path + ".tmp"
    let descriptor = Glibc.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .system("write", path, errno) }
    let written = writeAll(bytes, to: descriptor)
    close(descriptor)
    guard written == 0, rename(temporary, path) == 0 else {
      let code = written == 0 ? errno : written
      unlink(temporary)
      throw .system("write", path, code)
    }
  }

  /// - Returns: 0 or the errno.
  private static func writeAll(_ bytes: Data, to descriptor: Int32) -> Int32 {
    bytes.withUnsafeBytes { bytes in
      var done = 0
      while done < bytes.count {
        let count = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return count < 0 ? errno : EIO }
        done += count
      }
      return 0
    }
  }

  /// Nil where there is no such file.
  static func read<Value: Decodable>(_ type: Value.Type, from path: String) throws(TrialError) -> Value? {
    guard let bytes = try contents(of: path) else { return nil }
    do {
      return try JSONDecoder().decode(type, from: bytes)
    } catch {
      throw .damagedFile(path, FileDamage(error))
    }
  }

  /// Nil where there is no such file. Foundation would hide which error it was, and with it that it is the machine's.
  private static func contents(of path: String) throws(TrialError) -> Data? {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw .system("read", path, errno)
    }
    defer { close(descriptor) }
    var bytes = Data()
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(descriptor, &piece, piece.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .system("read", path, errno) }
      guard count > 0 else { return bytes }
      bytes.append(contentsOf: piece[..<count])
    }
  }
}
