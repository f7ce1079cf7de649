import LogModel
import Metrics
import Storage

/// One execution of one job. A job that is run again is another execution with a log of its own, so that the events of
/// the two never mix (A8).
public struct JobID: Hashable, Sendable, CustomStringConvertible {
  /// By `NameRule.job`: it names a file.
  public let job: String
  /// From 1.
  public let execution: Int

  /// - Throws: `badJobName`.
  public init(_ job: String, execution: Int = 1) throws(JobLogError) {
    guard NameRule.job.allows(job), execution >= 1 else { throw .badJobName("\(job), execution \(execution)") }
    self.job = job
    self.execution = execution
  }

  /// `<job>` for the first execution, as airunner has it, then `<job>.2`.
  public var description: String { execution == 1 ? job : "\(job).\(execution)" }
}

/// Why a job's log refused or failed.
public enum JobLogError: Error, Hashable, Sendable {
  case log(RecordLogError)
  case badJobName(String)
  /// The log holds events that the receiver has not acknowledged: it is not archived, nor removed.
  case unsentEvents(Int)
  /// What was read back of the archive is not what was to be archived. The log was left alone.
  case archiveDiffers(path: String)
  /// A policy that goes on to new files. Nothing was opened.
  case rotatingPolicy
}

extension JobLogError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .log(let error): "\(error)"
    case .badJobName(let name): "\(name): a job is named by \(NameRule.job.words), executions are counted from 1"
    case .unsentEvents(let count): "\(count) events have not been sent; start the sender and let it finish first"
    case .archiveDiffers(let path): "\(path) does not hold what was archived; free or change the disk and archive again"
    case .rotatingPolicy:
      "a job's log is one file, which its sender and its archive read whole; open it with a policy without rotation"
    }
  }
}

/// What opening a job's log found.
public struct JobLogReport: Hashable, Sendable {
  public var recovery = RecordRecoveryReport()
  /// Events in the log, each sequence number once.
  public var events = 0
  public var sent = 0
  public var failed = 0
  /// Events whose sequence number an earlier event has already: the receiver would take neither for new. They are not
  /// sent.
  public var duplicates = 0
  /// Records whose number no event can have come to, whatever their checksum says: they are not of this log.
  public var foreign = 0
}

/// The events of one job: appended, then sent by a `Sender`, then archived. Every event is a record of status
/// *pending*; what becomes of it is another record of the same sequence number, *sent* or *failed*.
///
/// The log numbers its events itself, and uses a number once (`NumbersUsedOnce`).
public final class JobLog: @unchecked Sendable {
  // Owned by the storage's loop.

  public let job: JobID
  public let metrics: DeliveryMetrics
  let log: RecordLog<AirunnerCodec>
  let loop: EventLoop
  let parts: DeliveryParts
  private let clock: WallClock
  /// No log gets so far.
  static let largestSequence = Int64(1) << 62
  private var nextSequence: Int64 = 1
  /// Numbers of the events that are neither sent nor failed, those that are just being appended among them: a sender
  /// may find one in the log before whoever appends it has been told.
  private(set) var unsettled = SequenceRanges()
  /// A sender that has nothing to do; rings when there is something to send.
  var sender: WakeableTimer?

  private init(
    _ job: JobID, _ log: RecordLog<AirunnerCodec>, _ clock: WallClock, _ metrics: DeliveryMetrics,
    _ parts: DeliveryParts
  ) {
    self.job = job
    self.log = log
    self.parts = parts
    self.clock = clock
    self.metrics = metrics
    loop = log.loop
  }

  /// Opens the log of a job, or makes it. `directory` exists, and its entry is durable.
  /// - Parameter policy: without rotation.
  /// - Throws: `log`, `rotatingPolicy`.
  public static func open(
    _ job: JobID, in directory: String, of storage: any Storage, policy: RecordLogPolicy = .airunner,
    clock: WallClock = .system, metrics: DeliveryMetrics = DeliveryMetrics(), parts: DeliveryParts = DeliveryParts()
  ) async throws(JobLogError) -> (log: JobLog, report: JobLogReport) {
    guard policy.rotation == nil else { throw .rotatingPolicy }
    var report = JobLogReport()
    var events = SequenceRanges()
    var unsettled = SequenceRanges()
    var last: Int64 = 0
    do throws(RecordLogError) {
      let name = parts.naming.name(of: job)
      let (log, recovery) = try await RecordLog<AirunnerCodec>.open(name, in: directory, of: storage, policy) {
        _, record in
        guard record.sequence <= Self.largestSequence else {
          report.foreign += 1
          return
        }
        last = max(last, record.sequence)
        switch record.status {
        case .pending:
          if events.insert(record.sequence) { unsettled.insert(record.sequence) } else { report.duplicates += 1 }
        case .sent: if unsettled.remove(record.sequence) { report.sent += 1 }
        case .failed: if unsettled.remove(record.sequence) { report.failed += 1 }
        }
      }
      report.recovery = recovery
      report.events = events.count
      let jobLog = JobLog(job, log, clock, metrics, parts)
      jobLog.unsettled = unsettled
      let isNew = recovery.records == 0 && recovery.damageCount == 0 && recovery.tornTail == nil
      jobLog.nextSequence = parts.numbering.first(isNew: isNew, last: last, milliseconds: clock.milliseconds)
      metrics.pendingEvents.add(unsettled.count)
      return (jobLog, report)
    } catch { throw .log(error) }
  }

