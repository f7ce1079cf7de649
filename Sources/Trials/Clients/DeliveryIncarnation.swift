import ClientWorkloads
import Defects
import EventReceivers
import LogClients
import LogModel
import Metrics
import RecordLogs
import ScenarioFormat
import Storage
import Verification

/// One life of a worker with job logs and their senders, from opening to crash, on whatever storage: what real files
/// and the model share.
struct DeliveryIncarnation: Sendable {
  let spec: TrialSpec
  let settings: DeliverySettings
  let number: Int
  let storage: any Storage
  let journal: Journal
  let transport: any Transport
  let parts: DeliveryParts
  private let jobs: DeliveryWorkload
  let registry = MetricRegistry()
  let archiveFailures = ArchiveFailures()
  private let clock: WallClock

  /// - Parameter base: what the logs get, unless the defect has a layer of its own.
  init(
    _ spec: TrialSpec, number: Int, on base: any Storage, _ transport: any Transport, _ journal: Journal
  ) throws(TrialError) {
    guard let settings = spec.delivery else { throw .contradiction(.noDelivery) }
    self.spec = spec
    self.settings = settings
    self.number = number
    self.journal = journal
    self.transport = transport
    journal.stage = .harness
    journal.beginLife()
    if spec.defect == "none" {
      (parts, storage) = (DeliveryParts(), base)
    } else {
      guard let defect = Defect(id: spec.defect) else { throw .unknownDefect(spec.defect) }
      (parts, storage) = (defect.deliveryParts(), defect.layer(on: base))
    }
    clock = storage.loop.isSimulated ? .following(storage.loop) : .system
    var policy = RecordLogPolicy.airunner
    (policy.syncPolicy, policy.recoveryPolicy) = (spec.syncPolicy, spec.recovery)
    let senderPolicy = SenderPolicy(
      firstBackOff: settings.firstBackOff, longestBackOff: settings.longestBackOff, timeout: settings.timeout,
      batchEvents: spec.batch)
    let parts = parts
    jobs = DeliveryWorkload(
      spec.deliveryJobs, on: storage, over: transport, policy: policy, senderPolicy, clock: clock,
      metrics: DeliveryMetrics(in: registry), parts: { parts })
  }

  private var loop: EventLoop { storage.loop }

  enum Opening: Sendable {
    /// - Parameter bytesScanned: by the recovery of all logs.
    case opened([DeliveryWorkload.OpenJob], bytesScanned: Int)
    case refused(String)
  }

  /// How many executions the trial has.
  static func executions(_ spec: TrialSpec) -> Int { spec.delivery?.isRetried == true ? 2 : 1 }

  /// The execution of which events are appended in this life.
  private var execution: Int { min(number, Self.executions(spec) - 1) }

  /// What an operator does before this life; nil where he does nothing.
  /// - Throws: `TrialError` where the harness could not do its part.
  func recoverDiskSpace() async throws(TrialError) -> Receipt? {
    guard number == 1, let fault = DiskSpaceRecovery.fault(spec) else { return nil }
    storage.note(.fault("an operator recovers disk space, by the \(fault.parameters["by"] ?? "")"))
    do throws(StorageError) {
      if fault.parameters["by"] == "document" { return try await DiskSpaceRecovery.asWritten(storage, clock) }
    } catch { throw .operatorStep(.freeDiskSpace, reason: "\(error)") }
    do throws(JobLogError) { return try await archiveActive() } catch {
      throw .operatorStep(.freeDiskSpace, reason: "\(error)")
    }
  }

  /// Every log is given to `JobArchive`, which refuses those with unsent events.
  private func archiveActive() async throws(JobLogError) -> Receipt {
    var receipt = Receipt(kind: DiskSpaceRecovery.kind, fired: 0, places: [])
    let archive = try await archive()
    for slot in 0..<spec.partitions {
      let job = try spec.deliveryJobs.job(slot)
      let (log, _) = try await jobs.openLog(slot)
      receipt.fired += 1
      do throws(JobLogError) { receipt.places.append("\(job) archived as \(try await archive.archive(log))") } catch {
        receipt.places.append("\(job) refused: \(error)")
        if case .unsentEvents = error {
          try await log.close()
        } else {
          archiveFailures.note(ArchiveFailure(error, of: job, life: number, deadline: .zero))
        }
      }
    }
    return receipt
  }

  private func archive() async throws(JobLogError) -> JobArchive {
    do throws(StorageError) {
      try await storage.makeDirectory(DeliveryWorkload.archiveDirectory)
      try await storage.syncDirectory("")
    } catch { throw .log(.storage(error)) }
    return JobArchive(DeliveryWorkload.archiveDirectory, of: storage, clock: clock)
  }

  /// Sends everything and archives all logs, in the second life of a trial that does so.
  /// - Parameter start: of the first life.
  /// - Returns: the jobs whose logs are archived now, nil where the trial archives none. Why one is not,
  ///   `archiveFailures` has.
  func archiveAll(_ jobs: [DeliveryWorkload.OpenJob], since start: Instant) async throws(TrialError) -> [Int]? {
    guard number == 1, settings.archives else { return nil }
    storage.note(.phase("archive"))
    journal.stage = .closing
    defer { journal.stage = .harness }
    let archive: JobArchive
    do throws(JobLogError) { archive = try await self.archive() } catch {
      throw .operatorStep(.openArchive, reason: "\(error)")
    }
    var archived: [Int] = []
    for job in jobs {
      let deadline = loop.now + settings.stopWithin - start
      _ = await job.sender.stop(within: settings.stopWithin)
      do throws(JobLogError) {
        _ = try await archive.archive(job.log)
        archived.append(job.slot)
      } catch {
        archiveFailures.note(ArchiveFailure(error, of: job.log.job, life: number, deadline: deadline))
      }
    }
    return archived
  }

