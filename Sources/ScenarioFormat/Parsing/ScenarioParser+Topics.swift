import LogModel

// The key `other-topics` of a scenario's workload: names of topics beside `topic`, created after it in this order. Both
// are names by `LogModel/Text/NameRule.swift`, the engine's own rule. The axis `partitions` counts those of all topics
// together: number n, from 0, is partition n / t of topic n mod t, where t is the number of topics. Messages go to all
// of them as they go to the partitions of one.
//
// Such a trial has no faults, which name a partition by its number alone, one writer, no delivery, no exploration, and
// the engine's own log.
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
}
