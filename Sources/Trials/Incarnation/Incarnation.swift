import Defects
import EngineAdapter
import LogClients
import LogModel
import Metrics
import PartitionEngine
import ScenarioFormat
import Storage
import SystemUnderTest
import Verification
import WriteAheadLog

/// One life of the engine, from opening to crash, on whatever storage: the part that real files and the model share.
struct Incarnation: Sendable {
  /// What a life is doing, for triggers and in the trace.
  static let phases = [
    "open", "create", "produce", "commit", "verify", "recover", "append", "close", "flush", "delete",
  ]
  /// Times that an engine is asked to open, or to create the topic, where a fault keeps it from that, before the fault
  /// is lifted.
  static let openings = 3

  /// Times that an engine is asked for what needs its object store, where the machine is too slow for the time-out of
  /// that.
  static let slowAttempts = 50

  static let group = "tornlog"

  let spec: TrialSpec
  let number: Int
  let storage: any Storage
  let journal: Journal
  let parts: EngineParts
  /// Nil where one engine writes alone.
  let second: SecondWriter?
  let faults: StorageFaultSetup
  /// What the engine has said of its object store.
  let archive: ArchiveObserver
  let firstFetches = FirstFetches()
  /// What the engine counts; nil where there is neither an object store nor a second writer.
  let registry: MetricRegistry?
  /// Not nil where both copies of the metadata were damaged before this life.
  private let backup: MetadataBackup?
  /// Nil where no crash cuts off a step of this life.
  let step: CrashStepStorage?
  /// That have opened in it.
  private let logs = OpenLogs()

  /// - Parameters:
  ///   - faults: their storage is what the engine gets.
  ///   - backup: of a copy of the metadata, where faults at rest have damaged both.
  init(
    _ spec: TrialSpec, number: Int, _ faults: StorageFaultSetup, _ journal: Journal, _ backup: MetadataBackup? = nil
  ) throws(TrialError) {
    self.spec = spec
    self.number = number
    self.backup = backup
    self.faults = faults
    self.journal = journal
    archive = ArchiveObserver(spec, journal, faults.storage.loop)
    journal.stage = .harness
    journal.beginLife()
    step = spec.crashStep(ofLife: number).map { CrashStepStorage(faults.storage, $0) }
    let top: any Storage = step ?? faults.storage
    var parts = EngineParts()
    if spec.defect == "none" {
      storage = top
    } else {
      guard let defect = Defect(id: spec.defect) else { throw .unknownDefect(spec.defect) }
      parts = defect.parts()
      storage = defect.layer(on: top)
    }
    parts.store = faults.store
    registry = spec.checkpoint == .none && spec.writers == .one ? nil : MetricRegistry()
    parts.metrics = registry.map { EngineMetrics(in: $0) }
    self.parts = parts
    guard spec.writers == .one || spec.isFirstLifeWhole else {
      throw .contradiction(.writersNeedEnd)
    }
    second = spec.writers == .one || number > 0 ? nil : SecondWriter(spec, storage.loop)
  }

  var loop: EventLoop { storage.loop }

  var configuration: EngineConfiguration {
    EngineConfiguration(
      system: spec.system,
      log: LogConfiguration(
        syncPolicy: spec.syncPolicy(ofLife: number), recoveryPolicy: spec.recovery, segmentBytes: spec.segmentBytes,
        commitBytes: TrialPlanner.commitBytes(spec), firstPreallocation: Int64(spec.preallocation),
        largestPreallocation: Int64(spec.largestPreallocation), saltSeed: spec.seed,
        commitWindow: spec.commitWindow),
      checkpoints: CheckpointPolicy(spec.checkpointTerms))
  }

  enum Outcome: Sendable {
    /// - Parameters:
    ///   - memory: bytes resident at the most while it opened, above what was resident before.
    ///   - refusal: why it had refused to before a copy of its metadata was put back.
    case opened(TestedLog, RecoverySummary, seconds: Double, memory: Int, refusal: String?)
    case refused(String)
    /// The harness could not do its part.
    case failed(String)
  }

