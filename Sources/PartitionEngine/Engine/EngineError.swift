import LogModel
import ObjectStore
import Storage
import WriteAheadLog

public enum EngineError: Error, Hashable, Sendable {
  case storage(StorageError)
  case log(TopicPartition, LogError)
  case unknownTopic(String)
  case unknownPartition(TopicPartition, count: Int)
  case topicExists(String, partitions: Int)
  /// The name of a topic or a consumer group offends against `NameRule`.
  case invalidName(String, NameProblem)
  /// 1 to 10 000.
  case invalidPartitionCount(Int)
  /// Neither copy of the engine's own metadata can be read at some record: what they say about topics is not to be
  /// trusted.
  case damagedMetadata(String)
  /// The file, in the place of a partition's log, is none of the engine's format. It was left alone.
  case otherFormat(path: String, expected: LogSystem)
  /// Only logs of the engine's own format go to an object store.
  case formatHasNoStore(LogSystem)
  case closed
  /// The object store failed. Of a fetch: what was asked for has left the log, and may be asked for again.
  case store(ObjectStoreError)
  /// So many bytes of this partition wait for the object store, which does not take them. Nothing was appended.
  case archiveBehind(TopicPartition, bytes: Int64, limit: Int64)
  /// The engine has been opened without an object store, and what it holds says that a part of it is in one.
  case storeNeeded(TopicPartition, before: Offset)
  /// A group's offset was not recorded: what lies before it could not be made durable, and a power loss might give its
  /// offsets to other messages.
  case offsetNotDurable(TopicPartition, Offset, StorageError)
  /// Another engine has the directory open for writing; the text says how that is known.
  case inUse(String)

  /// Whether the operation certainly did nothing. Otherwise its outcome is indeterminate.
  public var isCertainFailure: Bool {
    switch self {
    case .storage, .damagedMetadata: false
    case .log(_, let error): error.isCertainFailure
    case .store(let error): error.isCertainFailure
    case .offsetNotDurable, .unknownTopic, .unknownPartition, .topicExists, .invalidName, .invalidPartitionCount,
      .closed, .inUse, .archiveBehind,
      .storeNeeded, .otherFormat, .formatHasNoStore:
      true
    }
  }
}

extension EngineError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .storage(let error): "\(error)"
    case .log(let partition, let error): "\(partition): \(error)"
    case .unknownTopic(let name): "there is no topic `\(name)`"
    case .unknownPartition(let partition, let count):
      "topic `\(partition.topic)` has partitions 0 ..< \(count), not \(partition.partition)"
    case .topicExists(let name, let partitions): "topic `\(name)` exists already, with \(partitions) partitions"
    case .invalidName(let name, let problem): "`\(name)` is no valid name: \(problem)"
    case .invalidPartitionCount(let count): "\(count) partitions: a topic has 1 to 10000"
    case .damagedMetadata(let text): "the engine's metadata is damaged: \(text)"
    case .otherFormat(let path, let expected):
      "\(path) is no log of \(expected.rawValue), and was left alone; open it as the system that wrote it, or move it "
        + "away"
    case .store(let error): "\(error)"
    case .archiveBehind(let partition, let bytes, let limit):
      "\(partition): \(bytes) bytes wait for the object store, and at most \(limit) may; send again once it takes them"
    case .storeNeeded(let partition, let offset):
      "\(partition): everything before offset \(offset) is in an object store; open this directory with that store"
    case .formatHasNoStore(let system):
      "logs of \(system.rawValue) cannot go to an object store; open the engine without one, or with its own format"
    case .offsetNotDurable(let partition, let offset, let failure):
      "\(partition): offset \(offset) was not committed, for the messages before it could not be synced (\(failure)); "
        + "commit it again, and open the engine anew if that is refused too"
    case .closed: "the engine is closed"
    case .inUse(let how): "another engine writes here (\(how)); close it first, or choose another directory"
    }
  }
}

extension EngineError {
  /// The files that it is about, relative to the storage's root; empty where it names none.
  public var files: [String] {
    switch self {
    case .otherFormat(let path, _): [path]
    case .log(_, .damaged(let range)): [range.path]
    default: storageError.map { [$0.path] } ?? []
    }
  }

  /// What the device said, where it was the device.
  var storageError: StorageError? {
    switch self {
    case .storage(let error), .log(_, .storage(let error)), .log(_, .poisoned(let error)),
      .offsetNotDurable(_, _, let error):
      error
    default: nil
    }
  }
}
