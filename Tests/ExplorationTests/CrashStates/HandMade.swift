import LogModel
import Storage
import Testing

@testable import CrashStates
@testable import Exploration

/// A recording written down by hand.
struct HandMade {
  var builder = RecordingBuilder(Recording(store: SectorStore(), table: PathTable()))

  var recording: Recording {
    get { builder.recording }
    set { builder.recording = newValue }
  }

  /// Submits an operation and leaves it in flight; returns its number.
  mutating func start(_ operation: DiskOperation) -> Int { builder.start(operation) }

  mutating func finish(_ number: Int) { builder.finish(number) }

  /// The buffer of a write in flight is filled with another value.
  mutating func change(_ number: Int, to value: UInt8) {
    guard case .write(_, _, let bytes, _) = recording.operations[number] else { return }
    builder.add(.changed(number, bytes: [UInt8](repeating: value, count: bytes.count)))
  }

  mutating func run(_ operation: DiskOperation) { builder.run(operation) }

  /// Makes a change of names that must be possible; returns its operation.
  @discardableResult mutating func name(_ change: RecordingBuilder.NameChange) -> DiskOperation? {
    let operation = builder.operation(change)
    #expect(operation != nil, "\(change)")
    if let operation { run(operation) }
    return operation
  }

  mutating func create(_ path: String) -> InodeNumber {
    name(.create(path, .file))
    return builder.inode(path) ?? InodeTable.root
  }

  mutating func makeDirectory(_ path: String) { name(.create(path, .directory)) }

  mutating func syncDirectory(_ path: String = "") { run(.syncDirectory(builder.inode(path) ?? InodeTable.root)) }

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
    var walk = CrashPointWalk(recording, profile, seed: 1)
    return walk.point(at: recording.events.count)
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