  /// What the archives of these jobs hold, in the last life.
  func readArchives(_ slots: [Int]) async throws(TrialError) -> [Delivered] {
    do throws(JobLogError) {
      return try await spec.deliveryJobs.archived(slots.sorted(), in: try await archive())
    } catch { throw .operatorStep(.readArchives, reason: "\(error)") }
  }

  /// Opens the logs of this life's execution, then those that earlier ones have left behind, and starts their senders.
  func open() async -> Opening {
    storage.note(.phase(number == 0 ? "open" : "recover"))
    var names: Set<String> = []
    var opened: [DeliveryWorkload.OpenJob] = []
    var bytesScanned: Int64 = 0
    journal.stage = .opening
    defer { journal.stage = .harness }
    do throws(JobLogError) {
      do throws(StorageError) {
        try await storage.makeDirectory(DeliveryWorkload.directory)
        try await storage.syncDirectory("")
      } catch { throw .log(.storage(error)) }
      let slots = (0..<spec.partitions * (execution + 1)).reversed().sorted {
        $0 / spec.partitions > $1 / spec.partitions
      }
      for slot in slots {
        guard names.insert(parts.naming.name(of: try spec.deliveryJobs.job(slot))).inserted else { continue }
        let seed = mix64(spec.seed &+ UInt64(slot) << 8 &+ UInt64(number))
        let (job, report) = try await jobs.open(slot, senderSeed: seed)
        bytesScanned += report.recovery.bytesScanned
        opened.append(job)
      }
    } catch { return .refused("\(error)") }
    if number == 0 {
      for slot in 0..<spec.partitions * Self.executions(spec) {
        journal.answer(journal.create(PartitionID(slot), at: loop.now), .acknowledged, at: loop.now)
      }
    }
    journal.opened(at: loop.now)
    return .opened(opened, bytesScanned: Int(bytesScanned))
  }

  /// As soon as so many events were answered the life ends; nil: when all were.
  var crashThreshold: Int? {
    guard number == 0, spec.crash != .none else { return nil }
    switch spec.crashAt {
    case .end, .step: return nil
    case .percent(let n): return spec.messages * n / 100
    case .messages(let n): return min(n, spec.messages)
    }
  }

  /// Appends this life's events, each a request of its own.
  /// - Parameter answered: called after each answer with the number of events answered so far.
  func append(to opened: [DeliveryWorkload.OpenJob], answered: @escaping @Sendable (Int) -> Void) async {
    storage.note(.phase(number == 0 ? "produce" : "append"))
    var work = number == 0 ? Workload(spec) : Workload(betweenRestartsOf: spec)
    work.batch = 1
    if execution > 0 { work.firsts = work.firsts.map { _ in 0 } }
    let first = execution * spec.partitions
    let open = Dictionary(uniqueKeysWithValues: opened.map { ($0.slot, $0) })
    let pace = number == 0 ? settings.eventsFor / max(1, work.requests) : .zero
    let (begun, workload, progress) = (loop.now, work, Progress())
    journal.stage = .producing
    await withTaskGroup(of: Void.self) { group in
      for producer in 0..<max(1, workload.producers) {
        group.addTask(executorPreference: loop) {
          for k in stride(from: producer, to: workload.requests, by: max(1, workload.producers)) {
            guard let request = workload.request(k) else { continue }
            if pace > .zero { await loop.sleep(until: begun + pace * k) }
            guard let job = open[first + request.partition.index] else { continue }
            await jobs.append(request.first, to: job, by: producer, JournalRecord(journal: journal, loop: loop))
            progress.events += 1
            answered(progress.events)
          }
        }
      }
    }
    journal.stage = .harness
  }

  /// Touched on the loop only.
  private final class Progress: @unchecked Sendable {
    var events = 0
  }

  /// Stops all senders in order, each with `stop-within`, and closes the logs.
  /// - Returns: the events that were left, and the first thing that went wrong.
  func stop(_ jobs: [DeliveryWorkload.OpenJob]) async -> (left: Int, failure: String?) {
    storage.note(.phase("close"))
    journal.stage = .closing
    let found = Found()
    await withTaskGroup(of: Void.self) { group in
      for job in jobs {
        group.addTask(executorPreference: loop) {
          found.left += await job.sender.stop(within: settings.stopWithin)
          if let failure = job.sender.failure { found.failure = found.failure ?? "\(failure)" }
          do throws(JobLogError) { try await job.log.close() } catch { found.failure = found.failure ?? "\(error)" }
        }
      }
    }
    journal.stage = .harness
    return (found.left, found.failure)
  }

  /// Touched on the loop only.
  private final class Found: @unchecked Sendable {
    var left = 0
    var failure: String?
  }
}

extension TrialSpec {
  /// The jobs of a trial of delivery.
  var deliveryJobs: DeliveryWorkload.Jobs {
    DeliveryWorkload.Jobs(
      jobName: self.topic, jobs: self.partitions, topic: self.topic, seed: seed, eventBytes: self.messageSize)
  }
}

/// What becomes of events, where a crash cannot take it.
private struct JournalRecord: EventRecorder {
  let journal: Journal
  let loop: EventLoop

  func submitted(_ message: Int, of slot: Int, by producer: Int) -> Int {
    journal.produce(PartitionID(slot), producer: producer, first: message, count: 1, at: loop.now)
  }

  func acknowledged(_ request: Int, _ message: Int, of slot: Int, as event: Int64) {
    journal.answer(request, .acknowledged, baseOffset: Offset(event), at: loop.now)
  }

  func failed(_ request: Int, certainly: Bool) {
    journal.answer(request, certainly ? .failed : .indeterminate, at: loop.now)
  }
}
