import Defects
import EngineAdapter
import LogModel
import PartitionEngine
import Storage
import SystemUnderTest
import Testing
import Verification
import WriteAheadLog

@testable import CrashStates
@testable import Exploration

/// Bugs of the engine that a review had to find: the general searches find each of them, by the check that names it,
/// and accuse no sound engine on the way.
@Suite struct ReviewedBugsTests {
  // MARK: Offsets beyond what is durable

  /// Three groups commit at once, and in other states a sync under a commit fails.
  private static func crashStates(_ defect: String?, seed: UInt64 = 1, deviceFaults: DeviceFaultPlan = .none) throws
    -> ExplorationReport
  {
    var options = ExplorationOptions()
    (options.workload.messages, options.workload.partitions, options.workload.messagesPerBatch) = (36, 1, 1)
    (options.workload.syncPolicy, options.workload.committers) = (.interval(.milliseconds(4)), 3)
    (options.workload.deviceFaults, options.workload.seed) = (deviceFaults, seed)
    (options.profiles, options.bound, options.statesPerPoint, options.samples) = ([.raw512], 2, 2, 0)
    options.defect = defect.flatMap { Defect(id: $0) }
    return try Exploration(options).run()
  }

  @Test(arguments: [1, 2] as [UInt64]) func anOffsetBeforeItsSyncIsFoundInCrashStates(seed: UInt64) throws {
    let found = try Self.crashStates("P35", seed: seed)
    #expect(
      found.findings.map(\.violation.check).contains(.committedOffsetWithinLog), "\(found.text.joined(separator: "\n"))"
    )
    let sound = try Self.crashStates(nil, seed: seed)
    #expect(sound.verdict == .held, "\(sound.text.joined(separator: "\n"))")
  }

  @Test(arguments: [1, 2] as [UInt64]) func anOffsetBehindAFailedSyncIsFoundInCrashStates(seed: UInt64) throws {
    let found = try Self.crashStates("P36", seed: seed, deviceFaults: DeviceFaultPlan(failingSync: 2))
    #expect(
      found.findings.map(\.violation.check).contains(.committedOffsetWithinLog), "\(found.text.joined(separator: "\n"))"
    )
    let sound = try Self.crashStates(nil, seed: seed, deviceFaults: DeviceFaultPlan(failingSync: 2))
    #expect(sound.verdict == .held, "\(sound.text.joined(separator: "\n"))")
  }

  /// Whatever the seed makes of how long syncs and writes take, some batch is written while a sync is in flight, and
  /// another one after that.
  @Test(arguments: [1, 2, 3, 4] as [UInt64]) func whatASyncCoversIsFoundInCrashStates(seed: UInt64) throws {
    func run(_ defect: String?) throws -> ExplorationReport {
      var options = ExplorationOptions()
      (options.workload.messages, options.workload.partitions, options.workload.messagesPerBatch) = (36, 1, 1)
      (options.workload.messageSize, options.workload.producers) = (100, 3)
      (options.workload.syncPolicy, options.workload.commitsOffsets) = (.interval(.microseconds(100)), false)
      options.workload.seed = seed
      (options.profiles, options.bound, options.statesPerPoint, options.samples) = ([.raw512], 2, 16, 2)
      options.defect = defect.flatMap { Defect(id: $0) }
      return try Exploration(options).run()
    }
    let found = try run("P5")
    #expect(found.findings.map(\.violation.check).contains(.lossIsSuffix), "\(found.text.joined(separator: "\n"))")
    let sound = try run(nil)
    #expect(sound.verdict == .held, "\(sound.text.joined(separator: "\n"))")
  }

  @Test func anOffsetBeforeItsSyncIsFoundInSchedules() throws {
    func run(_ defect: String?) throws -> ScheduleReport {
      var options = ScheduleOptions()
      options.scenarios = ScheduleScenario.all.filter { $0.name == "commits" }
      options.schedules = 140
      options.defect = defect.flatMap { Defect(id: $0) }
      return try ScheduleSearch(options).run()
    }
    #expect(try run("P35").violations.map(\.check) == [.committedOffsetWithinLog])
    let sound = try run(nil)
    #expect(sound.verdict == .held, "\(sound.text.joined(separator: "\n"))")
  }

  // MARK: The error matrix

  private static func matrix(_ scenario: String, _ cell: ErrorCell, _ defect: String?, stride: Int = 1) throws
    -> ErrorMatrixReport
  {
    var options = ErrorMatrixOptions()
    options.scenarios = ErrorScenario.all.filter { $0.name == scenario }
    (options.cells, options.findsCallSites, options.stride) = ([cell], false, stride)
    options.defect = defect.flatMap { Defect(id: $0) }
    return try ErrorMatrix(options).run()
  }

  @Test(arguments: [
    ("P36", "interval-commit", ErrorCell(kind: .sync, error: .eio, lasting: .once), CheckName.committedOffsetWithinLog),
    ("P39", "produce", ErrorCell(kind: nil, error: .eio, lasting: .sticky), .noUnjustifiedRejection),
    ("P40", "interval-then-always", ErrorCell(kind: .write, error: .eio, lasting: .once), .noAcknowledgedLoss),
  ]) func itIsFoundByAnError(id: String, scenario: String, cell: ErrorCell, check: CheckName) throws {
    let found = try Self.matrix(scenario, cell, id)
    #expect(found.violations.map(\.check).contains(check), "\(found.text.joined(separator: "\n"))")
    let sound = try Self.matrix(scenario, cell, nil)
    #expect(sound.verdict == .held && sound.fired > 3, "\(sound.text.joined(separator: "\n"))")
  }

  // MARK: What the oracle is told

  /// The engine's reports name the damaged bytes; a report of others is no report of this.
  @Test(arguments: ["skip-damage", "truncate-damage", "airunner-damage", "chronik", "checkpoint-damage"])
  func aReportOfAnotherPlaceIsFound(_ scenario: String) throws {
    func judgement(_ change: @escaping @Sendable (inout RecoveryDamage) -> Void) throws -> StateJudgement {
      let own = try #require(ErrorScenario.all.first { $0.name == scenario })
      let ground = try ErrorFixture(own, EngineUnderTest(own.workload, parts: { EngineParts() }, layer: { $0 }))
      let book = HistoryRecorder(copying: ground.book)
      for restart in 1...2 as ClosedRange<UInt64> {
        let loop = EventLoop(simulatedWithSeed: restart, startingAt: book.end + .seconds(10))
        book.begin(loop)
        let machine = MemoryStorage(disk: ground.disk, loop: loop)
        _ = loop.run(limit: .seconds(60)) {
          do throws(LogFailure) {
            let opened = try await EngineFactory(machine, ground.configuration, parts: ground.parts(on: machine)).open()
            var recovery = opened.recovery
            book.opened(opened.log)
            for index in recovery.damage.indices { change(&recovery.damage[index]) }
            book.note(await book.readback(opened.log, recovery))
          } catch { Issue.record(error) }
        }
        book.crash(.powerLoss, at: loop.now)
        _ = ground.disk.powerLoss(seed: restart, profile: .dropUnsynced)
        book.drain()
      }
      return book.judge(Contract(sync: own.workload.syncPolicy, recovery: own.recovery))
    }
    let right = try judgement { _ in }
    #expect(right.verdict == .held, "\(right)")
    let elsewhere = try judgement { $0.path = "topics/orders/7/other.log" }
    #expect(elsewhere.check?.name == .damageReported, "\(elsewhere)")
    // Of a file that is cut the bytes are gone.
    guard !["truncate-damage", "airunner-damage"].contains(scenario) else { return }
    let behind = try judgement { ($0.byteFrom, $0.byteTo) = ($0.byteTo, $0.byteTo + 8) }
    #expect(behind.check?.name == .damageReported, "\(behind)")
  }

  /// What a device has kept waiting widens the window of what was acknowledged before that had ended, and of nothing
  /// else.
  @Test func aSlowOperationCountsUntilItHasEnded() {
    var recording = Recording(store: SectorStore(), table: PathTable())
    let place = recording.table.intern("topics/orders/0/a.log")
    let file = recording.inodes.add(.file, home: place)
    let entry = recording.inodes.entry("a.log", in: InodeTable.root, path: place)
    recording.operations = [
      .write(file: file, offset: 0, bytes: [1], durable: false), .sync(file: file, isFull: false), .unlink(entry),
    ]
    func add(_ seconds: Int64, _ what: RecordedEvent.What) {
      recording.events.append(RecordedEvent(time: Instant(nanoseconds: seconds * 1_000_000_000), what: what))
    }
    add(0, .submitted(2))
    add(1, .submitted(0))
    add(11, .completed(0, succeeded: true, taken: 1))
    add(20, .submitted(1))
    add(22, .fact(RecordedFact.said("")))
    add(23, .completed(2, succeeded: true, taken: 0))
    let slow = StateJudge.slowOperations(recording)
    func found(_ moment: Int) -> [[Int64]] {
      slow[moment].all.map { [$0.endedAt.nanoseconds / 1_000_000_000, $0.took.nanoseconds / 1_000_000_000] }
    }
    #expect(found(0) == [] && found(2) == [[1, 0]] && found(3) == [[11, 10]])
    #expect(found(5) == [[11, 10], [22, 2]] && found(6) == [[11, 10], [23, 3]])
    #expect(slow[6].longest == .seconds(10))
  }

  /// The same of what passes the storage interface of a story.
  @Test func theStoriesMeasureTheSame() throws {
    let loop = EventLoop(simulatedWithSeed: 1)
    let latency = MemoryLatency(
      read: 0...0, write: 0...0, durableWrite: 0...0, sync: 5_000_000...5_000_000, names: 9_000_000...9_000_000)
    let watch = StorageMonitor(MemoryStorage(disk: MemoryDisk(seed: 1), loop: loop, latency: latency), limit: 100)
    let (ending, _) = loop.run(limit: .seconds(1)) {
      do throws(StorageError) {
        let file = try await watch.open("a", [.write, .create])
        loop.spawn { do throws(StorageError) { try await watch.sync(file, .data) } catch {} }
        await loop.sleep(until: loop.now + .milliseconds(2))
        #expect(watch.slow.longest == .milliseconds(2), "one in flight counts as long as it has taken")
        await loop.sleep(until: loop.now + .milliseconds(20))
        #expect(
          watch.slow.all.map(\.took) == [.milliseconds(5)] && watch.slow.all[0].endedAt < loop.now - .milliseconds(10))
      } catch { Issue.record(error) }
    }
    #expect(ending == .finished)
  }
}
