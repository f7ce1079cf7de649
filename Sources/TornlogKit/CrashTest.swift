import CrashStates
import LogModel
import Storage
import SystemUnderTest
import Verification

/// Tests a log against every state that a power cut may leave on its disk.
///
/// 1. A producer sends requests to a new log in virtual time. Every operation on the disk is recorded, and every answer
///    with it.
/// 2. At each moment of that life the power goes. A profile says which states of the disk are possible then. They are
///    visited up to a bound; beyond it samples are drawn.
/// 3. The log is opened on each state and read back. Then it takes one more message for each partition, the power goes
///    again and takes everything that is not durable, and it is opened and read once more.
/// 4. The oracle compares what was read with what had been acknowledged. It asks the log nothing else.
///
/// Everything follows from the seed: the same test of the same log gives the same report.
public struct CrashTest<Factory: LogFactory>: Sendable {
  /// What the log promises. `always`: what is acknowledged is durable.
  public var contract = Contract(sync: .always)
  /// The file systems whose crash states are visited; the first one that permits a finding is named with it.
  public var profiles: [CrashProfile] = [.ext4Ordered, .xfs, .btrfs, .posixMinimal]
  public var topic = "orders"
  /// From 1.
  public var partitions = 1
  /// Produce requests, spread over the partitions in turn; from 1.
  public var requests = 12
  /// Messages of one request; from 1.
  public var batch = 2
  /// Bytes of each message, at least `MessageContent.minimumSize`.
  public var messageBytes = 64
  /// States that differ from the durable or the newest state in at most so many pieces are all visited.
  public var bound = 2
  /// The most states that are visited exhaustively at one moment; the bound is lowered to fit.
  public var statesPerMoment = 2048
  /// States that are drawn at a moment that was not exhausted.
  public var samples = 32
  public var seed: UInt64 = 42
  /// Virtual time that one life of the log may take. A log that takes longer hangs, which is a finding.
  public var timeLimit = Duration.seconds(60)

  let makeFactory: @Sendable (any Storage) -> Factory

  /// - Parameter makeFactory: makes what opens the log on a storage. It is called for each life.
  public init(_ makeFactory: @escaping @Sendable (any Storage) -> Factory) {
    self.makeFactory = makeFactory
  }

  /// Runs the test. It takes memory for one life of the log, and time for each state.
  /// - Throws: `CrashTestError` where the log does not get through the workload on a sound disk.
  public func run() throws(CrashTestError) -> CrashTestReport {
    let life = try RecordedIncarnation(self)
    var report = CrashTestReport()
    for profile in profiles {
      var run = ProfileVisit(self, life, profile)
      run.visitAll()
      report.add(run.result)
    }
    return report
  }

  var sources: [TopicPartition] { (0..<partitions).map { TopicPartition(topic, PartitionID($0)) } }

  func messages(to source: TopicPartition, first: Int, count: Int) -> ContentMessages {
    let content = MessageContent(seed: seed, topic: source.topic, partition: source.partition)
    return ContentMessages(content, first: first, count: count, valueBytes: messageBytes)
  }
}

/// Why a test could not begin.
public enum CrashTestError: Error, Equatable, CustomStringConvertible {
  /// The log failed on a disk without any fault.
  case workloadFailed(String)
  /// The workload took more than the time limit, in virtual time.
  case workloadHung(Duration)
  /// It made more operations than a recording takes.
  case tooManyOperations(most: Int)

  public var description: String {
    switch self {
    case .workloadFailed(let reason):
      "the log failed on a sound disk, so no crash was tried: \(reason)"
    case .workloadHung(let limit):
      "the workload did not end within \(limit) of virtual time; raise timeLimit, or look for a wait that nobody ends"
    case .tooManyOperations(let most):
      "the workload makes more than \(most) disk operations; send fewer requests"
    }
  }
}

/// The life of the log that is cut off: what it did to the disk, and what its caller had been told at each moment.
struct RecordedIncarnation: Sendable {
  let recording: Recording
  /// What the caller knew, from so many events of the recording on.
  let moments: [(events: Int, history: History)]
  let end: Instant

  init<Factory>(_ test: CrashTest<Factory>) throws(CrashTestError) {
    let loop = EventLoop(simulatedWithSeed: test.seed)
    let disk = DiskRecorder(MemoryStorage(disk: MemoryDisk(seed: test.seed), loop: loop), Recording())
    let caller = Caller(History(seed: test.seed), disk)
    let (ending, failure) = loop.run(limit: test.timeLimit) { () async -> String? in await caller.live(test) }
    guard ending == .finished else { throw .workloadHung(test.timeLimit) }
    if let reason = failure ?? nil { throw .workloadFailed(reason) }
    guard !disk.recording.isCutShort else { throw .tooManyOperations(most: Recording.mostOperations) }
    recording = disk.recording
    moments = caller.moments
    end = loop.now
  }

  /// What the caller knew when so many events had happened; nil before it had asked for anything.
  func history(at events: Int) -> (number: Int, history: History)? {
    guard let number = moments.lastIndex(where: { $0.events <= events }) else { return nil }
    return (number, moments[number].history)
  }
}

/// The producer of the workload.
private final class Caller: @unchecked Sendable {
  // Owned by the loop of the recorded disk.

  private var history: History
  private let disk: DiskRecorder
  private(set) var moments: [(events: Int, history: History)] = []

  init(_ history: History, _ disk: DiskRecorder) { (self.history, self.disk) = (history, disk) }

  private func note(_ change: (inout History) -> Void) {
    change(&history)
    moments.append((disk.recording.events.count, history))
  }

  /// - Returns: why it failed; nil where it did not.
  func live<Factory: LogFactory>(_ test: CrashTest<Factory>) async -> String? {
    do throws(LogFailure) {
      let (log, _) = try await test.makeFactory(disk).open()
      note { $0.opened(at: disk.loop.now) }
      // Whether the topic is there is open until the log has answered.
      let asked = history
      note { history in
        for source in test.sources { history.create(source, .indeterminate, at: disk.loop.now) }
      }
      try await log.createTopic(test.topic, partitions: test.partitions)
      history = asked
      note { history in
        for source in test.sources { history.create(source, at: disk.loop.now) }
      }
      var next = [Int](repeating: 0, count: test.partitions)
      for request in 0..<test.requests {
        let slot = PartitionSlot(request % test.partitions)
        let first = next[slot.index]
        next[slot.index] += test.batch
        var number = 0
        note { number = $0.submit(slot, firstSequence: first, count: test.batch, at: disk.loop.now) }
        let messages = test.messages(to: test.sources[slot.index], first: first, count: test.batch)
        let base = try await log.produce(messages, to: test.sources[slot.index])
        note { $0.acknowledge(number, baseOffset: base, at: disk.loop.now) }
      }
      try await log.close()
      return nil
    } catch {
      return "\(error)"
    }
  }
}
