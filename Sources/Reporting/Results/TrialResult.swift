import LogModel
import Metrics
import Verification

/// One finished trial, as every report shows it. Its JSON is a contract: keys are added, never renamed.
public struct TrialResult: Hashable, Sendable, Codable {
  public var scenario: String
  /// The scenario's file, relative to the working directory where it lies below it.
  public var file: String
  public var seed: UInt64
  public var verdict: Verdict
  /// What the scenario expects of this cell.
  public var expectation: Expectation
  /// What the matrix varied, in the scenario's order.
  public var axes: Axes
  public var counts: MessageCounts
  public var partitions: [PartitionState]
  public var checks: [CheckResult]
  public var faults: [FaultReceipt]
  public var recovery: RecoveryFigures
  /// What each partition lost and had to lose, after the first restart.
  public var losses: [PartitionLoss]
  /// Distinct messages consumed before any crash; nil where nobody looked then.
  public var consumedLive: Int?
  /// The restart that `counts`, `partitions` and `losses` are of: 1, or another one where nobody looked after the
  /// first.
  public var countedRestart = 1
  /// How much all readbacks together have seen.
  public var looked = LookedAt()
  /// What documents claim of this cell.
  public var claims: [ClaimResult]
  /// Nil where the clock is a virtual one, or nothing was acknowledged.
  public var append: AppendFigures?
  /// What the engines of all lives have counted of object store and lease; empty where nothing was counted.
  public var engineCounts: [EngineCount] = []
  /// What else was observed for claims, by the names of their figures.
  public var observed: [String: Double] = [:]
  /// Why the verdict is `unknown`, or what else the reader must know; one sentence each.
  public var notices: [String]
  /// The command that runs this trial again.
  public var reproduce: String
  public var seconds: Double
  /// Where the trial's files are, if they were kept.
  public var keptAt: String?

  public init(
    scenario: String, file: String, seed: UInt64, verdict: Verdict, expectation: Expectation, axes: Axes,
    counts: MessageCounts, partitions: [PartitionState], checks: [CheckResult], faults: [FaultReceipt],
    recovery: RecoveryFigures, losses: [PartitionLoss] = [], claims: [ClaimResult] = [], append: AppendFigures? = nil,
    notices: [String], reproduce: String, seconds: Double, keptAt: String? = nil
  ) {
    self.scenario = scenario
    self.file = file
    self.seed = seed
    self.verdict = verdict
    self.expectation = expectation
    self.axes = axes
    self.counts = counts
    self.partitions = partitions
    self.checks = checks
    self.faults = faults
    self.recovery = recovery
    self.losses = losses
    self.claims = claims
    self.append = append
    self.notices = notices
    self.reproduce = reproduce
    self.seconds = seconds
    self.keptAt = keptAt
  }

  /// Whether there was a readback after the first restart: what it lost, what came back.
  public var hasRestartFigures: Bool { countedRestart == 1 }

  /// Whether the trial came out as the scenario expects: the only thing that decides the exit code.
  public var isExpected: Bool { expectation.isMet(by: verdict, checks: checks) }
}

/// What a scenario expects of a cell.
public enum Expectation: Hashable, Sendable, Codable {
  /// Every check holds.
  case held
  /// The named check, among others perhaps, is violated: a defect is switched on and must be caught.
  case caught(by: CheckName)

  public func isMet(by verdict: Verdict, checks: [CheckResult]) -> Bool {
    switch self {
    case .held: verdict == .held
    case .caught(let name): verdict == .violated && checks.contains { $0.name == name && $0.verdict == .violated }
    }
  }
}

/// Axis names and values in order. JSON: an object; numbers stay numbers.
public struct Axes: Hashable, Sendable {
  public enum Value: Hashable, Sendable {
    case integer(Int)
    case text(String)
  }

  public var entries: [(name: String, value: Value)]

  public init(_ entries: [(name: String, value: Value)] = []) { self.entries = entries }

  public static func == (a: Self, b: Self) -> Bool {
    a.entries.elementsEqual(b.entries) { $0.name == $1.name && $0.value == $1.value }
  }

