import Defects
import LogModel
import ScenarioFormat
import Storage

/// A trial in one word that a shell leaves alone: all of `TrialSpec` that decides the outcome, so that it can be
/// repeated on another machine without the scenario's file.
///
/// `t1.m=100.p=3.s=always.r=skip-corrupted.c=process-kill.at=end.d=C2b.b=10.n=4.z=1024.a=10.seed=42.st=ring.f=...`
public enum Token {
  /// What every token of a trial begins with, before a full stop.
  public static let version = "t1"

  public static func encode(_ spec: TrialSpec) -> String {
    let sync: String =
      switch spec.syncPolicy {
      case .always: "always"
      case .never: "never"
      case .interval(let d): "interval-\(DurationText.render(d))"
      }
    let at: String =
      switch spec.crashAt {
      case .end: "end"
      case .percent(let n): "\(n)pc"
      case .messages(let n): "\(n)"
      }
    var fields = [
      version, "sc=\(spec.scenario)", "m=\(spec.messages)", "p=\(spec.partitions)", "s=\(sync)", "r=\(spec.recovery.rawValue)",
      "c=\(spec.crash.rawValue)", "at=\(at)", "d=\(spec.defect)", "b=\(spec.batch)", "n=\(spec.producers)",
      "z=\(spec.messageSize)", "a=\(spec.appendBetween)", "t=\(spec.topics.joined(separator: "/"))", "seed=\(spec.seed)", "st=\(spec.storage.rawValue)",
    ]
    if spec.system != .tornlog { fields.append("y=\(spec.system.rawValue)") }
    if let checkpoint = spec.checkpointField { fields.append("ck=\(checkpoint)") }
    if spec.writers != .one { fields.append("w=\(spec.writers.rawValue)") }
    if spec.committers > 0 { fields.append("cm=\(spec.committers)") }
    if let client = spec.client { fields.append("cl=\(client.rawValue)") }
    if let delivery = spec.delivery { fields.append("dl=" + encode(delivery)) }
    if !spec.onlyIf.isEmpty { fields.append("if=\(spec.onlyIf.map(\.rawValue).joined(separator: "/"))") }
    for fault in spec.faults {
      let parameters = fault.parameters.sorted { $0.key < $1.key }.map { "\($0.key)-\($0.value)" }
      fields.append("f=" + ([fault.kind] + parameters).joined(separator: "/"))
    }
    // A dot separates; the notation has none but in durations, which are rendered whole.
    return fields.joined(separator: ".")
  }

  public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    case notAToken(String)
    case badField(String)
    case missing(String)
    case unknownFault(String, known: [String])
    /// Of a field `f=...`: what a scenario could not hold either.
    case badFault(String, ScenarioProblem)
    /// A batch that the engine does not take; bytes.
    case batchTooLarge(bytes: Int, limit: Int)
    /// The text says what the trial's system cannot be asked for.
    case notOfSystem(String)

