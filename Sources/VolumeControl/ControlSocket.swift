import CrashStates
import Foundation
import Glibc
import Synchronization
import Volume

/// Why a volume could not be asked.
package struct ControlError: Error, CustomStringConvertible {
  package var description: String
  init(_ description: String) { self.description = description }
}

/// Where a mounted volume is asked: a unix socket beside the mount point. A request is one line of words; the answer is
/// `ok` or `error` on the first line, and what there is to say on those after it.
package enum ControlSocket {
  /// `/a/volume` has its socket at `/a/.volume.tornlog`.
  package static func path(of folder: String) -> String {
    let folder = folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
    guard let slash = folder.lastIndex(of: "/") else { return ".\(folder).tornlog" }
    return folder[...slash] + "." + folder[folder.index(after: slash)...] + ".tornlog"
  }

  private static func address(_ path: String) throws(ControlError) -> sockaddr_un {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
      throw ControlError("\(path): a socket's path has at most 107 bytes; mount at a shorter one")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    return address
  }

  private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32)
    throws(ControlError) -> Int32
  {
    var address = try address(path)
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }

  /// Opens the socket of a mount point.
  /// - Returns: its descriptor.
  package static func listen(at path: String) throws(ControlError) -> Int32 {
    unlink(path)
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw ControlError("socket: \(String(cString: strerror(errno)))") }
    let mask = umask(0o077)
    defer { umask(mask) }
    guard try withAddress(path, { bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 8) == 0 else {
      let code = errno
      close(descriptor)
      throw ControlError("\(path): \(String(cString: strerror(code)))")
    }
    return descriptor
  }

  /// Asks the volume at a folder.
  /// - Returns: the lines of its answer.
  package static func ask(_ folder: String, _ words: [String]) throws(ControlError) -> [String] {
    let path = path(of: folder)
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    guard try withAddress(path, { connect(descriptor, $0, $1) }) == 0 else {
      throw ControlError(
        "\(folder): no volume is mounted there by 'tornlog mount' (\(path): \(String(cString: strerror(errno))))")
    }
    write(words.joined(separator: "\t") + "\n", to: descriptor)
    shutdown(descriptor, Int32(SHUT_WR))
    let answer = String(decoding: readAll(descriptor), as: UTF8.self)
    var lines = answer.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if lines.last == "" { lines.removeLast() }
    guard let first = lines.first else { throw ControlError("\(folder): the volume gave no answer") }
    lines.removeFirst()
    if first != "ok" { throw ControlError(lines.joined(separator: "; ")) }
    return lines
  }

  static func write(_ text: String, to descriptor: Int32) {
    var text = text
    text.withUTF8 { bytes in
      var done = 0
      while done < bytes.count {
        // MSG_NOSIGNAL: who is gone ends nobody.
        let count = send(descriptor, bytes.baseAddress! + done, bytes.count - done, Int32(MSG_NOSIGNAL))
        if count <= 0 { return }
        done += count
      }
    }
  }

  static func readAll(_ descriptor: Int32) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count <= 0 || bytes.count > 1 << 16 { return bytes }
      bytes += buffer[..<count]
    }
  }

  /// Answers requests until `isOver` says so; looks every 200 ms.
  /// - Parameter limit: of the volume's size, which `recover` sets again.
  package static func serve(
    _ listener: Int32, _ volume: ControlledVolume, limit: VolumeLimit?, isOver: () -> Bool
  ) {
    while !isOver() {
      var polled = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
      guard poll(&polled, 1, 200) > 0 else { continue }
      let connection = accept(listener, nil, nil)
      guard connection >= 0 else { continue }
      let line = String(decoding: readAll(connection), as: UTF8.self).split(separator: "\n").first ?? ""
      let words = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      do throws(ControlError) {
        let lines = try answer(words, volume, limit)
        write((["ok"] + lines).joined(separator: "\n") + "\n", to: connection)
      } catch { write("error\n\(error)\n", to: connection) }
      close(connection)
    }
  }

  private static func answer(
    _ words: [String], _ volume: ControlledVolume, _ limit: VolumeLimit?
  ) throws(ControlError) -> [String] {
    do {
      switch words.first {
      case "stats": return [volume.stats()]
      case "cut":
        guard words.count == 3, let profile = CrashProfile.named(words[1]) else { throw ControlError("cut: a profile") }
        return try volume.cut(profile, seed: UInt64(words[2]))
      case "fail":
        guard words.count == 2,
          let fault = try? JSONDecoder().decode(VolumeFault.self, from: Data(words[1].utf8))
        else { throw ControlError("fail: a fault, as JSON") }
        try volume.fail(fault)
        return []
      case "full":
        volume.fill()
        return []
      case "read-only":
        volume.makeReadOnly()
        return []
      case "flip":
        guard words.count == 3, let byte = UInt64(words[2]) else { throw ControlError("flip: a file, and a byte") }
        try volume.flip(words[1], byte: byte)
        return []
      case "receipts": return volume.receipts()
      case "recover":
        volume.recover(limit)
        return []
      case "snapshot":
        guard words.count == 2 else { throw ControlError("snapshot: a folder") }
        try volume.snapshot(to: words[1])
        return []
      default: throw ControlError("'\(words.first ?? "")' is no request of this version")
      }
    } catch let error as ControlError { throw error } catch { throw ControlError("\(error)") }
  }
}
