import LogModel
import Storage
import WriteAheadLog

/// What an engine needs of the log of one partition, whatever its format.
protocol EngineLog: AnyObject, Sendable {
  var source: TopicPartition { get }
  var logStartOffset: Offset { get }
  /// Everything before it has been acknowledged.
  var highWatermark: Offset { get }
  var logEndOffset: Offset { get }
  /// Everything before it is on the medium.
  var durableOffset: Offset { get }
  /// It has not been closed.
  var canBeRead: Bool { get }
  /// Where files begin, in order.
  var segmentBases: [Offset] { get }
  /// As `PartitionLog.append`.
  func append(
    recordCount: Int, payloadBytes: Int, _ write: (inout RecordWriter) -> Void
  ) async throws(LogError) -> Offset
  /// As `PartitionLog.fetch`.
  func fetch(from offset: Offset, maxBytes: Int, into response: FetchResponse) async throws(LogError)
  /// Syncs what has been acknowledged so far. One that fails does not move `durableOffset`.
  func sync() async
  /// Whether no power loss can give the offsets before `offset` to other messages.
  func isSecure(before offset: Offset) -> Bool
  /// Why a sync first failed; nil where none has.
  var syncFailure: StorageError? { get }
  /// As `PartitionLog.removeSegments`.
  func removeSegments(before offset: Offset) async throws(StorageError)
  /// As `PartitionLog.close`.
  func close() async throws(StorageError)
}

extension PartitionLog: EngineLog {}
