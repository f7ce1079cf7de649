import CrashStates
import Foundation
import Glibc
import LogModel
import PartitionEngine
import Storage
import Testing
import Volume
import VolumeStates
import WriteAheadLog

/// What the volume records of the engine is what the storage layer records of it. docs/volume.md says what is made
/// alike before both are compared.
@Suite(.enabled(if: EnginePrograms.refusal == nil, "\(EnginePrograms.refusal ?? "")"), .serialized)
struct TraceTests {
  /// One line for each operation, in the order in which they were over: what, where, which bytes, how it ended. Writes
  /// that go on at the page where the one before has ended are one.
  private static func lines(_ recording: Recording) -> [String] {
    var lines: [String] = []
    /// The write that the last line is of.
    var open: (file: InodeNumber, offset: Int, bytes: [UInt8], durable: Bool)?
    for event in recording.events {
      guard case .completed(let number, let succeeded, let taken) = event.what else { continue }
      let ending = recording.ending(of: number, succeeded, taken)
      var operation = recording.operations[number]
      guard case .write(let file, let offset, let bytes, let durable) = operation else {
        lines.append(recording.text(operation) + ending)
        open = nil
        continue
      }
      // The unnamed file in which `PosixStorage` tries what O_DIRECT asks for.
      if recording.inodes.homes[Int(file)] == PathTable.root { continue }
      var own = (file: file, offset: offset, bytes: bytes, durable: durable)
      if let before = open, before.file == file, before.durable == durable, offset % 4096 == 0,
        before.offset + before.bytes.count == offset
      {
        own = (file, before.offset, before.bytes + bytes, durable)
        operation = .write(file: file, offset: own.offset, bytes: own.bytes, durable: durable)
        lines.removeLast()
      }
      open = ending.isEmpty ? own : nil
      let hash = own.bytes.reduce(UInt64(0)) { mix64($0 ^ UInt64($1)) }
      lines.append("\(recording.text(operation))\(ending) \(String(hash, radix: 16))")
    }
    return lines
  }

  /// A life of the engine with everything that it does to files: rotation, zero-fills, metadata, offsets, deletion,
  /// a close, and a recovery.
  private static func live(on storage: any Storage, _ policy: SyncPolicy) async throws {
    let configuration = EngineConfiguration(
      log: LogConfiguration(
        syncPolicy: policy, segmentBytes: 16 << 10, commitBytes: 32 << 10, firstPreallocation: 4 << 10,
        largestPreallocation: 8 << 10, saltSeed: 1))
    for life in 0..<2 {
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      if life == 0 { try await engine.createTopic("orders", partitions: 2) }
      await withTaskGroup(of: Void.self) { group in
        for producer in 0..<3 {
          group.addTask(executorPreference: storage.loop) {
            for number in 0..<24 {
              let bytes = [UInt8](repeating: UInt8(number), count: 40 + 97 * (number * 7 % 11))
              do throws(EngineError) {
                _ = try await engine.produce(
                  to: "orders", PartitionID((producer + number) % 2), recordCount: 1, payloadBytes: bytes.count
                ) { writer in bytes.withUnsafeBytes { writer.append(value: $0) } }
              } catch { Issue.record("\(error)") }
            }
          }
        }
      }
      let end = try engine.watermarks("orders", 0).highWatermark
      try await engine.commitOffset(group: "readers", "orders", 0, end)
      try await engine.deleteRecords("orders", 1, before: 20)
      try await engine.close()
    }
  }

  /// Runs it in virtual time: whenever it runs, it does the same.
  /// - Parameter layer: stands between what records and the files.
  private static func recorded(
    in folder: String, _ policy: SyncPolicy, _ layer: @Sendable (any Storage) -> any Storage = { $0 }
  ) throws -> [String] {
    let loop = EventLoop(simulatedWithSeed: 7)
    let files = try PosixStorage(root: folder, loop: loop)
    let recorder = DiskRecorder(layer(files), Recording())
    let outcome = loop.run(limit: .seconds(3600)) { () -> String? in
      do { try await live(on: recorder, policy) } catch { return "\(error)" }
      return nil
    }
    #expect(outcome.ending == .finished && outcome.value! == nil, "\(outcome)")
    loop.drain()
    return lines(recorder.recording)
  }

