import FaultInjection
import Glibc
import LogModel
import Storage
import Testing
import TriggeredStorage

@testable import RecordLogs

/// A format as the tests use it: a record that carries a message and nothing else of interest.
protocol TestFormat: RecordCodec {
  static func carry(_ message: UnsafeRawBufferPointer) -> Record
  static func message(_ record: Record) -> UnsafeRawBufferPointer
}

extension StreamhouseCodec: TestFormat {
  static func carry(_ message: UnsafeRawBufferPointer) -> Record { Record(timestamp: 1, key: .none, value: message) }
  static func message(_ record: Record) -> UnsafeRawBufferPointer { record.value }
}

extension AirunnerCodec: TestFormat {
  static func carry(_ message: UnsafeRawBufferPointer) -> Record {
    Record(sequence: 1, status: .pending, timestamp: 1, payload: message)
  }
  static func message(_ record: Record) -> UnsafeRawBufferPointer { record.payload }
}

extension ChronikV1Codec: TestFormat {
  static func carry(_ message: UnsafeRawBufferPointer) -> Record {
    Record(offset: 1, timestamp: 1, key: nil, value: message)
  }
  static func message(_ record: Record) -> UnsafeRawBufferPointer { record.value }
}

extension ChronikV2Codec: TestFormat {
  static func carry(_ message: UnsafeRawBufferPointer) -> Record {
    Record(topic: .none, partition: 0, data: message, baseOffset: 0, lastOffset: 0, recordCount: 1)
  }
  static func message(_ record: Record) -> UnsafeRawBufferPointer { record.data }
}

extension ReplayCodec: TestFormat {
  static func carry(_ message: UnsafeRawBufferPointer) -> Record {
    Record(transaction: 1, timestamp: 1, user: .none, operation: .addMeasurement, payload: message)
  }
  static func message(_ record: Record) -> UnsafeRawBufferPointer { record.payload }
}

/// One log on a model disk, one life after another.
struct RecordHarness<Format: TestFormat>: Sendable {
  let disk: MemoryDisk
  var policy: RecordLogPolicy

  init(
    seed: UInt64 = 1, sync: SyncPolicy = .always, recovery: RecoveryPolicy = .skipCorrupted,
    rotation: RecordLogPolicy.Rotation? = nil
  ) {
    disk = MemoryDisk(seed: seed)
    policy = RecordLogPolicy(
      syncPolicy: sync, recoveryPolicy: recovery, largestRecord: 16 << 10, commitBytes: 16 << 10, rotation: rotation)
  }

  init(copying other: RecordHarness, disk: MemoryDisk) {
    self.disk = disk
    policy = other.policy
  }

  struct Hung: Error { var ending: EventLoop.Ending }

  struct Found: Sendable {
    var report: RecordRecoveryReport
    /// The messages in the order of the log, -1 for wrong bytes, and where each stands.
    var messages: [Int] = []
    var positions: [RecordPosition] = []
  }

  /// Boots a machine, opens the log and runs `body`. `arm` may put triggers on the storage interface first.
  @discardableResult
  func live<Value: Sendable>(
    seed: UInt64 = 1, latency: MemoryLatency = .disk, startingAt start: Instant = Instant(nanoseconds: 0),
    plan: FaultPlan = FaultPlan(), arm: (TriggeredStorage) -> Void = { _ in },
    _ body: @escaping @Sendable (RecordLog<Format>, Found, any Storage) async throws -> Value
  ) throws -> Value {
    let loop = EventLoop(simulatedWithSeed: seed, startingAt: start)
    let storage = TriggeredStorage(FaultyStorage(MemoryStorage(disk: disk, loop: loop, latency: latency), plan: plan))
    arm(storage)
    let policy = policy
    let result = loop.run(limit: .seconds(3600)) { () async -> Result<Value, any Error> in
      do {
        try await storage.makeDirectory("log")
        try await storage.syncDirectory("")
        let content = Self.content
        let found = Box(Found(report: RecordRecoveryReport()))
        let (log, report) = try await RecordLog<Format>.open("jobs", in: "log", of: storage, policy) {
          position, record in
          var message = -1
          if case .intact(let n) = content.read(Format.message(record)) { message = Int(n) }
          found.value.messages.append(message)
          found.value.positions.append(position)
        }
        found.value.report = report
        return .success(try await body(log, found.value, storage))
      } catch {
        return .failure(error)
      }
    }
    guard result.ending == .finished, let value = result.value else { throw Hung(ending: result.ending) }
    return try value.get()
  }

  /// What the log holds, for one who opens and closes it.
  func readback(seed: UInt64 = 1, latency: MemoryLatency = .disk, startingAt start: Instant = Instant(nanoseconds: 0))
    throws -> Found
  {
    try live(seed: seed, latency: latency, startingAt: start) { log, found, _ in
      try await log.close()
      return found
    }
  }

  static var content: MessageContent { MessageContent(seed: 1, topic: "jobs", partition: 0) }
}

/// Touched on one loop.
final class Box<Value>: @unchecked Sendable {
  var value: Value
  init(_ value: Value) { self.value = value }
}

extension RecordLog where Codec: TestFormat {
  /// Appends message `n` as a record of its own.
  @discardableResult
  func append(message n: Int, size: Int = 100) async throws(RecordLogError) -> RecordPosition {
    var bytes = [UInt8](repeating: 0, count: size)
    bytes.withUnsafeMutableBytes { RecordHarness<Codec>.content.write(sequence: UInt64(n), into: $0) }
    let length = bytes.withUnsafeBytes { Codec.length(of: Codec.carry($0)) }
    return try await append(length: length) { target in
      bytes.withUnsafeBytes { Codec.write(Codec.carry($0), to: target) }
    }
  }
}
