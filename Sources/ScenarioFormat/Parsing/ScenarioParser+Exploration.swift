import LogModel

// The key `exploration` of a scenario:
//
// | key | value | default |
// |---|---|---|
// | `profiles` | a persistence profile, or a list of them | all |
// | `depth` | 1, or 2: the recoveries are cut off too | 1 |
// | `bound` | every state that differs in so many pieces at the most is visited; 1 to 8 | 3 |
// | `states-per-point` | states that the exhaustive part visits at one crash point at the most | 4096 |
// | `samples` | states of each other crash point that the seed draws | 64 |
// | `segment-size` | bytes of a segment; 16KiB at least | 16KiB |
// | `offset-commits` | `true` or `false`: consumer offsets are committed in the middle and at the end | true |
// | `committers` | so many groups commit what can be consumed while messages are sent; 0 to 8 | 0 |
// | `device-faults` | `short-writes`, `failing-writes`: every Nth write is short, or fails; `failing-sync`: the sync of a segment that fails | none |
// | `client` | what is put to the test in place of the engine: `delivery` or `transactions` | the engine |
// | `state` | one crash state, as `shrink` writes it | every state |
//
// `state` has `defect` (whose recording it is of; `none`), `event` (the power goes after so many), `kept` (`all`,
// `none`, `all_3-0`: of piece 3 alternative 0), `fingerprint`, and `in-recovery` with `event` and `kept` of a second
// power cut.
extension SourceReader {
  private static let keys = [
    "profiles", "depth", "bound", "states-per-point", "samples", "segment-size", "offset-commits", "committers",
    "device-faults", "client",
    "state",
  ]

  mutating func exploration(_ node: SourceNode, _ choices: Choices) -> ExplorationSettings? {
    guard let keys = mapping(node, "exploration", known: Self.keys, former: ["mishaps": "device-faults"]) else {
      return nil
    }
    let before = errors.count
    var settings = ExplorationSettings()
    func set(
      _ key: String, _ path: WritableKeyPath<ExplorationSettings, Int>, _ allowed: ClosedRange<Int>,
      _ reader: inout Self
    ) {
      guard let entry = keys[key], let n = reader.number(entry.value, key, allowed) else { return }
      settings[keyPath: path] = n
    }
    set("depth", \.depth, 1...2, &self)
    set("bound", \.bound, 1...8, &self)
    set("states-per-point", \.statesPerPoint, 1...1_000_000, &self)
    set("samples", \.samples, 0...1_000_000, &self)
    set("committers", \.committers, Scenario.committers, &self)
    if let entry = keys["profiles"] { settings.profiles = profiles(entry.value) }
    if let entry = keys["segment-size"], let bytes = segmentSize(entry.value) { settings.segmentSize = bytes }
    if let entry = keys["offset-commits"], let word = word(entry.value, "offset-commits", ["true", "false"]) {
      settings.commitsOffsets = word == "true"
    }
    if let entry = keys["client"] { settings.client = client(entry.value, keys) }
    if let entry = keys["device-faults"],
      let deviceFaults = mapping(
        entry.value, "device-faults", known: ["short-writes", "failing-sync", "failing-writes"])
    {
      if let n = deviceFaults["short-writes"].flatMap({ number($0.value, "short-writes", 1...1_000_000) }) {
        settings.shortWrites = n
      }
      if let n = deviceFaults["failing-sync"].flatMap({ number($0.value, "failing-sync", 1...1_000_000) }) {
        settings.failingSync = n
      }
      if let n = deviceFaults["failing-writes"].flatMap({ number($0.value, "failing-writes", 1...1_000_000) }) {
        settings.failingWrites = n
      }
    }
    if let entry = keys["state"] { settings.state = state(entry.value, settings, choices) }
    return errors.count == before ? settings : nil
  }

  /// A client brings its own log, device and workload.
  private mutating func client(_ node: SourceNode, _ keys: [String: SourceNode.Entry]) -> String? {
    for key in ["segment-size", "offset-commits", "committers", "device-faults", "state"] {
      guard let entry = keys[key] else { continue }
      note(
        entry.value.position,
        .malformed(key, of: "client", expected: "profiles, depth, bound, states-per-point and samples only"))
    }
    return word(node, "client", ["delivery", "transactions"])
  }

