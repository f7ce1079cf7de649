import LogModel

// # The format of a scenario
//
// | key | value | default |
// |---|---|---|
// | `name` | lower-case letters, digits, hyphens; unique among all files of a run | required |
// | `title` | one line | required |
// | `story` | free text with its source | none |
// | `remedy` | what an operator should do about it | none |
// | `claims` | list of `source`, `says`, `when` + what of it can be measured; see Claim.swift | none |
// | `seed` | the seed where the command line gives none | command line's |
// | `workload` | `topic`, `other-topics` (see ScenarioParser+Topics.swift), `append-between` (messages a partition between the restarts), `committers` (consumer groups that commit offsets while messages are sent), number axes | orders, none, 10, 0 |
// | `matrix` | axes: a value or a list each; cartesian product in this order, last axis fastest | required |
// | `crash` | `kind`, `at` and `second`, as fixed values of the axes `crash`, `crash-at` and `second-crash` | process-kill, end, same |
// | `checkpoint` | policy where there is an object store: `every`, `bytes`, `object-bytes`, `timeout`, `waiting`, `patience` | see CheckpointTerms |
// | `exclude` | list of conditions: cells that are no trials | none |
// | `faults` | list of faults, `- kind: { parameter: value }` or `- kind` | none |
// | `overrides` | list of `when` + `faults`, `append-between`, `crash-at`, `trial-seconds`; first match | none |
// | `expect` | list of `when` + one of `caught-by: CHECK`, `outcome: held`; first match decides | held |
// | `must-catch` | `{ DEFECT: CHECK }`: short for an `expect` of that defect, after all others | none |
// | `only-if` | list of what must have happened in a trial: it is `unknown` otherwise; see TrialCondition.swift | none |
// | `suites` | name: a condition or a list; a cell that any matches has the tag | all are `quick` and `full` |
// | `limits` | `trial-seconds` | 60 |
// | `exploration` | how crash states are explored, or which; see ScenarioParser+Exploration.swift | none |
// | `delivery` | a trial of the job log and its sender in place of one of partitions; see ScenarioParser+Delivery.swift | none |
//
// | axis | values | default |
// |---|---|---|
// | `messages` | in all partitions together, 1... | required |
// | `partitions` | 1... | 1 |
// | `producers` | concurrent ones, 1... | 4 |
// | `batch` | messages for each produce request, 1...; times `message-size` and the largest of `keys` no more than the engine takes | 10 |
// | `message-size` | `0B`, `100B`, `1KB` (1000), `1KiB` (1024); below 24 bytes see ScenarioParser+Messages.swift | 1KB |
// | `keys` | of the messages: `none`, `empty`, `nul` (16 bytes, two of them NUL), `large` (64 KiB), `mixed`; see ScenarioParser+Messages.swift | none |
// | `deletion` | `none`, `half`, `all`: what is deleted of each partition, three times; see ScenarioParser+Messages.swift | none |
// | `readers` | consumers that read while messages are sent, 0 to 8; see ScenarioParser+Messages.swift | 0 |
// | `sync` | `always`, `interval(100ms)`, `never` | always |
// | `recovery` | `skip-corrupted`, `truncate-at-corruption` | skip-corrupted |
// | `crash` | `process-kill`, `power-loss`, `none`, `power-loss-after-close`, `out-of-memory` (on real files): how the first life ends, and the second | process-kill |
// | `crash-at` | `end`, `50%` or a number, of acknowledged messages | end |
// | `second-crash` | a value of `crash`, for the second life alone; `same`: as the first | same |
// | `later-sync` | a value of `sync`, for the lives behind the first; `same`: as that; with `system: tornlog` | same |
// | `pace` | `none`, or how long a producer waits after each answer, like `5ms`; a power loss comes at any moment of such a pause | none |
// | `preallocation` | size of the first zero-fill ahead of the commits, 0 or a multiple of 512 B; each later one is twice as long; under `always` | 256KiB |
// | `first-offset` | where the log of every partition begins, like `2147483600` or `2^31-48`: what came before has been deleted | 0 |
// | `storage` | `ring`, `posix`, `memory` | the command line's |
// | `defect` | `none` or a historical defect | none |
// | `system` | `tornlog`, `streamhouse`, `airunner`, `chronik`, `chronik-v1`, `replay-buffer`: the format of the log; where there is one, it decides the defaults of `sync` and `recovery` | tornlog |
// | `writers` | `one`, `second-engine`, `second-process`, `lock-removed`, `lease-expired`, `clock-skew`, `renewal-failed`, `network-cut`, `holder-killed`, `holder-lives` | one |
// | `client` | `none`, or a program in the place of an engine with partitions, on `storage: memory`; see TrialClient.swift | none |
// | `checkpoint` | `none`, `background`, `flushed` (and everything on demand, after the workload); an object store in a folder `store` | none; background with a key `checkpoint` |
//
// A fault says when with `phase`, one of
//
// | phase | while |
// |---|---|
// | `open`, `create`, `produce`, `commit`, `look`, `close` | the first life's engine opens, creates the topic, takes messages, commits consumer offsets, is looked at, closes |
// | `flush` | with an object store and `checkpoint: flushed`, everything is brought there on demand once the workload has been answered, and files that the log no longer needs are removed |
// | `delete` | records are deleted once the workload has been answered, in the first life and the second |
// | `recover`, `look`, `append`, `close` | the same of the second life, after the crash |
// | `rotate` | a log goes over to its next segment: what is done to that log's folder and its files, from the creation of the new segment (one that does not begin at offset 0) to the sync of the folder |
// | `checkpoint` | a copy of the metadata is changed or synced while consumer offsets are committed or the engine closes, and, in `recover`, from the moment on in which the copy begins a new segment: a snapshot that makes two copies the same, or the ends of logs that are about to be cut; not the registration of topics and segments |
//
// The last two are told from what passes between engine and disk (PassPhases.swift), whatever other phase it is. A phase that
// never comes has not fired its fault, and the trial is `unknown`. An engine that commits no offsets, for the crash comes
// before, has no checkpoint in its first life.
//
// At rest, between crash and recovery: `bit-flip` (unless `at: flight`), `truncate-file`, `delete-file`, `zero-sectors` and
// `garbage` hit a log, of `partition` where that is said, or with `target: metadata` a `copy` of the metadata: `metadata`,
// `metadata-mirror`, either if nothing is said, or, with flips, zeros and garbage, `both` at the same records.
//
// Faults of the object store, `store-...`, say `on` which call, and hit the nth call from `occurrence` on, `times` times. They pass
// between engine and store; those of the device pass between engine and log, and never hit the store.
//
// A condition is a mapping from an axis, `messages-per-partition` or `batches-per-partition` (of the largest
// partition) to a value, a comparison (`"> 100"`, `"<= 5"`, `"!= none"`) or a list of which any must hold. Every
// term must hold; `{}` matches every cell. A value that no cell has is an error: such a rule would be dead.

