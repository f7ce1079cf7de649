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

/// The checks, by the names that scenarios and reports use. Each names the harm it detects; `meaning` says what must be
/// so.
public enum CheckName: String, Hashable, Sendable, Codable, CaseIterable {
  case noAcknowledgedLoss = "no-acknowledged-loss"
  case lossIsSuffix = "loss-is-suffix"
  case lossWindow = "loss-window"
  case noGaps = "no-gaps"
  case noDuplicates = "no-duplicates"
  case noReordering = "no-reordering"
  case noPhantoms = "no-phantoms"
  case contentIntact = "content-intact"
  case offsetsStable = "offsets-stable"
  case offsetsNameOneMessage = "offsets-name-one-message"
  case highWatermark = "high-watermark"
  case watermarkMonotonic = "watermark-monotonic"
  case logEndOffset = "log-end-offset"
  case everyStartOffset = "every-start-offset"
  case consumerMakesProgress = "consumer-makes-progress"
  case partitionsRegistered = "partitions-registered"
  case consumerOffsets = "consumer-offsets"
  case committedOffsetWithinLog = "committed-offset-within-log"
  case recoveredWithinAttempted = "recovered-within-attempted"
  case damageReported = "damage-reported"
  case recoveryCompletes = "recovery-completes"
  case boundedMemory = "bounded-memory"
  case noHang = "no-hang"
  case noUnjustifiedRejection = "no-unjustified-rejection"
  case appendAfterRecovery = "append-after-recovery"
  case deliveredAtStop = "delivered-at-stop"
  case archiveKept = "archive-kept"
  case cleanShutdown = "clean-shutdown"
  case checkpointCompletes = "checkpoint-completes"
  case noEngineCrash = "no-engine-crash"
  case lossWithinExpected = "loss-within-expected"
  case keysIntact = "keys-intact"
  case timesKept = "times-kept"
  case logStartOffset = "log-start-offset"
  case deletedStaysDeleted = "deleted-stays-deleted"
  case leaseKept = "lease-kept"
  case rejectedReported = "rejected-reported"
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
