import LogModel

/// What is wrong with settings that are each in order and do not go together: a word that nothing pays heed to would
/// stand in a report as if it had.
public struct SettingProblem: Hashable, Sendable, CustomStringConvertible {
  /// Where in a scenario it is shown.
  enum Place: Hashable, Sendable {
    /// At the axis' value.
    case axis(AxisDescriptor)
    /// At this key.
    case key(String)
    case topic
  }

  var place: Place
  public var problem: ScenarioProblem

  public var description: String { "\(problem)" }
}

extension TrialSettings {
  /// The first thing that is wrong; nil where everything goes together.
  public var firstProblem: SettingProblem? {
    for axis in AxisDescriptor.all { if let found = problem(on: axis) { return found } }
    return topicProblem ?? topicsProblem ?? deliveryProblem ?? conditionProblem
  }

  /// Everything that is wrong, one thing a place at the most.
  var problems: [SettingProblem] {
    AxisDescriptor.all.compactMap { problem(on: $0) }
      + [topicProblem, topicsProblem, deliveryProblem, conditionProblem].compactMap { $0 }
  }

  /// Whether a storage can do what the settings ask for; a cell for which it cannot is no trial there.
  /// - Parameter choice: for settings that leave the storage to the command line.
  public func isPossible(on choice: StorageChoice) -> Bool {
    let isModel = (setup.storage ?? choice) == .memory
    return AxisDescriptor.all.allSatisfy { axis in
      switch axis.storageNeed(self) {
      case .memory: isModel
      case .files: !isModel
      case nil: true
      }
    }
  }

  private func problem(on axis: AxisDescriptor) -> SettingProblem? {
    guard let expected = axis.contradiction(self) else { return nil }
    return SettingProblem(
      place: .axis(axis), problem: .malformed("\(axis.value(in: self))", of: axis.name, expected: expected))
  }

  private func problem(_ place: SettingProblem.Place, _ value: String, of noun: String, _ expected: String)
    -> SettingProblem
  {
    SettingProblem(place: place, problem: .malformed(value, of: noun, expected: expected))
  }

  /// Where the topic names files of its own, those of another system's log or of jobs, fewer names will do.
  private var topicProblem: SettingProblem? {
    let rule = delivery == nil ? NameRule.topic(of: setup.system) : .topicOfJobs
    guard let problem = rule.problem(of: topic) else { return nil }
    let isOwn = setup.system == .tornlog
    let noun = delivery != nil ? "topic of jobs" : isOwn ? "topic" : "topic of another system's log"
    return SettingProblem(place: .topic, problem: .invalidName(topic, of: noun, problem))
  }

  /// Faults name a partition by its number alone, and only the engine itself knows several topics.
  private var topicsProblem: SettingProblem? {
    guard !otherTopics.isEmpty else { return nil }
    func problem(_ value: String, _ noun: String, _ expected: String) -> SettingProblem {
      self.problem(.key("workload"), value, of: noun, "\(expected), with other-topics")
    }
    if let twice = topics.first(where: { name in topics.count { $0 == name } > 1 }) {
      return SettingProblem(place: .key("workload"), problem: .repeatedValue(twice, of: "topics"))
    }
    if let fault = faults.first { return problem(fault.kind, "faults", "none") }
    if delivery != nil { return problem("given", "delivery", "none") }
    if exploration != nil { return problem("given", "exploration", "none") }
    if volume.partitions < topics.count {
      return problem("\(volume.partitions)", "partitions", "at least one for each of the \(topics.count) topics")
    }
    if setup.writers != .one { return problem(setup.writers.rawValue, "writers", "one") }
    return setup.system == .tornlog ? nil : problem(setup.system.rawValue, "system", "tornlog")
  }

  private var deliveryProblem: SettingProblem? {
    guard let delivery else { return nil }
    func problem(_ value: String, _ noun: String, _ expected: String) -> SettingProblem {
      self.problem(.key("delivery"), value, of: noun, expected)
    }
    if setup.writers != .one { return problem(setup.writers.rawValue, "writers", "one, in a trial of delivery") }
    if delivery.archives, delivery.isRetried {
      return problem("each-life", "executions", "one, where logs are archived")
    }
    return crashes.crash == .powerLoss && crashes.sync != .always
      ? problem("\(crashes.sync)", "sync", "always, in a trial of delivery with a power loss") : nil
  }

  /// Nobody could see whether it has happened.
  private var conditionProblem: SettingProblem? {
    let isOfModel = setup.storage == .memory && setup.system == .tornlog
    guard !onlyIf.isEmpty, !(isOfModel && delivery == nil && exploration == nil) else { return nil }
    return problem(
      .key("only-if"), (setup.storage ?? .auto).rawValue, of: "storage",
      "memory, and trials of the engine's own log, with only-if")
  }
}