/// Turns one file's text into a scenario, or into every error that it holds.
public enum ScenarioParser {
  /// More cells than this are a mistake in the matrix.
  public static let cellLimit = 100_000

  public static func parse(
    _ text: String, file: String, vocabulary: Vocabulary
  ) throws(InvalidScenarios) -> Scenario {
    var reader = SourceReader(vocabulary: vocabulary)
    // A byte order mark is no part of the text (YAML 1.2, section 5.2); some editors write one.
    let text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    let root = SourceNode.compose(text, file: file, errors: &reader.errors)
    let scenario = root.flatMap { reader.scenario($0, file: file) }
    guard reader.errors.isEmpty, let scenario else { throw InvalidScenarios(reader.errors) }
    return scenario
  }
}

extension SourceReader {
  private static let keys = [
    "name", "title", "story", "remedy", "claims", "seed", "workload", "matrix", "crash", "checkpoint", "exclude", "faults", "fault-cases", "overrides", "expect",
    "must-catch", "only-if", "suites", "limits", "exploration", "delivery",
  ]

  fileprivate mutating func scenario(_ root: SourceNode, file: String) -> Scenario? {
    guard let keys = mapping(root, "the scenario", known: Self.keys) else { return nil }
    for key in ["name", "title", "matrix"] where keys[key] == nil {
      note(root.position, .missingKey(key, in: "the scenario"))
    }
    let name = keys["name"].flatMap { slug($0.value, "name") }
    let title = keys["title"].flatMap { text($0.value, "title") }
    let story = keys["story"].flatMap { text($0.value, "story") }
    let remedy = keys["remedy"].flatMap { text($0.value, "remedy") }
    let seed = keys["seed"].flatMap { self.seed($0.value) }
    let dimensions = keys["matrix"].map { self.dimensions($0.value) } ?? []
    let workload = keys["workload"].map { self.workload($0.value) } ?? Workload()
    var fixed = workload.fixed.merging(keys["crash"].map { crash($0.value) } ?? [:]) { first, _ in first }
    for dimension in dimensions where fixed[dimension.axis] != nil {
      let place = [.crash, .crashAt, .secondCrash].contains(dimension.axis) ? "crash" : "workload"
      note(dimension.position, .givenTwice(dimension.axis.rawValue, places: "matrix and \(place)"))
    }
    fixed.merge(Self.policies(of: fixed[.system] ?? dimensions.first { $0.axis == .system }.flatMap { $0.values.count == 1 ? $0.values[0] : nil })) { given, _ in given }
    let checkpointTerms = keys["checkpoint"].map { self.checkpointTerms($0.value) }
    fixed[.checkpoint] = .text((checkpointTerms == nil ? CheckpointSetup.none : .background).rawValue)
    fixed.merge(Self.defaults) { given, _ in given }
    guard !dimensions.isEmpty else { return nil }
    if let matrix = keys["matrix"], fixed[.messages] == nil, !dimensions.contains(where: { $0.axis == .messages }) {
      note(matrix.keyPosition, .missingKey("messages", in: "matrix"))
    }

    let choices = Choices(fixed: fixed, dimensions: dimensions)
    let exclusions = keys["exclude"].map { self.conditions($0.value, "exclude", choices) } ?? []
    let faults = keys["faults"].map { self.faults($0.value) } ?? []
    let cases = keys["fault-cases"].map { self.faultCases($0.value) } ?? [:]
    for dimension in dimensions where dimension.axis == .fault {
      let known = ["none"] + cases.keys.sorted()
      for (value, position) in zip(dimension.values, dimension.valuePositions) where !known.contains(value.description) {
        note(position, .unknownWord(value.description, of: "fault case", known: known))
      }
    }
    let overrides = keys["overrides"].map { self.overrides($0.value, choices) } ?? []
    var rules = keys["expect"].map { self.rules($0.value, choices) } ?? []
    rules += keys["must-catch"].map { mustCatch($0.value, choices) } ?? []
    let suites = keys["suites"].map { self.suites($0.value, choices) } ?? []
    let claims = keys["claims"].map { self.claims($0.value, choices) } ?? []
    let exploration = keys["exploration"].flatMap { self.exploration($0.value, choices) }
    let delivery = keys["delivery"].flatMap { self.delivery($0.value) }
    let onlyIf = keys["only-if"].map { conditionsOfTrials($0.value) } ?? []
    let limits = keys["limits"].flatMap { self.limits($0.value) } ?? TrialLimits(trialSeconds: 60)

    let count = dimensions.reduce(1) { $0.multipliedReportingOverflow(by: $1.values.count).partialValue }
    if let matrix = keys["matrix"], !(0...ScenarioParser.cellLimit).contains(count) {
      note(matrix.keyPosition, .tooManyCells(count, limit: ScenarioParser.cellLimit))
    }
    guard errors.isEmpty, let name, let title else { return nil }
    let scenario = Scenario(
      name: name, title: title, story: story ?? "", remedy: remedy ?? "", claims: claims, file: file, seed: seed, topic: workload.topic,
      otherTopics: workload.otherTopics, appendBetween: workload.appendBetween, committers: workload.committers, checkpointTerms: checkpointTerms ?? CheckpointTerms(), fixed: fixed, dimensions: dimensions, exclusions: exclusions,
      faults: faults, faultCases: cases, overrides: overrides, rules: rules, suites: suites, limits: limits, exploration: exploration,
      delivery: delivery, onlyIf: onlyIf)
    noteEmptySelections(of: scenario, exclude: keys["exclude"])
    noteLargeBatches(of: scenario, workload.positions)
    noteDeliveryContradictions(of: scenario, keys["delivery"])
    noteTopicContradictions(of: scenario, keys["workload"])
    noteNarrowerNames(of: scenario, keys["workload"])
    noteUnseenConditions(of: scenario, keys["only-if"])
    noteClientContradictions(of: scenario)
    noteLoadContradictions(of: scenario, keys["crash"] ?? keys["matrix"])
    noteMessageContradictions(of: scenario, workload.positions)
    guard errors.isEmpty else { return nil }
    return scenario
  }

