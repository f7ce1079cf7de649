import EngineAdapter
import FaultInjection
import LogModel
import Storage
import SystemUnderTest
import Verification

/// What one case of the matrix came to.
struct ErrorRunResult: Sendable {
  var firings = Firings()
  /// By planned fault.
  var unfired: [Int] = []
  var judgement = StateJudgement(verdict: .unknown, check: nil)
  /// The engine opened under the error, and an append was accepted once it was over.
  var opened = false
  var wentOn = false
}

/// One story: a life under errors on a given disk, then a life without, then another; the power goes in between. The
/// oracle judges the readbacks of all of them.
///
/// Expected is that nothing acknowledged is lost and nothing wrong served; that the life under errors comes to an end,
/// whether the engine goes on or refuses; that the next one opens, and that what it appends survives.
final class ErrorRun: @unchecked Sendable {
  // Owned by one worker.

  /// Operations of one life: no sound engine needs so many here, those that wait for a device retry 100 times.
  static let mostOperations = 60_000
  /// Virtual time of one life.
  static let limit = Duration.seconds(120)
  /// The same on a device that never answers again.
  static let stuckLimit = Duration.seconds(5)
  private let scenario: ErrorScenario
  private let restarts: RestartSequence
  private let ground: ErrorFixture
  private let subject: EngineUnderTest
  private let watch: FaultHitRecorder
  private let disk: MemoryDisk
  private let book: HistoryRecorder
  private var result = ErrorRunResult()
  private var meter: StorageMonitor?
  private var planned: [PlannedFault] = []
  private var faulty: FaultyStorage?
  private var isCut = false

  init(_ ground: ErrorFixture, _ watch: FaultHitRecorder) {
    self.ground = ground
    scenario = ground.scenario
    subject = ground.subject
    self.watch = watch
    disk = ground.disk.snapshot()
    book = HistoryRecorder(copying: ground.book)
    restarts = RestartSequence(ground, disk, book)
  }

  func run(_ faults: [PlannedFault]) -> ErrorRunResult {
    let incarnation = book.history.crashes.count
    live(faults)
    // What an earlier policy has left volatile is lost by a power cut as long as nobody has opened it without errors.
    if !isCut {
      restarts.crash(scenario.earlierPolicy == nil ? .powerLoss : .processKill, meter?.slow ?? SlowOperations())
    }
    faulty?.cut()
    book.drain()
    faulty = nil
    restarts.run()
    var contract = Contract(
      sync: scenario.earlierPolicy ?? scenario.workload.syncPolicy, laterSync: scenario.workload.syncPolicy,
      recovery: scenario.recovery)
    contract.refusals.note(wholeOf: incarnation)
    result.judgement = book.judge(contract)
    result.firings = watch.firings
    return result
  }

  // MARK: The life under errors

  private func live(_ faults: [PlannedFault]) {
    planned = faults
    let loop = EventLoop(simulatedWithSeed: scenario.workload.seed, startingAt: book.end + .seconds(1))
    book.begin(loop)
    let machine = MemoryStorage(disk: disk, loop: loop)
    let faulty = FaultyStorage(
      machine, plan: FaultPlan(faults, seed: scenario.workload.seed), unreadable: ground.unreadable,
      // Held, the story and its whole disk would hold themselves for ever: it holds the storage by its meter.
      onFired: { [weak self] in self?.fired($0) })
    self.faulty = faulty
    let meter = StorageMonitor(faulty, limit: Self.mostOperations) { [watch] call, number, site in
      watch.ended(call, number, from: site)
    }
    self.meter = meter
    let storage = subject.layer(meter)
    if scenario.course == .cut { book.onCommitted = { [weak self] in self?.cut() } }
    // Of a device that never answers nobody expects the end of anything.
    let isStuck = faults.contains { $0.fault == .stall(nil) }
    let ending = loop.run(limit: isStuck ? Self.stuckLimit : Self.limit) { [self] in await body(storage) }.ending
    book.onCommitted = nil
    result.unfired = faulty.unfired
    if meter.isExhausted {
      hang("more than \(Self.mostOperations) operations")
    } else if ending != .finished, !isStuck, !isCut {
      hang("\(ending)")
    }
  }

