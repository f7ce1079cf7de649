import Glibc

/// Files of the kernel's and the distribution's that are read whole: /proc, /sys, a package's version.
public enum SmallFile {
  /// The text of `path`, at most 1 MiB of it; nil where it cannot be opened.
  public static func read(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { Glibc.close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 16384)
    while bytes.count < 1 << 20 {
      let count = Glibc.read(descriptor, &piece, piece.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { break }
      bytes.append(contentsOf: piece[..<count])
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The value of the first line `name: value`, without the spaces around it.
  public static func value(of name: String, in text: String) -> String? {
    for line in text.split(separator: "\n") where line.hasPrefix(name) {
      let rest = line.dropFirst(name.count).drop { $0 == " " || $0 == "\t" }
      if rest.first == ":" {
        return String(rest.dropFirst().drop { $0 == " " || $0 == "\t" })
      }
    }
    return nil
  }
}