  /// Where a scenario has one system, what its document says is the default.
  private static func policies(of system: AxisValue?) -> [Axis: AxisValue] {
    guard let system = system.flatMap({ LogSystem(rawValue: $0.description) }) else { return [:] }
    return [.sync: .text(system.syncPolicy.description), .recovery: .text(system.recoveryPolicy.rawValue)]
  }

  private static let defaults: [Axis: AxisValue] = [
    .partitions: .integer(1), .producers: .integer(4), .batch: .integer(10), .messageSize: .integer(1000),
    .sync: .text("always"), .recovery: .text("skip-corrupted"), .crash: .text("process-kill"),
    .crashAt: .text("end"), .defect: .text("none"), .fault: .text("none"),
    .secondCrash: .text(Axis.sameCrash), .laterSync: .text(Axis.sameSync), .pace: .text(Axis.text(pace: .zero)),
    .preallocation: .integer(Axis.usualPreallocation), .firstOffset: .integer(0),
    .writers: .text("one"), .client: .text("none"), .keys: .text("none"), .deletion: .text("none"), .readers: .integer(0),
    .system: .text(LogSystem.tornlog.rawValue),
  ]

  private mutating func noteEmptySelections(of scenario: Scenario, exclude: SourceNode.Entry?) {
    let cells = scenario.cells()
    guard !cells.isEmpty else {
      if let exclude { note(exclude.keyPosition, .selectsNothing("exclude leaves no cell")) }
      return
    }
    for suite in scenario.suites {
      for selection in suite.selections where !cells.contains(where: { selection.condition.matches($0) }) {
        note(selection.position, .selectsNothing("this selection of suite '\(suite.name)' matches no cell"))
      }
    }
  }

