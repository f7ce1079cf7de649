import LogModel

/// What a check, or a whole trial, came to.
public enum Verdict: String, Hashable, Sendable, Codable, CaseIterable {
  /// Every promise that applied was kept.
  case held
  /// A promise was broken.
  case violated
  /// No judgement: a fault never fired, time ran out, the checker itself failed.
  case unknown

  /// Of two: any violation decides, then any doubt.
  public func combined(with other: Verdict) -> Verdict {
    if self == .violated || other == .violated { return .violated }
    if self == .unknown || other == .unknown { return .unknown }
    return .held
  }
}

/// The checks, by the names that scenarios and reports use. Each names the harm it detects.
public enum CheckName: String, Hashable, Sendable, Codable, CaseIterable {
  /// An acknowledged message, which the contract protects, is returned by no fetch.
  case noAcknowledgedLoss = "no-acknowledged-loss"
  /// What the contract allows to be lost is not a suffix of the partition: messages after it survived.
  case lossIsSuffix = "loss-is-suffix"
  /// Under `interval(d)`: something acknowledged more than d before the crash is lost.
  case lossWindow = "loss-window"
  /// Offsets between the log start offset and the high watermark are consecutive as consumed.
  case noGaps = "no-gaps"
  /// No message is served at two offsets.
  case noDuplicates = "no-duplicates"
  /// One producer's messages come in the order in which it sent them.
  case noReordering = "no-reordering"
  /// Nothing is served that was never sent, or whose sending had failed for certain.
  case noPhantoms = "no-phantoms"
  /// Every byte served is the byte that was sent.
  case contentIntact = "content-intact"
  /// An acknowledged message stands at the offset that its acknowledgement named.
  case offsetsStable = "offsets-stable"
  /// An offset that a reader was given never names another message, where the contract protects that one; where it does
  /// not, a remark says so.
  case offsetsNameOneMessage = "offsets-name-one-message"
  /// The high watermark equals what the history demands: log end offset, and not below what the contract protects.
  case highWatermark = "high-watermark"
  /// The high watermark does not go back between two readbacks of one incarnation, nor below protected data over a
  /// restart.
  case watermarkMonotonic = "watermark-monotonic"
  /// The log end offset is the high watermark plus nothing: it counts whole messages that can be fetched.
  case logEndOffset = "log-end-offset"
  /// A fetch from every start offset in the log begins with exactly that offset.
  case everyStartOffset = "every-start-offset"
  /// Consumption from the log start offset reaches the high watermark: no livelock.
  case consumerMakesProgress = "consumer-makes-progress"
  /// Topics and partitions that were created and acknowledged are there.
  case partitionsRegistered = "partitions-registered"
  /// Committed consumer offsets are there and not behind their last acknowledged value, or behind the end of a log that
  /// has come back shorter.
  case consumerOffsets = "consumer-offsets"
  /// A committed consumer offset lies neither beyond the end of the log nor behind a message that was sent after it had
  /// been committed: such a message would never reach the group.
  case committedOffsetWithinLog = "committed-offset-within-log"
  /// Not more messages are recovered than were attempted.
  case recoveredWithinAttempted = "recovered-within-attempted"
  /// Damage that a fault did is reported, with its offsets, and nothing else is reported damaged.
  case damageReported = "damage-reported"
  /// The engine opens after the crash: no crash, no refusal.
  case recoveryCompletes = "recovery-completes"
  /// Recovery takes no more memory than its buffers and its index, whatever the size of the log.
  case boundedMemory = "bounded-memory"
  /// No phase exceeds its time-out.
  case noHang = "no-hang"
  /// A request that no crash and no fault cut off is answered with success: an engine that refuses everything loses
  /// nothing, and is no log.
  case noUnjustifiedRejection = "no-unjustified-rejection"
  /// An append after recovery is accepted, and survives like any other.
  case appendAfterRecovery = "append-after-recovery"
  /// A sender of events that is stopped in order has sent what was pending, where the receiver took it.
  case deliveredAtStop = "delivered-at-stop"
  /// A job's log that was archived, which removes it, is in its archive with every event that was acknowledged.
  case archiveKept = "archive-kept"
  /// An engine in whose way no fault has stood closes without an error.
  case cleanShutdown = "clean-shutdown"
  /// What is acknowledged gets to an object store in whose way no fault stands.
  case checkpointCompletes = "checkpoint-completes"
  /// The process of the engine ends only when the trial ends it.
  case noEngineCrash = "no-engine-crash"
  /// A partition has lost, in messages, no more than what receipts and policy explain; `unknown` where it has lost less
  /// than what they say is certainly gone: then a receipt is wrong, and with it what the other checks excuse.
  case lossWithinExpected = "loss-within-expected"
  /// A message is served with the key that it was sent with: absent, empty, or byte for byte.
  case keysIntact = "keys-intact"
  /// A batch is served with the time of its append, between its submission and its acknowledgement, the same after
  /// every restart.
  case timesKept = "times-kept"
  /// A log begins where deletions have put it: not later, unless damage explains that, and never earlier than it did
  /// before.
  case logStartOffset = "log-start-offset"
  /// What was deleted, and acknowledged as deleted, is served never again.
  case deletedStaysDeleted = "deleted-stays-deleted"
  /// An engine that is well and renews its lease keeps it: nobody else takes it, and its own requests are not refused.
  case leaseKept = "lease-kept"
  /// What a receiver rejects for good is recorded as failed, what it has accepted as sent, and nothing else.
  case rejectedReported = "rejected-reported"
  /// No copy of the metadata log takes more on the disk than four times what it takes to say the same anew, and 4 MiB.
  case metadataBounded = "metadata-bounded"

