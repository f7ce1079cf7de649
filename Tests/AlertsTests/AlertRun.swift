import EventReceivers
import LogModel
import Metrics
import RecordLogs
import Storage
import Testing
import Trials

/// A worker with job logs on a model disk, in virtual time, whose metrics are scraped.
struct AlertRun: Sendable {
  let disk: MemoryDisk
  let registry = MetricRegistry()
  let metrics: DeliveryMetrics
  let room: DiskMetrics
  let receiver = ModelReceiver()
  let series = MetricSeries()
  let slowness = Slowness()

  init(capacity: Int64? = nil) {
    disk = MemoryDisk(seed: 1, capacity: capacity)
    metrics = DeliveryMetrics(in: registry)
    room = DiskMetrics(in: registry)
  }

  struct Hung: Error { var ending: EventLoop.Ending }

  /// Runs `body` and scrapes until so many minutes have passed.
  func run(minutes: Int, _ body: @escaping @Sendable (any Storage, EventLoop) async throws -> Void) throws {
    let loop = EventLoop(simulatedWithSeed: 1)
    let storage = SlowStorage(MemoryStorage(disk: disk, loop: loop, latency: .disk), slowness)
    receiver.loop = loop
    let result = loop.run(limit: .seconds(86_400)) { () async -> (any Error)? in
      do {
        for folder in ["wal", "archive"] { try await storage.makeDirectory(folder) }
        try await storage.syncDirectory("")
        series.begin(registry, loop) {
          guard let capacity = disk.capacity else { return }
          room.total.set(capacity)
          room.free.set(capacity - disk.usedBytes)
        }
        try await body(storage, loop)
        await loop.sleep(until: Instant(nanoseconds: 0) + .seconds(minutes * 60))
        series.end()
        return nil
      } catch { return error }
    }
    guard result.ending == .finished, let failure = result.value else { throw Hung(ending: result.ending) }
    if let failure { throw failure }
  }

  func open(_ name: String, _ storage: any Storage) async throws -> (log: JobLog, sender: Sender) {
    let (log, _) = try await JobLog.open(
      try JobID(name), in: "wal", of: storage, clock: .following(storage.loop), metrics: metrics)
    let sender = Sender(log, over: receiver, seed: UInt64(stableSeed(name)))
    sender.start()
    return (log, sender)
  }

  private func stableSeed(_ name: String) -> UInt32 { name.utf8.reduce(7) { $0 &* 31 &+ UInt32($1) } }

  static func minute(_ n: Int) -> Instant { Instant(nanoseconds: 0) + .seconds(60 * n) }
}

/// How much longer than usual each sync takes.
final class Slowness: @unchecked Sendable {
  // Touched on the loop of a run.
  var extra = Duration.zero
}

/// A disk that is slow at times.
final class SlowStorage: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.
  private let slowness: Slowness

  init(_ base: any Storage, _ slowness: Slowness) {
    self.slowness = slowness
    super.init(base)
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    if slowness.extra > .zero { await loop.sleep(until: loop.now + slowness.extra) }
    try await super.sync(file, scope)
  }
}
