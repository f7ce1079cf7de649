import EngineAdapter
import FaultInjection
import LogModel
import Storage
import SystemUnderTest
import Verification

/// The calls that one story made of the engine, with their answers, over several lives; and the readbacks in between.
final class HistoryRecorder: @unchecked Sendable {
  // Owned by the thread that runs the story: its loops run there one after the other.

  let workload: ExplorationWorkload
  private(set) var history: History
  private(set) var readbacks: [Observation] = []
  /// Of checks that no readback can judge: openings that failed, lives that never ended.
  var checks: [CheckResult] = []
  private var nextSequence: [Int]
  /// By partition, as the engines have said.
  private var archivedEnds: [Int: Offset] = [:]
  private var openCommits: [Int: OpenCommit] = [:]
  private struct OpenCommit {
    var group: String
    var partition: Int
    var offset: Offset
    var operationsBefore: Int
  }
  /// All that have committed.
  private(set) var groups = [ExplorationWorkload.group]
  private var commitNumber = 0
  /// Nil until it is asked for.
  private var topicOutcome: Outcome?
  /// Of the life that runs, or of the last one.
  private(set) var loop: EventLoop?
  /// Counts lives: what a task of an ended one does is nobody's business.
  private var life = 0
  private var isRunning = false
  /// That have opened in it.
  private var logs: [TestedLog] = []
  /// Called when a commit of an offset has been acknowledged.
  var onCommitted: (() -> Void)?
  var now: Instant { loop?.now ?? Instant(nanoseconds: 0) }

  init(_ workload: ExplorationWorkload) {
    self.workload = workload
    history = History(seed: workload.seed)
    nextSequence = [Int](repeating: 0, count: workload.partitions)
  }

  /// The same story so far, to be told on.
  init(copying book: HistoryRecorder) {
    workload = book.workload
    history = book.history
    nextSequence = book.nextSequence
    archivedEnds = book.archivedEnds
    commitNumber = book.commitNumber
    groups = book.groups
    topicOutcome = book.topicOutcome
  }

  /// The end of the story so far.
  var end: Instant { history.crashes.last?.instant ?? Instant(nanoseconds: 0) }

  func content(_ partition: Int) -> MessageContent {
    MessageContent(seed: workload.seed, topic: workload.topic, partition: PartitionID(partition))
  }

  // MARK: Calls

  /// A new life begins.
  func begin(_ loop: EventLoop) {
    self.loop = loop
    life += 1
    isRunning = true
  }

  func opened(_ log: TestedLog) {
    history.opened(at: now)
    logs.append(log)
  }

  func openingFailed() { history.openingFailed() }

  /// One more engine in the same life.
  func joined(_ log: TestedLog) { logs.append(log) }

  /// Ends what the engines of a life that is over have left waiting: their machine is dead, and nothing reaches the
  /// disk. Kept waiting it would keep its memory for ever.
  func drain() {
    guard let loop else { return }
    _ = loop.run(limit: .seconds(3600)) { [self] in
      // What was in flight ends now, an opening among it.
      await loop.sleep(until: loop.now + .milliseconds(200))
      // What it throws is that the power is gone.
      for log in logs { do throws(LogFailure) { try await log.close() } catch {} }
    }
    logs = []
    loop.drain()
  }

  /// Creates the topic; tried again where it fails.
  /// - Returns: whether it is there.
  @discardableResult
  func createTopic(_ log: TestedLog, attempts: Int) async -> Bool {
    let life = life
    let isFirst = topicOutcome == nil
    for slot in history.creations.indices { history.createAgain(PartitionSlot(slot)) }
    if isFirst { topicOutcome = .indeterminate }
    for attempt in 0..<attempts {
      do throws(LogFailure) {
        try await log.createTopic(workload.topic, partitions: workload.partitions)
        if !isRunning || life != self.life { return false }
        topicOutcome = .acknowledged
      } catch {
        if !isRunning || life != self.life { return false }
        if attempt == 0, isFirst, error.isCertain { topicOutcome = .failed }
        if case .topicExists = error.kind {
          topicOutcome = .acknowledged
        } else if !error.isCertain {
          topicOutcome = .indeterminate
        }
      }
      guard topicOutcome != .acknowledged else { break }
    }
    if topicOutcome == .acknowledged { recordTopic() }
    return topicOutcome == .acknowledged
  }

  /// Once and for all: what was not acknowledged by now may be there or not. What was refused for certain was never
  /// asked for: if it is there, it is a stranger.
  func recordTopic() {
    guard history.creations.isEmpty, let topicOutcome else { return }
    if topicOutcome == .failed {
      self.topicOutcome = nil
      return
    }
    for number in 0..<workload.partitions {
      history.create(TopicPartition(workload.topic, PartitionID(number)), topicOutcome, at: now)
    }
  }

  /// Appends one batch and writes down what became of it.
  func produce(_ log: TestedLog, _ partition: Int, producer: Int, count: Int) async {
    guard isRunning else { return }
    let life = life
    let first = nextSequence[partition]
    nextSequence[partition] += count
    let number = history.submit(
      PartitionSlot(partition), producer: producer, firstSequence: first, count: count, at: now)
    do throws(LogFailure) {
      let offset = try await workload.append(log, partition, first: first, count: count)
      guard isRunning, life == self.life else { return }
      history.acknowledge(number, baseOffset: offset, at: now)
      noteArchived(log)
    } catch {
      guard isRunning, life == self.life else { return }
      history.fail(number, certainly: error.isCertain, at: now)
    }
  }

  /// What the engine says that it has brought to its object store is owed from then on.
  private func noteArchived(_ log: TestedLog) {
    for (partition, end) in workload.archivedEnds(log) where end > archivedEnds[partition] ?? 0 {
      archivedEnds[partition] = end
      history.archived(PartitionSlot(partition), before: end)
    }
  }