  public func hash(into hasher: inout Hasher) {
    for entry in entries {
      hasher.combine(entry.name)
      hasher.combine(entry.value)
    }
  }

  public subscript(name: String) -> Value? { entries.first { $0.name == name }?.value }
}

extension Axes.Value: CustomStringConvertible {
  public var description: String {
    switch self {
    case .integer(let n): String(n)
    case .text(let s): s
    }
  }
}

extension Axes: CustomStringConvertible {
  /// `messages=100 partitions=3 sync=always defect=none`
  public var description: String { entries.map { "\($0.name)=\($0.value)" }.joined(separator: " ") }
}

extension Axes: Codable {
  private struct Key: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    entries = try container.allKeys.map { key in
      if let n = try? container.decode(Int.self, forKey: key) { return (key.stringValue, .integer(n)) }
      return (key.stringValue, .text(try container.decode(String.self, forKey: key)))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    for entry in entries {
      switch entry.value {
      case .integer(let n): try container.encode(n, forKey: Key(entry.name))
      case .text(let s): try container.encode(s, forKey: Key(entry.name))
      }
    }
  }
}

/// Proof that a fault did something: how often it fired, and where.
public struct FaultReceipt: Hashable, Sendable, Codable {
  /// `power-loss`, `process-kill`, `bit-flip` ...
  public var kind: String
  public var fired: Int
  /// File, byte range and what was changed; one line for each firing, the first few.
  public var places: [String]

  public init(kind: String, fired: Int, places: [String] = []) {
    self.kind = kind
    self.fired = fired
    self.places = places
  }
}

/// What the first recovery cost.
public struct RecoveryFigures: Hashable, Sendable, Codable {
  public var seconds: Double
  public var bytesScanned: Int
  public var batchesSkipped: Int
  /// Memory resident at the most while the engine opened, above what was resident before, in bytes.
  public var peakMemoryBytes: Int
  /// From the stop of the engine to the first answered fetch and the first acknowledged append of every partition: an
  /// operator's commands, where there were any, the opening, these fetches, one after the other, where there was
  /// anything to fetch, and the slowest of these appends. What the harness did for itself between them is not in it,
  /// nor is anybody's typing. Nil where the clock is virtual, or nothing was acknowledged.
  public var outageSeconds: Double?
  /// As the engine reports it; nil where no engine has.
  public var batchesRecovered: Int?

  /// Whether an engine has opened after the first crash: otherwise there is nothing of it to tell.
  public var isMeasured: Bool { seconds > 0 || bytesScanned > 0 }

  public init(
    seconds: Double = 0, bytesScanned: Int = 0, batchesSkipped: Int = 0, peakMemoryBytes: Int = 0,
    batchesRecovered: Int? = nil
  ) {
    self.seconds = seconds
    self.bytesScanned = bytesScanned
    self.batchesSkipped = batchesSkipped
    self.peakMemoryBytes = peakMemoryBytes
    self.batchesRecovered = batchesRecovered
  }
}

/// The value of a counter of the engine, under the name that it has in OpenMetrics text, without `_total`.
public struct EngineCount: Hashable, Sendable, Codable {
  public var name: String
  public var labels: [String: String]
  public var value: Int

  public init(name: String, labels: [String: String], value: Int) {
    self.name = name
    self.labels = labels
    self.value = value
  }
}

extension [EngineCount] {
  /// The counters of a registry.
  public init(_ snapshot: MetricSnapshot) {
    self = snapshot.families.filter { $0.kind == .counter }.flatMap { family in
      family.samples.compactMap { sample in
        guard case .integer(let value) = sample.value else { return nil }
        return EngineCount(
          name: family.name.text, labels: Dictionary(uniqueKeysWithValues: sample.labels.map { ($0.name, $0.value) }),
          value: value)
      }
    }
  }

  /// Adds what another life has counted.
  public mutating func add(_ others: [EngineCount]) {
    for other in others {
      if let at = firstIndex(where: { $0.name == other.name && $0.labels == other.labels }) {
        self[at].value += other.value
      } else {
        append(other)
      }
    }
  }
}
