import Foundation
import Glibc
import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// Whose time, and whose failure, an operation on real files is.
@Suite(.serialized) struct SeamMeterTests {
  /// Below the meter: the device.
  private func measure(
    _ device: @escaping (EventLoop) async -> Void
  ) throws -> (delay: Duration, wall: Duration) {
    let scratch = try TrialScratch()
    let journal = try Journal(path: scratch.folder.journal, capacity: 1)
    journal.beginLife()
    let loop = EventLoop()
    let base = Meddling(try StorageChoice.posix.openFiles(root: scratch.folder.data, loop: loop))
    nonisolated(unsafe) let device = device
    base.onPass = { (call, _) async throws(StorageError) in
      if call.kind == .write { await device(loop) }
    }
    let meter = LatencyMeter(base, journal)
    let wall = loop.run { () -> Duration in
      do {
        let file = try await meter.open("file", [.write, .create])
        let start = loop.now
        _ = try await meter.write(file, at: 0, from: meter.makeBuffer(capacity: 512), 0..<512, .volatile)
        return loop.now - start
      } catch {
        Issue.record(error)
        return .zero
      }
    }.value
    return (journal.deviceDelay, try #require(wall))
  }

  private static func processorTime() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .nanoseconds(Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  /// Finding 14: an engine that computed while a write was in flight earned itself a wider loss window.
  @Test func `an engine that computes does not slow the device`() throws {
    let burned = Duration.milliseconds(300)
    let (delay, wall) = try measure { loop in
      // The engine, on the loop that would notice the completion.
      loop.spawn {
        let start = Self.processorTime()
        while Self.processorTime() - start < burned {}
      }
      await loop.nextTurn()
      await loop.nextTurn()
    }
    // Others may have had the processor meanwhile: that is no computing of the engine's.
    #expect(wall >= burned && delay <= wall - burned + .milliseconds(1), "\(delay) of \(wall)")
  }

  @Test func `a device that stalls is slow`() throws {
    let (delay, wall) = try measure { loop in await loop.sleep(until: loop.now + .milliseconds(120)) }
    #expect(delay >= .milliseconds(110) && delay <= wall, "\(delay) of \(wall)")
  }

  /// A starved machine: the sync timer of an engine fires late, and no operation is in flight that would be seen to be
  /// slow.
  @Test(arguments: [SyncPolicy.interval(.milliseconds(100)), .always])
  func `a thread without a processor is late without a slow device`(sync: SyncPolicy) throws {
    let scratch = try TrialScratch()
    let journal = try Journal(path: scratch.folder.journal, capacity: 1)
    journal.beginLife()
    let end = ContinuousClock.now + .milliseconds(400)
    let measured = Thread {
      let loop = EventLoop()
      guard let base = try? StorageChoice.posix.openFiles(root: scratch.folder.data, loop: loop) else { return }
      let meter = LatencyMeter(base, journal, sync: sync)
      _ = loop.run {
        do {
          let file = try await meter.open("file", [.write, .create])
          _ = try await meter.write(file, at: 0, from: meter.makeBuffer(capacity: 512), 0..<512, .volatile)
          // Ready to run all the time, on a processor that another thread has.
          while ContinuousClock.now < end {}
          journal.beginLife()
          meter.noteInFlight()
        } catch { Issue.record(error) }
      }
    }
    let rivals = (0..<8 * ProcessInfo.processInfo.activeProcessorCount).map { _ in
      Thread { while ContinuousClock.now < end {} }
    }
    for thread in rivals + [measured] { thread.start() }
    while !(rivals + [measured]).allSatisfy(\.isFinished) { usleep(10_000) }
    let delay = journal.deviceDelay
    #expect(sync == .always ? delay < .milliseconds(20) : delay > .milliseconds(100), "\(delay)")
  }

  @Test func `an operation that the crash finds in flight counts`() throws {
    let scratch = try TrialScratch()
    let journal = try Journal(path: scratch.folder.journal, capacity: 1)
    journal.beginLife()
    let loop = EventLoop()
    let base = Meddling(try StorageChoice.posix.openFiles(root: scratch.folder.data, loop: loop))
    base.onPass = { (call, _) async throws(StorageError) in
      if call.kind == .sync { await loop.sleep(until: loop.now + .seconds(60)) }
    }
    let meter = LatencyMeter(base, journal)
    _ = loop.run { () async -> Void in
      do {
        let file = try await meter.open("file", [.write, .create])
        loop.spawn { do { try await meter.sync(file, .data) } catch { Issue.record(error) } }
        await loop.sleep(until: loop.now + .milliseconds(80))
        meter.noteInFlight()
      } catch { Issue.record(error) }
    }
    #expect(journal.deviceDelay >= .milliseconds(60))
  }

  // MARK: In virtual time

  private func judge(
    _ sync: String, seed: UInt64 = 42, faults: [FaultSpec] = [], below: @escaping StorageLayer = { $0 },
    change: (inout TrialSpec) -> Void = { _ in }
  ) throws -> Judgement {
    let scratch = try TrialScratch()
    var spec = spec(
      messages: 20, partitions: 2, sync: sync, crash: .powerLoss, storage: .memory, seed: seed, faults: faults)
    change(&spec)
    return try #require(try SimulatedTrial(spec, scratch.folder, between: below).run().judgement)
  }

  /// The model's own sync takes up to 2 ms: a window of 1 ms was too much to ask, and a sound log was accused.
  @Test(arguments: ["interval(1ms)", "interval(2ms)"])
  func `a window that is narrower than the model's sync accuses nobody`(sync: String) throws {
    for seed in 0..<40 as Range<UInt64> {
      let judgement = try judge(sync, seed: seed)
      #expect(judgement.verdict == .held, "\(seed): \(judgement.checks.filter { $0.verdict != .held })")
    }
  }

  /// A stall lay above the meter, and a sync that took 300 ms counted as none.
  @Test func `a stalled sync is a slow device`() throws {
    let stalls = [
      FaultSpec(
        kind: "stall",
        parameters: ["delay": "300ms", "lasting": "sticky", "on": "sync", "phase": "produce", "target": "segment"]),
      FaultSpec(
        kind: "stall",
        parameters: [
          "delay": "10ms", "every": "2", "lasting": "sticky", "on": "write", "phase": "produce", "target": "batch",
        ]),
    ]
    for seed in 0..<10 as Range<UInt64> {
      let judgement = try judge(
        "interval(20ms)", seed: seed, faults: stalls,
        change: { spec in
          (spec.messages, spec.partitions, spec.batch, spec.producers, spec.crashAt) = (400, 1, 1, 4, .percent(60))
        })
      #expect(judgement.verdict == .held, "\(seed): \(judgement.checks.filter { $0.verdict != .held })")
    }
  }

  /// Syncs no log, and says that it has.
  private final class Unsynced: StorageWrapper, @unchecked Sendable {
    // Owned by the base's loop.
    override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
      if !paths[file].hasPrefix("topics/") { try await super.sync(file, scope) }
    }
  }

  /// The window is wider by what the device takes, and no more: an idle tail that is never synced stands outside of it.
  @Test(arguments: ["interval(1ms)", "interval(2ms)"])
  func `a log that is never synced is found all the same`(sync: String) throws {
    for seed in 0..<10 as Range<UInt64> {
      let judgement = try judge(sync, seed: seed, below: { Unsynced($0) }, change: { $0.messages = 2000 })
      #expect(
        judgement[.lossWindow]?.verdict == .violated, "\(seed): \(judgement.checks.filter { $0.verdict != .held })")
    }
  }

