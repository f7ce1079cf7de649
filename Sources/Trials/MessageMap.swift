import FaultInjection
import LogModel
import Storage
import Verification

/// Where the messages of the workload stand in the engine's files, found by their content: what a fault destroys, in bytes,
/// becomes what it destroys in messages, without asking the engine.
///
/// The bytes between two messages belong to the second one's: headers stand before what they head.
struct MessagePlaces {
  struct Place: Hashable {
    var bytes: Range<Int64>
    var message: TouchedMessage
  }

  /// A segment's head: all of the segment's messages depend on it.
  static let headBytes: Int64 = 4096

  private let contents: [PartitionID: MessagesAtRest]
  private var places: [String: [Place]] = [:]

  init(_ spec: TrialSpec) {
    contents = Dictionary(
      uniqueKeysWithValues: (0..<spec.partitions).map { (PartitionID($0), MessagesAtRest(spec, PartitionID($0))) })
  }

  /// The partition whose files lie where `path` does: `topics/TOPIC/PARTITION/...`.
  static func partition(of path: String) -> PartitionID? {
    let parts = path.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0] == "topics", let number = Int(parts[2]) else { return nil }
    return PartitionID(number)
  }

  /// Notes the messages in `bytes`, which stand at `offset` of the file.
  mutating func note(_ path: String, _ bytes: UnsafeRawBufferPointer, at offset: Int64) {
    guard let partition = Self.partition(of: path), let messages = contents[partition] else { return }
    var found: [Place] = []
    messages.forEach(in: bytes) { place, sequence in
      found.append(
        Place(
          bytes: offset + Int64(place.lowerBound)..<offset + Int64(place.upperBound),
          message: TouchedMessage(partition: partition, sequence: sequence)))
      return true
    }
    places[path, default: []] += found
  }

  func forEach(in path: String, _ body: (TouchedMessage) -> Void) {
    for place in places[path] ?? [] { body(place.message) }
  }

  /// Where a message stands first.
  func first(of message: TouchedMessage, in paths: [String]) -> (path: String, bytes: Range<Int>)? {
    for path in paths {
      guard let place = places[path]?.first(where: { $0.message == message }) else { continue }
      return (path, Int(place.bytes.lowerBound)..<Int(place.bytes.upperBound))
    }
    return nil
  }

  /// Where the last message of a file ends; its head's end where it has none.
  func end(of path: String) -> Int { Int(places[path]?.map(\.bytes.upperBound).max() ?? Self.headBytes) }

  /// The messages in the file at `path`, or in files below it.
  func messages(at path: String) -> [TouchedMessage] {
    Set(places.lazy.filter { $0.key == path || $0.key.hasPrefix(path + "/") }.flatMap { $0.value.map(\.message) }).sorted()
  }

  /// The messages that the ranges belong to, each once: all of a file's where one reaches into the segment's head.
  func messages(in ranges: [FileRange]) -> [TouchedMessage] {
    var found: Set<TouchedMessage> = []
    for (path, own) in Dictionary(grouping: ranges, by: \.path) {
      // Written twice at one place, the later one stands there.
      let all = (places[path] ?? []).enumerated().sorted {
        ($0.element.bytes.lowerBound, $0.offset) < ($1.element.bytes.lowerBound, $1.offset)
      }.map(\.element)
      if own.contains(where: { $0.range.lowerBound < Self.headBytes && !$0.range.isEmpty }) {
        found.formUnion(all.map(\.message))
        continue
      }
      let ranges = own.map(\.range).filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
      var next = 0
      var before = Self.headBytes
      for (index, place) in all.enumerated() {
        if index + 1 < all.count, all[index + 1].bytes.lowerBound == place.bytes.lowerBound { continue }
        // A batch is padded to eight bytes, which its checksum covers.
        let end = (place.bytes.upperBound + 7) & ~7
        while next < ranges.count, ranges[next].upperBound <= before { next += 1 }
        var candidate = next
        while candidate < ranges.count, ranges[candidate].lowerBound < end {
          if ranges[candidate].upperBound > before {
            found.insert(place.message)
            break
          }
          candidate += 1
        }
        before = max(before, end)
      }
    }
    return found.sorted()
  }
}