  /// Opens the engine. Where a fault at the storage interface has kept it from opening, it is opened again, as its
  /// operator would, and the fault is lifted if that does not help: a fault that has gone must not keep it closed.
  ///
  /// Where it refuses because both copies of its metadata were damaged at rest, one is put back, once; see
  /// `MetadataDamage`.
  func open() async -> Outcome {
    begin(number == 0 ? "open" : "recover")
    let outcome = await openHindered()
    guard case .refused(let why) = outcome, let backup else { return outcome }
    journal.stage = .harness
    do throws(StorageError) { try await backup.putBack(on: storage) } catch {
      return .failed("\(backup.copy) could not be put back as it was before the damage: \(error)")
    }
    storage.note(.fault("\(backup.copy) has been put back as it was before the damage"))
    guard case .opened(let log, let recovery, let seconds, let memory, _) = await openHindered() else {
      return .refused(why)
    }
    return .opened(log, recovery, seconds: seconds, memory: memory, refusal: why)
  }

  private func openHindered() async -> Outcome {
    for attempt in 1... {
      let (fired, slow) = (faults.firings, faults.slowStoreCalls)
      let outcome = await openOnce()
      guard case .refused(let why) = outcome else { return outcome }
      if faults.firings > fired {
        if attempt >= Self.openings { faults.lift() }
      } else if faults.slowStoreCalls > slow {
        // No fault has made the store slow: it is the machine, of which the engine knows nothing.
        if attempt >= Self.slowAttempts {
          return .failed(
            "this machine is too slow for the time-out of the object store, and the engine does not open: \(why)")
        }
      } else {
        return outcome
      }
    }
    preconditionFailure("an endless loop has ended")
  }

  /// Touched on the loop.
  private final class OpenLogs: @unchecked Sendable {
    var all: [TestedLog] = []
  }

  func joined(_ log: TestedLog) { logs.all.append(log) }

  /// After the death of a simulated machine: what the engines have left waiting ends too. Waiting, it would keep its
  /// memory.
  func bury() async {
    faults.cut()
    // What was in flight ends now, an opening among it.
    await loop.sleep(until: loop.now + .milliseconds(200))
    // What it throws is that the machine is dead.
    for log in logs.all { do throws(LogFailure) { try await log.close() } catch {} }
    logs.all = []
  }

  func begin(_ phase: String) { storage.note(.phase(phase)) }

  private func openOnce() async -> Outcome {
    journal.stage = .harness
    PeakMemory.reset(trimming: spec.mayJudgeMemory)
    let before = PeakMemory.read().resident
    let configuration = configuration
    let start = ContinuousClock.now
    journal.stage = .opening
    do throws(LogFailure) {
      let (log, recovery) = try await EngineFactory(
        second?.storageOfFirst(storage) ?? storage, configuration, parts: second?.partsOfFirst(parts) ?? parts
      ).open()
      joined(log)
      journal.stage = .harness
      let seconds = (ContinuousClock.now - start).inSeconds
      journal.opened(at: loop.now)
      return .opened(log, recovery, seconds: seconds, memory: max(0, PeakMemory.read().peak - before), refusal: nil)
    } catch {
      return .refused("\(error)")
    }
  }

  /// Creates topics that the crash in the first life has kept from being created, as their owner would.
  func createCutOff(_ log: TestedLog) async {
    guard [.open, .create].contains(spec.crashAt.step?.phase), number == 1 else { return }
    await createTopic(log)
  }

