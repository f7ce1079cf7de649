/// What identifies a metric family: its name as OpenMetrics has it, without the suffixes of its samples.
///
/// Names and labels follow OpenMetrics 1.0, section "ABNF"; a colon is left to recording rules, and a label that begins
/// with two underscores to whoever scrapes.
public struct MetricFamilyName: Hashable, Sendable, CustomStringConvertible {
  public let text: String
  /// `seconds`, `bytes` ...; the name ends with it. Nil: a plain number.
  public let unit: String?

  /// - Precondition: `text` is a name, ends with `_unit` where there is one, and with no suffix of a sample.
  public init(_ text: String, unit: String? = nil) {
    precondition(Self.isName(text), "\(text): a metric is named by letters, digits and _, and begins with no digit")
    precondition(unit.map { text.hasSuffix("_\($0)") } ?? true, "\(text): the name ends with its unit, _\(unit ?? "")")
    precondition(
      !Self.reserved.contains { text.hasSuffix($0) },
      "\(text): samples are named so, not families; leave the suffix away")
    self.text = text
    self.unit = unit
  }

  /// Suffixes of samples; a family that ended with one could be taken for a sample of another.
  static let reserved = ["_total", "_created", "_bucket", "_count", "_sum", "_info", "_gsum", "_gcount"]

  public var description: String { text }

  /// `wal.append.duration` of the documents is `wal_append_duration` here.
  static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, !isDigit(first) else { return false }
    return text.utf8.allSatisfy { isLetter($0) || isDigit($0) }
  }

  static func isLabel(_ text: String) -> Bool { isName(text) && !text.hasPrefix("__") }

  private static func isLetter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
    default: false
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }
}

/// Labels of one series, sorted by name.
public struct MetricLabels: Hashable, Sendable, ExpressibleByDictionaryLiteral {
  public let pairs: [(name: String, value: String)]

  /// - Precondition: names are labels, each once.
  public init(dictionaryLiteral elements: (String, String)...) { self.init(elements) }

  public init(_ pairs: [(String, String)]) {
    for (name, _) in pairs {
      precondition(
        MetricFamilyName.isLabel(name), "\(name): a label is named by letters, digits and _, and not with __ in front")
    }
    precondition(Set(pairs.map(\.0)).count == pairs.count, "a label is given twice")
    self.pairs = pairs.sorted { $0.0 < $1.0 }.map { (name: $0.0, value: $0.1) }
  }

  public static func == (a: Self, b: Self) -> Bool {
    a.pairs.elementsEqual(b.pairs) { $0.name == $1.name && $0.value == $1.value }
  }

  public func hash(into hasher: inout Hasher) {
    for (name, value) in pairs {
      hasher.combine(name)
      hasher.combine(value)
    }
  }
}
