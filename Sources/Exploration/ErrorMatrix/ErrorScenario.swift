import FaultInjection
import LogModel
import Storage
import Verification
import WriteAheadLog

/// A situation in which operations are made to fail: what is on the disk, and how the engine is set up.
public struct ErrorScenario: Sendable, CustomStringConvertible {
  /// How the life under errors goes on once the engine has opened.
  enum Course: Sendable {
    /// Requests, fetches, retention; then the fault is lifted, everything is looked at, and the power goes.
    case work
    /// The engine is closed while the fault lasts, and the power goes.
    case close
    /// Groups commit beside the requests, and the power goes with the first commit that is acknowledged after the
    /// error: what the engine makes good soon afterwards it has not made good yet.
    case cut
  }

  public var name: String
  /// What is on the disk when the engine is opened under errors.
  public var summary: String
  var workload: ExplorationWorkload
  /// What is put to the test in place of the partition engine.
  var client: LogClient?
  var recovery: RecoveryPolicy
  var course: Course
  /// A lease in place of the lock.
  var leases: Bool
  /// Sync policy of the life before, where that is another.
  var earlierPolicy: SyncPolicy?
  /// Lives before the one under errors, and what happened to the disk after them.
  var past: [PastIncarnation]

  /// An earlier life without errors.
  struct PastIncarnation: Sendable {
    var ending: CrashKind
    /// What no sync had covered had been written back by itself before the power went.
    var isWrittenBack = false
    /// Nil: it only opens and closes again.
    var batches: Int?
    var harm: [Harm] = []
    /// The first sync of the last partition's log fails, after half of the batches; what it covered stays in the page
    /// cache, and the other half goes to the next segment.
    var failsSync = false
    /// It has the object store that the scenario is about.
    var hasStore = true
  }

  /// What happened to files at rest.
  enum Harm: Hashable, Sendable {
    /// A bit of the partition's message turns over.
    case flip(partition: Int, message: Int)
    /// A bit turns over in one copy of the head of a partition's first segment, or in the head of its last file of
    /// records.
    case head(partition: Int, copy: Int = 0)
    /// A crash has left a segment that was just being created: a name behind all others with so many bytes of nothing.
    /// Of an older epoch than the newest segment it is a fenced writer's.
    case blankSegment(partition: Int, bytes: Int, epoch: Int)
    /// The same among the metadata.
    case blankMetadata(bytes: Int, epoch: Int)
    /// A bit of one metadata copy's first record turns over.
    case metadata(copy: Int)
    /// The head of one metadata copy's first segment is gone.
    case metadataHead(copy: Int)
    /// The first sectors of one metadata copy cannot be read.
    case unreadableMetadata(copy: Int)
    /// Behind the partition's log of records a file that begins as one, and has no record: bytes of nothing, if any.
    case fileWithoutRecords(partition: Int, garbage: Int)
  }

  public var description: String { "\(name): \(summary)" }
  /// Old messages are deleted in it; not where others are damaged, so that the readback finds these.
  var trims: Bool { past.allSatisfy(\.harm.isEmpty) }

  init(
    _ name: String, _ summary: String, _ sync: SyncPolicy = .always, recovery: RecoveryPolicy = .skipCorrupted,
    _ course: Course = .work, system: LogSystem = .tornlog, leases: Bool = false, earlierPolicy: SyncPolicy? = nil,
    checkpoints: Bool = false, client: LogClient? = nil, past: [PastIncarnation] = []
  ) {
    var workload = ExplorationWorkload()
    (workload.partitions, workload.messages, workload.messagesPerBatch) = (2, 24, 2)
    (workload.messageSize, workload.producers, workload.syncPolicy) = (1200, 3, sync)
    (workload.system, workload.recoveryPolicy) = (system, recovery)
    if !system.requestsAreAtomic { workload.messagesPerBatch = 1 }
    // Each piece on its way to the store is thirty operations more.
    if checkpoints { (workload.checkpoints, workload.messages) = (true, 8) }
    if course == .cut { workload.committers = 2 }
    (self.name, self.summary, self.workload, self.recovery, self.course) = (name, summary, workload, recovery, course)
    (self.leases, self.earlierPolicy, self.past, self.client) = (leases, earlierPolicy, past, client)
  }

