import CrashStates
import EngineAdapter
import LogClients
import LogModel
import LoopDisks
import ObjectStore
import PartitionEngine
import Storage
import SystemUnderTest
import Verification
import WriteAheadLog

/// What is recorded and then crashed: a life of the engine with concurrent producers, in virtual time.
///
/// Requests are numbered as in a trial: request *k* goes to partition *k mod partitions* and carries that partition's
/// next `messagesPerBatch` messages; producer *i* sends requests *i*, *i + producers* and so on, each once the one
/// before it is answered. After the first half of the requests and after the last the consumer offset of each partition
/// is committed.
///
/// Where another writer takes over, it opens while the first one is at the third quarter of the requests. Then both go
/// on: the first one with the rest of its quarter, which a sound engine refuses, and the other one with the last
/// quarter.
public struct ExplorationWorkload: Hashable, Sendable {
  /// In all partitions together; as even as can be, the first partitions take the remainder.
  public var messages = 120
  public var partitions = 3
  /// Messages of a produce request; the last one of a partition may have fewer.
  public var messagesPerBatch = 2
  /// Bytes of one message.
  public var messageSize = 300
  /// Concurrent ones.
  public var producers = 6
  public var syncPolicy = SyncPolicy.always
  /// In whose format the engine keeps its logs.
  public var system = LogSystem.tornlog
  public var recoveryPolicy = RecoveryPolicy.skipCorrupted
  /// Bytes after which a partition begins a new segment.
  public var segmentBytes = 16 << 10
  public var commitsOffsets = true
  /// Consumer groups that commit what can be consumed while messages are sent.
  public var committers = 0
  /// Consumers that read while messages are sent.
  public var readers = 0
  /// The engine has an object store, on the same disk, and its logs go there while the workload runs.
  public var checkpoints = false
  /// Another engine takes the first one's lease for one that has run out, and opens while it is at work.
  public var isTakenOver = false
  /// Of message contents, salts and the order in which things complete.
  public var seed: UInt64 = 1
  /// What the device does to it.
  public var deviceFaults = DeviceFaultPlan.none

  /// What exploration is measured with: 3 partitions, 60 batches from concurrent producers, segments so small that each
  /// partition rotates, and consumer offsets that are committed in the middle and at the end.
  public static let reference = ExplorationWorkload()

  /// The most bytes of one commit of the workload, and so of a batch with its header and one block.
  static let commitBytes = 8 << 10
  static let group = "explore"
  static let storeFolder = "store"

  public init() {}

  var topic: String { "orders" }

  /// All groups that commit.
  var groups: [String] { (0...committers).map(Self.name(ofGroup:)) }

  /// The group that commits once request `k` of a producer has been answered; nil for none. After one request in two,
  /// so that some commit while others send on. Each group is one producer's: its commits follow each other.
  func committer(after k: Int, of producer: Int) -> Int? {
    producer < committers && mix64(UInt64(k) &+ 1) & 1 == 0 ? producer + 1 : nil
  }

  static func name(ofGroup number: Int) -> String { number == 0 ? group : "\(group)-\(number)" }

  /// What there is beside one engine and its log, for a sentence.
  public var surroundings: String {
    (committers > 0 ? ", with \(committers) groups that commit offsets" : "")
      + (readers > 0 ? ", with \(readers) consumers beside the producers" : "")
      + (checkpoints ? ", with an object store" : "") + (isTakenOver ? ", taken over by another writer" : "")
  }

  /// Of the partition with the most.
  private var messagesPerPartition: Int { (messages + partitions - 1) / partitions }

  /// What is appended to each partition after a recovery: the first number that no message of the workload has.
  var appendedSequence: Int { messagesPerPartition }

  /// Produce requests, those that find their partition complete included.
  public var requests: Int { partitions * ((messagesPerPartition + messagesPerBatch - 1) / messagesPerBatch) }

  /// Request `k`; nil where its partition is complete.
  private func request(_ k: Int) -> (partition: Int, first: Int, count: Int)? {
    let partition = k % partitions
    let first = k / partitions * messagesPerBatch
    let all = messages / partitions + (partition < messages % partitions ? 1 : 0)
    return first < all ? (partition, first, min(messagesPerBatch, all - first)) : nil
  }

