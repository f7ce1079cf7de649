import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// chronik's segment files: their names, their sealing, their removal.
extension Defect {
  static let chronikSegments: [Defect] = [
    Defect(
      "C9", origin: "chronik", "Sealing a segment overwrites it with only the unflushed tail.",
      showsWhen: "flush, then rotate", onlyLayer: { SealedWithTheTail($0) }),
    Defect(
      "C10", origin: "chronik", "An append holds a read guard while rotation takes the write guard.",
      showsWhen: "rotation: it never ends"
    ) { $0.log.rotation = RotationAfterEveryAppend() },
    Defect(
      "C14", origin: "chronik",
      "The first file is named the same for all partitions, rotation names them apart, and recovery looks for the "
        + "latter.",
      showsWhen: "partition 1 or above, once it has a second segment", onlyLayer: { FirstFileNamedAlike($0) }),
    Defect(
      "C18", origin: "chronik",
      "Orphan collection takes a metadata error for \"topic deleted\" and removes the log's folder.",
      showsWhen: "a read of the metadata fails once", onlyLayer: { OrphansCollectedOnErrors($0) }),
  ]
}

/// The file of a log's segment, by its path below the storage's root: `topics/TOPIC/PARTITION/NAME.log`.
struct SegmentPath {
  var directory: String
  var name: String
  var partition: Int

  init?(_ path: String) {
    let parts = path.split(separator: "/")
    guard parts.count == 4, parts[0] == "topics", parts[3].hasSuffix(".log"), let number = Int(parts[2]) else {
      return nil
    }
    (directory, name, partition) = (parts[0...2].joined(separator: "/"), String(parts[3]), number)
  }
}

/// C9. `fs::write(path, buffer)`: the buffer held what had not been flushed yet. Here a segment is sealed when the next
/// one of its log is created; what was written and never synced is its tail, and all of it under `never`, where nothing
/// is lost.
private final class SealedWithTheTail: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private struct Fill {
    var written: Int64 = 0
    var flushed: Int64 = 0
  }

  private var fills: [String: Fill] = [:]
  /// The newest segment of each directory.
  private var newest: [String: String] = [:]

  override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    if mode.contains(.create), let segment = SegmentPath(path) {
      if let last = newest[segment.directory] { try await seal(last) }
      newest[segment.directory] = path
      fills[path] = Fill()
    }
    return try await super.open(path, mode)
  }

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    let written = try await super.write(file, at: offset, from: buffer, range, durability)
    if var fill = fills[paths[file]] {
      fill.written = max(fill.written, offset + Int64(written))
      if durability == .durable { fill.flushed = fill.written }
      fills[paths[file]] = fill
    }
    return written
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    let covered = fills[paths[file]]?.written
    try await super.sync(file, scope)
    if let covered { fills[paths[file]]?.flushed = covered }
  }

  private func seal(_ path: String) async throws(StorageError) {
    guard let fill = fills.removeValue(forKey: path), fill.flushed > 0 else { return }
    let tail = makeBuffer(capacity: Int(fill.written - fill.flushed))
    let reader = try await super.open(path, [])
    let got = try await super.read(reader, at: fill.flushed, into: tail, 0..<Int(fill.written - fill.flushed))
    await super.close(reader)
    let file = try await super.open(path, [.write])
    try await super.truncate(file, to: 0)
    if got > 0 { _ = try await super.write(file, at: 0, from: tail, 0..<got, .volatile) }
    await super.close(file)
  }
}

/// C10. The appends give their guards back when they are answered, which the commit behind the rotation would do.
struct RotationAfterEveryAppend: RotationGuarding {
  func begin(appends: Int) async {
    let guards = AsyncEvent(isOpen: appends == 0)
    await guards.wait()
  }
}

/// C14. The first file of every partition bears the number 0, each later one the partition's own; recovery asks for
/// files with the partition's number, and for the first one only where it finds none.
private final class FirstFileNamedAlike: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private static let prefix = "0_"
  /// Base offset 0.
  private static let first = String(repeating: "0", count: 20) + "-"

  private func stored(_ path: String) -> String {
    guard let segment = SegmentPath(path), segment.partition > 0, segment.name.hasPrefix(Self.first) else {
      return path
    }
    return "\(segment.directory)/\(Self.prefix)\(segment.name)"
  }

  override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    try await super.open(stored(path), mode)
  }

  override func rename(_ path: String, to newPath: String) async throws(StorageError) {
    try await super.rename(stored(path), to: stored(newPath))
  }

  override func unlink(_ path: String) async throws(StorageError) { try await super.unlink(stored(path)) }

  override func list(_ path: String) async throws(StorageError) -> [DirectoryEntry] {
    let entries = try await super.list(path)
    let hasOwn = entries.contains { $0.name.hasSuffix(".log") && !$0.name.hasPrefix(Self.prefix) }
    return entries.compactMap { entry in
      guard entry.name.hasPrefix(Self.prefix) else { return entry }
      return hasOwn ? nil : DirectoryEntry(name: String(entry.name.dropFirst(Self.prefix.count)), isDirectory: false)
    }
  }
}

/// C18. The engine has no collection of orphans; here it runs when the metadata is read, and a log whose topic it
/// cannot look up has none.
private final class OrphansCollectedOnErrors: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  override func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    do throws(StorageError) { return try await super.read(file, at: offset, into: buffer, range) } catch {
      if paths[file].hasPrefix("metadata"), !error.isPowerLost { try await collect("topics") }
      throw error
    }
  }

  private func collect(_ directory: String) async throws(StorageError) {
    for entry in try await super.list(directory) {
      let path = "\(directory)/\(entry.name)"
      if entry.isDirectory { try await collect(path) } else { try await super.unlink(path) }
    }
  }
}