  /// The names of the logs in a directory, as `JobLogNaming` gives them: what earlier processes have left is opened
  /// again, and sent.
  /// - Throws: `log`.
  public static func names(in directory: String, of storage: any Storage) async throws(JobLogError) -> Set<String> {
    do throws(StorageError) {
      let storage = RetryingStorage(storage)
      let names = try await storage.here().list(directory).map(\.name)
      return Set(names.filter { $0.hasSuffix(".wal") }.map { String($0.dropLast(4)) })
    } catch { throw .log(.storage(error)) }
  }

  /// Events that the receiver has not acknowledged, those that are just being appended among them.
  public var pendingCount: Int { unsettled.count }

  /// Appends an event and returns its sequence number once it is acknowledged under the sync policy.
  /// - Throws: `log`. Unless the error is certain, the event may be there, and be sent, after a restart.
  @discardableResult
  public func append(_ payload: [UInt8]) async throws(JobLogError) -> Int64 {
    let begun = loop.now
    let sequence = try await write(payload, .pending, of: nil)
    metrics.noteAppend(loop.now - begun)
    sender?.ring()
    return sequence
  }

  /// Records what became of events. Here and now they count as settled whether or not that could be written: sent again
  /// after a restart, the receiver knows them.
  /// - Throws: `log`, the first failure.
  func settle(_ sequences: some Sequence<Int64>, as status: AirunnerCodec.Status) async throws(JobLogError) {
    var settled: [Int64] = []
    for sequence in sequences where unsettled.remove(sequence) { settled.append(sequence) }
    metrics.pendingEvents.add(-settled.count)
    let failure = Failure()
    // All at once, so that they go with one commit.
    await withTaskGroup(of: Void.self) { group in
      for sequence in settled {
        group.addTask(executorPreference: loop) {
          do throws(JobLogError) { _ = try await self.write([], status, of: sequence) } catch {
            failure.first = failure.first ?? error
          }
        }
      }
    }
    if let first = failure.first { throw first }
  }

  /// Touched on the loop.
  private final class Failure: @unchecked Sendable {
    var first: JobLogError?
  }

  /// - Parameter settled: the event that a record of status sent or failed speaks of; nil for a new event.
  private func write(
    _ payload: [UInt8], _ status: AirunnerCodec.Status, of settled: Int64?
  ) async throws(JobLogError) -> Int64 {
    var sequence = settled ?? 0
    do throws(RecordLogError) {
      _ = try await log.append(length: AirunnerCodec.lengths.lowerBound + payload.count) { target in
        if settled == nil { sequence = takeNumber() }
        payload.withUnsafeBytes { bytes in
          let record = AirunnerCodec.Record(
            sequence: sequence, status: status, timestamp: clock.milliseconds, payload: bytes)
          AirunnerCodec.write(record, to: target)
        }
      }
    } catch {
      if settled == nil, unsettled.remove(sequence) { metrics.pendingEvents.add(-1) }
      throw .log(error)
    }
    return sequence
  }

  /// The number of an event that is being written, so that the numbers ascend in the log.
  private func takeNumber() -> Int64 {
    defer { nextSequence += 1 }
    unsettled.insert(nextSequence)
    metrics.pendingEvents.add(1)
    return nextSequence
  }

  /// Closes the log; events that were not sent are there when it is opened again.
  /// - Throws: `log`.
  public func close() async throws(JobLogError) {
    metrics.pendingEvents.add(-unsettled.count)
    unsettled = SequenceRanges()
    do throws(RecordLogError) { try await log.close() } catch { throw .log(error) }
  }
}
