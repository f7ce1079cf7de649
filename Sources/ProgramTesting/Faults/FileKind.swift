/// What kind of file a path names. Paths that differ in numbers only are of one kind: `wal/000012.log` and
/// `wal/000013.log` are `wal/#.log`.
enum FileKind {
  /// Whether the path is the folder, or below it.
  static func isFile(_ path: String, below folder: String) -> Bool {
    path == folder || (path.hasPrefix(folder) && path.utf8.dropFirst(folder.utf8.count).first == UInt8(ascii: "/"))
  }

  /// - Returns: the path from the folder on, empty for the folder itself. In place of each number stands `#`: a run of
  ///   digits, or a word of four hexadecimal digits or more with a digit among them.
  static func of(_ path: String, below folder: String) -> String {
    var made: [UInt8] = []
    var word: [UInt8] = []
    func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
    func end() {
      defer { word.removeAll(keepingCapacity: true) }
      let isHex = word.allSatisfy { isDigit($0) || (0x61...0x66).contains($0 | 0x20) }
      if word.count >= 4, isHex, word.contains(where: isDigit) { return made.append(UInt8(ascii: "#")) }
      for (place, byte) in word.enumerated() {
        if !isDigit(byte) {
          made.append(byte)
        } else if place == 0 || !isDigit(word[place - 1]) {
          made.append(UInt8(ascii: "#"))
        }
      }
    }
    for byte in path.utf8.dropFirst(folder.utf8.count + 1) {
      if isDigit(byte) || isLetter(byte) {
        word.append(byte)
      } else {
        end()
        made.append(byte)
      }
    }
    end()
    return String(decoding: made, as: UTF8.self)
  }
}
