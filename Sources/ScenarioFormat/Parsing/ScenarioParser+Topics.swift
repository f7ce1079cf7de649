import LogModel

// The key `other-topics` of a scenario's workload: names of topics beside `topic`, created after it in this order. Both are
// names by `LogModel/NameRule.swift`, the engine's own rule. The axis
// `partitions` counts those of all topics together: number n, from 0, is partition n / t of topic n mod t, where t is the number
// of topics. Messages go to all of them as they go to the partitions of one.
//
// Such a trial has no faults, which name a partition by its number alone, one writer, no delivery, no exploration, and the
// engine's own log.
extension SourceReader {
  mutating func otherTopics(_ node: SourceNode, beside topic: String) -> [String] {
    var names: [String] = []
    for item in list(node, "other-topics") ?? [] {
      guard let name = topicName(item, "other-topics") else { continue }
      if name == topic || names.contains(name) {
        note(item.position, .repeatedValue(name, of: "topics"))
      } else {
        names.append(name)
      }
    }
    return names
  }

  /// The name of a topic, as the engine takes it.
  mutating func topicName(_ node: SourceNode, _ key: String) -> String? {
    guard let name = text(node, key) else { return nil }
    if let problem = NameRule.topic.problem(of: name) {
      note(node.position, .invalidName(name, of: key, problem))
      return nil
    }
    return name
  }

  /// Where the topic names files of its own, those of another system's log or of jobs, fewer names will do.
  mutating func noteNarrowerNames(of scenario: Scenario, _ workload: SourceNode.Entry?) {
    guard let workload, case .mapping(let entries) = workload.value.content,
      let topic = entries.first(where: { $0.key == "topic" })
    else { return }
    let rule: (text: String, NameRule) =
      if scenario.delivery != nil {
        ("topic of jobs", .topicOfJobs)
      } else if !NameRule.topicOfRecordLog.allows(scenario.topic), scenario.cells().contains(where: { $0.system != .tornlog }) {
        ("topic of another system's log", .topicOfRecordLog)
      } else {
        ("topic", .topic)
      }
    if let problem = rule.1.problem(of: scenario.topic) {
      note(topic.value.position, .invalidName(scenario.topic, of: rule.text, problem))
    }
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
