import ClientWorkloads
import Defects
import EventReceivers
import LogClients
import LogModel
import RecordLogs
import Storage
import Verification

/// A worker with two jobs, their senders and the archive. Each session runs the jobs once more, as executions with logs
/// of their own, after it has opened the logs that earlier ones have left. In the first session of a life the receiver
/// takes little and repeats much, and the logs stay; in the second one it is well, and all logs are archived, some to
/// be removed when their time is over.
final class DeliveryScript: ClientScript, @unchecked Sendable {
  // Owned by the loop of the life that runs.

  static let pause = Duration.seconds(10)
  static let limit = Duration.seconds(86_400)
  private static let retention = Duration.seconds(3600)
  private static let jobs = 2
  private static let executions = 8

  private let messages: Int
  private let seed: UInt64
  private let defect: Defect?
  private let workload: DeliveryWorkload.Jobs
  private var history: History
  private let receiver: ModelReceiver
  /// Of this session.
  private var attempts = 0
  private var session = -1
  private var stops: [StoppedSender] = []
  /// Archives that may be gone: their time was over when the worker removed what is old.
  private var removable: Set<Int> = []
  /// When the worker last began to archive a log.
  private var archivedAt: [Int: Instant] = [:]
  private var archives: [Delivered] = []
  private var checks: [CheckResult] = []
  private var answers = 0
  var onAnswer: ((String) -> Void)?

  convenience init(messages: Int, seed: UInt64, _ defect: Defect?) {
    self.init(messages: messages, seed: seed, defect, ReceivedEvents())
  }

  private init(messages: Int, seed: UInt64, _ defect: Defect?, _ received: ReceivedEvents) {
    (self.messages, self.seed, self.defect) = (messages, seed, defect)
    workload = DeliveryWorkload.Jobs(jobName: "job", jobs: Self.jobs, topic: "events", seed: seed, eventBytes: 96)
    receiver = ModelReceiver(having: received)
    history = History(seed: seed)
    for slot in 0..<Self.jobs * Self.executions {
      history.create(TopicPartition("events", PartitionID(slot)), .acknowledged, at: Instant(nanoseconds: 0))
    }
  }

  func copy() -> any ClientScript {
    let other = DeliveryScript(messages: messages, seed: seed, defect, receiver.received)
    (other.history, other.attempts, other.session) = (history, attempts, session)
    (other.stops, other.removable, other.archivedAt) = (stops, removable, archivedAt)
    (other.archives, other.checks, other.answers) = (archives, checks, answers)
    return other
  }

  /// What the receiver takes it has, whether or not the worker has heard of it.
  var version: Int {
    answers + receiver.received.repeats + receiver.received.taken.values.reduce(0) { $0 + $1.count }
  }

  private func answer(_ text: @autoclosure () -> String) {
    answers += 1
    onAnswer?(text())
  }

  func crash(at time: Instant) {
    answers += 1
    // What a sender of the dead machine still tries reaches nobody.
    receiver.loop = nil
    history.crash(.powerLoss, at: time)
  }

  func hang(_ detail: String) { checks.append(CheckResult(.noHang, .violated, detail)) }

  func judge() -> StateJudgement {
    var delivered: [Delivered] = []
    var foreign = 0
    for (job, events) in receiver.received.taken {
      guard let slot = slot(of: job) else {
        foreign += events.count
        continue
      }
      delivered.append(workload.delivered(events, slot: slot))
    }
    delivered.sort { $0.slot < $1.slot }
    let judgement = DeliveryOracle.judge(
      history, delivered, foreign: foreign, stops: stops,
      archives: archives.filter { !removable.contains($0.slot.index) })
    // What a sender has left when it was stopped is in its log, and not lost yet.
    return (checks + judgement.checks).stateJudgement(leading: .deliveredAtStop)
  }

  // MARK: Jobs

  private func slot(of job: JobID) -> Int? {
    (0..<Self.jobs * Self.executions).first { slot in
      do throws(JobLogError) { return try workload.job(slot) == job } catch { return false }
    }
  }

  // MARK: Lives

  func live(_ life: ClientIncarnation, on storage: any Storage) async {
    switch life {
    case .work:
      await session(on: storage, isHindered: true, archives: false)
      await storage.loop.sleep(until: storage.loop.now + Self.pause)
      await session(on: storage, isHindered: true, archives: true)
    case .check: await session(on: storage, isHindered: false, archives: true)
    }
  }

