/// JSON with keys in the order in which they were given: reports stay diffable and read like their contract.
indirect enum JSONText {
  case null
  case bool(Bool)
  case integer(Int)
  case unsigned(UInt64)
  case number(Double)
  case string(String)
  case array([JSONText])
  case object([(String, JSONText)])

  /// One line for each element of the outer `levels`; what lies deeper stands on one line.
  func render(levels: Int) -> String {
    var text = ""
    write(into: &text, levels: levels, indent: 0)
    return text
  }

  private func write(into text: inout String, levels: Int, indent: Int) {
    switch self {
    case .null: text += "null"
    case .bool(let b): text += b ? "true" : "false"
    case .integer(let n): text += String(n)
    case .unsigned(let n): text += String(n)
    // JSON has no infinity and no NaN (RFC 8259, section 6).
    case .number(let d): text += d.isFinite ? d.description : "null"
    case .string(let s): Self.quote(s, into: &text)
    case .array(let items):
      Self.list(items, "[", "]", into: &text, levels, indent) {
        $0.write(into: &$1, levels: levels - 1, indent: indent + 1)
      }
    case .object(let entries):
      Self.list(entries, "{", "}", into: &text, levels, indent) { entry, text in
        Self.quote(entry.0, into: &text)
        text += ": "
        entry.1.write(into: &text, levels: levels - 1, indent: indent + 1)
      }
    }
  }

  private static func list<Item>(
    _ items: [Item], _ open: String, _ close: String, into text: inout String, _ levels: Int, _ indent: Int,
    _ write: (Item, inout String) -> Void
  ) {
    text += open
    let broken = levels > 0 && !items.isEmpty
    for (i, item) in items.enumerated() {
      if i > 0 { text += broken ? "," : ", " }
      if broken { text += "\n" + String(repeating: "  ", count: indent + 1) }
      write(item, &text)
    }
    if broken { text += "\n" + String(repeating: "  ", count: indent) }
    text += close
  }

  private static func quote(_ s: String, into text: inout String) {
    text += "\""
    for scalar in s.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\t": text += "\\t"
      case "\r": text += "\\r"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        let hex = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
