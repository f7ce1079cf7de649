import LogModel
import Verification

/// A log as its consumers see it: all that a `ConsumerReadback` asks of it.
///
/// Every call is made on the loop of the storage that the log lies on.
public protocol ReadableLog: AnyObject, Sendable {
  /// What a fetch fills.
  associatedtype Answer: FetchedMessages

  /// The registered partitions, in the order of their creation.
  var partitions: [TopicPartition] { get }

  /// Makes an empty answer for this log's fetches.
  /// - Parameter capacity: bytes that it holds without growing.
  func newAnswer(capacity: Int) -> Answer

  /// The offsets that a partition claims for itself.
  /// - Throws: where the log does not serve the partition.
  func watermarks(_ partition: TopicPartition) throws(LogFailure) -> Watermarks

  /// Fetches messages from `offset` on, at least one if there is any, and replaces what was in `answer`.
  /// - Parameters:
  ///   - offset: the first offset that is asked for.
  ///   - maxBytes: the size of an answer of more than one batch, in bytes.
  /// - Throws: `LogFailure` of the kind `damaged` where the log knows that the messages there are damaged, of the kind
  ///   `offsetOutOfRange` where no message can be.
  func fetch(
    _ partition: TopicPartition, from offset: Offset, maxBytes: Int, into answer: Answer
  ) async throws(LogFailure)

  /// What a consumer group has committed; nil where it never did.
  /// - Throws: where the log does not serve the partition.
  func committedOffset(group: String, _ partition: TopicPartition) throws(LogFailure) -> Offset?

  /// The base offsets of the partition's segments; none where the log does not tell.
  /// - Throws: where the log does not serve the partition.
  func segmentBases(_ partition: TopicPartition) throws(LogFailure) -> [Offset]
}

extension ReadableLog {
  public func segmentBases(_ partition: TopicPartition) throws(LogFailure) -> [Offset] { [] }
}

/// A log that can be put to the test: all that trials and explorations ask of it.
///
/// What opens one is a `LogFactory`. The calls for an object store have defaults for logs that have none.
public protocol LogUnderTest: ReadableLog {
  /// Registers a topic and its partitions durably.
  /// - Throws: `LogFailure` of the kind `topicExists` where there is one of this name.
  func createTopic(_ name: String, partitions: Int) async throws(LogFailure)

  /// Appends messages to a partition as one request; returns when it is acknowledged under the sync policy.
  /// - Returns: the offset of the first message; the others follow it.
  func produce(_ messages: some OutgoingMessages, to partition: TopicPartition) async throws(LogFailure) -> Offset

  /// Records durably that `group` has processed everything before `offset`.
  func commit(_ offset: Offset, group: String, _ partition: TopicPartition) async throws(LogFailure)

  /// Gives up everything before `offset`.
  func deleteRecords(_ partition: TopicPartition, before offset: Offset) async throws(LogFailure)

  /// Ends in order. What is pending is committed, and made durable unless the sync policy is `never`.
  func close() async throws(LogFailure)

  /// Brings everything that is acknowledged to the object store.
  func checkpoint() async throws(LogFailure)

  /// Everything before it is in the object store; nil where there is none.
  /// - Throws: where the log does not serve the partition.
  func archivedEnd(_ partition: TopicPartition) throws(LogFailure) -> Offset?
}

extension LogUnderTest {
  public func checkpoint() async throws(LogFailure) {}
  public func archivedEnd(_ partition: TopicPartition) throws(LogFailure) -> Offset? { nil }
}

/// Opens a log that is to be tested. It holds everything that opening needs.
public protocol LogFactory: Sendable {
  associatedtype Log: LogUnderTest

  /// Opens the log, or makes a new one where there is none, and recovers what is there.
  /// - Throws: `LogFailure` of the kind `inUse` where another one has it open.
  func open() async throws(LogFailure) -> (log: Log, recovery: RecoverySummary)
}
