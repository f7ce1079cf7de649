import Defects
import EngineAdapter
import LogModel
import PartitionEngine
import Storage
import SystemUnderTest
import Verification

/// One order of execution: the default order, but for a few pre-emptions, and a moment at which the power goes.
///
/// As the report names it: `scenario/12:1,40:2/cut 88`: at decision 12 of the life, counted from 1, possibility 1 of
/// those that there are is taken in place of 0; at decision 88 the power goes. `-` for no pre-emption, `cut end` for
/// after the work.
struct Schedule: Hashable, Sendable, CustomStringConvertible {
  struct Preemption: Hashable, Sendable {
    var decision: Int
    /// From 1; where there are fewer possibilities, counted on from the first.
    var choice: Int
  }

  var scenario: String
  var preemptions: [Preemption] = []
  /// Nil: when the work is done.
  var cut: Int?

  var description: String {
    let text = preemptions.map { "\($0.decision):\($0.choice)" }.joined(separator: ",")
    return "\(scenario)/\(text.isEmpty ? "-" : text)/cut \(cut.map { "\($0)" } ?? "end")"
  }

  init(scenario: String, preemptions: [Preemption] = [], cut: Int? = nil) {
    self.scenario = scenario
    self.preemptions = preemptions
    self.cut = cut
  }

  /// Nil where the text is no schedule.
  init?(_ text: String) {
    let parts = text.split(separator: "/").map(String.init)
    guard parts.count == 3, parts[2].hasPrefix("cut ") else { return nil }
    scenario = parts[0]
    for word in parts[1] == "-" ? [] : parts[1].split(separator: ",") {
      let numbers = word.split(separator: ":").compactMap { Int($0) }
      guard numbers.count == 2, numbers[0] > 0, numbers[1] > 0 else { return nil }
      preemptions.append(Preemption(decision: numbers[0], choice: numbers[1]))
    }
    let end = parts[2].dropFirst(4)
    guard end == "end" || (Int(end) ?? 0) > 0 else { return nil }
    cut = Int(end)
  }
}

/// Follows a schedule, and writes down how many possibilities there were at each decision.
final class ScheduleFollower: ScheduleChooser {
  private var preemptions: [Int: Int] = [:]
  private let cut: Int?
  private var onCut: (() -> Void)?
  /// By decision.
  private(set) var possibilities: [Int] = []

  init(_ schedule: Schedule, onCut: @escaping () -> Void) {
    for one in schedule.preemptions { preemptions[one.decision] = one.choice }
    cut = schedule.cut
    self.onCut = onCut
  }

  /// Lets go of whoever follows: the loop keeps this.
  func end() { onCut = nil }

  func choose(_ count: Int) -> Int {
    possibilities.append(count)
    if possibilities.count == cut { onCut?() }
    return preemptions[possibilities.count].map { 1 + ($0 - 1) % (count - 1) } ?? 0
  }
}

/// What one schedule came to.
struct ScheduleResult: Sendable {
  /// A hash of the persistence trace with the acknowledgements in it.
  var trace: UInt64 = 0
  var possibilities: [Int] = []
  /// The cut came; true where none was asked for.
  var wasCut = true
  var judgement = StateJudgement(verdict: .unknown, check: nil)
}

/// One life under a schedule, and what follows it.
final class ScheduleRun: @unchecked Sendable {
  // Owned by one worker.

  private let ground: ErrorFixture
  private let second: SecondEngine
  private var secondHasOpened = false
  private var seed: UInt64 = 0
  private let disk: MemoryDisk
  private let book: HistoryRecorder
  private let restarts: RestartSequence
  private var trace: UInt64 = 0
  private var isCut = false
  private var meter: StorageMonitor?

  init(_ ground: ErrorFixture, _ second: SecondEngine) {
    self.ground = ground
    self.second = second
    disk = ground.disk.snapshot()
    book = HistoryRecorder(copying: ground.book)
    restarts = RestartSequence(ground, disk, book)
  }

  func run(_ schedule: Schedule) -> ScheduleResult {
    var result = ScheduleResult()
    seed = stableHash("\(schedule)")
    let follower = ScheduleFollower(schedule) { [self] in cut() }
    let loop = EventLoop(scheduledBy: follower)
    book.begin(loop)
    let machine = ScheduleTrace(MemoryStorage(disk: disk, loop: loop)) { [self] in mix($0) }
    let meter = StorageMonitor(machine, limit: ErrorRun.mostOperations)
    self.meter = meter
    let storage = ground.subject.layer(meter)
    let ending = loop.run(limit: ErrorRun.limit) { [self] in await body(storage) }.ending
    if !isCut {
      if ending != .finished || meter.isExhausted {
        book.checks.append(CheckResult(.noHang, .violated, "the life under this schedule never ends: \(ending)"))
      }
      result.wasCut = schedule.cut == nil
      cut()
    }
    result.possibilities = follower.possibilities
    book.drain()
    follower.end()
    self.meter = nil
    restarts.run()
    result.trace = trace
    result.judgement = book.judge(Contract(sync: ground.scenario.workload.syncPolicy))
    return result
  }