  /// Of the receiver, attempt by attempt.
  private func behavior(isWell: Bool) -> ReceiverBehavior {
    defer { attempts += 1 }
    switch attempts % 6 {
    case 0: return isWell ? .cuts : .accepts
    case 1: return isWell ? .crashes : .cuts
    case 2: return isWell ? .accepts : .stalls
    case 3: return isWell ? .accepts : .crashes
    default: return isWell ? .accepts : .refuses
    }
  }

  private func session(on storage: any Storage, isHindered: Bool, archives isArchiving: Bool) async {
    session += 1
    answers += 1
    attempts = 0
    receiver.loop = storage.loop
    receiver.behavior = { [unowned self] _, _ in behavior(isWell: isArchiving) }
    let defect = defect
    let jobs = DeliveryWorkload(
      workload, on: storage, over: ScriptTransport(self), SenderPolicy(batchEvents: 4), clock: .following(storage.loop),
      parts: { defect?.deliveryParts() ?? DeliveryParts() })
    do throws(JobLogError) {
      let archive = try await archive(storage, patiently: isHindered)
      let old = await open(await leftovers(storage, isHindered: isHindered), of: jobs, isHindered: isHindered)
      // A job that was cut off goes on: events behind those that recovery has found.
      for job in old { await jobs.append(perJob + session, to: job, by: 0, Record(self, storage.loop)) }
      if isArchiving {
        try await end(old, archive, storage.loop, isHindered: isHindered)
        if isHindered {
          await storage.loop.sleep(until: storage.loop.now + Self.retention * 2)
          try await removeExpired(archive, storage.loop)
        }
      }
      let own = await open((0..<Self.jobs).map { session * Self.jobs + $0 }, of: jobs, isHindered: isHindered)
      await append(to: own, of: jobs, storage.loop)
      if isArchiving {
        try await end(own, archive, storage.loop, isHindered: isHindered)
      } else {
        for job in old + own {
          await job.sender.stop(within: .seconds(60))
          do throws(JobLogError) { try await job.log.close() } catch {}  // an answer
        }
      }
      if isArchiving, isHindered { try await removeExpired(archive, storage.loop) }
      let found = try await workload.archived(0..<(session + 1) * Self.jobs, in: archive)
      if !isHindered { archives = found }
      answers += 1
    } catch {
      guard !isHindered else { return }
      checks.append(
        CheckResult(.recoveryCompletes, .violated, "session \(session) must come to its end, found: \(error)"))
    }
  }

  /// Executions of earlier sessions that have a log.
  private func leftovers(_ storage: any Storage, isHindered: Bool) async -> [Int] {
    for _ in 0..<(isHindered ? 2 : 1) {
      do throws(JobLogError) {
        let there = try await JobLog.names(in: DeliveryWorkload.directory, of: storage)
        let naming = (defect?.deliveryParts() ?? DeliveryParts()).naming
        return (0..<session * Self.jobs).filter { slot in
          do throws(JobLogError) {
            return there.contains(naming.name(of: try workload.job(slot)))
          } catch {
            return false
          }
        }
      } catch {}  // once more, or in the next session
    }
    if !isHindered {
      checks.append(
        CheckResult(.recoveryCompletes, .violated, "the folder of the logs cannot be listed in session \(session)"))
    }
    return []
  }

  private func archive(_ storage: any Storage, patiently: Bool) async throws(JobLogError) -> JobArchive {
    for attempt in 0... {
      do throws(StorageError) {
        for folder in [DeliveryWorkload.directory, DeliveryWorkload.archiveDirectory] {
          try await DurableDirectories(storage).make(folder)
        }
        break
      } catch { if !patiently || attempt > 0 { throw .log(.storage(error)) } }
    }
    return JobArchive(
      DeliveryWorkload.archiveDirectory, of: storage, retention: Self.retention, clock: .following(storage.loop))
  }

