import EventReceivers
import LogModel
import Storage
import Testing

@testable import RecordLogs

/// A worker's machine: one disk, one life after another.
struct Worker: Sendable {
  let disk: MemoryDisk

  init(seed: UInt64 = 1) { disk = MemoryDisk(seed: seed) }

  struct Hung: Error { var ending: EventLoop.Ending }

  @discardableResult
  func live<Value: Sendable>(
    seed: UInt64 = 1, latency: MemoryLatency = .disk, startingAt start: Instant = Instant(nanoseconds: 0),
    receiver: ModelReceiver? = nil, wrap: (any Storage) -> any Storage = { $0 },
    _ body: @escaping @Sendable (any Storage, WallClock) async throws -> Value
  ) throws -> Value {
    let loop = EventLoop(simulatedWithSeed: seed, startingAt: start)
    let storage = wrap(MemoryStorage(disk: disk, loop: loop, latency: latency))
    receiver?.loop = loop
    let result = loop.run(limit: .seconds(200 * 86_400)) { () async -> Result<Value, any Error> in
      do {
        for folder in ["wal", "archive"] { try await storage.makeDirectory(folder) }
        try await storage.syncDirectory("")
        return .success(try await body(storage, .following(loop)))
      } catch { return .failure(error) }
    }
    guard result.ending == .finished, let value = result.value else { throw Hung(ending: result.ending) }
    return try value.get()
  }

  static func payload(_ n: Int64) -> [UInt8] { Array("event \(n) \(String(repeating: "x", count: Int(n % 50)))".utf8) }
}