  /// The power goes while the life is at work.
  private func cut() {
    guard !isCut, watch.firings.count > 0 else { return }
    isCut = true
    restarts.crash(.powerLoss, meter?.slow ?? SlowOperations())
  }

  /// What may be lost of the last acknowledgements; a slow device widens it (Verification/Contract.swift, note 5). A
  /// cut that came within it would excuse an engine that has stopped syncing.
  private var lossWindow: Duration {
    guard case .interval(let window) = scenario.workload.syncPolicy else { return .zero }
    return window + max(.zero, (meter?.slow.longest ?? .zero) - window / 2) * 2
  }

  private func hang(_ how: String) {
    book.checks.append(CheckResult(.noHang, .violated, "the life under the error never ends: \(how)"))
  }

  private func lasts(_ receipt: StorageFaultReceipt) -> Bool {
    planned.indices.contains(receipt.planned) && planned[receipt.planned].lasting != .once
  }

  private func fired(_ receipt: StorageFaultReceipt) {
    watch.fired(receipt)
    let lost = book.destroyed(by: receipt, on: disk, givesUp: lasts(receipt))
    guard lost.isFailedSync else { return note(lost, receipt) }
    // Whose answer is on its way has been acknowledged, though nobody has read that yet.
    book.loop?.spawn { [weak self] in self?.note(lost, receipt) }
  }

  private func note(_ lost: HistoryRecorder.Destroyed, _ receipt: StorageFaultReceipt) {
    for damage in book.damages(of: receipt, lost) { book.damage(damage) }
  }

  private func body(_ storage: any Storage) async {
    guard let (log, recovery) = await open(storage) else { return }  // refused twice: after the fault it must open
    result.opened = true
    book.opened(log)
    if scenario.recovery == .truncateAtCorruption {
      // What recovery has cut is reported before its offsets are given again.
      faulty?.lift()
      book.note(await book.readback(log, recovery))
    }
    if await book.createTopic(log, attempts: 3) {
      if scenario.course == .cut { return await produce(log, 0..<scenario.workload.requests) }
      await produce(log, 0..<scenario.workload.requests / 2)
      for partition in 0..<scenario.workload.partitions { await book.commit(log, partition) }
      await book.commit(log, 0, group: 1, half: false)
      await book.tryFlush(log)
      faulty?.freeSpace()
      await produce(log, scenario.workload.requests / 2..<scenario.workload.requests)
      await book.tryFlush(log)
      await readThrough(log)
      if scenario.trims { await book.trim(log, 0) }
      await book.tryFlush(log)
    }
    switch scenario.course {
    case .work:
      faulty?.lift()
      await book.createTopic(log, attempts: 1)
      if !book.history.creations.isEmpty, book.history.creations[0].outcome == .acknowledged {
        result.wentOn = await goOn(log)
      }
      if scenario.recovery == .skipCorrupted { book.note(await book.readback(log, recovery)) }
      // An idle tail is synced too.
      await book.loop?.sleep(until: book.now + lossWindow + .seconds(1))
    case .close:
      // What it throws is an answer; what it was to make durable is owed by the policy all the same.
      do throws(LogFailure) { try await log.close() } catch {}
    case .cut: break  // it has no topic
    }
  }

  /// Appends to each partition once the fault has been lifted. A refusal may be the fault's last word; the third one is
  /// the engine's: nothing stands in its way any more. (Logs of other systems take nothing more after a failed sync,
  /// until they are opened anew.)
  /// - Returns: whether the first append to each was accepted.
  private func goOn(_ log: TestedLog) async -> Bool {
    var wentOn = true
    for partition in 0..<scenario.workload.partitions {
      var accepted = 0
      for attempt in 1...3 where accepted == 0 {
        let number = book.history.operations.count
        await book.produce(log, partition, producer: 0, count: 1)
        guard book.history.operations.count > number else { return false }  // the life is over
        if book.history.operations[number].outcome == .acknowledged { accepted = attempt }
        if accepted == 0 { await book.loop?.sleep(until: book.now + .seconds(1)) }
      }
      if accepted != 1 { wentOn = false }
      guard accepted == 0, scenario.workload.system == .tornlog else { continue }
      book.checks.append(
        CheckResult(
          .noUnjustifiedRejection, .violated,
          "once the fault has been lifted partition \(partition) must take appends, found three refused"))
    }
    return wentOn
  }