  /// Whoever is refused tries once more.
  private func open(_ slots: [Int], of jobs: DeliveryWorkload, isHindered: Bool) async -> [DeliveryWorkload.OpenJob] {
    var opened: [DeliveryWorkload.OpenJob] = []
    for slot in slots {
      var failure: JobLogError?
      for _ in 0..<(isHindered ? 2 : 1) {
        do throws(JobLogError) {
          opened.append(try await jobs.open(slot, senderSeed: mix64(seed &+ UInt64(slot))).job)
          failure = nil
          break
        } catch { failure = error }
      }
      if let failure, !isHindered {
        checks.append(
          CheckResult(
            .recoveryCompletes, .violated,
            "the log of slot \(slot) must open in session \(session), found: \(failure)"))
      }
    }
    return opened
  }

  private var perJob: Int { max(2, messages / Self.jobs) }

  private func append(to opened: [DeliveryWorkload.OpenJob], of jobs: DeliveryWorkload, _ loop: EventLoop) async {
    await withTaskGroup(of: Void.self) { group in
      for job in opened {
        group.addTask(executorPreference: loop) { [self] in
          for n in 0..<perJob { await jobs.append(n, to: job, by: 0, Record(self, loop)) }
        }
      }
    }
  }

  /// What becomes of events, for the oracle and for whoever follows.
  private struct Record: EventRecorder {
    let owner: DeliveryScript
    let loop: EventLoop

    init(_ owner: DeliveryScript, _ loop: EventLoop) { (self.owner, self.loop) = (owner, loop) }

    func submitted(_ message: Int, of slot: Int, by producer: Int) -> Int {
      owner.answers += 1
      return owner.history.submit(
        PartitionSlot(slot), producer: producer, firstSequence: message, count: 1, at: loop.now)
    }

    func acknowledged(_ request: Int, _ message: Int, of slot: Int, as event: Int64) {
      owner.history.acknowledge(request, baseOffset: Offset(event), at: loop.now)
      owner.answer("ACK event \(message) of slot \(slot)")
    }

    func failed(_ request: Int, certainly: Bool) {
      owner.history.fail(request, certainly: certainly, at: loop.now)
      owner.answers += 1
    }
  }

  /// Sends what is pending, and archives the logs.
  private func end(
    _ jobs: [DeliveryWorkload.OpenJob], _ archive: JobArchive, _ loop: EventLoop, isHindered: Bool
  ) async throws(JobLogError) {
    var (left, failure) = (0, JobLogError?.none)
    for job in jobs {
      left += await job.sender.stop(within: .seconds(isHindered ? 60 : 600))
      failure = failure ?? job.sender.failure
    }
    if !isHindered {
      stops.append(StoppedSender(life: session, left: left, couldSend: true))
      if let failure { throw failure }
    }
    for job in jobs { await keep(job, in: archive, loop, isHindered: isHindered) }
  }

  private func keep(_ job: DeliveryWorkload.OpenJob, in archive: JobArchive, _ loop: EventLoop, isHindered: Bool) async
  {
    // From now on it may be there, whatever is answered.
    archivedAt[job.slot] = loop.now
    do throws(JobLogError) {
      _ = try await archive.archive(job.log)
      answer("slot \(job.slot) archived")
    } catch {
      // It stays for the next session.
      if case .unsentEvents = error { do throws(JobLogError) { try await job.log.close() } catch {} }
      if !isHindered {
        checks.append(
          CheckResult(
            .archiveKept, .violated, "slot \(job.slot) must be archived in session \(session), found: \(error)"))
      }
    }
  }

  /// Whatever may be older than the retention may be gone from now on.
  private func removeExpired(_ archive: JobArchive, _ loop: EventLoop) async throws(JobLogError) {
    for (slot, time) in archivedAt where loop.now - time >= Self.retention { removable.insert(slot) }
    answers += 1
    do throws(JobLogError) {
      _ = try await archive.removeExpired()
      answer("expired archives removed")
    } catch {}  // an answer; the next session removes them
  }

  // MARK: The receiver

  /// The way to the receiver, which is another machine: what it has taken it has, whatever becomes of the worker.
  private final class ScriptTransport: Transport, @unchecked Sendable {
    private let script: DeliveryScript

    init(_ script: DeliveryScript) { self.script = script }

    func deliver(_ batch: EventBatch) async -> Delivery {
      let delivery = await script.receiver.deliver(batch)
      script.answer("\(batch.events.count) events of \(batch.job) sent: \(delivery)")
      return delivery
    }
  }
}