  /// Every value of `message-size`, or of `batch` where the size is not given, that makes a batch which the engine does
  /// not take: once each, with the largest batch that a cell makes of it.
  private mutating func noteLargeBatches(of scenario: Scenario, _ given: [Axis: SourcePosition]) {
    guard let limit = vocabulary.batchLimit else { return }
    func place(_ axis: Axis, _ value: Int) -> SourcePosition? {
      guard let dimension = scenario.dimensions.first(where: { $0.axis == axis }) else { return given[axis] }
      return dimension.values.firstIndex(of: .integer(value)).map { dimension.valuePositions[$0] }
    }
    var largest: [SourcePosition: (messages: Int, size: Int)] = [:]
    for cell in scenario.cells() where !limit.allows(messages: cell.batch, of: cell.messageSize + cell.keys.largest) {
      guard let position = place(.messageSize, cell.messageSize) ?? place(.batch, cell.batch) else { continue }
      if cell.batch > largest[position]?.messages ?? 0 { largest[position] = (cell.batch, cell.messageSize + cell.keys.largest) }
    }
    for (position, batch) in largest.sorted(by: { $0.key < $1.key }) {
      note(
        position,
        .batchTooLarge(
          messages: batch.messages, of: batch.size, bytes: limit.size(messages: batch.messages, of: batch.size),
          limit: limit.bytes))
    }
  }