  /// Creates the topics, one after the other. Where a fault at the storage interface has kept the engine from it, it is
  /// asked again, as `open` does, and the fault is lifted in the end. Any other error is the engine's: the trial goes
  /// on without a topic.
  func createTopic(_ log: TestedLog) async {
    begin("create")
    for index in spec.topics.indices {
      journal.stage = .harness
      let rows = spec.numbers(ofTopic: index).map { journal.create(PartitionID($0), at: loop.now) }
      journal.stage = .producing
      // A crash may have left the topic behind.
      var outcome = number == 0 ? Verification.Outcome.failed : .indeterminate
      for attempt in 1... {
        let fired = faults.firings
        outcome = await createOnce(log, spec.topics[index], partitions: rows.count, after: outcome)
        guard outcome != .acknowledged, faults.firings > fired else { break }
        if attempt >= Self.openings { faults.lift() }
      }
      for row in rows { journal.answer(row, outcome, at: loop.now) }
    }
  }

  /// - Parameter earlier: what the attempts before came to; `failed` where there was none. What may have happened then
  ///   may have happened, however this one ends.
  private func createOnce(
    _ log: TestedLog, _ topic: String, partitions: Int, after earlier: Verification.Outcome
  ) async -> Verification.Outcome {
    do throws(LogFailure) {
      try await log.createTopic(topic, partitions: partitions)
      return .acknowledged
    } catch {
      // It says that what may have happened has happened.
      if case .topicExists(partitions) = error.kind, earlier == .indeterminate { return .acknowledged }
      return error.isCertain ? earlier : .indeterminate
    }
  }

  func produce(_ workload: Workload, _ log: TestedLog, answered: @escaping @Sendable (Int) -> Void) async {
    begin(number == 0 ? "produce" : "append")
    journal.stage = .producing
    let total = Double(max(1, workload.messages))
    let turn: @Sendable (Int) async -> Void = { [second] in await second?.turn($0) }
    let producers = max(1, workload.producers)
    let done: @Sendable (Int, PartitionID) async -> Void = { k, partition in
      // Each group is one producer's: its commits follow each other.
      if k % producers < spec.committers { await commit(after: k, for: 1 + k % producers, partition, log) }
    }
    let half = AsyncEvent()
    let readers = readers(of: log, beside: workload)
    await withTaskGroup(of: Void.self) { group in
      for reader in 0..<spec.readers {
        group.addTask(executorPreference: loop) { await readers?.run(reader) }
      }
      if number == 0, spec.deletion != .none {
        group.addTask(executorPreference: loop) {
          await half.wait()
          await delete(log)
        }
      }
      await workload.run(on: log, loop: loop, journal: journal, turn: turn, done: done) { [faults, second] messages in
        second?.firstAnswered()
        archive.note(log)
        faults.progress(Double(messages) / total * 100)
        if Double(messages) * 2 >= total { half.open() }
        answered(messages)
        readers?.ring()
      }
      half.open()
      readers?.end()
    }
  }

  /// - Parameters:
  ///   - faults: those at rest that have been done.
  ///   - earlier: receipts of the lives before.
  ///   - operationsBefore: that had been submitted when `recovery` was reported; nil for all.
  func readback(
    _ log: TestedLog, _ faults: [Receipt], _ earlier: [StorageFaultRecord], _ recovery: RecoverySummary?,
    operationsBefore: Int? = nil
  ) async -> Observation {
    begin("verify")
    archive.note(log)
    journal.stage = .harness
    let history = Judging.history(spec, journal, faults, earlier + self.faults.receipts)
    var groups = [Self.group]
    for commit in history.commits where !groups.contains(commit.group) { groups.append(commit.group) }
    let settings = ReadbackSettings(
      fetchBytes: 256 << 10, maxEmptyFetches: JournaledLog.maxAttempts, groups: groups,
      operationsBefore: operationsBefore)
    return await ConsumerReadback.observe(
      JournaledLog(log, journal, self.faults, firstFetches), history,
      operationsARequest: spec.system.requestsAreAtomic ? 1 : spec.batch, recovery, settings, answerBytes: 512 << 10,
      random: SeededGenerator(seed: spec.seed, stream: "look-\(number)"))
  }
}
