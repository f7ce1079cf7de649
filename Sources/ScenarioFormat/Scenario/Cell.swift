import LogModel

/// What a trial of a cell must come to. Check names are text here: this module does not see the checks.
public enum CellExpectation: Hashable, Sendable {
  case held
  case caught(by: String)
}

public struct TrialLimits: Hashable, Sendable {
  /// After this long a trial is given up.
  public var trialSeconds: Int
}

/// One trial to be: everything that a scenario says about it, resolved.
///
/// The workload: partition *p* gets messages p, p + P, p + 2P ... of all, so the largest has
/// `ceil(messages / partitions)`; each partition's messages are cut into produce requests of `batch`, the last
/// one shorter, and the producers share the requests. `batchesPerPartition` follows from this.
public struct Cell: Hashable, Sendable {
  public let scenario: String
  public let title: String
  public let file: String
  /// The cell's number in the matrix as asked for, from 0; excluded cells keep theirs.
  public let index: Int
  /// What the matrix varies, in its order.
  public let axes: [AxisSetting]
  public let seed: UInt64?

  public let topic: String
  /// Topics beside it. The partitions are those of all topics together, dealt to them in turn.
  public let otherTopics: [String]
  public let messages: Int
  public let partitions: Int
  public let producers: Int
  public let batch: Int
  /// Bytes of one message's value.
  public let messageSize: Int
  public let keys: MessageKeys
  public let deletion: DeletionSetup
  /// Consumers that read while messages are sent.
  public let readers: Int
  /// Messages for each partition, appended between the two restarts.
  public internal(set) var appendBetween: Int
  /// Consumer groups that commit offsets while messages are sent.
  public let committers: Int

  public let sync: SyncPolicy
  public let recovery: RecoveryPolicy
  public let crash: CrashKind
  public internal(set) var crashAt: CrashPoint
  /// How the second life ends; nil: as the first.
  public let secondCrash: CrashKind?
  /// The sync policy of the lives behind the first; nil: as that.
  public let laterSync: SyncPolicy?
  /// How long a producer waits after an answer before its next request.
  public let pace: Duration
  /// Bytes of the first zero-fill ahead of commits; 0 for none.
  public let preallocation: Int
  /// Where the log of every partition begins.
  public let firstOffset: Int
  /// Nil: the command line decides.
  public let storage: StorageName?
  /// Nil for the sound engine.
  public let defect: String?
  /// The fault case, where the matrix has several.
  public let fault: String?
  public let writers: WriterSetup
  /// In whose format the engine keeps its logs.
  public let system: LogSystem
  /// Nil for an engine with partitions, or for `delivery`.
  public let client: TrialClient?
  public let checkpoint: CheckpointSetup
  public let checkpointTerms: CheckpointTerms
  public internal(set) var faults: [FaultSpecification]
  public internal(set) var expectation = CellExpectation.held
  /// What documents promise of it.
  public internal(set) var claims: [Claim] = []
  /// The suites that it belongs to.
  public internal(set) var tags: [String] = []
  public internal(set) var limits: TrialLimits
  /// Not nil: for `explore` only.
  public let exploration: ExplorationSettings?
  /// Not nil: a trial of the job log and its sender.
  public let delivery: DeliverySettings?
  /// What must have happened in its trial for a verdict.
  public let onlyIf: [TrialCondition]

  /// Of the partition with the most.
  public var messagesPerPartition: Int { (messages + partitions - 1) / partitions }
  /// Of the partition with the most.
  public var batchesPerPartition: Int { (messagesPerPartition + batch - 1) / batch }

  /// `ten-vs-hundred messages=100 partitions=3 sync=always`: what `-k` looks at.
  public var description: String { ([scenario] + axes.map(\.description)).joined(separator: " ") }

