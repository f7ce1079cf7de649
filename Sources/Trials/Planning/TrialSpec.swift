import LogModel
import ScenarioFormat
import Storage

/// One trial, fully decided: everything that its outcome may depend on. Crosses to worker processes as JSON.
public struct TrialSpec: Hashable, Sendable, Codable {
  public var scenario: String
  /// The scenario's file, as the user would name it.
  public var file: String
  public var seed: UInt64
  public var storage: StorageChoice
  public var topic = "orders"
  /// Topics beside it, in the order of their creation.
  public var otherTopics: [String] = []
  public var messages: Int
  /// Of all topics together; see `source(of:)`.
  public var partitions: Int
  /// In the notation of `SyncPolicy.description`.
  public var sync: String
  public var recovery: RecoveryPolicy
  public var crash: CrashKind
  public var crashAt: CrashPoint
  /// `none`, or an id of `Defects`.
  public var defect: String
  /// Messages a produce request.
  public var batch: Int
  /// Concurrent producers.
  public var producers: Int
  /// Bytes a message.
  public var messageSize: Int
  /// Messages appended to each partition between the two restarts.
  public var appendBetween: Int
  /// Consumer groups that commit offsets while messages are sent; see `Incarnation.commit(after:)`.
  public var committers = 0
  public var faults: [FaultSpec]
  /// Two writers take a crash at the end of the workload.
  public var writers = WriterSetup.one
  /// In whose format the engine keeps its logs.
  public var system = LogSystem.tornlog
  public var checkpoint = CheckpointSetup.none
  public var checkpointTerms = CheckpointTerms()
  /// Not nil: a trial of the job log and its sender. A partition is a job then, and a message an event.
  public var delivery: DeliverySettings? = nil
  /// Not nil: a trial of that program; in the model only.
  public var client: TrialClient? = nil
  /// How the second life ends; nil: as the first.
  public var secondCrash: CrashKind? = nil
  /// The sync policy of the lives behind the first, in the notation of `sync`; nil: as that.
  public var laterSync: String? = nil
  /// How long a producer waits after an answer before its next request.
  public var pace = Duration.zero
  /// Bytes of the first zero-fill ahead of commits; 0 for none.
  public var preallocation = Axis.usualPreallocation
  /// Where the log of every partition begins: what came before has been deleted.
  public var firstOffset = 0
  public var keys = MessageKeys.none
  public var deletion = DeletionSetup.none
  /// Consumers that read while messages are sent; see `Incarnation.produce`.
  public var readers = 0
  /// What must have happened for a verdict; in the model only.
  public var onlyIf: [TrialCondition] = []
  /// Real seconds that one phase may take; virtual seconds are limited separately.
  public var phaseSeconds: Double
  /// A file that the persistence trace is written to, line by line; nil for none.
  public var traceTo: String? = nil

  /// Of the first life.
  public var syncPolicy: SyncPolicy { SyncPolicy(sync) ?? .always }

  /// Of life `number`, from 0.
  func syncPolicy(ofLife number: Int) -> SyncPolicy {
    number == 0 ? syncPolicy : laterSync.flatMap { SyncPolicy($0) } ?? syncPolicy
  }

  /// Of the messages: an engine with partitions serves what it was sent, keys and all.
  var shape: MessageShape? { delivery == nil && client == nil ? MessageShape(valueBytes: messageSize, keys: keys) : nil }

  /// What tells this trial from others of its seed: what is drawn for one cell says nothing of another's.
  var cell: String {
    let words = "\(messages) \(partitions) \(sync) \(recovery.rawValue) \(crash.rawValue) \(batch) \(messageSize)"
    return ([words] + Self.loadFields.compactMap { field in field.write(self).map { "\(field.name)=\($0)" } }).joined(separator: " ")
  }

  /// Segments small enough that a thousand messages of a partition fill several, and never more than 64 MiB.
  var segmentBytes: Int64 {
    let bytes = Int64(messages / max(1, partitions) * (messageSize + keys.largest))
    return min(64 << 20, max(256 << 10, bytes / 4))
  }

  /// Bytes of the largest zero-fill of a log: 8 MiB, as usual, and two short ones where the first is another than usual, so that
  /// commits come to the end of each.
  var largestPreallocation: Int { preallocation * (preallocation == Axis.usualPreallocation ? 32 : 2) }

  /// In the order of their creation.
  public var topics: [String] { [topic] + otherTopics }

  /// The partition of number `number`, which counts those of all topics: they are dealt to the topics in turn.
  public func source(of number: Int) -> TopicPartition {
    TopicPartition(topics[number % topics.count], PartitionID(number / topics.count))
  }

  /// Numbers of the partitions of the topic that stands at `index` in `topics`.
  func numbers(ofTopic index: Int) -> StrideTo<Int> { stride(from: index, to: partitions, by: topics.count) }

  /// Messages of partition `number`: as even as can be, the first ones taking the remainder.
  public func messages(ofPartition number: Int) -> Int {
    messages / partitions + (number < messages % partitions ? 1 : 0)
  }
}

/// When in the workload the crash comes.
public enum CrashPoint: Hashable, Sendable, Codable {
  /// When everything has been answered and looked at.
  case end
  /// When this share of the produce requests has been answered, in percent.
  case percent(Int)
  /// When this many messages have been answered.
  case messages(Int)
}

/// A fault as the scenario asks for it.
public struct FaultSpec: Hashable, Sendable, Codable {
  public var kind: String
  public var parameters: [String: String]

  public init(kind: String, parameters: [String: String]) {
    self.kind = kind
    self.parameters = parameters
  }
}
