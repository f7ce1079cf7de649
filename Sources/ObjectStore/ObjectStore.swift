import LogModel
import Storage

/// Where the segments of a log go when they have been sealed: whole objects under names, as S3 and its like keep them.
///
/// All calls are made on the loop of whoever owns the store. An object is written once and never changed: a second put
/// of a name brings the same bytes.
public protocol ObjectStore: AnyObject, Sendable {
  /// Stores the object. When it returns, `get` and `list` find all of it, over a power loss too.
  /// - Throws: `ObjectStoreError`. Unless `isCertainFailure`, the object may be there, or come to be there yet; a
  ///   second put of the same object settles it.
  func put(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError)
  /// - Throws: `.notFound` where there is no such object.
  func get(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8]
  /// The objects of one partition, or of all, in the order of their names.
  func list(_ source: TopicPartition?) async throws(ObjectStoreError) -> [ListedObject]
  /// Removes an object; one that is not there is no error.
  func delete(_ name: ObjectName) async throws(ObjectStoreError)
}

/// What an object is called: `TOPIC/PARTITION/BASE-END-EPOCH.tlo`, numbers in decimal digits.
///
/// The name says which messages it holds, so that a log can be rebuilt from a listing. No two writers share an epoch:
/// where two objects begin at the same offset, the one of the higher epoch counts.
public struct ObjectName: Hashable, Sendable {
  public var source: TopicPartition
  /// Offset of the first message, and the offset after the last one.
  public var base: Offset
  public var end: Offset
  /// Of the writer that put it.
  public var epoch: Epoch

  public init(_ source: TopicPartition, base: Offset, end: Offset, epoch: Epoch) {
    precondition(base >= 0 && end > base, "an object holds at least one message")
    (self.source, self.base, self.end, self.epoch) = (source, base, end, epoch)
  }

  public var folder: String { "\(source.topic)/\(source.partition)" }
  public var fileName: String {
    "\(Self.pad(base.rawValue, 20))-\(Self.pad(end.rawValue, 20))-\(Self.pad(epoch.rawValue, 10)).tlo"
  }
  public var path: String { "\(folder)/\(fileName)" }

  /// Nil for any other file's name.
  public init?(fileName: String, of source: TopicPartition) {
    guard fileName.hasSuffix(".tlo") else { return nil }
    let fields = fileName.dropLast(4).split(separator: "-", omittingEmptySubsequences: false)
    guard fields.count == 3,
      fields.allSatisfy({ $0.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } }),
      let base = Int64(fields[0]), let end = Int64(fields[1]), let epoch = UInt64(fields[2]), end > base,
      end <= Offset.largest.rawValue, epoch <= Epoch.largest.rawValue
    else { return nil }
    self.init(source, base: Offset(base), end: Offset(end), epoch: Epoch(epoch))
    guard self.fileName == fileName else { return nil }
  }

  /// Whether it has all messages of `other`.
  public func holds(_ other: ObjectName) -> Bool {
    source == other.source && base <= other.base && other.end <= end
  }

  /// Nil for what is not the path of an object.
  public init?(path: String) {
    let names = path.split(separator: "/", omittingEmptySubsequences: false)
    guard names.count == 3, let partition = Int32(names[1]), partition >= 0 else { return nil }
    self.init(fileName: String(names[2]), of: TopicPartition(String(names[0]), PartitionID(Int(partition))))
  }

  private static func pad(_ value: some FixedWidthInteger, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}

extension ObjectName: Comparable, CustomStringConvertible {
  public static func < (a: Self, b: Self) -> Bool {
    (a.source, a.base, a.end, a.epoch) < (b.source, b.base, b.end, b.epoch)
  }

  public var description: String { path }
}

/// One line of a listing.
public struct ListedObject: Hashable, Sendable {
  public var name: ObjectName
  /// The store knows that it had the object, and has it no more.
  public var isMissing: Bool

  public init(_ name: ObjectName, isMissing: Bool = false) {
    self.name = name
    self.isMissing = isMissing
  }
}

public enum ObjectStoreError: Error, Hashable, Sendable {
  /// The medium below the store failed.
  case storage(StorageError)
  /// The store has refused: nothing was changed. The text is the store's.
  case refused(String)
  /// The store has answered with a failure in the middle of its work: it may have done it.
  case failed(String)
  /// No answer in this time. What was asked may have been done, or be done yet.
  case timedOut(Duration)
  case notFound(ObjectName)
  /// What the store gave are not the bytes that were put; the text says how that is known.
  case damaged(ObjectName, String)
  /// A writer of this newer epoch has put objects of the same partition.
  case superseded(by: Epoch)

  /// Whether the operation certainly changed nothing.
  public var isCertainFailure: Bool {
    switch self {
    case .refused, .notFound, .superseded, .damaged: true
    case .storage, .failed, .timedOut: false
    }
  }
}

extension ObjectStoreError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .storage(let error): "the object store's medium failed: \(error)"
    case .refused(let text): "the object store has refused: \(text)"
    case .failed(let text): "the object store has failed: \(text)"
    case .timedOut(let limit):
      "the object store has not answered within \(DurationText.render(limit)); is it reachable?"
    case .notFound(let name): "the object store has no object \(name)"
    case .damaged(let name, let how): "object \(name) is damaged (\(how)); put it back from a copy of the store"
    case .superseded(let epoch): "a writer of the newer epoch \(epoch) puts these objects now; close this engine"
    }
  }
}