/// Notes messages as they pass the seam. Stands above the faults and sees what the engine meant to write.
final class MessageMap: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  private(set) var places: MessagePlaces
  /// Files whose head, or name, is lost: what is written to them goes with it. By a file's path, or that of a folder above.
  private var lost: [(path: String, receipt: SeamReceipt)] = []
  private let onLost: (SeamReceipt, [TouchedMessage]) -> Void
  private let onError: (StorageError) -> Void

  /// - Parameters:
  ///   - onLost: is told of each write to a lost file: what it was lost by, and what stood in it.
  ///   - onError: is told each error when the engine is.
  init(
    _ base: any Storage, _ spec: TrialSpec, onLost: @escaping (SeamReceipt, [TouchedMessage]) -> Void,
    onError: @escaping (StorageError) -> Void
  ) {
    places = MessagePlaces(spec)
    self.onLost = onLost
    self.onError = onError
    super.init(base)
  }

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    do throws(StorageError) { return try await operation() } catch {
      onError(error)
      throw error
    }
  }

  /// From now on what is written to the file at `path`, or to files below it, is lost by what `receipt` says.
  func lose(_ path: String, by receipt: SeamReceipt) { lost.append((path, receipt)) }

  func note(_ path: String, _ bytes: UnsafeRawBufferPointer, at offset: Int64) { places.note(path, bytes, at: offset) }

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    places.note(paths[file], buffer[range], at: offset)
    if !lost.isEmpty, offset >= MessagePlaces.headBytes {
      let path = paths[file]
      for (place, receipt) in lost where path == place || path.hasPrefix(place + "/") {
        onLost(receipt, places.messages(in: [FileRange(path, offset..<offset + Int64(range.count))]))
      }
    }
    return try await super.write(file, at: offset, from: buffer, range, durability)
  }
}

/// A message that a fault has destroyed a part of, by its number in its partition's workload: what its offset is may
/// not be known yet, or never.
struct TouchedMessage: Hashable, Comparable, Codable {
  var partition: PartitionID
  var sequence: UInt64

  static func < (a: Self, b: Self) -> Bool { (a.partition, a.sequence) < (b.partition, b.sequence) }
}

extension [TouchedMessage] {
  /// What was destroyed of what had been acknowledged, in offsets.
  /// - Parameter toldAt: when the engine was told; nil where it was not.
  func damage(
    kind: String, _ description: String, isDetectable: Bool, isInLife: Bool = false, toldAt: Instant? = nil,
    in history: History
  ) -> [Damage] {
    var ranges: [PartitionSlot: [OffsetRange]] = [:]
    var operations: [PartitionSlot: [Operation]] = [:]
    for message in self {
      guard let index = history.creations.firstIndex(where: { $0.partition.partition == message.partition }) else { continue }
      let slot = PartitionSlot(index)
      if operations[slot] == nil {
        operations[slot] = history.operations.filter { $0.partition == slot }.sorted { $0.firstSequence < $1.firstSequence }
      }
      let sequence = Int(message.sequence)
      let own = operations[slot] ?? []
      // The last that begins at or before it.
      var (low, high) = (0, own.count)
      while low < high {
        let middle = (low + high) / 2
        if own[middle].firstSequence <= sequence { low = middle + 1 } else { high = middle }
      }
      // What was never acknowledged is owed nothing, destroyed or not.
      guard low > 0, sequence < own[low - 1].firstSequence + own[low - 1].count, let base = own[low - 1].baseOffset else {
        continue
      }
      // Nor may anything be acknowledged on the strength of an operation that is known to have failed.
      if let toldAt, let answeredAt = own[low - 1].answeredAt, answeredAt > toldAt { continue }
      let offset = base + (sequence - own[low - 1].firstSequence)
      ranges[slot, default: []].append(OffsetRange(from: offset, to: offset + 1))
    }
    return ranges.sorted { $0.key < $1.key }.map { slot, ranges in
      Damage(partition: slot, kind: kind, touched: ranges, description: description, isDetectable: isDetectable, isInLife: isInLife)
    }
  }
}