  /// - Parameter preallocates: false for the lives after the crash, in which two batches are appended at the most.
  func configuration(preallocates: Bool) -> EngineConfiguration {
    EngineConfiguration(
      system: system,
      log: LogConfiguration(
        syncPolicy: syncPolicy, recoveryPolicy: recoveryPolicy, segmentBytes: Int64(segmentBytes),
        commitBytes: Self.commitBytes, recentBatches: 8,
        recentBytes: 16 << 10, firstPreallocation: preallocates ? 4 << 10 : 0, largestPreallocation: 8 << 10,
        saltSeed: seed),
      checkpoints: CheckpointPolicy(
        interval: .seconds(3600), bytes: 3 << 10, objectBytes: 3 << 10, firstPause: .milliseconds(10),
        longestPause: .seconds(1)))
  }

  /// Who opens the log: each later one is sure that the lease of those before it has run out.
  enum Writer: Int {
    case first, taker, afterCrash
  }

  /// The same with an object store on `storage`, and a lease in place of the lock, where the workload has one.
  func equipped(_ parts: EngineParts, on storage: any Storage, _ writer: Writer = .afterCrash) -> EngineParts {
    var parts = parts
    if checkpoints { parts.store = DirectoryObjectStore(storage, root: Self.storeFolder) }
    if isTakenOver, parts.exclusion is DirectoryExclusion {
      let ahead = Duration.seconds(3600 * writer.rawValue)
      parts.exclusion = LeaseExclusion(duration: .milliseconds(2), clock: .following(storage.loop, ahead: ahead))
    }
    return parts
  }

  /// All partitions.
  var sources: [TopicPartition] { (0..<partitions).map(source) }

  func source(_ partition: Int) -> TopicPartition { TopicPartition(topic, PartitionID(partition)) }

  private func content(_ partition: Int) -> MessageContent {
    MessageContent(seed: seed, topic: topic, partition: PartitionID(partition))
  }

  /// Runs the workload on a disk of its own in virtual time.
  /// - Throws: `ExplorationError.recordingFailed` where the engine does not get through it, `.neverEnds` where it
  ///   hangs.
  func record(parts: EngineParts, layer: (any Storage) -> any Storage) throws(ExplorationError) -> Recording {
    let loop = EventLoop(simulatedWithSeed: seed)
    let machine: any Storage = MemoryStorage(disk: MemoryDisk(seed: seed), loop: loop)
    let device = deviceFaults == .none ? nil : DeviceFaults(machine, deviceFaults)
    let recorder = CallRecorder(DiskRecorder(device ?? machine, Recording(store: SectorStore(), table: PathTable())))
    // What edits the operations stands above the recorder: recorded is what reaches the disk.
    let storage = layer(recorder.disk)
    let (ending, failure) = loop.run(limit: .seconds(3600)) { [self] in await live(storage, recorder, parts) }
    guard ending == .finished else { throw .neverEnds("the workload \(ending)") }
    if let text = failure?.text { throw .recordingFailed(text) }
    guard !recorder.recording.isCutShort else {
      throw .recordingFailed(
        "it makes more than \(Recording.mostOperations) operations; explore fewer messages, or larger batches")
    }
    if let unfired = device?.unfired { throw .deviceFaultNeverHappened(unfired) }
    return recorder.recording
  }

  struct Failure: Sendable { var text: String? }