  /// Whoever is refused tries once more, before the power goes: what the first opening has left half done in the page
  /// cache must not be promised by the second.
  private func open(_ storage: any Storage) async -> (log: TestedLog, recovery: RecoverySummary)? {
    for _ in 0..<2 {
      do throws(LogFailure) {
        return try await EngineFactory(storage, ground.configuration, parts: ground.parts(on: meter ?? storage)).open()
      } catch {
        book.openingFailed()
      }
    }
    return nil
  }

  private func produce(_ log: TestedLog, _ requests: Range<Int>) async {
    guard let loop = book.loop else { return }
    let workload = scenario.workload
    await withTaskGroup(of: Void.self) { group in
      for producer in 0..<workload.producers {
        group.addTask(executorPreference: loop) { [book] in
          for k in stride(from: requests.lowerBound + producer, to: requests.upperBound, by: workload.producers) {
            await book.produce(log, k % workload.partitions, producer: producer, count: workload.messagesPerBatch)
            guard let group = workload.committer(after: k, of: producer) else { continue }
            await book.commit(log, k % workload.partitions, group: group, half: false)
          }
        }
      }
    }
  }

  /// A consumer at work while the fault lasts: its errors are answers, wrong bytes are not.
  private func readThrough(_ log: TestedLog) async {
    let answer = log.newAnswer(capacity: 64 << 10)
    for partition in 0..<scenario.workload.partitions {
      let content = book.content(partition)
      var at: Offset = 0
      for _ in 0..<64 {
        do throws(LogFailure) {
          try await log.fetch(scenario.workload.source(partition), from: at, maxBytes: 4096, into: answer)
          guard answer.nextOffset > at else { break }
          answer.forEachMessage { message in
            guard case .corrupt = content.read(message.value) else { return }
            book.checks.append(
              CheckResult(
                .contentIntact, .violated, "while the error lasts offset \(message.offset) is served with other bytes"))
          }
          at = answer.nextOffset
        } catch {
          if case .damaged(let end) = error.kind { at = max(end, at + 1) } else { at = at + 1 }
        }
      }
    }
  }
}

/// Counts what passes, and cuts off a life that makes operations without end.
final class StorageMonitor: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private let limit: Int
  private let ended: (StorageCall, Int, CallSite?) -> Void
  private(set) var count = 0
  private var slowEnded = SlowOperations()
  private var running: [Int: Instant] = [:]
  /// The writes and syncs that took the longest, with those that have not ended. Others keep nobody from syncing.
  var slow: SlowOperations {
    running.values.reduce(into: slowEnded) { $0.note(SlowOperation(endedAt: loop.now, took: loop.now - $1)) }
  }
  var isExhausted: Bool { count > limit }

  /// - Parameter ended: is told each operation that has ended, with its number from 1 and where it came from. Closing
  ///   is none.
  init(_ base: any Storage, limit: Int, _ ended: @escaping (StorageCall, Int, CallSite?) -> Void = { _, _, _ in }) {
    self.limit = limit
    self.ended = ended
    super.init(base)
  }

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    count += 1
    if isExhausted { throw StorageError(.powerLost, call.kind, call.path) }
    let number = count
    let site = loop.callSite
    loop.callSite = nil
    if call.kind == .write || call.kind == .sync { running[number] = loop.now }
    defer {
      if let start = running.removeValue(forKey: number) {
        slowEnded.note(SlowOperation(endedAt: loop.now, took: loop.now - start))
      }
    }
    do throws(StorageError) {
      let value = try await operation()
      ended(call, number, site)
      // Whoever carries it on starts it from the same place.
      if call.kind == .write, traced(value) < Int64(call.length) { loop.callSite = site }
      return value
    } catch {
      ended(call, number, site)
      loop.callSite = site
      throw error
    }
  }
}
