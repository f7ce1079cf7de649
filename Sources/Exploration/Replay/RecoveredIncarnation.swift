import CrashStates
import EngineAdapter
import LogModel
import PartitionEngine
import Storage
import SystemUnderTest
import Verification

/// How the engine under test is put together.
struct EngineUnderTest: Sendable {
  var workload: ExplorationWorkload
  /// For each life its own: parts may remember.
  var parts: @Sendable () -> EngineParts
  /// What stands between the engine and its storage: a defect that edits operations.
  var layer: @Sendable (any Storage) -> any Storage

  init(
    _ workload: ExplorationWorkload, parts: @escaping @Sendable () -> EngineParts,
    layer: @escaping @Sendable (any Storage) -> any Storage
  ) {
    self.workload = workload
    self.parts = parts
    self.layer = layer
  }
}

/// Recovers the engine on one state after the other: two lives each, a readback in both, an append to every partition
/// in the first. Between them the power goes once more, and takes everything that was not made durable.
final class RecoveredIncarnation: @unchecked Sendable {
  // Owned by one worker.

  /// Empty answers below the high watermark before consumption counts as stuck. Nothing else is running that could make
  /// the next answer another one.
  static let maxEmptyFetches = 16
  private static let consumeBytes = 64 << 10

  let storage: StateStorage
  private let subject: EngineUnderTest
  private let start: Instant
  private let boots: Int
  /// Used again by each readback.
  private var answer: TestedLog.Answer?
  private let partitions: [TopicPartition]
  let contents: [MessageContent]
  private var loop = EventLoop(simulatedWithSeed: 0)
  var transcript = Transcript(isKept: false)
  /// Second lives by the content that they found: the engine is a function of its disk.
  private var secondLives: [UInt64: SecondIncarnation] = [:]

  /// - Parameters:
  ///   - start: the clock of the first life, after everything that was recorded.
  ///   - boots: of the machine, before this one.
  init(_ recording: Recording, _ subject: EngineUnderTest, _ profile: CrashProfile, start: Instant, boots: Int = 1) {
    self.subject = subject
    self.start = start
    self.boots = boots
    storage = StateStorage(recording, profile)
    partitions = subject.workload.sources
    contents = partitions.map {
      MessageContent(seed: subject.workload.seed, topic: $0.topic, partition: $0.partition)
    }
  }

  /// When life `restart` begins.
  func clock(_ restart: Int) -> Instant { start + .seconds(restart * 10) }

  /// Both lives, with nothing left out.
  /// - Parameter keeping: whether the transcript is written out, with every start offset probed.
  func run(_ image: DiskImage, keeping: Bool) -> Transcript {
    transcript = Transcript(isKept: keeping)
    storage.load(image)
    guard live(1) else { return transcript }
    storage.dropVolatile()
    return transcript.followed(by: secondLife(keeping: keeping))
  }

  /// The second life has a transcript of its own, so that its hash can be kept.
  private func secondLife(keeping: Bool) -> Transcript {
    transcript = Transcript(isKept: keeping)
    _ = live(2)
    return transcript
  }

  // MARK: What is known already

  /// The hash of the transcript, where nothing that has been found out before is found out again: of disks from which
  /// both lives read the same it is the same.
  func behaviour(of image: DiskImage, knowing known: BehaviourCache) -> ReadSetTree.Found {
    storage.load(image)
    if storage.reads.hasHardLinks {
      let content = storage.contentHash
      return ReadSetTree.Found(behaviour: run(image, keeping: false).hash, readSet: content)
    }
    if let found = find(in: known) { return found }
    transcript = Transcript(isKept: false)
    guard live(1) else { return add(storage.reads, transcript.hash, to: known) }
    storage.dropVolatile()
    storage.beginSecondReads()
    var whole = transcript
    whole.append(hashOnly: knownSecondLife())
    return add(storage.firstReads, whole.hash, to: known)
  }

  private func find(in known: BehaviourCache) -> ReadSetTree.Found? {
    let disk = storage.reads
    return known.find { storage.answer($0, of: disk) }
  }

  private func add(_ disk: ReadSet, _ behaviour: UInt64, to known: BehaviourCache) -> ReadSetTree.Found {
    known.add(disk.questions, { storage.answer($0, of: disk) }, behaviour)
  }

  private struct SecondIncarnation {
    var hash: UInt64
    /// What it asked of the disk that it found.
    var questions: [DiskQuestion]
  }

  private func knownSecondLife() -> UInt64 {
    let content = storage.contentHash
    let life =
      secondLives[content]
      ?? SecondIncarnation(hash: secondLife(keeping: false).hash, questions: storage.reads.questions)
    secondLives[content] = life
    storage.followSecondReads(life.questions)
    return life.hash
  }

