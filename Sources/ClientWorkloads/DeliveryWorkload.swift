import LogModel
import RecordLogs
import Storage
import Verification

/// Who writes down what becomes of each event of a delivery workload.
public protocol EventRecorder {
  /// An event is about to be appended.
  /// - Parameters:
  ///   - message: the number of the message that it carries, within its job.
  ///   - producer: who appends it.
  /// - Returns: the number of the request.
  func submitted(_ message: Int, of slot: Int, by producer: Int) -> Int
  /// - Parameter event: the number that the log has given it.
  func acknowledged(_ request: Int, _ message: Int, of slot: Int, as event: Int64)
  /// - Parameter certainly: nothing of it is left. Otherwise it may be there.
  func failed(_ request: Int, certainly: Bool)
}

/// Jobs with logs of their own, the senders of their events, and their archive, on one machine. When something is done
/// is decided by whoever runs a workload; what is done, and what is told of it, is the same for all.
///
/// A slot is one execution of one job: slots `0 ..< count` are the first executions of all jobs, the next `count` the
/// second ones, and so on.
public struct DeliveryWorkload: Sendable {
  /// Where the logs are, relative to the storage's root.
  public static let directory = "wal"
  /// Where the archive is.
  public static let archiveDirectory = "archive"

  /// What the jobs and their events are.
  public struct Jobs: Hashable, Sendable {
    /// Jobs are named after it, and numbered.
    public var jobName: String
    public var jobs: Int
    /// With the seed it decides the content of the events.
    public var topic: String
    public var seed: UInt64
    /// Of each event.
    public var eventBytes: Int

    public init(jobName: String, jobs: Int, topic: String, seed: UInt64, eventBytes: Int) {
      self.jobName = jobName
      self.jobs = jobs
      self.topic = topic
      self.seed = seed
      self.eventBytes = eventBytes
    }

    /// - Throws: where the name is none for a job.
    public func job(_ slot: Int) throws(JobLogError) -> JobID {
      try JobID("\(jobName)-\(slot % jobs)", execution: slot / jobs + 1)
    }

    public func content(_ slot: Int) -> MessageContent {
      MessageContent(seed: seed, topic: topic, partition: PartitionID(slot))
    }

    /// Events as the receiver or an archive has them, by the messages that they carry.
    public func delivered(_ events: [Event], slot: Int) -> Delivered {
      let content = content(slot)
      return Delivered(
        slot: PartitionSlot(slot),
        messages: events.map { event in
          event.payload.withUnsafeBytes { bytes in
            if case .intact(let number) = content.read(bytes) { Int(number) } else { -1 }
          }
        }, numbers: events.map(\.sequence))
    }

    /// What the archive has of these slots.
    public func archived(_ slots: some Sequence<Int>, in archive: JobArchive) async throws(JobLogError) -> [Delivered] {
      var found: [Delivered] = []
      for slot in slots { found.append(delivered(try await archive.events(of: try job(slot)) ?? [], slot: slot)) }
      return found
    }
  }

  /// An execution whose log is open.
  public struct OpenJob: Sendable {
    public var slot: Int
    public var log: JobLog
    public var sender: Sender
  }

  public let plan: Jobs
  private let storage: any Storage
  private let transport: any Transport
  private let policy: RecordLogPolicy
  private let senderPolicy: SenderPolicy
  private let clock: WallClock
  private let metrics: DeliveryMetrics
  /// For each log its own: parts may remember.
  private let parts: @Sendable () -> DeliveryParts

  /// - Parameter transport: the way to the receiver.
  public init(
    _ plan: Jobs, on storage: any Storage, over transport: any Transport, policy: RecordLogPolicy = .airunner,
    _ senderPolicy: SenderPolicy, clock: WallClock, metrics: DeliveryMetrics = DeliveryMetrics(),
    parts: @escaping @Sendable () -> DeliveryParts
  ) {
    self.plan = plan
    self.storage = storage
    self.transport = transport
    self.policy = policy
    self.senderPolicy = senderPolicy
    self.clock = clock
    self.metrics = metrics
    self.parts = parts
  }

  /// Opens the log of a slot, and nothing else.
  /// - Parameter metrics: where it counts.
  public func openLog(
    _ slot: Int, metrics: DeliveryMetrics = DeliveryMetrics()
  ) async throws(JobLogError) -> (log: JobLog, report: JobLogReport) {
    try await JobLog.open(
      try plan.job(slot), in: Self.directory, of: storage, policy: policy, clock: clock, metrics: metrics,
      parts: parts())
  }

  /// Opens the log of a slot, and starts its sender.
  /// - Parameter senderSeed: decides the sender's pauses.
  public func open(_ slot: Int, senderSeed: UInt64) async throws(JobLogError) -> (job: OpenJob, report: JobLogReport) {
    let (log, report) = try await openLog(slot, metrics: metrics)
    let sender = Sender(log, over: transport, senderPolicy, seed: senderSeed)
    sender.start()
    return (OpenJob(slot: slot, log: log, sender: sender), report)
  }

  /// Appends one event, and tells `recorder` what became of it.
  public func append(_ message: Int, to job: OpenJob, by producer: Int, _ recorder: some EventRecorder) async {
    var bytes = [UInt8](repeating: 0, count: plan.eventBytes)
    bytes.withUnsafeMutableBytes { plan.content(job.slot).write(sequence: UInt64(message), into: $0) }
    let request = recorder.submitted(message, of: job.slot, by: producer)
    do throws(JobLogError) {
      let event = try await job.log.append(bytes)
      recorder.acknowledged(request, message, of: job.slot, as: event)
    } catch {
      var isCertain = false
      if case .log(let error) = error { isCertain = error.isCertainFailure }
      recorder.failed(request, certainly: isCertain)
    }
  }
}