  private static let crashed = PastIncarnation(ending: .powerLoss, batches: 12)
  private static let closed = PastIncarnation(ending: .none, batches: 12)

  public static let all: [ErrorScenario] = [
    ErrorScenario("produce", "an empty disk"),
    ErrorScenario("close", "an empty disk; the engine is closed under the error", .always, .close),
    ErrorScenario("recover", "a log that a power loss has cut off", past: [crashed]),
    ErrorScenario("recover-close", "the same; closed under the error", .always, .close, past: [crashed]),
    ErrorScenario("interval", "an empty disk, interval(20ms)", .interval(.milliseconds(20))),
    ErrorScenario(
      "interval-commit", "the same; the power goes with the first offset that is committed after the error",
      .interval(.milliseconds(20)), .cut),
    ErrorScenario(
      "interval-close", "a log that a power loss has cut off, interval(20ms); closed under the error",
      .interval(.milliseconds(20)), .close, past: [crashed]),
    ErrorScenario(
      "interval-kill", "a log that a process kill has left in the page cache, interval(20ms)",
      .interval(.milliseconds(20)),
      past: [PastIncarnation(ending: .processKill, batches: 12)]),
    ErrorScenario(
      "never", "a log without syncs that was killed", .never, past: [PastIncarnation(ending: .processKill, batches: 12)]
    ),
    ErrorScenario(
      "never-then-always", "a log without syncs, opened under always", .always, earlierPolicy: .never,
      past: [PastIncarnation(ending: .processKill, batches: 12)]),
    ErrorScenario(
      "interval-then-always", "a log of interval(20ms) that was killed after a sync had failed, opened under always",
      .always,
      earlierPolicy: .interval(.milliseconds(20)),
      past: [PastIncarnation(ending: .processKill, batches: 12, failsSync: true)]),
    ErrorScenario(
      "skip-damage", "acknowledged messages damaged in the middle and at the end", .always,
      past: [
        PastIncarnation(
          ending: .none, batches: 12, harm: [.flip(partition: 0, message: 3), .flip(partition: 1, message: 11)])
      ]),
    ErrorScenario(
      "damaged-heads", "one copy of the head of a segment damaged, in each partition another",
      past: [
        PastIncarnation(ending: .none, batches: 12, harm: [.head(partition: 0), .head(partition: 1, copy: 1)])
      ]),
    ErrorScenario(
      "truncate-damage", "acknowledged messages damaged in the middle, truncate-at-corruption", .always,
      recovery: .truncateAtCorruption,
      past: [PastIncarnation(ending: .none, batches: 12, harm: [.flip(partition: 0, message: 3)])]),
    ErrorScenario(
      "leftover-segments", "segments that a crash left without heads, and those of a writer that had been fenced",
      past: [
        crashed, closed,
        PastIncarnation(
          ending: .none, batches: nil,
          harm: [
            .blankSegment(partition: 0, bytes: 100, epoch: 9), .blankSegment(partition: 1, bytes: 5000, epoch: 9),
            .blankSegment(partition: 0, bytes: 200, epoch: 1), .blankSegment(partition: 1, bytes: 6000, epoch: 1),
          ]),
      ]),
    ErrorScenario(
      "unacknowledged-tail", "a hole behind which nothing was ever promised, never", .never,
      past: [
        PastIncarnation(ending: .powerLoss, isWrittenBack: true, batches: 12, harm: [.flip(partition: 0, message: 1)])
      ]),
    ErrorScenario(
      "metadata-damage", "one copy of the metadata damaged",
      past: [
        PastIncarnation(ending: .none, batches: 12, harm: [.metadata(copy: 0), .blankMetadata(bytes: 5000, epoch: 9)])
      ]),
    ErrorScenario(
      "metadata-head", "one copy of the metadata without the head of its segment",
      past: [PastIncarnation(ending: .none, batches: 4, harm: [.metadataHead(copy: 1)])]),
    ErrorScenario(
      "metadata-unreadable", "one copy of the metadata cannot be read",
      past: [PastIncarnation(ending: .none, batches: 4, harm: [.unreadableMetadata(copy: 1)])]),
    ErrorScenario("lease", "a lease in place of the lock", leases: true, past: [closed]),
    ErrorScenario(
      "streamhouse", "logs of streamhouse's format that a kill has left, interval(20ms), truncate-at-corruption",
      .interval(.milliseconds(20)), recovery: .truncateAtCorruption, system: .streamhouse,
      past: [PastIncarnation(ending: .processKill, batches: 12)]),
    ErrorScenario(
      "airunner", "logs of airunner's format that a power loss has cut off; closed under the error", .always,
      recovery: .truncateAtCorruption, .close, system: .airunner, past: [crashed]),
    ErrorScenario(
      "airunner-damage", "logs of airunner's format, acknowledged messages damaged in the middle", .always,
      recovery: .truncateAtCorruption, system: .airunner,
      past: [PastIncarnation(ending: .none, batches: 12, harm: [.flip(partition: 0, message: 3)])]),
    ErrorScenario(
      "airunner-head", "a log of airunner's format whose head is damaged",
      recovery: .truncateAtCorruption, system: .airunner,
      past: [PastIncarnation(ending: .none, batches: 12, harm: [.head(partition: 0)])]),
    ErrorScenario(
      "chronik", "logs of chronik's format that a kill has left, acknowledged messages damaged in the middle", .always,
      system: .chronik,
      past: [PastIncarnation(ending: .none, batches: 12, harm: [.flip(partition: 0, message: 3)])]),
    ErrorScenario("chronik-v1", "logs of chronik's first format, never", .never, system: .chronikV1, past: [closed]),
    ErrorScenario(
      "replay-buffer", "logs of the replay buffer's format that a power loss has cut off", system: .replayBuffer,
      past: [crashed]),
    ErrorScenario(
      "record-leftovers", "logs of airunner's format, behind each a file that a crash has left without records",
      recovery: .truncateAtCorruption, system: .airunner,
      past: [
        closed,
        PastIncarnation(
          ending: .none, batches: nil,
          harm: [.fileWithoutRecords(partition: 0, garbage: 0), .fileWithoutRecords(partition: 1, garbage: 3000)]),
      ]),
    ErrorScenario("delivery", "two jobs with their senders and the archive, an empty disk", client: .delivery),
    ErrorScenario(
      "delivery-recover", "the same, after a life that a power loss has cut off", client: .delivery, past: [crashed]),
    ErrorScenario(
      "transactions", "a replay buffer's transactions, recovery and clean-up, an empty disk", client: .transactions),
    ErrorScenario(
      "transactions-recover", "the same, after a life that was killed", client: .transactions,
      past: [PastIncarnation(ending: .processKill, batches: nil)]),
    ErrorScenario("checkpoint", "an empty disk, and an object store on it", checkpoints: true),
    ErrorScenario(
      "checkpoint-recover", "a log whose older half is in an object store, cut off by a power loss", checkpoints: true,
      past: [crashed]),
    ErrorScenario(
      "checkpoint-damage", "a log with a damaged message in it, opened with an object store for the first time",
      checkpoints: true,
      past: [PastIncarnation(ending: .none, batches: 12, harm: [.flip(partition: 0, message: 3)], hasStore: false)]),
    ErrorScenario(
      "checkpoint-takeover", "the same, taken over by a writer with a lease", leases: true, checkpoints: true,
      past: [closed]),
  ]
}
