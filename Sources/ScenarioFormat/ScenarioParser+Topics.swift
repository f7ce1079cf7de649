import LogModel

// The key `other-topics` of a scenario's workload: names of topics beside `topic`, created after it in this order. The axis
// `partitions` counts those of all topics together: number n, from 0, is partition n / t of topic n mod t, where t is the number
// of topics. Messages go to all of them as they go to the partitions of one.
//
// Such a trial has no faults, which name a partition by its number alone, one writer, no delivery, no exploration, and the
// engine's own log.
extension SourceReader {
  mutating func otherTopics(_ node: SourceNode, beside topic: String) -> [String] {
    var names: [String] = []
    for item in list(node, "other-topics") ?? [] {
      guard let name = text(item, "other-topics") else { continue }
      let isNameable = name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
      }
      if !isNameable || name.isEmpty {
        note(item.position, .malformed(name, of: "topic", expected: "letters, digits, - and _"))
      } else if name == topic || names.contains(name) {
        note(item.position, .repeatedValue(name, of: "topics"))
      } else {
        names.append(name)
      }
    }
    return names
  }

  /// Everything that a trial with several topics cannot do.
  mutating func noteTopicContradictions(of scenario: Scenario, _ entry: SourceNode.Entry?) {
    guard let entry, !scenario.otherTopics.isEmpty else { return }
    func problem(_ text: String, _ noun: String, _ expected: String) {
      note(entry.keyPosition, .malformed(text, of: noun, expected: "\(expected), with other-topics"))
    }
    if !scenario.allFaults.isEmpty { return problem(scenario.allFaults[0].kind, "faults", "none") }
    if scenario.delivery != nil { return problem("given", "delivery", "none") }
    if scenario.exploration != nil { return problem("given", "exploration", "none") }
    let topics = scenario.otherTopics.count + 1
    for cell in scenario.cells() {
      if cell.partitions < topics { return problem("\(cell.partitions)", "partitions", "at least one for each of the \(topics) topics") }
      if cell.writers != .one { return problem(cell.writers.rawValue, "writers", "one") }
      if cell.system != .tornlog { return problem(cell.system.rawValue, "system", "tornlog") }
    }
  }
}
