import LogModel
import WriteAheadLog

/// One change of the engine's metadata, a record of the metadata log.
///
/// The value is UTF-8 text, fields separated by tabs, the first naming the kind. Names hold no tab by
/// `EngineError.invalidName`. Of several records of one thing the last counts for `offset`, `end`, `cut` and `segment`,
/// the highest for `start` and `archive`, the first for `topic` (`Metadata.apply`).
enum MetadataRecord: Hashable {
  /// `topic name partitions`
  case topic(String, partitions: Int)
  /// `offset group topic partition offset`: a consumer group has processed everything before `offset`.
  case consumerOffset(group: String, TopicPartition, Offset)
  /// `start topic partition offset`: everything before `offset` may be removed.
  case logStart(TopicPartition, Offset)
  /// `end topic partition offset`: everything before `offset` is durable. A clean shutdown writes it, and a recovery
  /// that is about to cut what it can prove.
  case durableEnd(TopicPartition, Offset)
  /// `cut topic partition offset was`: a recovery has cut the log at `offset`, though everything before `was` had been
  /// durable. It sets the end to `offset`, lowers the end of the newest segment to it, and removes a segment that
  /// begins there or later.
  case cutEnd(TopicPartition, Offset, was: Offset)
  /// `segment topic partition base epoch previous end`: a segment has begun, after the one that begins with `previous`
  /// (-1: none), and the messages before `end` are durable.
  case segment(TopicPartition, SegmentRecord)
  /// `archive topic partition offset`: everything before `offset` is in the object store, and need not be in the log.
  case archived(TopicPartition, Offset)
  /// `lower group topic partition offset was`: a recovery has found that the log ends at `offset`, though the group had
  /// committed `was`.
  case loweredOffset(group: String, TopicPartition, Offset, was: Offset)
  /// `snapshot count`: the `count` records after it are all that is known; what came before is void. Until all of them
  /// are there, it is not, and the snapshot counts for nothing.
  case snapshot(count: Int)

  var text: String {
    switch self {
    case .topic(let name, let partitions): "topic\t\(name)\t\(partitions)"
    case .consumerOffset(let group, let p, let offset): "offset\t\(group)\t\(p.topic)\t\(p.partition)\t\(offset)"
    case .logStart(let p, let offset): "start\t\(p.topic)\t\(p.partition)\t\(offset)"
    case .durableEnd(let p, let offset): "end\t\(p.topic)\t\(p.partition)\t\(offset)"
    case .cutEnd(let p, let offset, let was): "cut\t\(p.topic)\t\(p.partition)\t\(offset)\t\(was)"
    case .segment(let p, let segment):
      "segment\t\(p.topic)\t\(p.partition)\t\(segment.baseOffset)\t\(segment.epoch)"
        + "\t\(segment.previousBase)\t\(segment.end)"
    case .archived(let p, let offset): "archive\t\(p.topic)\t\(p.partition)\t\(offset)"
    case .loweredOffset(let group, let p, let offset, let was):
      "lower\t\(group)\t\(p.topic)\t\(p.partition)\t\(offset)\t\(was)"
    case .snapshot(let count): "snapshot\t\(count)"
    }
  }

  init?(text: String) {
    let fields = text.utf8.split(separator: UInt8(ascii: "\t"), maxSplits: 6, omittingEmptySubsequences: false)
    func name(_ at: Int) -> String { String(Substring(fields[at])) }
    func number<Number: FixedWidthInteger>(_ at: Int) -> Number? { Number(Substring(fields[at])) }
    func partition(_ at: Int) -> TopicPartition? {
      let index: Int32? = number(at + 1)
      return index.map { TopicPartition(name(at), PartitionID(Int($0))) }
    }
    func offset(_ at: Int) -> Offset? {
      let value: Int64? = number(at)
      return value.flatMap { $0 >= -1 && $0 <= Offset.largest.rawValue ? Offset($0) : nil }
    }
    switch (fields[0].first, fields.count) {
    case (UInt8(ascii: "t"), 3):
      // Its name becomes that of a folder.
      guard fields[0].elementsEqual("topic".utf8), let count: Int = number(2), Topic.partitionCounts.contains(count),
        NameRule.topic.allows(name(1))
      else { return nil }
      self = .topic(name(1), partitions: count)
    case (UInt8(ascii: "o"), 5):
      guard fields[0].elementsEqual("offset".utf8), let p = partition(2), let o = offset(4) else { return nil }
      self = .consumerOffset(group: name(1), p, o)
    case (UInt8(ascii: "s"), 4):
      guard fields[0].elementsEqual("start".utf8), let p = partition(1), let o = offset(3) else { return nil }
      self = .logStart(p, o)
    case (UInt8(ascii: "a"), 4):
      guard fields[0].elementsEqual("archive".utf8), let p = partition(1), let o = offset(3) else { return nil }
      self = .archived(p, o)
    case (UInt8(ascii: "e"), 4):
      guard fields[0].elementsEqual("end".utf8), let p = partition(1), let o = offset(3) else { return nil }
      self = .durableEnd(p, o)
    case (UInt8(ascii: "c"), 5):
      guard fields[0].elementsEqual("cut".utf8), let p = partition(1), let o = offset(3), let was = offset(4) else {
        return nil
      }
      self = .cutEnd(p, o, was: was)
    case (UInt8(ascii: "s"), 7):
      guard fields[0].elementsEqual("segment".utf8), let p = partition(1), let base = offset(3),
        let epoch: UInt64 = number(4), epoch <= Epoch.largest.rawValue,
        let previous = offset(5), let end = offset(6)
      else { return nil }
      self = .segment(p, SegmentRecord(baseOffset: base, epoch: Epoch(epoch), previousBase: previous, end: end))
    case (UInt8(ascii: "l"), 6):
      guard fields[0].elementsEqual("lower".utf8), let p = partition(2), let o = offset(4), let was = offset(5) else {
        return nil
      }
      self = .loweredOffset(group: name(1), p, o, was: was)
    case (UInt8(ascii: "s"), 2):
      guard fields[0].elementsEqual("snapshot".utf8), let count: Int = number(1), count >= 0 else { return nil }
      self = .snapshot(count: count)
    default: return nil
    }
  }
}

