import CrashStates
import LogModel
import Storage
import SystemUnderTest
import Verification

/// The crash states of one profile: each is recovered from and judged.
struct ProfileVisit<Factory: LogFactory> {
  private let test: CrashTest<Factory>
  private let life: RecordedIncarnation
  private let profile: CrashProfile
  private let storage: StateStorage
  private(set) var result: CrashTestReport.Profile

  init(_ test: CrashTest<Factory>, _ life: RecordedIncarnation, _ profile: CrashProfile) {
    (self.test, self.life, self.profile) = (test, life, profile)
    storage = StateStorage(life.recording, profile)
    result = CrashTestReport.Profile(name: profile.name)
  }

  mutating func visitAll() {
    let recording = life.recording
    var walk = CrashPointWalk(recording, profile, seed: test.seed)
    let limits = StateEnumeration.Limits(bound: test.bound, statesPerPoint: test.statesPerMoment, samples: test.samples)
    // Contents of the disk with what the caller knew then: the same pair is judged once.
    var judged: Set<UInt64> = []
    for event in 0...recording.events.count {
      guard let (moment, history) = life.history(at: event) else { continue }
      let point = walk.point(at: event)
      var resolver = StateResolver(point)
      result.moments += 1
      var fresh: [[Alternative]] = []
      StateEnumeration(point, limits).forEach(seed: test.seed) { choice, _ in
        result.visited += 1
        if judged.insert(mix64(resolver.contentHash(choice) &+ UInt64(moment))).inserted { fresh.append(choice) }
      }
      for choice in fresh {
        result.recovered += 1
        let checks = judge(resolver.image(choice), history)
        for check in checks where check.verdict == .violated {
          result.add(check) { CrashTestFinding(check, profile, recording, point, choice, at: event) }
        }
        if checks.contains(where: { $0.verdict == .unknown }) { result.unknown += 1 }
      }
    }
  }

  // MARK: One state

  /// When life `number` begins, from 1. All that was recorded lies before it.
  private func clock(_ number: Int) -> Instant { life.end + .seconds(number * 3600) }

  private func judge(_ image: DiskImage, _ before: History) -> [CheckResult] {
    var history = before
    history.crash(.powerLoss, at: life.end)
    var readbacks: [Observation] = []
    storage.load(image)
    for number in 1...2 {
      if number == 2 {
        storage.dropVolatile()
        history.crash(.powerLoss, at: clock(number))
      }
      switch live(number, &history) {
      case .read(let readback): readbacks.append(readback)
      case .refused(let reason):
        let refusal = CheckResult.recoveryCompletes(restart: number, refusal: reason)
        return [refusal] + (readbacks.isEmpty ? [] : Oracle(test.contract).judge(history, readbacks).checks)
      case .hung(let reason):
        return [CheckResult(.noHang, .violated, "after restart \(number) the log never ends: \(reason)")]
      }
    }
    return Oracle(test.contract).judge(history, readbacks).checks
  }

  private enum Ending: Sendable {
    case read(Observation)
    case refused(String)
    case hung(String)
  }

  /// Opens the log on what the storage holds, reads it back, and in the first life appends to each partition.
  private func live(_ number: Int, _ history: inout History) -> Ending {
    let loop = EventLoop(simulatedWithSeed: mix64(test.seed &+ UInt64(number)), startingAt: clock(number))
    storage.boot(loop, bootID: UInt32(number + 1))
    history.opened(at: clock(number))
    let (test, storage, before) = (test, storage, history)
    let (ending, value) = loop.run(limit: test.timeLimit) { () async -> (Ending, History) in
      let log: Factory.Log
      let recovery: RecoverySummary
      do throws(LogFailure) { (log, recovery) = try await test.makeFactory(storage).open() } catch {
        return (.refused("\(error)"), before)
      }
      let settings = ReadbackSettings(fetchBytes: 64 << 10, maxEmptyFetches: 16, groups: [])
      let readback = await ConsumerReadback<Factory.Log, ObserverSink>.observe(
        log, before, recovery, settings, answerBytes: 64 << 10,
        random: SeededGenerator(seed: test.seed, stream: "start offsets"))
      var after = before
      if number == 1 { await Self.append(test, log, &after, loop) }
      storage.kill()
      // Ends the log's tasks: the machine is dead, and nothing reaches the disk.
      do throws(LogFailure) { try await log.close() } catch {}
      return (.read(readback), after)
    }
    storage.kill()
    if ending != .finished || storage.isExhausted {
      return .hung(ending == .finished ? "it makes operations without end" : "\(ending)")
    }
    guard let value else { return .hung("it returned nothing") }
    history = value.1
    return value.0
  }

  private static func append(
    _ test: CrashTest<Factory>, _ log: Factory.Log, _ history: inout History, _ loop: EventLoop
  ) async {
    let registered = Set(log.partitions)
    for (index, source) in test.sources.enumerated() where registered.contains(source) {
      let slot = PartitionSlot(index)
      let first = history.operations.filter { $0.partition == slot }.map { $0.firstSequence + $0.count }.max() ?? 0
      let number = history.submit(slot, firstSequence: first, count: 1, at: loop.now)
      do throws(LogFailure) {
        let base = try await log.produce(test.messages(to: source, first: first, count: 1), to: source)
        history.acknowledge(number, baseOffset: base, at: loop.now)
      } catch {
        history.fail(number, certainly: error.isCertain, at: loop.now)
      }
    }
  }
}
