import EventReceivers
import FaultInjection
import LogModel
import Metrics
import Storage
import Testing
import TriggeredStorage

@testable import RecordLogs

@Suite struct SenderTests {
  static let job = try! JobID("build-17")

  /// What the receiver has is every event once, in order, with its own bytes.
  static func check(_ receiver: ModelReceiver, _ acknowledged: [Int64], _ title: String = "") {
    let taken = receiver.taken[job, default: []]
    #expect(taken.map(\.sequence) == acknowledged, "\(title): \(taken.count) of \(acknowledged.count)")
    #expect(taken.allSatisfy { $0.payload == Worker.payload($0.sequence) }, "\(title): wrong bytes")
  }

  /// Appends `count` events, one every 50 ms, while a sender is at work; flushes at the end.
  /// - Returns: the numbers of those that were acknowledged, and how many are not sent.
  static func work(
    _ storage: any Storage, _ clock: WallClock, _ receiver: ModelReceiver, count: Int, seed: UInt64,
    policy: SenderPolicy = SenderPolicy(), within limit: Duration = .seconds(600),
    metrics: DeliveryMetrics = DeliveryMetrics()
  ) async throws -> (acknowledged: [Int64], unsent: Int) {
    let (log, _) = try await JobLog.open(job, in: "wal", of: storage, clock: clock, metrics: metrics)
    let sender = Sender(log, over: receiver, policy, seed: seed)
    sender.start()
    var acknowledged: [Int64] = []
    for n in 1...Int64(count) {
      acknowledged.append(try await log.append(Worker.payload(n)))
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(50))
    }
    let unsent = await sender.stop(within: limit)
    #expect(sender.failure == nil)
    try await log.close()
    return (acknowledged, unsent)
  }

  /// Airunner runbook, "Network Failure Simulation": 30 s without a connection, then every event in order, none lost,
  /// none twice.
  @Test func thirtySecondsOfARefusedConnection() throws {
    let (worker, receiver, metrics) = (Worker(), ModelReceiver(), DeliveryMetrics())
    let (from, to) = (Instant(nanoseconds: 10_000_000_000), Instant(nanoseconds: 40_000_000_000))
    receiver.behavior = { now, _ in from <= now && now < to ? .refuses : .accepts }
    let (acknowledged, unsent) = try worker.live(receiver: receiver) { storage, clock in
      try await Self.work(storage, clock, receiver, count: 1200, seed: 1, metrics: metrics)
    }
    #expect(acknowledged == Array(1...1200) && unsent == 0)
    Self.check(receiver, acknowledged)
    let refused = receiver.attempts.filter { $0.behavior == .refuses }
    #expect(
      refused.count >= 4 && metrics.retries.value == refused.count, "the connection was refused \(refused.count) times")
    #expect(metrics.appends.value == 1200 && metrics.pendingEvents.value == 0 && metrics.failures.value == 0)
  }

  /// Whatever the network and the receiver do, in any order.
  @Test(arguments: 1...60)
  func anyTrouble(_ seed: Int) throws {
    let (worker, receiver) = (Worker(seed: UInt64(seed)), ModelReceiver())
    var random = SeededGenerator(seed: UInt64(seed), stream: "moods")
    let behaviors: [ModelReceiver.Behavior] = [
      .accepts, .accepts, .refuses, .stalls, .cuts, .crashes, .asksForAPause(nil), .asksForAPause(.seconds(7)),
    ]
    receiver.behavior = { _, _ in behaviors[Int.random(in: 0..<behaviors.count, using: &random)] }
    let (acknowledged, unsent) = try worker.live(seed: UInt64(seed), receiver: receiver) { storage, clock in
      try await Self.work(
        storage, clock, receiver, count: 60, seed: UInt64(seed), policy: SenderPolicy(batchEvents: 7),
        within: .seconds(20_000))
    }
    #expect(unsent == 0)
    Self.check(receiver, acknowledged, "seed \(seed)")
  }

  /// Events that are appended in one commit with the marks of others: the sender may find one in the log before whoever
  /// appended it has been told.
  @Test(arguments: 1...40)
  func appendsAndMarksInOneCommit(_ seed: Int) throws {
    let (worker, receiver) = (Worker(seed: UInt64(seed)), ModelReceiver())
    let unsent = try worker.live(seed: UInt64(seed), latency: .zero, receiver: receiver) { storage, clock in
      let (log, _) = try await JobLog.open(Self.job, in: "wal", of: storage, clock: clock)
      let sender = Sender(log, over: receiver, SenderPolicy(batchEvents: 3), seed: 1)
      sender.start()
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<3 {
          group.addTask(executorPreference: storage.loop) {
            for _ in 0..<40 {
              _ = try? await log.append([1])
              await storage.loop.sleep(until: storage.loop.now + .milliseconds(1))
            }
          }
        }
      }
      let unsent = await sender.stop(within: .seconds(100))
      try await log.close()
      return unsent
    }
    #expect(unsent == 0 && receiver.taken[Self.job]?.map(\.sequence) == Array(1...120), "seed \(seed): \(unsent) left")
  }

  /// 1 s, 2 s, 4 s ... 60 s, each with its jitter, and never outside of 1 s to 60 s.
  @Test func backOffDoublesFromASecondToAMinute() {
    var firsts: Set<Duration> = []
    for seed in 0..<200 as Range<UInt64> {
      var backOff = BackOff(SenderPolicy(), seed: seed)
      for whole in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let wait = backOff.next()
        #expect(wait <= .seconds(whole) && wait >= max(.seconds(1), .seconds(whole) / 2), "\(wait) for \(whole)")
        if whole == 60 { firsts.insert(wait) }
      }
      backOff.reset()
      #expect(backOff.next() == .seconds(1))
    }
    #expect(firsts.count > 500, "no jitter")
  }

  @Test func attemptsAreApartByTheBackOff() throws {
    let (worker, receiver) = (Worker(), ModelReceiver())
    receiver.behavior = { _, attempt in attempt < 9 ? .refuses : .accepts }
    _ = try worker.live(receiver: receiver) { storage, clock in
      try await Self.work(storage, clock, receiver, count: 8000, seed: 3)  // 400 s
    }
    let times = receiver.attempts.prefix(10).map(\.at)
    for (index, whole) in [1, 2, 4, 8, 16, 32, 60, 60, 60].enumerated() {
      let gap = times[index + 1] - times[index]
      #expect(
        gap >= max(.seconds(1), .seconds(whole) / 2) && gap <= .seconds(whole) + .milliseconds(10), "\(index): \(gap)")
    }
  }

  /// HTTP 429: nobody comes back before the receiver has said, not even to flush; without a word the back-off counts.
  @Test func retryAfterIsHonoured() throws {
    let (worker, receiver) = (Worker(), ModelReceiver())
    receiver.behavior = { _, attempt in attempt == 0 ? .asksForAPause(.seconds(45)) : .accepts }
    try worker.live(receiver: receiver) { storage, clock in
      let (log, _) = try await JobLog.open(Self.job, in: "wal", of: storage, clock: clock)
      let sender = Sender(log, over: receiver, seed: 1)
      try await log.append(Worker.payload(1))
      sender.start()
      await storage.loop.sleep(until: storage.loop.now + .seconds(1))
      #expect(await sender.stop(within: .seconds(100)) == 0)
      try await log.close()
    }
    #expect(receiver.attempts.count == 2)
    let gap = receiver.attempts[1].at - receiver.attempts[0].at
    #expect(gap >= .seconds(45) && gap < .seconds(46), "\(gap)")
  }

  /// An event that the receiver will never take is marked failed, and holds nobody up.
  @Test func aRefusedEventFailsAlone() throws {
    let (worker, receiver, metrics) = (Worker(), ModelReceiver(), DeliveryMetrics())
    receiver.behavior = { now, _ in now < Instant(nanoseconds: 1_000_000_000) ? .refuses : .rejects(5) }
    try worker.live(receiver: receiver) { storage, clock in
      let (_, unsent) = try await Self.work(storage, clock, receiver, count: 30, seed: 1, metrics: metrics)
      #expect(unsent == 0)
      let (log, report) = try await JobLog.open(Self.job, in: "wal", of: storage, clock: clock)
      #expect(report.events == 30 && report.sent == 29 && report.failed == 1 && log.pendingCount == 0)
      try await log.close()
    }
    Self.check(receiver, Array(1...4) + Array(6...30))
    #expect(metrics.failures.value == 1)
  }

  /// A7: stop flushes. Where the time is over first, the rest is in the log for the next process.
  @Test func stopFlushesOrLeavesTheRestInTheLog() throws {
    let (worker, receiver) = (Worker(), ModelReceiver())
    receiver.behavior = { _, _ in .refuses }
    let left = try worker.live(receiver: receiver) { storage, clock in
      let (log, _) = try await JobLog.open(Self.job, in: "wal", of: storage, clock: clock)
      let sender = Sender(log, over: receiver, seed: 1)
      sender.start()
      for n in 1...20 as ClosedRange<Int64> { try await log.append(Worker.payload(n)) }
      await storage.loop.sleep(until: storage.loop.now + .seconds(20))
      let begun = storage.loop.now
      let left = await sender.stop(within: .seconds(5))
      #expect(storage.loop.now - begun <= .seconds(5))
      try await log.close()
      return left
    }
    #expect(left == 20 && receiver.taken.isEmpty)
    _ = worker.disk.powerLoss(seed: 1, profile: .dropUnsynced)
    receiver.behavior = { _, _ in .accepts }
    try worker.live(startingAt: Instant(nanoseconds: 1 << 40), receiver: receiver) { storage, clock in
      let (log, report) = try await JobLog.open(Self.job, in: "wal", of: storage, clock: clock)
      #expect(report.events == 20 && log.pendingCount == 20)
      let sender = Sender(log, over: receiver, seed: 1)
      sender.start()
      let begun = storage.loop.now
      #expect(await sender.stop(within: .seconds(60)) == 0)
      #expect(storage.loop.now - begun < .seconds(1), "the flush waited for a back-off")
      let next = try await log.append(Worker.payload(21))
      #expect(next > 20)
      try await log.close()
    }
    Self.check(receiver, Array(1...20))
  }

  /// In the middle of a minute's back-off, with a receiver that is there again.
  @Test func stopCutsABackOffShort() throws {
    let (worker, receiver) = (Worker(), ModelReceiver())
    receiver.behavior = { _, _ in .refuses }
    try worker.live(receiver: receiver) { storage, clock in
      let (log, _) = try await JobLog.open(Self.job, in: "wal", of: storage, clock: clock)
      try await log.append(Worker.payload(1))
      let sender = Sender(log, over: receiver, seed: 1)
      sender.start()
      // The wait behind the seventh attempt has at least 30 s.
      while receiver.attempts.count < 7 { await storage.loop.sleep(until: storage.loop.now + .milliseconds(100)) }
      await storage.loop.sleep(until: storage.loop.now + .seconds(1))
      receiver.behavior = { _, _ in .accepts }
      #expect(log.pendingCount == 1)
      let begun = storage.loop.now
      #expect(await sender.stop(within: .seconds(600)) == 0)
      #expect(storage.loop.now - begun < .seconds(1), "the flush waited for a back-off")
      try await log.close()
    }
    Self.check(receiver, [1])
  }

  /// A stalled receiver does not keep `stop` beyond its time.
  @Test func aStalledDeliveryDoesNotHoldStop() throws {
    let (worker, receiver) = (Worker(), ModelReceiver())
    receiver.behavior = { _, _ in .stalls }
    try worker.live(receiver: receiver) { storage, clock in
      let (log, _) = try await JobLog.open(Self.job, in: "wal", of: storage, clock: clock)
      try await log.append(Worker.payload(1))
      let sender = Sender(log, over: receiver, seed: 1)
      sender.start()
      await storage.loop.sleep(until: storage.loop.now + .seconds(1))
      let begun = storage.loop.now
      #expect(await sender.stop(within: .seconds(2)) == 1)
      #expect(storage.loop.now - begun <= .seconds(2))
      try await log.close()
    }
  }

  /// A6: two events of one number, as airunner's own logs may hold them: one is sent, the other is reported, nothing is
  /// sent for ever.
  @Test func aSequenceNumberThatIsThereTwiceIsSentOnce() throws {
    let (worker, receiver) = (Worker(), ModelReceiver())
    var bytes = AirunnerCodec.fileHeader
    for sequence in [1, 2, 2, 3] as [Int64] {
      var record = [UInt8](repeating: 0, count: 200)
      let length = Worker.payload(sequence).withUnsafeBytes { payload in
        let fields = AirunnerCodec.Record(sequence: sequence, status: .pending, timestamp: 1, payload: payload)
        record.withUnsafeMutableBytes { AirunnerCodec.write(fields, to: $0.baseAddress!) }
        return AirunnerCodec.length(of: fields)
      }
      bytes += record.prefix(length)
    }
    try worker.live(receiver: receiver) { _, _ in }
    _ = worker.disk.processKill(seed: 1)
    try worker.disk.putAtRest("wal/build-17.wal", bytes, at: 0)
    try worker.live(receiver: receiver) { storage, clock in
      let (log, report) = try await JobLog.open(Self.job, in: "wal", of: storage, clock: clock)
      #expect(report.events == 3 && report.duplicates == 1)
      let sender = Sender(log, over: receiver, seed: 1)
      sender.start()
      #expect(await sender.stop(within: .seconds(60)) == 0)
      try await log.close()
    }
    Self.check(receiver, [1, 2, 3])
    #expect(receiver.attempts.count <= 2 && receiver.repeats == 0)
  }

  /// Damage cuts a log off in the middle of events that the receiver has. What is appended then is new to it.
  @Test func whatWasCutOffDoesNotGiveItsNumbersAway() throws {
    let (worker, receiver) = (Worker(), ModelReceiver())
    let third = try worker.live(receiver: receiver) { storage, clock in
      let (log, _) = try await JobLog.open(Self.job, in: "wal", of: storage, clock: clock)
      for n in 1...6 as ClosedRange<Int64> { try await log.append(Worker.payload(n)) }
      let sender = Sender(log, over: receiver, seed: 1)
      sender.start()
      #expect(await sender.stop(within: .seconds(60)) == 0)
      try await log.close()
      return 16 + 2 * 32 + Worker.payload(1).count + Worker.payload(2).count
    }
    Self.check(receiver, Array(1...6))
    _ = worker.disk.processKill(seed: 1)
    #expect(worker.disk.flipBit("wal/build-17.wal", byte: Int64(third + 30), bit: 0))
    try worker.live(startingAt: Instant(nanoseconds: 1 << 40), receiver: receiver) { storage, clock in
      let (log, report) = try await JobLog.open(Self.job, in: "wal", of: storage, clock: clock)
      #expect(report.events == 2 && log.pendingCount == 2 && report.recovery.damageCount == 1)
      for n in 1...3 as ClosedRange<Int64> { try await log.append(Worker.payload(100 + n)) }
      let sender = Sender(log, over: receiver, seed: 1)
      sender.start()
      #expect(await sender.stop(within: .seconds(60)) == 0)
      try await log.close()
    }
    let payloads = receiver.taken[Self.job, default: []].map(\.payload)
    #expect(payloads == (Array(1...6) + [101, 102, 103]).map { Worker.payload($0) } && receiver.repeats == 2)
  }

  /// A8: a job that runs again has a log, and numbers, of its own.
  @Test func executionsOfOneJobDoNotMix() throws {
    let (worker, receiver) = (Worker(), ModelReceiver())
    try worker.live(receiver: receiver) { storage, clock in
      for execution in 1...3 {
        let job = try JobID("build-17", execution: execution)
        let (log, report) = try await JobLog.open(job, in: "wal", of: storage, clock: clock)
        #expect(report.events == 0)
        for n in 1...Int64(execution) { try await log.append(Worker.payload(n)) }
        let sender = Sender(log, over: receiver, seed: 1)
        sender.start()
        #expect(await sender.stop(within: .seconds(60)) == 0)
        try await log.close()
      }
    }
    #expect(receiver.taken.count == 3 && receiver.repeats == 0)
    #expect(
      worker.disk.paths.filter { $0.hasSuffix(".wal") } == [
        "wal/build-17.2.wal", "wal/build-17.3.wal", "wal/build-17.wal",
      ])
    for name in ["", "a/b", "..", "a.b", String(repeating: "x", count: 101)] {
      #expect(throws: JobLogError.self) { try JobID(name) }
    }
    #expect(throws: JobLogError.self) { try JobID("x", execution: 0) }
  }

  /// The worker's power goes at every operation while it appends and sends to a receiver of moods; the next life sends
  /// the rest. The receiver has what was acknowledged, once, in order.
  @Test func powerLossAtEveryOperation() throws {
    var points = 0
    for n in 1... {
      let (worker, receiver) = (Worker(seed: UInt64(n)), ModelReceiver())
      let behaviors: [ModelReceiver.Behavior] = [.accepts, .cuts, .crashes, .accepts, .refuses, .stalls]
      receiver.behavior = { _, attempt in behaviors[(attempt + n) % behaviors.count] }
      let acknowledged = Box<[Int64]>([])
      let hits = Box(0)
      let disk = worker.disk
      do {
        try worker.live(
          seed: UInt64(n), receiver: receiver,
          wrap: { base in
            let storage = TriggeredStorage(base)
            storage.arm(FaultTrigger([], .occurrence(n), .submission)) { _ throws(StorageError) in
              hits.value = 1
              _ = disk.powerLoss(seed: UInt64(n), profile: n % 2 == 0 ? .dropUnsynced : .posixMinimal)
            }
            return storage
          }
        ) { storage, clock in
          let (log, _) = try await JobLog.open(Self.job, in: "wal", of: storage, clock: clock)
          let sender = Sender(log, over: receiver, SenderPolicy(timeout: .seconds(2), batchEvents: 3), seed: UInt64(n))
          sender.start()
          for m in 1...12 as ClosedRange<Int64> {
            acknowledged.value.append(try await log.append(Worker.payload(m)))
            await storage.loop.sleep(until: storage.loop.now + .seconds(1))
          }
          await sender.stop(within: .seconds(100))
          try await log.close()
        }
      } catch let hung as Worker.Hung { throw hung } catch {}  // the machine died
      guard hits.value == 1 else { break }
      points += 1
      receiver.behavior = { _, _ in .accepts }
      try worker.live(seed: 99, startingAt: Instant(nanoseconds: 1 << 41), receiver: receiver) { storage, clock in
        let (log, report) = try await JobLog.open(Self.job, in: "wal", of: storage, clock: clock)
        #expect(report.recovery.damageCount == 0, "cut at \(n)")
        let sender = Sender(log, over: receiver, seed: 1)
        sender.start()
        #expect(await sender.stop(within: .seconds(600)) == 0, "cut at \(n)")
        try await log.close()
      }
      let taken = receiver.taken[Self.job, default: []].map(\.sequence)
      #expect(taken == taken.sorted() && Set(taken).count == taken.count, "cut at \(n): \(taken)")
      #expect(Set(acknowledged.value).isSubset(of: taken), "cut at \(n): \(acknowledged.value), \(taken)")
      #expect(taken.count <= acknowledged.value.count + 1, "cut at \(n): events that nobody appended")
      #expect(receiver.taken[Self.job, default: []].allSatisfy { $0.payload == Worker.payload($0.sequence) })
    }
    #expect(points > 30)
    print("\(points) power cuts")
  }

  @Test func sequenceRangesAreASet() {
    var random = SeededGenerator(seed: 5)
    var ranges = SequenceRanges()
    var reference: Set<Int64> = []
    for _ in 0..<20_000 {
      let value = Int64.random(in: -20...20, using: &random)
      if random.chance(1, in: 2) {
        #expect(ranges.insert(value) == reference.insert(value).inserted)
      } else {
        #expect(ranges.remove(value) == (reference.remove(value) != nil))
      }
      #expect(ranges.count == reference.count)
      #expect(ranges.ranges.flatMap { Array($0) } == reference.sorted())
      for (a, b) in zip(ranges.ranges, ranges.ranges.dropFirst()) { #expect(a.upperBound < b.lowerBound) }
    }
  }
}
