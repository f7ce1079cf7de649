import Foundation
import LogModel
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// A storage to run the same test on: real files in a temporary folder, or the model.
struct Machine: Sendable {
  var choice: StorageChoice
  let folder: String
  let disk: MemoryDisk

  /// The same machine on another disk.
  init(_ choice: StorageChoice, disk: MemoryDisk) throws {
    (self.choice, self.disk, folder) = (choice, disk, "")
  }

  init(_ choice: StorageChoice, seed: UInt64 = 1) throws {
    self.choice = choice
    folder = FileManager.default.temporaryDirectory.path + "/tornlog-test-\(UUID().uuidString)"
    if choice != .memory { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
    disk = MemoryDisk(seed: seed)
  }

  func remove() { try? FileManager.default.removeItem(atPath: folder) }

  /// One life of the machine.
  func boot<Value: Sendable>(
    seed: UInt64 = 1, limit: Duration = .seconds(60), _ body: @escaping @Sendable (any Storage) async throws -> Value
  ) throws -> Value {
    let loop = choice == .memory ? EventLoop(simulatedWithSeed: seed) : EventLoop()
    let storage: any Storage =
      choice == .memory ? MemoryStorage(disk: disk, loop: loop) : try choice.openFiles(root: folder, loop: loop)
    let result = loop.run(limit: limit) { () async -> Result<Value, any Error> in
      do { return .success(try await body(storage)) } catch { return .failure(error) }
    }
    try #require(result.ending == .finished)
    return try result.value!.get()
  }
}

func consumeAll(_ engine: PartitionEngine, _ topic: String, _ partition: PartitionID) async throws -> [[UInt8]] {
  let response = FetchResponse()
  var values: [[UInt8]] = []
  var at = try engine.watermarks(topic, partition).logStartOffset
  let end = try engine.watermarks(topic, partition).highWatermark
  while at < end {
    try await engine.fetch(topic, partition, from: at, maxBytes: 64 << 10, into: response)
    guard !response.isEmpty else { break }
    response.forEachRecord { values.append(Array($0.value)) }
    at = response.nextOffset
  }
  return values
}

@Suite struct RoundTripTests {
  @Test(arguments: [StorageChoice.ring, .posix, .memory], [SyncPolicy.always, .interval(.milliseconds(20)), .never])
  func everythingIsBackAfterACleanRestart(choice: StorageChoice, policy: SyncPolicy) throws {
    let machine = try Machine(choice)
    defer { machine.remove() }
    let configuration = EngineConfiguration(log: LogConfiguration(syncPolicy: policy, segmentBytes: 128 << 10))
    let count = 400
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("orders", partitions: 2)
      await withTaskGroup(of: Void.self) { group in
        for producer in 0..<4 {
          group.addTask(executorPreference: storage.loop) {
            for n in stride(from: producer, to: count, by: 4) {
              let bytes = [UInt8](repeating: UInt8(n % 251), count: 1000 + n % 7)
              do {
                _ = try await engine.produce(
                  to: "orders", PartitionID(n % 2), recordCount: 1, payloadBytes: bytes.count
                ) { writer in bytes.withUnsafeBytes { writer.append(value: $0) } }
              } catch { Issue.record("\(error)") }
            }
          }
        }
      }
      for p in 0..<2 {
        let live = try await consumeAll(engine, "orders", PartitionID(p))
        #expect(live.count == count / 2)
      }
      try await engine.commitOffset(group: "g", "orders", 1, 17)
      try await engine.close()
    }
    try machine.boot(seed: 2) { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      #expect(engine.topics == [Topic(name: "orders", partitions: 2)])
      #expect(recovery.partitions.allSatisfy { $0.damage.isEmpty })
      for p in 0..<2 {
        let marks = try engine.watermarks("orders", PartitionID(p))
        #expect(marks.highWatermark == Offset(count / 2) && marks.logEndOffset == Offset(count / 2))
        let values = try await consumeAll(engine, "orders", PartitionID(p))
        #expect(values.count == count / 2)
        #expect(Set(values.map { $0[0] }).isSubset(of: Set((0..<count).filter { $0 % 2 == p }.map { UInt8($0 % 251) })))
      }
      #expect(try engine.committedOffset(group: "g", "orders", 1) == 17)
      #expect(try engine.segmentBases("orders", 0).count >= 2)
      try await engine.close()
    }
  }
}
