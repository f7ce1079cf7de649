import EngineAdapter
import LogModel
import Storage
import SystemUnderTest
import Verification

/// What follows a life that is over: a crash, and two restarts without errors, each with a readback of everything, and
/// an append to every partition after the first.
final class RestartSequence: @unchecked Sendable {
  // Owned by one worker.

  private let ground: ErrorFixture
  private let disk: MemoryDisk
  private let book: HistoryRecorder
  private var hasEnded = false

  init(_ ground: ErrorFixture, _ disk: MemoryDisk, _ book: HistoryRecorder) {
    self.ground = ground
    self.disk = disk
    self.book = book
  }

  /// Ends the life that runs.
  /// - Parameters:
  ///   - slow: what the device has kept waiting in it.
  ///   - profile: what becomes of what no sync has covered, after a power loss.
  ///   - seed: for the profile's choices, and for what was in flight.
  func crash(
    _ kind: CrashKind, _ slow: SlowOperations, profile: PersistenceProfile = .dropUnsynced, seed: UInt64 = 0
  ) {
    book.crash(kind, at: book.now, slow)
    let seed = mix64(seed &+ UInt64(book.history.crashes.count))
    _ = kind == .powerLoss ? disk.powerLoss(seed: seed, profile: profile) : disk.processKill(seed: seed)
  }

  func run() {
    for number in 1...2 {
      let slow = restart(number)
      guard hasEnded else { break }
      crash(.powerLoss, slow)
      book.drain()
    }
  }

  /// - Returns: what the device has kept waiting.
  private func restart(_ number: Int) -> SlowOperations {
    let loop = EventLoop(
      simulatedWithSeed: ground.scenario.workload.seed &+ UInt64(number), startingAt: book.end + .seconds(10))
    book.begin(loop)
    let meter = StorageMonitor(MemoryStorage(disk: disk, loop: loop), limit: ErrorRun.mostOperations)
    let storage = ground.subject.layer(meter)
    hasEnded = false
    let ending = loop.run(limit: ErrorRun.limit) { [self] in await life(storage, meter, number) }.ending
    if meter.isExhausted || ending != .finished {
      book.checks.append(CheckResult(.noHang, .violated, "restart \(number) never ends: \(ending)"))
    }
    return meter.slow
  }

  private func life(_ storage: any Storage, _ machine: any Storage, _ number: Int) async {
    let log: TestedLog
    let recovery: RecoverySummary
    do throws(LogFailure) {
      (log, recovery) = try await EngineFactory(storage, ground.configuration, parts: ground.parts(on: machine)).open()
    } catch {
      book.checks.append(
        CheckResult(.recoveryCompletes, .violated, "the engine must open at restart \(number), found: \(error)"))
      return
    }
    book.opened(log)
    book.note(await book.readback(log, recovery))
    if number == 1 {
      if await book.createTopic(log, attempts: 1) {
        for partition in 0..<book.workload.partitions { await book.produce(log, partition, producer: 0, count: 1) }
      } else {
        book.checks.append(
          CheckResult(.appendAfterRecovery, .violated, "the topic cannot be created after the restart"))
      }
      await book.flush(log)
      // An idle tail is synced too.
      await book.loop?.sleep(until: book.now + .seconds(1))
    }
    hasEnded = true
  }
}