  private func mix(_ word: UInt64) { trace = mix64(trace ^ word) &+ 0x9E37_79B9_7F4A_7C15 }

  private func cut() {
    guard !isCut else { return }
    isCut = true
    restarts.crash(.powerLoss, meter?.slow ?? SlowOperations(), profile: .posixMinimal, seed: seed)
  }

  private func body(_ storage: any Storage) async {
    let log: TestedLog
    let recovery: RecoverySummary
    do throws(LogFailure) {
      (log, recovery) = try await EngineFactory(
        storage, ground.configuration, parts: ground.parts(on: meter ?? storage)
      ).open()
    } catch {
      if !isCut {
        book.checks.append(CheckResult(.recoveryCompletes, .violated, "an empty disk must open, found: \(error)"))
      }
      return
    }
    if isCut { return book.joined(log) }
    book.opened(log)
    guard await book.createTopic(log, attempts: 1), !isCut, let loop = book.loop else { return }
    let workload = ground.scenario.workload
    await withTaskGroup(of: Void.self) { group in
      for producer in 0..<workload.producers {
        group.addTask(executorPreference: loop) { [book] in
          for k in stride(from: producer, to: workload.requests, by: workload.producers) {
            await book.produce(log, k % workload.partitions, producer: producer, count: workload.messagesPerBatch)
            if let group = workload.committer(after: k, of: producer) {
              await book.commit(log, k % workload.partitions, group: group, half: false)
            }
          }
        }
      }
      group.addTask(executorPreference: loop) { [book] in
        for partition in 0..<workload.partitions { await book.commit(log, partition) }
      }
      group.addTask(executorPreference: loop) { [book] in await book.tryFlush(log) }
      if second != .none { group.addTask(executorPreference: loop) { [self] in await work(storage, loop) } }
    }
    // What another writer has appended the first does not know.
    if !isCut, !secondHasOpened { book.note(await book.readback(log, recovery)) }
  }

  /// Another engine on the same disk while the first is at work: a sound one is refused, or the first is fenced.
  private func work(_ storage: any Storage, _ loop: EventLoop) async {
    var parts = ground.parts(on: meter ?? storage)
    if second == .takesOver {
      // Its clock is an hour ahead: every lease has run out.
      parts.exclusion = LeaseExclusion(duration: .milliseconds(2), clock: .following(loop, ahead: .seconds(3600)))
    }
    do throws(LogFailure) {
      let (log, _) = try await EngineFactory(storage, ground.configuration, parts: parts).open()
      secondHasOpened = true
      book.joined(log)
      let workload = ground.scenario.workload
      for k in 0..<workload.partitions * 2 {
        await book.produce(log, k % workload.partitions, producer: workload.producers, count: workload.messagesPerBatch)
      }
    } catch {
      // Without power nothing opens, and a sound first engine keeps the second out. Nothing else keeps it from opening.
      if isCut || error.kind == .inUse { return }
      book.checks.append(
        CheckResult(.recoveryCompletes, .violated, "a second engine must open, or find the first, found: \(error)"))
    }
  }
}

/// Who else is at work on the disk.
enum SecondEngine: Hashable, Sendable {
  case none
  /// With the same exclusion as the first.
  case competes
  /// It holds the first's lease for expired.
  case takesOver
}

/// Tells a hash of every operation when it is submitted and when it has ended.
private final class ScheduleTrace: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private let tell: (UInt64) -> Void
  private var count: UInt64 = 0

  init(_ base: any Storage, _ tell: @escaping (UInt64) -> Void) {
    self.tell = tell
    super.init(base)
  }

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    count += 1
    let number = count
    tell(
      stableHash(call.kind.rawValue) ^ stableHash(call.path) &+ UInt64(bitPattern: call.offset) &* 31 ^ UInt64(
        call.length) << 40)
    do throws(StorageError) {
      let value = try await operation()
      tell(number << 1 ^ UInt64(bitPattern: traced(value)) << 32)
      return value
    } catch {
      tell(number << 1 | 1)
      throw error
    }
  }

  override func note(_ note: TraceNote) {
    if case .acknowledged(let partition, let upTo) = note { tell(stableHash("\(partition) \(upTo)")) }
    super.note(note)
  }
}