  /// What the storage layer and the volume record of one run.
  private static func both(
    _ policy: SyncPolicy, _ layer: @Sendable (any Storage) -> any Storage = { $0 }
  ) throws -> (storage: [String], volume: [String]) {
    let scratch = Scratch()
    let volume = Volume(VolumeOptions())
    let mount = try VolumeMount(volume, at: scratch.path + "/volume")
    defer { mount.unmount() }
    let folder = mount.folder + "/data"
    #expect(mkdir(folder, 0o755) == 0)
    let root = try #require(volume.inode(at: "/data"))
    let storage = try recorded(in: folder, policy, layer)
    return (storage, lines(VolumeRecording(volume.trace, root: root).recording))
  }

  /// The first line that only one of both has.
  private static func difference(_ one: [String], _ other: [String]) -> String? {
    if one == other { return nil }
    let place = zip(one, other).prefix { $0 == $1 }.map { _ in 0 }.count
    func line(_ lines: [String]) -> String { lines.indices.contains(place) ? lines[place] : "nothing" }
    return "operation \(place): '\(line(one))' and '\(line(other))'"
  }

  @Test(arguments: [SyncPolicy.always, .interval(.milliseconds(4)), .never])
  func theVolumeRecordsWhatTheStorageLayerDoes(_ policy: SyncPolicy) throws {
    let (storage, volume) = try Self.both(policy)
    #expect(Self.difference(storage, volume) == nil)
    let kinds = Set(storage.map { $0.prefix { $0 != " " } })
    #expect(kinds.isSuperset(of: ["create", "make", "write", "truncate", "unlink", "fsync", "sync"]), "\(kinds)")
    let durable = storage.contains { $0.hasPrefix("write topics/") && $0.contains(" durable ") }
    #expect(storage.count > 100 && durable == (policy == .always))
  }

  /// The same engine on a plain folder: what it does does not depend on where it is. With other sectors its batches lie
  /// elsewhere.
  @Test(.enabled(if: DirectIO.blockSize(inDirectory: "/tmp") == 512, "/tmp has no sectors of 512 bytes for O_DIRECT"))
  func aPlainFolderSeesTheSame() throws {
    let scratch = Scratch()
    let plain = try Self.recorded(in: scratch.path, .always)
    #expect(Self.difference(plain, try Self.both(.always).volume) == nil)
  }

  /// What one operation is changed into, below what the storage layer records.
  enum Change: CaseIterable {
    case byte, place, durability, scope, syncLeftOut, directoryLeftOut, truncation, unlinkLeftOut

    var kind: String {
      switch self {
      case .byte, .place, .durability: "write"
      case .scope, .syncLeftOut: "fsync"
      case .directoryLeftOut: "sync directory"
      case .truncation: "truncate"
      case .unlinkLeftOut: "unlink"
      }
    }
  }

  /// One operation that is not as it was before is seen, and named.
  @Test(arguments: Change.allCases) func oneOperationThatDiffersIsSeen(_ change: Change) throws {
    let (storage, volume) = try Self.both(.always) { OneOperationChanged($0, change) }
    let difference = try #require(Self.difference(storage, volume))
    #expect(difference.contains("'\(change.kind) "), "\(difference)")
  }
}

/// Changes one operation on a partition's log.
private final class OneOperationChanged: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private let change: TraceTests.Change
  private var isDone = false

  init(_ base: any Storage, _ change: TraceTests.Change) {
    self.change = change
    super.init(base)
  }

  /// Whether this is the one.
  private func isIt(_ changes: TraceTests.Change..., on path: String) -> Bool {
    guard !isDone, changes.contains(change), path.hasPrefix("topics/orders/") else { return false }
    isDone = true
    return true
  }

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    guard durability == .durable, isIt(.byte, .place, .durability, on: paths[file]) else {
      return try await super.write(file, at: offset, from: buffer, range, durability)
    }
    let copy = makeBuffer(capacity: range.count)
    copy.mutableBytes(0..<range.count).copyMemory(from: buffer[range])
    if change == .byte { copy.mutableBytes(0..<range.count)[range.count - 1] ^= 1 }
    return try await super.write(
      file, at: offset + (change == .place ? 512 : 0), from: copy, 0..<range.count,
      change == .durability ? .volatile : durability)
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    guard scope == .all, isIt(.scope, .syncLeftOut, on: paths[file]) else { return try await super.sync(file, scope) }
    if change == .scope { try await super.sync(file, .data) }
  }

  override func syncDirectory(_ path: String) async throws(StorageError) {
    if !isIt(.directoryLeftOut, on: path) { try await super.syncDirectory(path) }
  }

  override func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    try await super.truncate(file, to: isIt(.truncation, on: paths[file]) ? size + 8 : size)
  }

  override func unlink(_ path: String) async throws(StorageError) {
    if !isIt(.unlinkLeftOut, on: path) { try await super.unlink(path) }
  }
}
