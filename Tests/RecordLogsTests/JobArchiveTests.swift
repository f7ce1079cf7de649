import EventReceivers
import FaultInjection
import LogModel
import Metrics
import Storage
import Testing
import TriggeredStorage

@testable import RecordLogs

@Suite struct JobArchiveTests {
  /// A job of twelve events, all sent, in a log that is open.
  private static func finishedLog(_ storage: any Storage, _ clock: WallClock, _ receiver: ModelReceiver) async throws
    -> JobLog
  {
    let (log, _) = try await JobLog.open(SenderTests.job, in: "wal", of: storage, clock: clock)
    if log.pendingCount == 0, receiver.taken.isEmpty {
      for n in 1...12 as ClosedRange<Int64> { try await log.append(Worker.payload(n)) }
    }
    let sender = Sender(log, over: receiver, seed: 1)
    sender.start()
    #expect(await sender.stop(within: .seconds(60)) == 0)
    return log
  }

  @Test func aFinishedJobIsArchivedAndRemovedAfterItsRetention() throws {
    let (worker, receiver) = (Worker(), ModelReceiver())
    try worker.live(receiver: receiver) { storage, clock in
      let log = try await Self.finishedLog(storage, clock, receiver)
      let before = worker.disk.read("wal/build-17.wal") ?? []
      let metrics = DeliveryMetrics()
      let archive = JobArchive("archive", of: storage, clock: clock, metrics: metrics)
      let path = try await archive.archive(log)
      #expect(path == "archive/build-17.wal.gz" && worker.disk.paths == [path])
      #expect(
        metrics.archiveBytes.value == Double(worker.disk.read(path)?.count ?? 0) && metrics.archiveBytes.value > 0)
      let summary = try await storage.readCompressed(path)
      #expect(summary?.bytes == Int64(before.count))
      // Restored, it is the log that it was ("Disaster Recovery": decompress, replay).
      let source = GzipSource(
        storage, FileSource(storage, try await storage.open(path, []), limit: Int64(metrics.archiveBytes.value)))
      let buffer = storage.makeBuffer(capacity: 1 << 16)
      let count = try await source.read(into: buffer, 0..<buffer.capacity)
      #expect(Array(buffer[0..<count]) == before)
      // 29 days, 23 hours and some: it stays. 30 days: it goes.
      await storage.loop.sleep(until: storage.loop.now + .seconds(30 * 86_400 - 60))
      let early = try await archive.removeExpired()
      #expect(early == .init(bytes: Int64(metrics.archiveBytes.value)) && early.bytes > 0)
      await storage.loop.sleep(until: storage.loop.now + .seconds(61))
      let late = try await archive.removeExpired()
      #expect(late.removed == [path])
      #expect(worker.disk.paths.isEmpty && metrics.archiveBytes.value == 0)
    }
  }

  /// Airunner runbook, "Check compression ratio": 2000 KB come to 30 %, a reduction by 70 %. That is a matter of the
  /// events: lines of a build's output come to less. Bytes that do not repeat keep their size, and only what stands
  /// around them gets smaller.
  @Test(arguments: [false, true]) func whatIsSavedIsAMatterOfTheEvents(isNoise: Bool) throws {
    let (worker, receiver) = (Worker(), ModelReceiver())
    try worker.live(receiver: receiver) { storage, clock in
      let (log, _) = try await JobLog.open(SenderTests.job, in: "wal", of: storage, clock: clock)
      var random = SeededGenerator(seed: 1, stream: "events")
      var payload = 0
      for n in 0..<300 {
        let line = """
          {"type":"log","stream":"stdout","step":\(n / 200),"time":"2026-01-31T11:00:\(10 + n % 50).\(Int.random(in: 100...999, using: &random))Z",\
          "line":"[\(n % 97)/97] Compiling module\(Int.random(in: 0..<40, using: &random)) Source\(Int.random(in: 0..<900, using: &random)).swift"}
          """
        payload += line.utf8.count
        try await log.append(
          isNoise ? (0..<line.utf8.count).map { _ in UInt8.random(in: 0...255, using: &random) } : Array(line.utf8))
      }
      let sender = Sender(log, over: receiver, seed: 1)
      sender.start()
      #expect(await sender.stop(within: .seconds(600)) == 0)
      let bytes = worker.disk.read("wal/build-17.wal")?.count ?? 0
      let path = try await JobArchive("archive", of: storage, clock: clock).archive(log)
      let archived = worker.disk.read(path)?.count ?? 0
      if isNoise {
        #expect(archived >= payload && archived < bytes, "\(archived) of \(bytes) bytes, \(payload) of events")
      } else {
        #expect(archived > 0 && Double(archived) <= 0.30 * Double(bytes), "\(archived) of \(bytes) bytes")
      }
    }
  }

  /// "Recover Disk Space" of the airunner runbook takes active logs away; this archive does not.
  @Test func aLogWithUnsentEventsIsRefused() throws {
    let (worker, receiver) = (Worker(), ModelReceiver())
    try worker.live(receiver: receiver) { storage, clock in
      let (log, _) = try await JobLog.open(SenderTests.job, in: "wal", of: storage, clock: clock)
      for n in 1...3 as ClosedRange<Int64> { try await log.append(Worker.payload(n)) }
      do throws(JobLogError) {
        _ = try await JobArchive("archive", of: storage, clock: clock).archive(log)
        Issue.record("archived with events that nobody has")
      } catch { #expect(error == .unsentEvents(3)) }
      let next = try await log.append(Worker.payload(4))
      #expect(next == 4, "it is open as before")
      try await log.close()
    }
  }

  /// A10: the power goes at every operation of the archiving. The log, the archive or both are there, whole; the next
  /// life archives what is left.
  @Test(arguments: [PersistenceProfile.dropUnsynced, .posixMinimal])
  func powerLossAtEveryOperationOfTheArchiving(_ profile: PersistenceProfile) throws {
    var points = 0
    for n in 1... {
      let (worker, receiver, hits) = (Worker(seed: UInt64(n)), ModelReceiver(), Box(0))
      let disk = worker.disk
      let isArchiving = Box(false)
      do {
        try worker.live(
          seed: UInt64(n), receiver: receiver,
          wrap: { base in
            let storage = TriggeredStorage(base)
            storage.arm(FaultTrigger([], phase: "archive", .occurrence(n), .submission)) { _ throws(StorageError) in
              hits.value = 1
              _ = disk.powerLoss(seed: UInt64(n), profile: profile)
            }
            return storage
          }
        ) { storage, clock in
          let log = try await Self.finishedLog(storage, clock, receiver)
          storage.note(.phase("archive"))
          isArchiving.value = true
          _ = try await JobArchive("archive", of: storage, clock: clock).archive(log)
        }
      } catch let hung as Worker.Hung { throw hung } catch {}  // the machine died
      #expect(isArchiving.value)
      guard hits.value == 1 else { break }
      points += 1
      try worker.live(seed: 50, startingAt: Instant(nanoseconds: 1 << 41), receiver: receiver) { storage, clock in
        let isThere = worker.disk.paths.contains("wal/build-17.wal")
        let (log, report) = try await JobLog.open(SenderTests.job, in: "wal", of: storage, clock: clock)
        #expect(report.recovery.damageCount == 0 && log.pendingCount == 0, "cut at \(n)")
        if report.events > 0 {
          #expect(isThere && report.events == 12 && report.sent == 12, "cut at \(n)")
          _ = try await JobArchive("archive", of: storage, clock: clock).archive(log)
        } else {
          try await log.close()
        }
        let summary = try await storage.readCompressed("archive/build-17.wal.gz")
        #expect(
          summary?.bytes == 16 + Int64(12 * 64) + Int64((1...12).reduce(0) { $0 + Worker.payload($1).count }),
          "cut at \(n)")
      }
    }
    #expect(points > 8)
    print("\(profile.name): \(points) power cuts")
  }

  /// Nothing is removed that does not tell its age: every bit of the header turned over.
  @Test func anArchiveWithADamagedHeaderStays() throws {
    let (worker, receiver) = (Worker(), ModelReceiver())
    try worker.live(receiver: receiver) { storage, clock in
      _ = try await JobArchive("archive", of: storage, clock: clock).archive(
        try await Self.finishedLog(storage, clock, receiver))
    }
    _ = worker.disk.processKill(seed: 1)
    for bit in 0..<96 {
      let damaged = Worker(disk: worker.disk.snapshot())
      _ = damaged.disk.processKill(seed: 1)
      #expect(damaged.disk.flipBit("archive/build-17.wal.gz", byte: Int64(bit / 8), bit: bit % 8))
      try damaged.live(startingAt: Instant(nanoseconds: 1 << 60)) { storage, clock in
        let removal = try await JobArchive("archive", of: storage, clock: clock).removeExpired()
        #expect(removal.removed.isEmpty && removal.undated == ["archive/build-17.wal.gz"], "bit \(bit)")
      }
    }
    // The control: an undamaged one goes.
    try worker.live(startingAt: Instant(nanoseconds: 1 << 60)) { storage, clock in
      let removal = try await JobArchive("archive", of: storage, clock: clock).removeExpired()
      #expect(removal.removed.count == 1)
    }
  }
}

extension Worker {
  init(disk: MemoryDisk) { self.disk = disk }
}