  /// Everything goes to the object store, where there is one; an error is an answer.
  func tryFlush(_ log: TestedLog) async {
    guard workload.checkpoints, isRunning else { return }
    let life = life
    do throws(LogFailure) {
      try await log.checkpoint()
      if isRunning, life == self.life { noteArchived(log) }
    } catch {}
  }

  /// The same of an engine that nothing hinders: it must get there.
  func flush(_ log: TestedLog) async {
    guard workload.checkpoints, isRunning else { return }
    do throws(LogFailure) {
      try await log.checkpoint()
      history.flush(.acknowledged, at: now)
      noteArchived(log)
    } catch {
      history.flush(.failed, reason: "\(error)", at: now)
    }
  }

  /// Commits for a group half of what can be consumed, or all.
  /// - Parameter group: its number; see `ExplorationWorkload.name(ofGroup:)`.
  func commit(_ log: TestedLog, _ partition: Int, group: Int = 0, half: Bool = true) async {
    guard isRunning else { return }
    let group = ExplorationWorkload.name(ofGroup: group)
    if !groups.contains(group) { groups.append(group) }
    let number = commitNumber
    commitNumber += 1
    do throws(LogFailure) {
      let marks = try log.watermarks(workload.source(partition))
      let offset =
        half ? Offset(marks.logStartOffset.rawValue / 2 + marks.highWatermark.rawValue / 2) : marks.highWatermark
      openCommits[number] = OpenCommit(
        group: group, partition: partition, offset: offset, operationsBefore: history.operations.count)
      try await log.commit(offset, group: group, workload.source(partition))
      guard openCommits[number] != nil else { return }
      record(commit: number, .acknowledged, at: now)
      onCommitted?()
    } catch {
      record(commit: number, error.isCertain ? .failed : .indeterminate, at: now)
    }
  }

  private func record(commit number: Int, _ outcome: Outcome, at time: Instant) {
    guard let commit = openCommits.removeValue(forKey: number) else { return }
    history.commit(
      group: commit.group, PartitionSlot(commit.partition), offset: commit.offset, outcome, at: time,
      operationsBefore: commit.operationsBefore)
  }

  /// Deletes the older half of a partition's messages.
  func trim(_ log: TestedLog, _ partition: Int) async {
    do throws(LogFailure) {
      let marks = try log.watermarks(workload.source(partition))
      let offset = Offset((marks.logStartOffset.rawValue + marks.highWatermark.rawValue) * 3 / 4)
      guard isRunning, offset > marks.logStartOffset, offset <= marks.highWatermark else { return }
      let (number, life) = (history.trim(PartitionSlot(partition), before: offset), self.life)
      do throws(LogFailure) {
        try await log.deleteRecords(workload.source(partition), before: offset)
        if isRunning, life == self.life { history.answer(trim: number, .acknowledged) }
      } catch {
        if isRunning, life == self.life, error.isCertain { history.answer(trim: number, .failed) }
      }
    } catch {}  // it has no watermarks, which the readback that follows finds too
  }

  /// Ends the life.
  /// - Parameter slow: what the device has kept waiting in it, until now.
  func crash(_ kind: CrashKind, at time: Instant, _ slow: SlowOperations = SlowOperations()) {
    isRunning = false
    for number in openCommits.keys.sorted() { record(commit: number, .indeterminate, at: time) }
    recordTopic()
    history.crash(kind, at: time, deviceDelay: slow.longest, slowOperations: slow.all)
  }

  func damage(_ damage: Damage) { history.damage(damage) }

  /// Reads everything back. Answers are small: there are more reads then that an error can hit.
  func readback(_ log: TestedLog, _ recovery: RecoverySummary?) async -> Observation {
    recordTopic()
    let settings = ReadbackSettings(
      fetchBytes: 16 << 10, maxEmptyFetches: RecoveredIncarnation.maxEmptyFetches, groups: groups)
    return await ConsumerReadback.observe(
      log, history, recovery, settings, answerBytes: 64 << 10, random: SeededGenerator(seed: workload.seed))
  }

  func note(_ readback: Observation) { if isRunning { readbacks.append(readback) } }

  // MARK: Judging

  /// The verdict over all readbacks, and the first check that decided it.
  func judge(_ contract: Contract) -> StateJudgement {
    var all = checks
    if !readbacks.isEmpty { all += Oracle(contract).judge(history, readbacks).checks }
    if let checkpoint = CheckResult.checkpointCompletes(history) { all.append(checkpoint) }
    let order = CheckName.allCases
    let violated = all.filter { $0.verdict == .violated }.min {
      (order.firstIndex(of: $0.name) ?? 0) < (order.firstIndex(of: $1.name) ?? 0)
    }
    if let violated { return StateJudgement(verdict: .violated, check: violated) }
    // Two restarts end every story, and the power goes after each.
    let crashes = history.crashes.count
    for restart in max(1, crashes - 2)..<max(1, crashes) where !readbacks.contains(where: { $0.restart == restart }) {
      return StateJudgement(
        verdict: .unknown,
        check: .unknown(.noAcknowledgedLoss, because: "the engine was not read after restart \(restart)"))
    }
    if readbacks.isEmpty {
      return StateJudgement(
        verdict: .unknown,
        check: .unknown(.noAcknowledgedLoss, because: "the engine was never read: there is nothing to judge"))
    }
    if let doubt = all.first(where: { $0.verdict == .unknown }) {
      return StateJudgement(verdict: .unknown, check: doubt)
    }
    return StateJudgement(verdict: .held, check: nil)
  }
}
