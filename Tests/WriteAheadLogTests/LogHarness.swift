import FaultInjection
import LogModel
import Storage
import Testing
import TriggeredStorage

@testable import WriteAheadLog

/// One partition's log on a model disk, one life after another.
struct LogHarness: Sendable {
  static let source = TopicPartition("orders", 0)
  let disk: MemoryDisk
  var configuration: LogConfiguration

  init(seed: UInt64 = 1, policy: SyncPolicy = .always, recovery: RecoveryPolicy = .skipCorrupted) {
    disk = MemoryDisk(seed: seed)
    configuration = LogConfiguration(
      syncPolicy: policy, recoveryPolicy: recovery, segmentBytes: 64 << 10, commitBytes: 16 << 10,
      recentBatches: 4, recentBytes: 8 << 10, firstPreallocation: 8 << 10, largestPreallocation: 16 << 10,
      saltSeed: seed)
  }

  /// The same log on another disk.
  init(copying other: LogHarness, disk: MemoryDisk) {
    self.disk = disk
    configuration = other.configuration
  }

  struct Hung: Error { var ending: EventLoop.Ending }

  /// Boots a machine, opens the log and runs `body`. `arm` may put triggers on the storage interface first.
  @discardableResult
  func live<Value: Sendable>(
    seed: UInt64 = 1, latency: MemoryLatency = .disk, startingAt start: Instant = Instant(nanoseconds: 0),
    hints: RecoveryHints = RecoveryHints(), plan: FaultPlan = FaultPlan(), arm: (TriggeredStorage) -> Void = { _ in },
    _ body: @escaping @Sendable (PartitionLog, RecoveryReport, any Storage) async throws -> Value
  ) throws -> Value {
    let loop = EventLoop(simulatedWithSeed: seed, startingAt: start)
    let storage = TriggeredStorage(FaultyStorage(MemoryStorage(disk: disk, loop: loop, latency: latency), plan: plan))
    arm(storage)
    let configuration = configuration
    let result = loop.run(limit: .seconds(3600)) { () async -> Result<Value, any Error> in
      do {
        try await storage.makeDirectory("log")
        try await storage.syncDirectory("")
        let (log, report) = try await PartitionLog.open(
          Self.source, in: "log", of: storage, configuration, hints: hints)
        return .success(try await body(log, report, storage))
      } catch {
        return .failure(error)
      }
    }
    guard result.ending == .finished, let value = result.value else { throw Hung(ending: result.ending) }
    return try value.get()
  }

  static func payload(_ n: Int, size: Int = 200) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    bytes.withUnsafeMutableBytes {
      MessageContent(seed: 1, topic: "orders", partition: 0).write(sequence: UInt64(n), into: $0)
    }
    return bytes
  }
}

extension PartitionLog {
  /// Appends message `n` as a batch of its own.
  func append(message n: Int, size: Int = 200) async throws(LogError) -> Offset {
    let bytes = LogHarness.payload(n, size: size)
    return try await append(recordCount: 1, payloadBytes: bytes.count) { writer in
      bytes.withUnsafeBytes { writer.append(value: $0) }
    }
  }

  /// Everything that a consumer gets: offset and message number, -1 for wrong bytes. Damaged ranges are passed over.
  func consume() async throws -> [(offset: Offset, message: Int)] {
    let content = MessageContent(seed: 1, topic: "orders", partition: 0)
    let response = FetchResponse()
    var found: [(Offset, Int)] = []
    var at = logStartOffset
    while at < highWatermark {
      do {
        try await fetch(from: at, maxBytes: 4096, into: response)
      } catch LogError.damaged(let range) {
        at = max(range.to, at + 1)
        continue
      }
      response.forEachRecord { record in
        if case .intact(let n) = content.read(record.value) {
          found.append((record.offset, Int(n)))
        } else {
          found.append((record.offset, -1))
        }
      }
      #expect(response.nextOffset > at, "no progress at \(at)")
      guard response.nextOffset > at else { break }
      at = response.nextOffset
    }
    return found
  }
}
