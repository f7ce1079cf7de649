import FaultInjection
import LogModel
import ScenarioFormat
import Storage
import WriteAheadLog

/// Where the messages of the workload stand in the engine's files, found by their content: what a fault destroys, in
/// bytes, becomes what it destroys in messages, without asking the engine.
///
/// The bytes before a message belong to it as far as headers reach: they stand before what they head. What is left
/// between two messages is the padding of a commit, and nobody's.
struct MessagePlaces {
  struct Place: Hashable {
    var bytes: Range<Int64>
    var message: TouchedMessage
    /// Bytes of its key, which stand before it, behind its header.
    var keyBytes: Int64
  }

  let layout: FileLayout
  private let contents: [TopicPartition: MessagesAtRest]
  private let keys: MessageKeys
  /// Copies of a segment's head that have been destroyed and not been written again.
  private var lostCopies: [String: Set<Int>] = [:]
  private var places: [String: [Place]] = [:]

  init(_ spec: TrialSpec) {
    layout = FileLayout(spec)
    keys = spec.keys
    contents = Dictionary(
      uniqueKeysWithValues: (0..<spec.partitions).map(spec.source(of:)).map { ($0, MessagesAtRest(spec, $0)) })
  }

  /// The partition whose files lie where `path` does: `topics/TOPIC/PARTITION/...`.
  static func partition(of path: String) -> TopicPartition? {
    let parts = path.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0] == "topics", let number = Int(parts[2]) else { return nil }
    return TopicPartition(String(parts[1]), PartitionID(number))
  }

  /// The partition that `path` belongs to, be it its folder or what lies in that; nil where it is nobody's.
  static func owner(of path: String) -> TopicPartition? {
    let parts = path.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count >= 3, parts[0] == "topics", let number = Int(parts[2]) else { return nil }
    return TopicPartition(String(parts[1]), PartitionID(number))
  }

  /// Notes the messages in `bytes`, which stand at `offset` of the file.
  mutating func note(_ path: String, _ bytes: UnsafeRawBufferPointer, at offset: Int64) {
    if Self.isSetAside(path) { return }
    noteHead(path, bytes, at: offset)
    guard let partition = Self.partition(of: path), let messages = contents[partition] else { return }
    var found: [Place] = []
    messages.forEach(in: bytes) { place, sequence in
      found.append(
        Place(
          bytes: offset + Int64(place.lowerBound)..<offset + Int64(place.upperBound),
          message: TouchedMessage(partition: partition, sequence: sequence),
          keyBytes: Int64(messages.content.keySize(keys, of: sequence) ?? 0)))
      return true
    }
    places[path, default: []] += found
  }

  /// What is written is whole again. Two copies that differ in a file that has been found say that one is gone.
  private mutating func noteHead(_ path: String, _ bytes: UnsafeRawBufferPointer, at offset: Int64) {
    guard offset < layout.headBytes, !bytes.isEmpty else { return }
    let range = offset..<offset + Int64(bytes.count)
    let inside = layout.headCopies.indices.filter {
      range.contains(layout.headCopies[$0].lowerBound) && range.contains(layout.headCopies[$0].upperBound - 1)
    }
    for copy in inside { lostCopies[path]?.remove(copy) }
    let copies = inside.map { copy in
      bytes[Int(layout.headCopies[copy].lowerBound - offset)..<Int(layout.headCopies[copy].upperBound - offset)]
    }
    if let first = copies.first, copies.contains(where: { !$0.elementsEqual(first) }) {
      // Which of them, its checksum would tell: whatever is destroyed next may be the other.
      lostCopies[path, default: []].insert(-1)
    } else if copies.count == layout.headCopies.count {
      lostCopies[path] = nil
    }
  }

  /// What is known of a file goes with its name.
  mutating func move(_ path: String, to newPath: String) {
    places[newPath] = places.removeValue(forKey: path)
    lostCopies[newPath] = lostCopies.removeValue(forKey: path)
  }

  /// Whether the log is in that file: not in a copy that is being made of it, nor in what has been set aside.
  static func isLog(_ path: String) -> Bool { FaultTarget.isLog(path) }

  /// Whether recovery has put that file aside, for good. It is no log any more, and what is written to it is a copy: to
  /// note it would take more memory than a recovery may, which is measured in the same process.
  static func isSetAside(_ path: String) -> Bool {
    let name = path[(path.lastIndex(of: "/") ?? path.startIndex)...]
    return name.contains(".damaged-") || name.contains(".cut")
  }

  /// Whether no copy of the segment's head is left: all of its messages depend on it.
  func isHeadLost(_ path: String) -> Bool {
    !layout.headCopies.isEmpty && lostCopies[path].map { $0.count >= layout.headCopies.count } ?? false
  }

  /// Notes what has been destroyed.
  /// - Returns: the messages that it belongs to.
  mutating func destroy(_ ranges: [FileRange]) -> [TouchedMessage] {
    for place in ranges {
      for (copy, bytes) in layout.headCopies.enumerated() where bytes.overlaps(place.range) {
        lostCopies[place.path, default: []].insert(copy)
      }
    }
    return messages(in: ranges)
  }

  /// Where messages of any partition stand in `bytes`, ascending.
  func messages(in bytes: UnsafeRawBufferPointer) -> [Range<Int>] {
    var found: [Range<Int>] = []
    for messages in contents.values {
      messages.forEach(in: bytes) { place, _ in
        found.append(place)
        return true
      }
    }
    return found.sorted { $0.lowerBound < $1.lowerBound }
  }

  /// Whether a message of `path`, as far as has been noted, reaches into `range`. The latest notes come first: what is
  /// asked for has mostly just been written.
  func holdsMessages(_ path: String, _ range: Range<Int64>) -> Bool {
    places[path]?.reversed().contains { $0.bytes.overlaps(range) } ?? false
  }

  /// What of `range` messages stand in, as noted, once for each time that they have been.
  func messages(_ path: String, in range: Range<Int64>) -> [Range<Int64>] {
    (places[path] ?? []).filter { $0.bytes.overlaps(range) }.map { $0.bytes.clamped(to: range) }
  }

  func forEach(in path: String, _ body: (TouchedMessage) -> Void) {
    for place in places[path] ?? [] { body(place.message) }
  }

  /// The layout around a request that begins with `message`.
  func layout(from message: TouchedMessage) -> FileLayout {
    var layout = layout
    layout.requestHeader += Int64(contents[message.partition]?.content.keySize(keys, of: message.sequence) ?? 0)
    return layout
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
  func end(of path: String) -> Int { Int(places[path]?.map(\.bytes.upperBound).max() ?? layout.headBytes) }

  /// The messages in the file at `path`, or in files below it.
  func messages(at path: String) -> [TouchedMessage] {
    Set(
      places.lazy.filter { Self.isLog($0.key) && ($0.key == path || $0.key.hasPrefix(path + "/")) }.flatMap {
        $0.value.map(\.message)
      }
    ).sorted()
  }

  /// The same, by file: nothing is known of the bytes.
  func touchedPlaces(at path: String) -> [TouchedPlace] {
    places.keys.filter { Self.isLog($0) && ($0 == path || $0.hasPrefix(path + "/")) }.sorted().flatMap { file in
      Dictionary(grouping: places[file] ?? [], by: \.message.partition).map { partition, all in
        TouchedPlace(
          path: file, bytes: nil, partition: partition,
          sequences: all.map { $0.message.sequence...$0.message.sequence })
      }
    }
  }

  /// The messages that the ranges belong to, each once: all of a file's where one reaches into the segment's head, and
  /// no copy of that is left.
  func messages(in ranges: [FileRange]) -> [TouchedMessage] {
    var found: Set<TouchedMessage> = []
    forEachTouched(by: ranges) { message, _ in found.insert(message) }
    return found.sorted()
  }

  /// Calls `body` with each message that the ranges belong to, and with the bytes of it that the first of them has.
  func forEachTouched(by ranges: [FileRange], _ body: (TouchedMessage, FileRange) -> Void) {
    for (path, own) in Dictionary(grouping: ranges, by: \.path).sorted(by: { $0.key < $1.key }) where Self.isLog(path) {
      // Written twice at one place, the later one stands there.
      let all = (places[path] ?? []).enumerated().sorted {
        ($0.element.bytes.lowerBound, $0.offset) < ($1.element.bytes.lowerBound, $1.offset)
      }.map(\.element)
      let copies = layout.headCopies.indices.filter { copy in
        own.contains { $0.range.overlaps(layout.headCopies[copy]) }
      }
      if let copy = copies.first, Set(copies).union(lostCopies[path] ?? []).count >= layout.headCopies.count {
        for place in all { body(place.message, FileRange(path, layout.headCopies[copy])) }
        continue
      }
      let ranges = own.map(\.range).filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
      var next = 0
      var before = layout.headBytes
      for (index, place) in all.enumerated() {
        if index + 1 < all.count, all[index + 1].bytes.lowerBound == place.bytes.lowerBound { continue }
        // A request is padded, which its checksum covers.
        let end = (place.bytes.upperBound + layout.trailer + layout.alignment - 1) / layout.alignment * layout.alignment
        let start = max(before, place.bytes.lowerBound - place.keyBytes - layout.requestHeader)
        while next < ranges.count, ranges[next].upperBound <= start { next += 1 }
        var candidate = next
        while candidate < ranges.count, ranges[candidate].lowerBound < end {
          if ranges[candidate].upperBound > start {
            body(place.message, FileRange(path, ranges[candidate].clamped(to: start..<end)))
            break
          }
          candidate += 1
        }
        before = max(before, end)
      }
    }
  }
}

