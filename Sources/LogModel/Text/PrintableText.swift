/// Text that nobody in this program has written, for people: names, values, titles, paths, and what a kernel says.
extension String {
  /// With what would steer a terminal, or the reader's eye, shown by its number: `\u001b`. In JSON that stands for the
  /// same
  /// character.
  ///
  /// Those are the control characters (C0, DEL, C1), the bidirectional ones, which show text in another order than it
  /// is in (CVE-2021-42574;
  /// U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069), and the separators U+2028 and U+2029, which some
  /// readers take for ends of lines.
  /// - Parameter isKept: control characters that stay, a line feed say.
  public func escapingControls(_ isKept: (Unicode.Scalar) -> Bool = { _ in false }) -> String {
    // Most text has none, and is asked by its bytes: no scalar above U+007F that matters begins with another byte than
    // these.
    let mayHave = utf8.contains { $0 < 0x20 || $0 == 0x7F || $0 == 0xC2 || $0 == 0xD8 || $0 == 0xE2 }
    guard mayHave, unicodeScalars.contains(where: { $0.isSteering && !isKept($0) }) else { return self }
    var text = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      guard scalar.isSteering, !isKept(scalar) else {
        text.append(scalar)
        continue
      }
      let digits = String(scalar.value, radix: 16)
      text.append(contentsOf: "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".unicodeScalars)
    }
    return String(text)
  }

  /// On one line, and of at most `limit` characters: what is longer is cut in its middle, with the number of characters
  /// that are
  /// left out.
  public func shortened(to limit: Int = 80) -> String {
    // Its bytes are counted first: those of a megabyte of text are quickly counted.
    let text = utf8.count > limit * 8 ? String(prefix(limit * 2)) + "\u{2026}" + String(suffix(limit)) : self
    let shown = text.escapingControls()
    guard utf8.count > limit, shown.count > limit else { return shown }
    let (head, tail) = (limit * 2 / 3, limit / 4)
    return "\(shown.prefix(head))[... \(max(1, count - head - tail)) characters]\(shown.suffix(tail))"
  }
}

extension Unicode.Scalar {
  /// See `String.escapingControls`.
  var isSteering: Bool {
    switch value {
    case 0..<0x20, 0x7F...0x9F, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }
}