  /// - Returns: false where the engine did not open.
  private func live(_ restart: Int) -> Bool {
    let seed = mix64(subject.workload.seed &+ UInt64(restart))
    if !loop.restart(simulatedWithSeed: seed, startingAt: clock(restart)) {
      loop = EventLoop(simulatedWithSeed: seed, startingAt: clock(restart))
    }
    storage.boot(loop, bootID: UInt32(restart + boots))
    let (ending, opened) = loop.run(limit: .seconds(3600)) { [self] in
      await body(restart, on: storage) { storage.kill() }
    }
    storage.kill()
    // Timers of what was closed: a loop on which they wait could not be used again.
    if ending == .finished { loop.drain() }
    if ending != .finished || storage.isExhausted {
      transcript.hung(restart, ending == .finished ? "operations without end" : "\(ending)")
      return false
    }
    return opened ?? false
  }

  /// Begins a transcript with everything in it, for lives on machines that are not `storage`.
  func keepTranscript() { transcript = Transcript(isKept: true) }

  /// A life on a machine that is not `storage`, with a loop on the machine's clock.
  /// - Parameters:
  ///   - limit: of the time that it may take.
  ///   - crash: the power goes; what the engine does to the machine afterwards nobody sees.
  /// - Returns: false where the engine did not open.
  func live(_ restart: Int, on machine: any Storage, limit: Duration, crash: @escaping @Sendable () -> Void) -> Bool {
    let (ending, opened) = machine.loop.run(limit: limit) { [self] in await body(restart, on: machine, crash: crash) }
    if ending != .finished { transcript.hung(restart, "\(ending)") }
    return opened ?? false
  }

  private func body(_ restart: Int, on machine: any Storage, crash: @Sendable () -> Void) async -> Bool {
    let log: TestedLog
    let recovery: RecoverySummary
    do throws(LogFailure) {
      (log, recovery) = try await EngineFactory(
        subject.layer(machine), subject.workload.configuration(preallocates: false),
        parts: subject.workload.equipped(subject.parts(), on: machine)
      ).open()
    } catch {
      transcript.refused(restart, "\(error)", files: error.files)
      return false
    }
    transcript.opened(restart)
    await readback(log, recovery)
    if restart == 1 { await append(log) }
    crash()
    // Ends the engine's tasks: the machine is dead, and nothing reaches the disk.
    do throws(LogFailure) { try await log.close() } catch {}
    return true
  }

  /// Opens the engine on a state and does nothing else.
  /// - Returns: everything that recovery did to the disk.
  func recordRecovery(_ image: DiskImage, _ store: SectorStore, _ table: PathTable) -> Recording {
    storage.load(image)
    let loop = EventLoop(simulatedWithSeed: subject.workload.seed, startingAt: clock(0))
    storage.boot(loop, bootID: UInt32(boots))
    let recording = Recording(on: image, store: store, table: table)
    let recorder = DiskRecorder(storage, recording, limit: RecordedRecovery.mostOperations)
    let ending = loop.run(limit: .seconds(3600)) { [self] in
      do throws(LogFailure) {
        let (log, _) = try await EngineFactory(
          subject.layer(recorder), subject.workload.configuration(preallocates: false),
          parts: subject.workload.equipped(subject.parts(), on: recorder)
        ).open()
        storage.kill()
        recorder.stop()
        // Ends its tasks, as after a readback.
        do throws(LogFailure) { try await log.close() } catch {}
      } catch {}  // whoever cannot open is found out by the state itself
    }.ending
    storage.kill()
    recorder.stop()
    if ending == .finished { loop.drain() }
    return recorder.recording
  }

  // MARK: The readback

  private func readback(_ log: TestedLog, _ recovery: RecoverySummary) async {
    let answer = answer ?? log.newAnswer(capacity: 64 << 10)
    self.answer = answer
    let settings = ReadbackSettings(
      fetchBytes: Self.consumeBytes, maxEmptyFetches: Self.maxEmptyFetches, probesStartOffsets: transcript.isKept,
      groups: subject.workload.groups)
    var readback = ConsumerReadback(
      log, partitions, into: TranscriptSink(self), settings, answer,
      random: SeededGenerator(seed: subject.workload.seed))
    await readback.run(recovery)
    transcript.looked()
  }

  private func append(_ log: TestedLog) async {
    let registered = log.partitions.count { $0.topic == subject.workload.topic }
    guard registered > 0 else { return }
    for slot in 0..<min(registered, contents.count) {
      do throws(LogFailure) {
        let offset = try await subject.workload.append(
          log, slot, first: subject.workload.appendedSequence, count: 1)
        transcript.appended(slot, .acknowledged, offset)
      } catch {
        transcript.appended(slot, error.isCertain ? .failed : .indeterminate, 0)
      }
    }
    guard subject.workload.checkpoints else { return }
    do throws(LogFailure) {
      try await log.checkpoint()
      transcript.flushed(.acknowledged)
    } catch {
      transcript.flushed(.failed, reason: "\(error)")
    }
  }
}

extension Transcript {
  func followed(by second: Transcript) -> Transcript {
    var whole = self
    whole.append(hashOnly: second.hash)
    whole.takeEntries(of: second)
    return whole
  }
}