  private mutating func seed(_ node: SourceNode) -> UInt64? {
    guard let text = text(node, "seed") else { return nil }
    guard let seed = UInt64(text), text.first != "+" else {
      note(node.position, .malformed(text, of: "seed", expected: "a whole number below 2^64"))
      return nil
    }
    return seed
  }

  private struct Workload {
    var topic = "orders"
    var otherTopics: [String] = []
    var appendBetween = 10
    var committers = 0
    var fixed: [Axis: AxisValue] = [:]
    /// Of the values in `fixed`.
    var positions: [Axis: SourcePosition] = [:]
  }

  private mutating func workload(_ node: SourceNode) -> Workload {
    let axes: [Axis] = [
      .producers, .batch, .messageSize, .messages, .partitions, .keys, .deletion, .readers, .pace, .preallocation, .firstOffset,
    ]
    var workload = Workload()
    guard let keys = mapping(node, "workload", known: ["topic", "other-topics", "append-between", "committers"] + axes.map(\.rawValue)) else {
      return workload
    }
    if let topic = keys["topic"].flatMap({ topicName($0.value, "topic") }) { workload.topic = topic }
    if let entry = keys["other-topics"] { workload.otherTopics = otherTopics(entry.value, beside: workload.topic) }
    if let n = keys["append-between"].flatMap({ number($0.value, "append-between", 0...1_000_000) }) {
      workload.appendBetween = n
    }
    if let n = keys["committers"].flatMap({ number($0.value, "committers", Scenario.committers) }) { workload.committers = n }
    for axis in axes {
      workload.fixed[axis] = keys[axis.rawValue].flatMap { axisValue($0.value, axis) }
      workload.positions[axis] = keys[axis.rawValue]?.value.position
    }
    return workload
  }

  private mutating func crash(_ node: SourceNode) -> [Axis: AxisValue] {
    guard let keys = mapping(node, "crash", known: ["kind", "at", "second"]) else { return [:] }
    var fixed: [Axis: AxisValue] = [:]
    fixed[.crash] = keys["kind"].flatMap { axisValue($0.value, .crash) }
    fixed[.crashAt] = keys["at"].flatMap { axisValue($0.value, .crashAt) }
    fixed[.secondCrash] = keys["second"].flatMap { axisValue($0.value, .secondCrash) }
    return fixed
  }

  private mutating func dimensions(_ node: SourceNode) -> [Scenario.Dimension] {
    guard let entries = entries(node, "matrix") else { return [] }
    if entries.isEmpty { note(node.position, .emptyList(of: "matrix")) }
    return entries.compactMap { entry in
      guard let axis = Axis(rawValue: entry.key) else {
        note(entry.keyPosition, .unknownKey(entry.key, in: "matrix", known: Axis.names))
        return nil
      }
      var nodes = [entry.value]
      if case .list(let items) = entry.value.content { nodes = items }
      if nodes.isEmpty { note(entry.value.position, .emptyList(of: "axis '\(axis.rawValue)'")) }
      var values: [AxisValue] = []
      var positions: [SourcePosition] = []
      for node in nodes {
        guard let value = axisValue(node, axis) else { continue }
        if values.contains(value) { note(node.position, .repeatedValue(value.description, of: axis.rawValue)) }
        values.append(value)
        positions.append(node.position)
      }
      return Scenario.Dimension(
        axis: axis, values: values, position: entry.keyPosition, valuePositions: positions)
    }
  }

  private mutating func limits(_ node: SourceNode) -> TrialLimits? {
    guard let keys = mapping(node, "limits", known: ["trial-seconds"]) else { return nil }
    return keys["trial-seconds"].flatMap { trialSeconds($0.value) }.map { TrialLimits(trialSeconds: $0) }
  }

  mutating func trialSeconds(_ node: SourceNode) -> Int? { number(node, "trial-seconds", 1...86_400) }
}