  /// - Parameter atEnd: called when the last answer has come; after it the engine is closed. Without it the machine is
  ///   left as it is.
  func live(
    _ storage: any Storage, _ recorder: CallRecorder, _ parts: EngineParts, atEnd: (@Sendable () -> Void)? = nil
  ) async -> Failure {
    do throws(LogFailure) {
      let (first, _) = try await EngineFactory(
        storage, configuration(preallocates: true), parts: equipped(parts, on: recorder.disk, .first)
      ).open()
      recorder.note(.opened)
      recorder.note(.topicRequested)
      try await first.createTopic(topic, partitions: partitions)
      recorder.note(.topicAnswered(.acknowledged))
      await produce(first, 0..<requests / 2, recorder)
      try await settle(first, recorder)
      let last: TestedLog
      if isTakenOver {
        last = try await takeOver(storage, parts, from: first, recorder)
        // One that opens and takes nothing puts nothing to the test.
        guard recorder.recording.hasAnswered(producersFrom: producers) else {
          return Failure(text: "the writer that has taken over accepts none of its requests")
        }
      } else {
        last = first
        await produce(first, requests / 2..<requests, recorder)
      }
      try await settle(last, recorder)
      if let atEnd {
        recorder.stop()
        atEnd()
        // A writer that has been fenced has nothing to make durable, and says so.
        if last !== first { do throws(LogFailure) { try await first.close() } catch {} }
        try await last.close()
      }
      return Failure()
    } catch {
      return Failure(text: "\(error)")
    }
  }

  /// The other writer opens while the first one is at work, and both go on.
  private func takeOver(
    _ storage: any Storage, _ parts: EngineParts, from first: TestedLog, _ recorder: CallRecorder
  ) async throws(LogFailure) -> TestedLog {
    let (half, meeting, last) = (requests / 2, requests * 5 / 8, requests * 3 / 4)
    async let meanwhile: Void = produce(first, half..<meeting, recorder)
    let (taker, _) = try await EngineFactory(
      storage, configuration(preallocates: true), parts: equipped(parts, on: recorder.disk, .taker)
    ).open()
    await meanwhile
    async let late: Void = produce(first, meeting..<last, recorder)
    await produce(taker, last..<requests, recorder, as: producers)
    await late
    return taker
  }

  /// Everything so far goes to the object store, where there is one, and the consumer offsets are committed.
  private func settle(_ log: TestedLog, _ recorder: CallRecorder) async throws(LogFailure) {
    if checkpoints {
      try await log.checkpoint()
      noteArchived(log, recorder)
    }
    guard commitsOffsets else { return }
    // The window of what may be lost closes before the last crash points: an idle tail is synced too.
    if case .interval(let window) = syncPolicy { await recorder.loop.sleep(until: recorder.loop.now + window * 3) }
    for partition in 0..<partitions { try await commit(log, partition, recorder) }
  }

  /// - Parameter number: of the first of the producers.
  private func produce(
    _ log: TestedLog, _ requests: Range<Int>, _ recorder: CallRecorder, as number: Int = 0
  ) async {
    let loop = recorder.loop
    let producers = producers
    let consumers = consumers(of: log, beside: requests, recorder)
    await withTaskGroup(of: Void.self) { group in
      for reader in 0..<readers {
        group.addTask(executorPreference: loop) { await consumers?.run(reader) }
      }
      let senders = Counter(producers) { consumers?.end() }
      for producer in 0..<producers {
        group.addTask(executorPreference: loop) { [self] in
          for k in stride(from: requests.lowerBound + producer, to: requests.upperBound, by: producers) {
            await send(k, number + producer, log, recorder)
            consumers?.ring()
            guard let group = committer(after: k, of: producer) else { continue }
            do throws(LogFailure) {
              try await commit(log, k % partitions, recorder, Self.name(ofGroup: group), half: false)
            } catch {}
          }
          senders.ended()
        }
      }
    }
  }

  /// Nil where the workload has none.
  private func consumers(
    of log: TestedLog, beside requests: Range<Int>, _ recorder: CallRecorder
  ) -> ConcurrentReaders? {
    guard readers > 0 else { return nil }
    return ConcurrentReaders(
      log, on: recorder.loop, sources, seed: seed, name: "from \(requests.lowerBound)",
      rows: 4 * requests.count + 2 * ConcurrentReaders.mostRuns,
      wakings: requests.count
    ) { answer in recorder.note(answer) }
  }

  /// Touched on the loop only.
  private final class Counter: @unchecked Sendable {
    private var left: Int
    private let atEnd: () -> Void

    init(_ count: Int, atEnd: @escaping () -> Void) { (left, self.atEnd) = (count, atEnd) }

    func ended() {
      left -= 1
      if left == 0 { atEnd() }
    }
  }