/// Notes messages as they pass the storage interface. Stands above the faults and sees what the engine meant to write.
final class MessageLocator: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  private(set) var places: MessagePlaces
  /// Files whose head, or name, is lost: what is written to them goes with it. By a file's path, or that of a folder
  /// above.
  private var lost: [(path: String, receipt: StorageFaultRecord)] = []
  /// What has been destroyed of copies: it counts once one of them takes the place of a log.
  private var spoiled: [(place: FileRange, receipt: StorageFaultRecord)] = []
  private let onLost: (StorageFaultRecord, [TouchedMessage], [TouchedPlace]) -> Void
  private let onError: (StorageError) -> Void

  /// - Parameters:
  ///   - onLost: is told of each write to a lost file: what it was lost by, what stood in it, and where.
  ///   - onError: is told each error when the engine is.
  init(
    _ base: any Storage, _ spec: TrialSpec,
    onLost: @escaping (StorageFaultRecord, [TouchedMessage], [TouchedPlace]) -> Void,
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
  func lose(_ path: String, by receipt: StorageFaultRecord) { lost.append((path, receipt)) }

  func note(_ path: String, _ bytes: UnsafeRawBufferPointer, at offset: Int64) { places.note(path, bytes, at: offset) }

  /// As `MessagePlaces.destroy`.
  func destroy(_ ranges: [FileRange]) -> [TouchedMessage] { places.destroy(ranges) }

  /// `receipt` says what was destroyed in those places.
  func spoil(_ destroyed: [FileRange], by receipt: StorageFaultRecord) {
    spoiled += destroyed.lazy.filter { !MessagePlaces.isLog($0.path) }.map { ($0, receipt) }
  }

  override func rename(_ path: String, to newPath: String) async throws(StorageError) {
    try await super.rename(path, to: newPath)
    places.move(path, to: newPath)
    for index in spoiled.indices where spoiled[index].place.path == path {
      spoiled[index].place.path = newPath
      if MessagePlaces.isLog(newPath) {
        let messages = places.destroy([spoiled[index].place])
        onLost(spoiled[index].receipt, messages, places.touchedPlaces(in: [spoiled[index].place], .start))
      }
    }
  }

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    places.note(paths[file], buffer[range], at: offset)
    if !lost.isEmpty, offset >= places.layout.headBytes {
      let path = paths[file]
      for (place, receipt) in lost where path == place || path.hasPrefix(place + "/") {
        let written = [FileRange(path, offset..<offset + Int64(range.count))]
        onLost(receipt, places.messages(in: written), places.touchedPlaces(in: written, .file))
      }
    }
    return try await super.write(file, at: offset, from: buffer, range, durability)
  }
}

extension MessageLocator: BatchLocator {
  func holdsMessages(_ place: FileRange) -> Bool { places.holdsMessages(place.path, place.range) }

  func messages(in place: FileRange) -> [Range<Int64>] { places.messages(place.path, in: place.range) }

  func places(of part: BatchPart, in bytes: UnsafeRawBufferPointer, at offset: Int64) -> [Range<Int>] {
    if places.layout.isBatched { return BatchLayout.places(of: part, in: bytes, at: offset) }
    return places.messages(in: bytes).compactMap { places.layout.place(of: part, around: $0, in: bytes.count) }
  }
}