  /// The check of that name, or of its name in the version before: scenarios and options may use that once more.
  public init?(named text: String) {
    guard let known = Self(rawValue: text) ?? Self.former[text] else { return nil }
    self = known
  }

  public static let former: [String: CheckName] = [
    "watermark-never-back": .watermarkMonotonic, "consumption-ends": .consumerMakesProgress,
    "sends-accepted": .noUnjustifiedRejection, "closes-in-order": .cleanShutdown,
    "engine-survives": .noEngineCrash,
  ]
}

extension CheckName {
  /// `allCases`, which is made anew at each call. A `CheckAccumulator` has a bit for each.
  static let inOrder = {
    precondition(allCases.count <= 64)
    return allCases
  }()

  /// Its place in `allCases`.
  var place: Int { Int(unsafeBitCast(self, to: UInt8.self)) }

  // What Swift makes of an enumeration with strings hashes the string.
  public func hash(into hasher: inout Hasher) { hasher.combine(place) }
}

/// Where a check first saw that something was wrong.
public struct Divergence: Hashable, Sendable, Codable {
  /// Which topic's partition, where a trial has several topics.
  public var topic: String?
  public var partition: PartitionID
  /// The first offset at which what was served differs from what the history demands.
  public var offset: Offset
  /// Where that offset lies or should lie on disk, when known: `orders/0/00000000000000000000.log`.
  public var segment: String?
  /// Byte position in that segment.
  public var byte: Int64?
  /// After which restart it was seen: 0 is before any crash.
  public var restart: Int

  public init(
    topic: String? = nil, partition: PartitionID, offset: Offset, segment: String? = nil, byte: Int64? = nil,
    restart: Int
  ) {
    self.topic = topic
    self.partition = partition
    self.offset = offset
    self.segment = segment
    self.byte = byte
    self.restart = restart
  }
}

/// The outcome of one check over a whole trial.
public struct CheckResult: Hashable, Sendable, Codable {
  public var name: CheckName
  public var verdict: Verdict
  /// One sentence with the facts: what was expected, what was found. Where the check held: empty,
  /// a fixed sentence where the trial gave it nothing to judge, or a remark.
  public var detail: String
  public var divergence: Divergence?
  /// After which restart it was seen: 0 is before any crash. Nil where the check held, or is of no restart.
  public var restart: Int?
  /// Files that the finding is about, relative to the storage's root; empty where it names none.
  public var files: [String] = []

  /// - Parameter restart: nil for that of the divergence.
  public init(
    _ name: CheckName, _ verdict: Verdict, _ detail: String = "", divergence: Divergence? = nil, restart: Int? = nil,
    files: [String] = []
  ) {
    self.name = name
    self.verdict = verdict
    self.detail = detail
    self.divergence = divergence
    self.restart = restart ?? divergence?.restart
    self.files = files
  }
}

/// Messages counted over all partitions of a trial; the keys of the JSON report.
public struct MessageCounts: Hashable, Sendable, Codable {
  /// Messages that producers tried to send before the first crash.
  public var attempted = 0
  public var acknowledged = 0
  /// Failed or cut off, but perhaps there.
  public var indeterminate = 0
  /// Distinct messages that consumption returned intact after the first restart.
  public var recovered = 0
  /// Acknowledged messages that no fetch returns after recovery.
  public var lost = 0
  /// Of these, what was sent after a restart, and is not among the attempted ones.
  public var lostLater = 0
  public var duplicated = 0
  public var reordered = 0
  public var phantom = 0
  public var corruptServed = 0
  public var corruptReported = 0

  public init() {}
}

public struct OffsetRange: Hashable, Sendable, Codable {
  public var from: Offset
  /// Exclusive.
  public var to: Offset
  public init(from: Offset, to: Offset) {
    self.from = from
    self.to = to
  }
}

/// One partition as it was found after the first restart.
public struct PartitionState: Hashable, Sendable, Codable {
  /// Which topic's partition, where a trial has several topics.
  public var topic: String?
  public var partition: PartitionID
  public var logStartOffset: Offset
  public var highWatermark: Offset
  public var logEndOffset: Offset
  /// Offsets that consumption skipped.
  public var gaps: [OffsetRange]

  public init(
    topic: String? = nil, partition: PartitionID, logStartOffset: Offset, highWatermark: Offset,
    logEndOffset: Offset, gaps: [OffsetRange]
  ) {
    self.topic = topic
    self.partition = partition
    self.logStartOffset = logStartOffset
    self.highWatermark = highWatermark
    self.logEndOffset = logEndOffset
    self.gaps = gaps
  }
}
