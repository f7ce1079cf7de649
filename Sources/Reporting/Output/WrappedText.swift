import Glibc

/// Lines for a terminal of a certain width: broken between words, and what follows stands below the text of the first
/// line. A word that is wider, a token or a path, is left whole: cut in two it could not be copied.
package struct WrappedText {
  /// Columns.
  package let width: Int

  package init(width: Int) { self.width = width }

  /// Narrower terminals are written to as if they were this wide.
  static let least = 30

  /// The width of the terminal behind a descriptor, in columns; nil where it is none, or does not say.
  package static func width(of descriptor: Int32) -> Int? {
    var size = winsize()
    guard isatty(descriptor) == 1, ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return max(least, Int(size.ws_col))
  }

  package func wrap(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { line($0) }.joined(separator: "\n")
  }

  private func line(_ line: Substring) -> String {
    guard Self.columns(line) > width else { return String(line) }
    let hang = String(repeating: " ", count: hang(line))
    let indent = line.prefix { $0 == " " }
    var (done, current) = ("", String(indent))
    var used = indent.count
    var isFirst = true
    // Spaces before a word go with it, unless it begins a line.
    var rest = line.dropFirst(indent.count)
    while !rest.isEmpty {
      let spaces = rest.prefix { $0 == " " }
      rest = rest.dropFirst(spaces.count)
      let word = rest.prefix { $0 != " " }
      rest = rest.dropFirst(word.count)
      let columns = Self.columns(word)
      if isFirst || used + spaces.count + columns <= width {
        current += spaces + word
        used += spaces.count + columns
      } else {
        done += current + "\n"
        current = hang + word
        used = hang.count + columns
      }
      isFirst = false
    }
    return done + current
  }

  /// Where the text behind a label begins, `  verdict    violated`; two columns further in than the line where there is
  /// no label.
  private func hang(_ line: Substring) -> Int {
    let plain = Self.plain(line)
    let indent = plain.prefix { $0 == " " }.count
    let label = plain.dropFirst(indent).prefix { $0 != " " }.count
    let gap = plain.dropFirst(indent + label).prefix { $0 == " " }.count
    let isLabel = indent + label + gap < plain.count && gap > 1
    let column = isLabel ? indent + label + gap : indent + 2
    return column <= width / 2 ? column : min(indent + 2, width / 2)
  }

  /// Without sequences of colour, which take no columns.
  private static func plain(_ text: Substring) -> [Character] {
    var plain: [Character] = []
    var isSequence = false
    for character in text {
      if character == "\u{1B}" { isSequence = true }
      if !isSequence { plain.append(character) }
      if isSequence, character == "m" { isSequence = false }
    }
    return plain
  }

  private static func columns(_ text: Substring) -> Int {
    text.utf8.contains(0x1B) ? plain(text).count : text.count
  }
}