  private mutating func profiles(_ node: SourceNode) -> [String] {
    var nodes = [node]
    if case .list(let items) = node.content { nodes = items }
    if nodes.isEmpty { note(node.position, .emptyList(of: "'profiles'")) }
    var names: [String] = []
    for node in nodes {
      guard let name = word(node, "persistence profile", vocabulary.profiles) else { continue }
      if names.contains(name) { note(node.position, .repeatedValue(name, of: "profiles")) }
      names.append(name)
    }
    return names
  }

  private mutating func segmentSize(_ node: SourceNode) -> Int? {
    guard let text = text(node, "segment-size") else { return nil }
    return value(at: node) { () throws(ScenarioProblem) in
      let allowed = 16 << 10...64 << 20
      guard let bytes = byteCount(text) else {
        throw .malformed(text, of: "segment-size", expected: "a size like 16KiB")
      }
      guard allowed.contains(bytes) else { throw .outOfRange(bytes, of: "segment-size", allowed: allowed) }
      return bytes
    }
  }

  private mutating func state(
    _ node: SourceNode, _ settings: ExplorationSettings, _ choices: Choices
  ) -> ExplorationSettings.PinnedState? {
    let known = ["defect", "event", "kept", "in-recovery", "fingerprint"]
    guard let keys = mapping(node, "state", known: known) else { return nil }
    for key in known where key != "in-recovery" && keys[key] == nil {
      note(node.position, .missingKey(key, in: "state"))
    }
    if settings.profiles.count != 1 {
      note(
        node.position,
        .malformed("\(settings.profiles.count)", of: "number of profiles", expected: "one: that of the state"))
    }
    if keys["in-recovery"] != nil, settings.depth != 2 {
      note(
        node.position,
        .malformed("\(settings.depth)", of: "depth", expected: "2: the state has a power cut in recovery"))
    }
    let defect = keys["defect"].flatMap { stateDefect($0.value, choices) }
    let cut = self.cut(keys, "state")
    let inner = keys["in-recovery"].flatMap { entry -> ExplorationSettings.Cut? in
      guard let keys = mapping(entry.value, "in-recovery", known: ["event", "kept"]) else { return nil }
      for key in ["event", "kept"] where keys[key] == nil {
        note(entry.value.position, .missingKey(key, in: "in-recovery"))
      }
      return self.cut(keys, "in-recovery")
    }
    let fingerprint = keys["fingerprint"].flatMap {
      notation($0.value, "fingerprint", "eight hexadecimal digits", isFingerprint)
    }
    guard let defect, let cut, let fingerprint else { return nil }
    return ExplorationSettings.PinnedState(
      defect: defect, cut: cut, recoveryCut: inner, fingerprint: fingerprint, position: node.position)
  }

  private mutating func stateDefect(_ node: SourceNode, _ choices: Choices) -> String? {
    guard let value = axisValue(node, .defect) else { return nil }
    let values = choices.values(of: .defect)
    guard values.contains(value) else {
      note(node.position, .notInMatrix(axis: "defect", value: value.description, values: values.map(\.description)))
      return nil
    }
    return value.description
  }

  private mutating func cut(_ keys: [String: SourceNode.Entry], _ noun: String) -> ExplorationSettings.Cut? {
    let event = keys["event"].flatMap { number($0.value, "event", 0...10_000_000) }
    let kept = keys["kept"].flatMap {
      notation($0.value, "kept", "all, none, or either with exceptions: all_3-0", isKept)
    }
    guard let event, let kept else { return nil }
    return ExplorationSettings.Cut(event: event, kept: kept)
  }

  private mutating func notation(
    _ node: SourceNode, _ noun: String, _ expected: String, _ isRight: (String) -> Bool
  ) -> String? {
    guard let text = text(node, noun) else { return nil }
    guard isRight(text) else {
      note(node.position, .malformed(text, of: noun, expected: expected))
      return nil
    }
    return text
  }
}

private func isFingerprint(_ text: String) -> Bool {
  text.utf8.count == 8 && text.utf8.allSatisfy { ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 102) }
}

/// The pieces are in order, each once.
private func isKept(_ text: String) -> Bool {
  let words = text.split(separator: "_", omittingEmptySubsequences: false)
  guard words[0] == "all" || words[0] == "none" else { return false }
  var last = -1
  for word in words.dropFirst() {
    let numbers = word.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 2, let piece = numbers[0], let alternative = numbers[1], piece > last,
      alternative <= Int(UInt16.max),
      "\(piece)-\(alternative)" == word
    else { return false }
    last = piece
  }
  return true
}
