import LogModel
import Storage
import Testing

@testable import CrashStates
@testable import Exploration

/// A recording written down by hand.
struct HandMade {
  var recording = Recording(store: SectorStore(), table: PathTable())
  private var files: [String: Int32] = [:]

  /// Submits an operation and leaves it in flight; returns its number.
  mutating func start(_ operation: DiskOperation) -> Int {
    recording.operations.append(operation)
    let number = recording.operations.count - 1
    event(.submitted(number))
    return number
  }

  mutating func finish(_ number: Int) {
    var taken = 0
    if case .write(_, _, let bytes, _) = recording.operations[number] { taken = bytes.count }
    event(.completed(number, succeeded: true, taken: taken))
  }

  /// The buffer of a write in flight is filled with another value.
  mutating func change(_ number: Int, to value: UInt8) {
    guard case .write(_, _, let bytes, _) = recording.operations[number] else { return }
    event(.changed(number, bytes: [UInt8](repeating: value, count: bytes.count)))
  }

  private mutating func event(_ what: RecordedEvent.What) {
    recording.events.append(RecordedEvent(time: Instant(nanoseconds: Int64(recording.events.count)), what: what))
  }

  mutating func run(_ operation: DiskOperation) { finish(start(operation)) }

  mutating func create(_ path: String) -> Int32 {
    let file = Int32(recording.filePaths.count)
    let place = recording.table.intern(path)
    recording.filePaths.append(place)
    run(.create(path: place, file: file))
    return file
  }

  /// `count` bytes of `value` at `offset`.
  func write(_ file: Int32, _ value: UInt8, at offset: Int, _ count: Int, durable: Bool = false) -> DiskOperation {
    .write(file: file, offset: offset, bytes: [UInt8](repeating: value, count: count), durable: durable)
  }

  /// Every state at the end: files with the first byte of each sector, `-` for a file that is not there.
  func states(_ profile: CrashProfile) -> Set<String> {
    let point = point(profile)
    var found: Set<String> = []
    let enumeration = StateEnumeration(point, StateEnumeration.Limits(bound: 8, statesPerPoint: 100_000, samples: 0))
    #expect(enumeration.bound == Int.max)
    enumeration.forEach(seed: 1) { choice, _ in found.insert(text(point.image(choice))) }
    return found
  }

  func point(_ profile: CrashProfile) -> CrashPoint {
    let foreign = ForeignBytes(recording, seed: 1)
    var disk = VolatileDisk(recording, profile)
    for index in recording.events.indices { disk.apply(index, of: recording) }
    return CrashPoint(disk, recording, at: recording.events.count, foreign: foreign)
  }

  func text(_ image: DiskImage) -> String {
    image.names.map { path, node in
      guard case .file(let file) = node else { return recording.table.paths[Int(path)] + "/" }
      let sectors = image.files[Int(file)].sectors.map { id -> String in
        if id == SectorStore.unreadable { return "!" }
        let byte = recording.store.bytes(id).load(as: UInt8.self)
        return byte < 10 ? "\(byte)" : "?"
      }
      return "\(recording.table.paths[Int(path)])=\(sectors.joined())/\(image.files[Int(file)].size)"
    }.joined(separator: " ")
  }
}
