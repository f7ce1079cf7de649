/// A strict reader of OpenMetrics 1.0 text, written from the specification's ABNF and its list of rules, and sharing
/// nothing with the writer. Only the kinds counter, gauge and histogram.
struct OpenMetricsParser {
  struct Sample: Hashable {
    var name: String
    var labels: [String: String]
    var value: Double
  }

  struct Family {
    var name: String
    var kind = "unknown"
    var unit = ""
    var help = ""
    var samples: [Sample] = []
  }

  struct Malformed: Error, CustomStringConvertible {
    var line: Int
    var why: String
    var description: String { "line \(line): \(why)" }
  }

  private var families: [Family] = []
  private var line = 0

  static func parse(_ text: String) throws(Malformed) -> [String: Family] {
    var parser = OpenMetricsParser()
    guard text.hasSuffix("# EOF\n") else {
      throw Malformed(line: 0, why: "the text does not end with # EOF and a line feed")
    }
    for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
      parser.line += 1
      try parser.take(Array(line.unicodeScalars))
    }
    for family in parser.families { try parser.check(family) }
    return Dictionary(uniqueKeysWithValues: parser.families.map { ($0.name, $0) })
  }

  private var isOver = false

  private func fail(_ why: String) -> Malformed { Malformed(line: line, why: why) }

  private mutating func take(_ scalars: [Unicode.Scalar]) throws(Malformed) {
    if isOver { throw fail("something stands behind # EOF") }
    let text = String(String.UnicodeScalarView(scalars))
    if text == "# EOF" {
      isOver = true
    } else if text.hasPrefix("# ") {
      try takeDescriptor(text)
    } else {
      try takeSample(scalars)
    }
  }

  private mutating func takeDescriptor(_ text: String) throws(Malformed) {
    let words = text.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
    guard words.count >= 3, isName(words[2]) else { throw fail("no descriptor: \(text)") }
    let (word, name, rest) = (words[1], words[2], words.count == 4 ? words[3] : "")
    if families.last?.name != name {
      if families.contains(where: { $0.name == name }) { throw fail("family \(name) is interleaved with another") }
      families.append(Family(name: name))
    }
    let last = families.count - 1
    if !families[last].samples.isEmpty { throw fail("a descriptor of \(name) behind its samples") }
    switch word {
    case "TYPE":
      guard ["counter", "gauge", "histogram"].contains(rest), families[last].kind == "unknown" else {
        throw fail("type \(rest)")
      }
      families[last].kind = rest
    case "UNIT":
      guard families[last].unit.isEmpty, name.hasSuffix("_" + rest), !rest.isEmpty else {
        throw fail("\(name) has not the unit \(rest)")
      }
      families[last].unit = rest
    case "HELP":
      guard families[last].help.isEmpty else { throw fail("a second help text of \(name)") }
      families[last].help = try unescaped(Array(rest.unicodeScalars)[...])
    default: throw fail("unknown descriptor \(word)")
    }
  }

  private func unescaped(_ scalars: ArraySlice<Unicode.Scalar>) throws(Malformed) -> String {
    var result = String.UnicodeScalarView()
    var rest = scalars
    while let scalar = rest.popFirst() {
      switch scalar {
      case "\"": throw fail("a double quote that is not escaped")
      case "\\":
        switch rest.popFirst() {
        case "n": result.append("\n")
        case "\\": result.append("\\")
        case "\"": result.append("\"")
        default: throw fail("an escape that there is not")
        }
      default: result.append(scalar)
      }
    }
    return String(result)
  }

  private mutating func takeSample(_ scalars: [Unicode.Scalar]) throws(Malformed) {
    var rest = scalars[...]
    func upTo(_ ends: Set<Unicode.Scalar>) -> String {
      var taken = String.UnicodeScalarView()
      while let scalar = rest.first, !ends.contains(scalar) {
        taken.append(scalar)
        rest.removeFirst()
      }
      return String(taken)
    }
    let name = upTo(["{", " "])
    guard isName(name) else { throw fail("'\(name)' is no name") }
    var labels: [String: String] = [:]
    if rest.first == "{" {
      rest.removeFirst()
      while rest.first != "}" {
        let label = upTo(["="])
        guard isName(label), !label.hasPrefix("__"), labels[label] == nil else { throw fail("label '\(label)'") }
        guard rest.popFirst() == "=", rest.popFirst() == "\"" else {
          throw fail("a label's value stands in double quotes")
        }
        var raw: [Unicode.Scalar] = []
        while let scalar = rest.popFirst(), scalar != "\"" {
          raw.append(scalar)
          if scalar == "\\", let next = rest.popFirst() { raw.append(next) }
        }
        // What is escaped was taken in pairs: no bare quote is in it.
        labels[label] = try unescaped(raw[...])
        if rest.first == "," {
          rest.removeFirst()
          guard rest.first != "}" else { throw fail("a comma behind the last label") }
        } else if rest.first != "}" {
          throw fail("labels are separated by commas")
        }
      }
      rest.removeFirst()
    }
    guard rest.popFirst() == " " else { throw fail("one space before the value") }
    let value = try number(String(String.UnicodeScalarView(rest)))
    guard let family = families.indices.last, belongs(name, to: families[family]) else {
      throw fail("\(name) does not belong to the family that is being described")
    }
    families[family].samples.append(Sample(name: name, labels: labels, value: value))
  }

  private func number(_ text: String) throws(Malformed) -> Double {
    switch text {
    case "+Inf": return .infinity
    case "-Inf": return -.infinity
    case "NaN": return .nan
    default:
      guard text.unicodeScalars.allSatisfy({ "0123456789+-.eE".unicodeScalars.contains($0) }), let value = Double(text)
      else {
        throw fail("'\(text)' is no number")
      }
      return value
    }
  }

  private func belongs(_ name: String, to family: Family) -> Bool {
    switch family.kind {
    case "counter": name == family.name + "_total"
    case "gauge": name == family.name
    case "histogram": ["_bucket", "_count", "_sum"].contains { name == family.name + $0 }
    default: false
    }
  }

  private func isName(_ text: String) -> Bool {
    guard let first = text.unicodeScalars.first, !("0"..."9" ~= first) else { return false }
    return text.unicodeScalars.allSatisfy {
      "a"..."z" ~= $0 || "A"..."Z" ~= $0 || "0"..."9" ~= $0 || $0 == "_" || $0 == ":"
    }
  }

  // MARK: Rules over a whole family

  private func check(_ family: Family) throws(Malformed) {
    guard family.kind != "unknown" else { throw fail("\(family.name) has no type") }
    for sample in family.samples
    where family.samples.count(where: { $0.name == sample.name && $0.labels == sample.labels }) > 1 {
      throw fail("\(sample.name) \(sample.labels) is there twice")
    }
    if family.kind == "counter", family.samples.contains(where: { !($0.value >= 0) }) {
      throw fail("\(family.name): a counter is a number from 0 on")
    }
    if family.kind == "histogram" { try checkHistogram(family) }
  }

  private func checkHistogram(_ family: Family) throws(Malformed) {
    let groups = Dictionary(grouping: family.samples) { $0.labels.filter { $0.key != "le" } }
    for (labels, samples) in groups {
      let buckets = samples.filter { $0.name.hasSuffix("_bucket") }
      var limits: [Double] = []
      for bucket in buckets {
        guard let le = bucket.labels["le"] else { throw fail("a class of \(family.name) \(labels) has no le") }
        limits.append(try number(le))
      }
      guard zip(limits, limits.dropFirst()).allSatisfy({ $0 < $1 }), limits.last == .infinity else {
        throw fail("\(family.name) \(labels): the classes do not ascend to +Inf")
      }
      guard zip(buckets, buckets.dropFirst()).allSatisfy({ $0.value <= $1.value }) else {
        throw fail("\(family.name) \(labels): the classes are not cumulated")
      }
      guard let count = samples.first(where: { $0.name.hasSuffix("_count") }), count.value == buckets.last?.value,
        let sum = samples.first(where: { $0.name.hasSuffix("_sum") }), sum.value >= 0
      else { throw fail("\(family.name) \(labels): count, sum and the last class do not agree") }
    }
  }
}