    public var description: String {
      switch self {
      case .notAToken(let text): "`\(text.prefix(40))` is no token; copy the whole word after `tornlog reproduce`"
      case .badField(let field): "the token's field `\(field)` cannot be read"
      case .unknownFault(let kind, let known):
        "the token names a fault `\(kind)` that there is not; there are \(known.joined(separator: ", "))"
      case .badFault(let field, let problem): "the token's field `\(field)` asks for a fault that there is not: \(problem)"
      case .batchTooLarge(let bytes, let limit):
        "the token's batch (`b` messages of `z` bytes) has \(bytes) bytes; the engine takes \(limit) at most"
      case .notOfSystem(let text): "the token asks for what there is not: \(text)"
      case .missing(let name): "the token has no field `\(name)`; copy the whole word"
      }
    }
  }

  public static func decode(_ text: String) throws(Failure) -> TrialSpec {
    let fields = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard fields.first == version else { throw .notAToken(text) }
    var values: [String: String] = [:]
    var faults: [FaultSpec] = []
    for field in fields.dropFirst() {
      guard let equals = field.firstIndex(of: "=") else { throw .badField(field) }
      let name = String(field[..<equals])
      let value = String(field[field.index(after: equals)...])
      if name == "f" { faults.append(try fault(value, field)) } else { values[name] = value }
    }
    func value(_ name: String) throws(Failure) -> String {
      guard let value = values[name] else { throw .missing(name) }
      return value
    }
    func number(_ name: String, _ range: ClosedRange<Int>) throws(Failure) -> Int {
      guard let n = Int(try value(name)), range.contains(n) else { throw .badField("\(name)=\(try value(name))") }
      return n
    }
    let syncText = try value("s").replacing("interval-", with: "interval(")
    let sync = SyncPolicy(syncText.hasPrefix("interval(") ? syncText + ")" : syncText)
    guard let sync else { throw .badField("s=\(try value("s"))") }
    guard let recovery = RecoveryPolicy(rawValue: try value("r")) else { throw .badField("r=\(try value("r"))") }
    let defect = try value("d")
    guard defect == "none" || Defect(id: defect) != nil else { throw .badField("d=\(defect)") }
    guard let crash = CrashKind(rawValue: try value("c")) else { throw .badField("c=\(try value("c"))") }
    guard let storage = StorageChoice(rawValue: try value("st")) else { throw .badField("st=\(try value("st"))") }
    let writers = values["w"] ?? WriterSetup.one.rawValue
    guard let writers = WriterSetup(rawValue: writers) else { throw .badField("w=\(writers)") }
    let system = values["y"] ?? LogSystem.tornlog.rawValue
    guard let system = LogSystem(rawValue: system) else { throw .badField("y=\(system)") }
    guard let seed = UInt64(try value("seed")) else { throw .badField("seed=\(try value("seed"))") }
    let batch = try number("b", Axis.batch.numbers)
    let messageSize = try number("z", Axis.messageSize.numbers)
    let limit = Planning.batchLimit
    guard limit.allows(messages: batch, of: messageSize) else {
      throw .batchTooLarge(bytes: limit.size(messages: batch, of: messageSize), limit: limit.bytes)
    }
    let topics = try value("t").split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    var spec = TrialSpec(
      scenario: try value("sc"), file: "", seed: seed, storage: storage, topic: topics[0], otherTopics: Array(topics.dropFirst()),
      messages: try number("m", 0...Axis.messages.numbers.upperBound),
      partitions: try number("p", Axis.partitions.numbers), sync: sync.description,
      recovery: recovery, crash: crash, crashAt: try crashPoint(try value("at")), defect: defect,
      batch: batch, producers: try number("n", Axis.producers.numbers), messageSize: messageSize, appendBetween: try number("a", 0...1_000_000),
      faults: faults, writers: writers, system: system, delivery: try values["dl"].map(delivery), phaseSeconds: 120)
    if let field = values["if"] {
      spec.onlyIf = try field.split(separator: "/").map { (name) throws(Failure) in
        guard let condition = TrialCondition(rawValue: String(name)) else { throw .badField("if=\(field)") }
        return condition
      }
      guard storage == .memory else { throw .notOfSystem("what only the model shows, `if=\(field)`, on storage \(storage.rawValue)") }
    }
    if values["cm"] != nil { spec.committers = try number("cm", Scenario.committers) }
    if let field = values["cl"] {
      guard let client = TrialClient(rawValue: field) else { throw .badField("cl=\(field)") }
      spec.client = client
    }
    if let field = values["ck"] {
      guard let checkpoint = TrialSpec.readCheckpoint(field) else { throw .badField("ck=\(field)") }
      (spec.checkpoint, spec.checkpointTerms) = checkpoint
    }
    if let problem = spec.systemProblem ?? spec.topicProblem { throw .notOfSystem(problem) }
    return spec
  }

  private static let durations: [(key: String, path: any WritableKeyPath<DeliverySettings, Duration> & Sendable)] = [
    ("ef", \.eventsFor), ("fb", \.firstBackOff), ("lb", \.longestBackOff), ("to", \.timeout), ("sw", \.stopWithin),
  ]

  /// `ef-40s/fb-1s/lb-1m/to-10s/sw-10m/ex-one/ar-false`
  private static func encode(_ delivery: DeliverySettings) -> String {
    let words = durations.map { "\($0.key)-\(DurationText.render(delivery[keyPath: $0.path]))" }
    return (words + ["ex-\(delivery.isRetried ? "each" : "one")", "ar-\(delivery.archives)"]).joined(separator: "/")
  }

  private static func delivery(_ text: String) throws(Failure) -> DeliverySettings {
    var settings = DeliverySettings()
    for word in text.split(separator: "/") {
      let parts = word.split(separator: "-", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { throw .badField("dl=\(text)") }
      if parts[0] == "ex", ["one", "each"].contains(parts[1]) {
        settings.isRetried = parts[1] == "each"
      } else if parts[0] == "ar", ["true", "false"].contains(parts[1]) {
        settings.archives = parts[1] == "true"
      } else if let path = durations.first(where: { $0.key == parts[0] })?.path, let duration = DurationText.parse(parts[1]) {
        settings[keyPath: path] = duration
      } else {
        throw .badField("dl=\(text)")
      }
    }
    guard settings.firstBackOff > .zero, settings.longestBackOff >= settings.firstBackOff, settings.timeout > .zero else {
      throw .badField("dl=\(text)")
    }
    return settings
  }

  private static func fault(_ value: String, _ field: String) throws(Failure) -> FaultSpec {
    let parts = value.split(separator: "/").map(String.init)
    guard let kind = parts.first else { throw .badField(field) }
    let known = Planning.vocabulary.faults
    guard let grammar = known.first(where: { $0.kind == kind }) else {
      throw .unknownFault(kind, known: known.map(\.kind))
    }
    var parameters: [String: String] = [:]
    for part in parts.dropFirst() {
      // Names may hold a dash themselves: the longest that fits.
      let names = grammar.parameters.map(\.name).filter { part.hasPrefix($0 + "-") }
      guard let name = names.max(by: { $0.count < $1.count }) else { throw .badField(field) }
      parameters[name] = String(part.dropFirst(name.count + 1))
    }
    if let problem = grammar.problems(in: parameters).first { throw .badFault(field, problem) }
    return FaultSpec(kind: kind, parameters: parameters)
  }

  private static func crashPoint(_ text: String) throws(Failure) -> CrashPoint {
    if text == "end" { return .end }
    if text.hasSuffix("pc"), let n = Int(text.dropLast(2)), (0...100).contains(n) { return .percent(n) }
    if let n = Int(text), n >= 0 { return .messages(n) }
    throw .badField("at=\(text)")
  }
}