  /// The value of an axis, varied or not; `auto` for a storage that is left to the command line.
  public func value(of axis: Axis) -> AxisValue {
    switch axis {
    case .messages: .integer(messages)
    case .partitions: .integer(partitions)
    case .producers: .integer(producers)
    case .batch: .integer(batch)
    case .messageSize: .integer(messageSize)
    case .sync: .text(sync.description)
    case .recovery: .text(recovery.rawValue)
    case .crash: .text(crash.rawValue)
    case .crashAt: .text(crashAt.description)
    case .secondCrash: .text(secondCrash?.rawValue ?? Axis.sameCrash)
    case .laterSync: .text(laterSync?.description ?? Axis.sameSync)
    case .pace: .text(Axis.text(pace: pace))
    case .preallocation: .integer(preallocation)
    case .firstOffset: .integer(firstOffset)
    case .storage: .text(storage?.rawValue ?? "auto")
    case .defect: .text(defect ?? "none")
    case .fault: .text(fault ?? "none")
    case .writers: .text(writers.rawValue)
    case .system: .text(system.rawValue)
    case .client: .text(client?.rawValue ?? "none")
    case .checkpoint: .text(checkpoint.rawValue)
    case .keys: .text(keys.rawValue)
    case .deletion: .text(deletion.rawValue)
    case .readers: .integer(readers)
    }
  }

  /// `values` were parsed by `Axis.parse`, so each has its axis' form; a hole is this module's own mistake.
  init(_ scenario: Scenario, index: Int, settings: [AxisSetting], values: [Axis: AxisValue]) {
    func number(_ axis: Axis) -> Int {
      guard case .integer(let n)? = values[axis] else { preconditionFailure("\(axis) has no number") }
      return n
    }
    func word<Word>(_ axis: Axis, _ read: (String) -> Word?) -> Word {
      guard let text = values[axis]?.description, let word = read(text) else {
        preconditionFailure("\(axis) has no value")
      }
      return word
    }
    self.scenario = scenario.name
    self.title = scenario.title
    self.file = scenario.file
    self.index = index
    self.axes = settings
    self.seed = scenario.seed
    self.topic = scenario.topic
    self.otherTopics = scenario.otherTopics
    self.messages = number(.messages)
    self.partitions = number(.partitions)
    self.producers = number(.producers)
    self.batch = number(.batch)
    self.messageSize = number(.messageSize)
    self.keys = word(.keys, MessageKeys.init)
    self.deletion = word(.deletion, DeletionSetup.init)
    self.readers = number(.readers)
    self.appendBetween = scenario.appendBetween
    self.committers = scenario.committers
    self.sync = word(.sync, SyncPolicy.init)
    self.recovery = word(.recovery, RecoveryPolicy.init)
    self.crash = word(.crash, CrashKind.init)
    self.crashAt = word(.crashAt, CrashPoint.init)
    self.secondCrash = CrashKind(rawValue: word(.secondCrash) { $0 })
    self.laterSync = SyncPolicy(word(.laterSync) { $0 })
    self.pace = word(.pace, Axis.duration(ofPace:))
    self.preallocation = number(.preallocation)
    self.firstOffset = number(.firstOffset)
    self.storage = values[.storage].flatMap { StorageName(rawValue: $0.description) }
    let defect = word(.defect) { $0 }
    self.defect = defect == "none" ? nil : defect
    let fault = word(.fault) { $0 }
    self.fault = fault == "none" ? nil : fault
    self.writers = word(.writers, WriterSetup.init)
    self.system = word(.system, LogSystem.init)
    self.client = values[.client].flatMap { TrialClient(rawValue: $0.description) }
    self.checkpoint = word(.checkpoint, CheckpointSetup.init)
    self.checkpointTerms = scenario.checkpointTerms
    self.faults = scenario.faults + (scenario.faultCases[fault] ?? [])
    self.limits = scenario.limits
    self.exploration = scenario.exploration
    self.delivery = scenario.delivery
    self.onlyIf = scenario.onlyIf
  }
}