  /// Finding 17: a leak of descriptors ended the whole run as a failure of the machine.
  @Test(arguments: [
    (ENOSPC, false, 1, InFlightMonitor.Blame.machine), (ENOSPC, true, 1, .machine), (EDQUOT, false, 1, .shortage),
    (EROFS, false, 1, .machine), (EACCES, false, 1, .machine), (EPERM, false, 1, .machine),
    (EIO, false, 1, .machine), (EIO, true, 1, .engine),
    (EMFILE, false, 10, .shortage), (EMFILE, false, 1000, .engine),
    (ENFILE, false, 1, .shortage), (ENOMEM, false, 1, .shortage), (EFBIG, false, 1, .shortage),
    (EAGAIN, false, 1, .shortage),
    (ENOBUFS, true, 1, .shortage), (ECANCELED, false, 1, .shortage),
    (ENOENT, false, 1, .engine), (EBADF, false, 1, .engine),
  ])
  func whoseFailureItIs(code: Int32, hasFaults: Bool, openFiles: Int, blame: InFlightMonitor.Blame) {
    let error = StorageError(errno: code, .open, "file")
    #expect(InFlightMonitor.blame(error, hasFaults: hasFaults, openFiles: openFiles, partitions: 3) == blame)
  }

  /// A write behind all that the trial can have written is no limit's doing, and a lock that somebody has is none
  /// either.
  @Test(arguments: [(Int64(1 << 20), InFlightMonitor.Blame.shortage), ((1 << 20) + 1, .engine), (1 << 60, .engine)])
  func `a file that may not grow`(offset: Int64, blame: InFlightMonitor.Blame) {
    let error = StorageError(errno: EFBIG, .write, "file", offset: offset)
    #expect(InFlightMonitor.blame(error, hasFaults: false, openFiles: 1, partitions: 1, mostBytes: 1 << 20) == blame)
    let lock = StorageError(errno: EAGAIN, .lock, "file")
    #expect(InFlightMonitor.blame(lock, hasFaults: false, openFiles: 1, partitions: 1) == .engine)
  }

  @Test func `power that a trial cuts is nobody's failure`() {
    let error = StorageError(.powerLost, .write, "file")
    #expect(InFlightMonitor.blame(error, hasFaults: false, openFiles: 1, partitions: 1) == .engine)
  }
}