  private func send(_ k: Int, _ producer: Int, _ log: TestedLog, _ recorder: CallRecorder) async {
    guard let (partition, first, count) = request(k) else { return }
    let n = recorder.note(ProduceRequest(partition: partition, producer: producer, first: first, count: count))
    do throws(LogFailure) {
      let offset = try await append(log, partition, first: first, count: count)
      recorder.note(.answered(n, .acknowledged, base: offset))
      noteArchived(log, recorder)
    } catch {
      recorder.note(.answered(n, error.isCertain ? .failed : .indeterminate, base: 0))
    }
  }

  private func noteArchived(_ log: TestedLog, _ recorder: CallRecorder) {
    for (partition, end) in archivedEnds(log) { recorder.noteArchived(partition, before: end) }
  }

  /// How far the engine says that it has archived each partition; none without an object store.
  func archivedEnds(_ log: TestedLog) -> [(partition: Int, end: Offset)] {
    guard checkpoints else { return [] }
    return (0..<partitions).compactMap { partition in
      do throws(LogFailure) {
        return try log.archivedEnd(source(partition)).map { (partition, $0) }
      } catch {
        return nil  // it knows no such partition, which a readback finds too
      }
    }
  }

  /// - Returns: the offset of the first message.
  func append(_ log: TestedLog, _ partition: Int, first: Int, count: Int) async throws(LogFailure) -> Offset {
    try await log.produce(
      ContentMessages(content(partition), first: first, count: count, valueBytes: messageSize), to: source(partition))
  }

  private func commit(
    _ log: TestedLog, _ partition: Int, _ recorder: CallRecorder, _ group: String = Self.group, half: Bool = true
  ) async throws(LogFailure) {
    let end = try log.watermarks(source(partition)).highWatermark
    let offset = half ? Offset(end.rawValue / 2) : end
    let n = recorder.note(CommitRequest(partition: partition, offset: offset, group: group))
    do throws(LogFailure) {
      try await log.commit(offset, group: group, source(partition))
      recorder.note(.commitAnswered(n, .acknowledged))
    } catch {
      recorder.note(.commitAnswered(n, error.isCertain ? .failed : .indeterminate))
    }
  }
}

/// Why there is nothing to explore, or no verdict.
public enum ExplorationError: Error, Hashable, Sendable, CustomStringConvertible {
  case recordingFailed(String)
  /// What the device was to do wrong the workload gave it no occasion for: nothing has been put to the test.
  case deviceFaultNeverHappened(String)
  /// What is to be recorded stalls, or takes more than an hour of virtual time: a hang of the engine.
  case neverEnds(String)
  case unknownProfile(String)
  case workloadTooLarge(WorkloadLimit)
  /// A state that was found in another recording: of another engine, or told wrongly.
  case stateDoesNotFit(String)
  /// A state that violates nothing, or leaves no verdict.
  case nothingToShrink(Verdict)
  /// A case of the error matrix, or a schedule, that cannot be read.
  case unknownCase(String)
  /// A limit of the machine has refused something to the engine on real files, or to the exploration itself.
  case limitMet(String)
  /// There is no real disk to compare with.
  case disk(LoopDiskError)

  public var description: String {
    switch self {
    case .workloadTooLarge(let limit): "\(limit)"
    case .stateDoesNotFit(let text):
      "the crash state does not fit its recording any more: \(text). The engine, the workload or the model has changed "
        + "since "
        + "it was found; explore again, and take the token that is printed then"
    case .nothingToShrink(let verdict): "nothing to shrink: the crash state is \(verdict.rawValue)"
    case .recordingFailed(let text): "the workload cannot be recorded: \(text)"
    case .deviceFaultNeverHappened(let text):
      "there is no verdict: the workload never came to the device's \(text); ask for less, or for more messages"
    case .neverEnds(let text): "VIOLATED no-hang: \(text), before any power cut or error"
    case .unknownProfile(let name):
      "there is no persistence profile `\(name)`; one of \(CrashProfile.known.map(\.name).joined(separator: ", ")), all"
    case .limitMet(let text): "a limit of the machine was met, and there is no verdict: \(text)"
    case .disk(let error): "\(error)"
    case .unknownCase(let text): "`\(text)` is no case: copy the line that the report prints"
    }
  }
}