/// A topic as it was registered.
public struct Topic: Hashable, Sendable {
  static let partitionCounts = 1...10_000

  public var name: String
  public var partitions: Int
}

/// What the metadata log adds up to.
struct Metadata {
  var topics: [Topic] = []
  /// In the order of (group, partition).
  var consumerOffsets: [ConsumerPosition: Offset] = [:]
  var logStarts: [TopicPartition: Offset] = [:]
  var durableEnds: [TopicPartition: Offset] = [:]
  /// Everything before these is in the object store.
  var archivedEnds: [TopicPartition: Offset] = [:]
  /// The newest segments, and how far they had certainly come.
  var newestSegments: [TopicPartition: SegmentRecord] = [:]
  /// What groups had committed beyond the ends of their logs, as long as they have committed nothing since.
  private(set) var offsetsBeforeLowering: [ConsumerPosition: Offset] = [:]
  /// Where logs ended before a recovery cut them at their `durableEnds`.
  private var endsBeforeCut: [TopicPartition: Offset] = [:]

  /// The offsets that a recovery has cut from the end of the log, as long as nobody has recorded a later end.
  func cut(of log: TopicPartition) -> Range<Offset>? {
    guard let end = durableEnds[log], let was = endsBeforeCut[log], was > end else { return nil }
    return end..<was
  }

  struct ConsumerPosition: Hashable, Comparable {
    var group: String
    var partition: TopicPartition
    static func < (a: Self, b: Self) -> Bool { (a.group, a.partition) < (b.group, b.partition) }
  }

  mutating func apply(_ record: MetadataRecord) {
    switch record {
    case .topic(let name, let partitions):
      if !topics.contains(where: { $0.name == name }) { topics.append(Topic(name: name, partitions: partitions)) }
    case .consumerOffset(let group, let partition, let offset):
      let position = ConsumerPosition(group: group, partition: partition)
      consumerOffsets[position] = offset
      if !offsetsBeforeLowering.isEmpty { offsetsBeforeLowering[position] = nil }
    case .loweredOffset(let group, let partition, let offset, let was):
      let position = ConsumerPosition(group: group, partition: partition)
      consumerOffsets[position] = offset
      offsetsBeforeLowering[position] = was
    case .logStart(let partition, let offset): logStarts[partition] = max(offset, logStarts[partition] ?? 0)
    case .durableEnd(let partition, let offset):
      if offset > durableEnds[partition] ?? 0 { endsBeforeCut[partition] = nil }
      durableEnds[partition] = offset
    case .cutEnd(let partition, let offset, let was):
      (durableEnds[partition], endsBeforeCut[partition]) = (offset, was)
      if let newest = newestSegments[partition] {
        newestSegments[partition]?.end = min(newest.end, offset)
        if newest.baseOffset >= offset { newestSegments[partition] = nil }
      }
    case .archived(let partition, let offset): archivedEnds[partition] = max(offset, archivedEnds[partition] ?? 0)
    case .segment(let partition, let segment): newestSegments[partition] = segment
    case .snapshot: break  // what it voids is `MetadataReplay`'s to say
    }
  }

  /// The fewest records that add up to the same.
  var records: [MetadataRecord] {
    topics.map { .topic($0.name, partitions: $0.partitions) }
      + consumerOffsets.sorted { $0.key < $1.key }.map { position, offset in
        offsetsBeforeLowering[position].map {
          .loweredOffset(group: position.group, position.partition, offset, was: $0)
        }
          ?? .consumerOffset(group: position.group, position.partition, offset)
      }
      + logStarts.sorted { $0.key < $1.key }.map { .logStart($0.key, $0.value) }
      + durableEnds.sorted { $0.key < $1.key }.map { log, end in
        cut(of: log).map { .cutEnd(log, end, was: $0.upperBound) } ?? .durableEnd(log, end)
      }
      + archivedEnds.sorted { $0.key < $1.key }.map { .archived($0.key, $0.value) }
      + newestSegments.sorted { $0.key < $1.key }.map { .segment($0.key, $0.value) }
  }
}
