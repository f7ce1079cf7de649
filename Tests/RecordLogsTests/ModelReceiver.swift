import LogModel
import Storage
import Testing

@testable import RecordLogs

/// A receiver in virtual time that can be refused by, stalled, cut and crashed. It knows events by (job, sequence) and takes
/// each once. It is another machine: it lives on when the sender's dies.
final class ModelReceiver: Transport, @unchecked Sendable {
  // Touched on one loop at a time.

  enum Mood: Hashable, Sendable {
    case accepts
    /// No connection: nothing arrives.
    case refuses
    /// Never answers; what it got it has.
    case stalls
    /// Takes the batch; its answer is lost.
    case cuts
    /// Takes the batch, says nothing, and loses it in a crash (A9).
    case crashes
    case asksForAPause(Duration?)
    /// Finds this event unacceptable, and with it the batch.
    case rejects(Int64)
  }

  struct Attempt: Hashable {
    var at: Instant
    var sequences: [Int64]
    var mood: Mood
  }

  var loop: EventLoop?
  /// What it is in for now.
  var mood: (Instant, Int) -> Mood = { _, _ in .accepts }
  private(set) var attempts: [Attempt] = []
  private var known: [JobID: SequenceRanges] = [:]
  /// What it has taken, once each, in the order of arrival.
  private(set) var taken: [JobID: [Event]] = [:]
  /// Events that came again.
  private(set) var repeats = 0

  func deliver(_ batch: EventBatch) async -> Delivery {
    guard let loop else { return .unavailable("nobody is there") }
    let mood = mood(loop.now, attempts.count)
    attempts.append(Attempt(at: loop.now, sequences: batch.events.map(\.sequence), mood: mood))
    await loop.sleep(until: loop.now + .milliseconds(2))
    switch mood {
    case .accepts:
      take(batch)
      await loop.sleep(until: loop.now + .milliseconds(2))
      return .accepted
    case .refuses: return .unavailable("connection refused")
    case .stalls:
      take(batch)
      await loop.sleep(until: loop.now + .seconds(3600))
      return .accepted
    case .cuts:
      take(batch)
      return .unavailable("connection reset")
    case .crashes: return .unavailable("connection reset")
    case .asksForAPause(let pause): return .tooManyRequests(retryAfter: pause)
    case .rejects(let sequence):
      if batch.events.contains(where: { $0.sequence == sequence }) { return .refused(status: 422) }
      take(batch)
      return .accepted
    }
  }

  private func take(_ batch: EventBatch) {
    for event in batch.events {
      if known[batch.job, default: SequenceRanges()].insert(event.sequence) {
        taken[batch.job, default: []].append(event)
      } else {
        repeats += 1
      }
    }
  }
}

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
        return .success(try await body(storage, .following(loop, ahead: .seconds(1_700_000_000))))
      } catch { return .failure(error) }
    }
    guard result.ending == .finished, let value = result.value else { throw Hung(ending: result.ending) }
    return try value.get()
  }

  static func payload(_ n: Int64) -> [UInt8] { Array("event \(n) \(String(repeating: "x", count: Int(n % 50)))".utf8) }
}
