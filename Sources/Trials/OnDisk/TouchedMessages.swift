import FaultInjection
import LogModel
import Verification

/// A message that a fault has destroyed a part of, by its number in its partition's workload: what its offset is may
/// not be known yet, or never.
struct TouchedMessage: Hashable, Comparable, Codable {
  var partition: TopicPartition
  var sequence: UInt64

  static func < (a: Self, b: Self) -> Bool { (a.partition, a.sequence) < (b.partition, b.sequence) }
}

/// Where a fault has destroyed a part of messages, by their numbers: a report must name the place. See `DamagedPlace`.
struct TouchedPlace: Hashable, Codable {
  /// How well the destroyed bytes of a fault are known.
  enum Precision {
    /// The bytes stand there, and are wrong.
    case bytes
    /// They begin there; how many of them are there depends on what else became of the file.
    case start
    /// The file was deleted or cut short.
    case file
  }

  /// A receipt does not grow with the damage: more places than these are not kept, and no report is demanded to name
  /// them.
  static let most = 10_000

  var path: String
  var bytes: Range<Int64>?
  var partition: TopicPartition
  /// The messages' numbers, ascending runs.
  var sequences: [ClosedRange<UInt64>]
}

extension Receipt {
  /// An operator has put other files in the place of those of the partition: the messages are as gone as before, and
  /// their bytes stand nowhere.
  mutating func forgetBytes(of partition: TopicPartition) {
    for index in touchedPlaces.indices where touchedPlaces[index].partition == partition {
      touchedPlaces[index].bytes = nil
    }
  }
}

extension MessagePlaces {
  /// Where the messages that the ranges belong to have been destroyed.
  func touchedPlaces(in ranges: [FileRange], _ precision: TouchedPlace.Precision) -> [TouchedPlace] {
    var found: [TouchedPlace] = []
    forEachTouched(by: ranges) { message, place in
      let bytes: Range<Int64>? =
        switch precision {
        case .bytes: place.range
        case .start: place.range.lowerBound..<place.range.lowerBound
        case .file: nil
        }
      if let last = found.last, last.path == place.path, last.bytes == bytes, last.partition == message.partition {
        let run = last.sequences[last.sequences.count - 1]
        if run.upperBound &+ 1 == message.sequence {
          found[found.count - 1].sequences[last.sequences.count - 1] = run.lowerBound...message.sequence
        } else if last.sequences.count < TouchedPlace.most {
          found[found.count - 1].sequences.append(message.sequence...message.sequence)
        }
      } else if found.count < TouchedPlace.most {
        found.append(
          TouchedPlace(
            path: place.path, bytes: bytes, partition: message.partition,
            sequences: [message.sequence...message.sequence]))
      }
    }
    return found
  }
}

/// What was sent, to be found by a message's number.
private struct SentMessages {
  private let history: History
  private var operations: [PartitionSlot: [(number: Int, operation: Operation)]] = [:]

  init(_ history: History) { self.history = history }

  mutating func find(_ message: TouchedMessage) -> (slot: PartitionSlot, number: Int, operation: Operation)? {
    guard let index = history.creations.firstIndex(where: { $0.partition == message.partition }) else {
      return nil
    }
    let slot = PartitionSlot(index)
    if operations[slot] == nil {
      operations[slot] = history.operations.enumerated().filter { $0.element.partition == slot }
        .sorted { $0.element.firstSequence < $1.element.firstSequence }.map { ($0.offset, $0.element) }
    }
    let sequence = Int(message.sequence)
    let own = operations[slot] ?? []
    // The last that begins at or before it.
    var (low, high) = (0, own.count)
    while low < high {
      let middle = (low + high) / 2
      if own[middle].operation.firstSequence <= sequence { low = middle + 1 } else { high = middle }
    }
    guard low > 0, case let (number, operation) = own[low - 1],
      sequence < operation.firstSequence + operation.count
    else { return nil }
    return (slot, number, operation)
  }

  /// Of the message of that number, where it was acknowledged.
  mutating func offset(_ partition: TopicPartition, _ sequence: UInt64) -> (slot: PartitionSlot, offset: Offset)? {
    guard let (slot, _, operation) = find(TouchedMessage(partition: partition, sequence: sequence)),
      let base = operation.baseOffset
    else { return nil }
    return (slot, base + (Int(sequence) - operation.firstSequence))
  }
}

extension [TouchedMessage] {
  /// What was destroyed of what had been acknowledged, in offsets.
  /// - Parameters:
  ///   - toldAt: when the engine was told; nil where it was not.
  ///   - isFailedSync: that it was told of a sync.
  ///   - places: where that was.
  func damage(
    kind: String, _ description: String, isDetectable: Bool, isInLife: Bool = false, toldAt: Instant? = nil,
    isFailedSync: Bool = false, places: [TouchedPlace] = [], in history: History
  ) -> [Damage] {
    var ranges: [PartitionSlot: [OffsetRange]] = [:]
    var unplaced: [PartitionSlot: Set<Int>] = [:]
    var sent = SentMessages(history)
    for message in self {
      guard let (slot, number, operation) = sent.find(message) else { continue }
      // What was never acknowledged is owed nothing, destroyed or not: it may have taken offsets, for all that is
      // known.
      guard let base = operation.baseOffset else {
        if operation.outcome == .indeterminate, toldAt == nil { unplaced[slot, default: []].insert(number) }
        continue
      }
      // Nor may anything be acknowledged on the strength of an operation that is known to have failed.
      if let toldAt, let answeredAt = operation.answeredAt, answeredAt > toldAt { continue }
      let offset = base + (Int(message.sequence) - operation.firstSequence)
      ranges[slot, default: []].append(OffsetRange(from: offset, to: offset + 1))
    }
    let damaged = places.damaged(&sent)
    return Set(ranges.keys).union(unplaced.keys).sorted().map { slot in
      Damage(
        partition: slot, kind: kind, touched: ranges[slot] ?? [], unplaced: unplaced[slot]?.sorted() ?? [],
        description: description, isDetectable: isDetectable, isInLife: isInLife, isFailedSync: isFailedSync,
        places: damaged[slot] ?? [])
    }
  }
}

extension [TouchedPlace] {
  /// The same by offsets.
  fileprivate func damaged(_ sent: inout SentMessages) -> [PartitionSlot: [DamagedPlace]] {
    var found: [PartitionSlot: [DamagedPlace]] = [:]
    for place in self {
      var ranges: [PartitionSlot: [OffsetRange]] = [:]
      for sequence in place.sequences.joined() {
        guard let (slot, offset) = sent.offset(place.partition, sequence) else { continue }
        ranges[slot, default: []].append(OffsetRange(from: offset, to: offset + 1))
      }
      for (slot, offsets) in ranges {
        found[slot, default: []].append(
          DamagedPlace(path: place.path, bytes: place.bytes, offsets: offsets.joined()))
      }
    }
    return found
  }
}

extension [OffsetRange] {
  /// Neighbours in one.
  fileprivate func joined() -> [OffsetRange] {
    var joined: [OffsetRange] = []
    for range in sorted(by: { $0.from < $1.from }) {
      if let last = joined.last, range.from <= last.to {
        joined[joined.count - 1].to = Swift.max(last.to, range.to)
      } else {
        joined.append(range)
      }
    }
    return joined
  }
}
