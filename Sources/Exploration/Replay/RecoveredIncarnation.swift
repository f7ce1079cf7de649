import LogModel
import PartitionEngine
import Storage
import Verification
import WriteAheadLog

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

/// Recovers the engine on one state after the other: two lives each, a look in both, an append to every partition in the
/// first. Between them the power goes once more, and takes everything that was not made durable.
final class RecoveredIncarnation: @unchecked Sendable {
  // Owned by one worker.

  /// Empty answers below the high watermark before consumption counts as stuck. Nothing else is running that could make
  /// the next answer another one.
  static let patience = 16
  private static let consumeBytes = 64 << 10

  let storage: StateStorage
  private let subject: EngineUnderTest
  private let start: Instant
  private let boots: Int
  private let response = FetchResponse(capacity: 64 << 10)
  private let contents: [MessageContent]
  private var loop = EventLoop(simulatedWithSeed: 0)
  private(set) var transcript = Transcript(isKept: false)
  /// Second lives by the content that they found: the engine is a function of its disk.
  private var secondLives: [UInt64: SecondLife] = [:]

  /// - Parameters:
  ///   - start: the clock of the first life, after everything that was recorded.
  ///   - boots: of the machine, before this one.
  init(_ recording: Recording, _ subject: EngineUnderTest, _ profile: CrashProfile, start: Instant, boots: Int = 1) {
    self.subject = subject
    self.start = start
    self.boots = boots
    storage = StateStorage(recording, profile)
    contents = (0..<subject.workload.partitions).map {
      MessageContent(seed: subject.workload.seed, topic: subject.workload.topic, partition: PartitionID($0))
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

  /// The hash of the transcript, where nothing that has been found out before is found out again: of disks from which both
  /// lives read the same it is the same.
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

  private struct SecondLife {
    var hash: UInt64
    /// What it asked of the disk that it found.
    var questions: [DiskQuestion]
  }

  private func knownSecondLife() -> UInt64 {
    let content = storage.contentHash
    let life =
      secondLives[content] ?? SecondLife(hash: secondLife(keeping: false).hash, questions: storage.reads.questions)
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
    let engine: PartitionEngine
    let recovery: EngineRecovery
    do throws(EngineError) {
      (engine, recovery) = try await PartitionEngine.open(
        subject.layer(machine), subject.workload.configuration(preallocates: false),
        parts: subject.workload.equipped(subject.parts(), on: machine))
    } catch {
      transcript.refused(restart, "\(error)", files: error.files)
      return false
    }
    transcript.opened(restart)
    await look(engine, recovery)
    if restart == 1 { await append(engine) }
    crash()
    // Ends the engine's tasks: the machine is dead, and nothing reaches the disk.
    do throws(EngineError) { try await engine.close() } catch {}
    return true
  }

  /// Opens the engine on a state and does nothing else.
  /// - Returns: everything that recovery did to the disk.
  func recordRecovery(_ image: DiskImage, _ store: SectorStore, _ table: PathTable) -> Recording {
    storage.load(image)
    let loop = EventLoop(simulatedWithSeed: subject.workload.seed, startingAt: clock(0))
    storage.boot(loop, bootID: UInt32(boots))
    var recording = Recording(store: store, table: table)
    recording.initial = image
    recording.filePaths = [Int32](repeating: PathTable.root, count: image.files.count)
    for case (let path, .file(let file)) in image.names { recording.filePaths[Int(file)] = path }
    let recorder = DiskRecorder(storage, recording, limit: RecordedRecovery.mostOperations)
    let ending = loop.run(limit: .seconds(3600)) { [self] in
      do throws(EngineError) {
        let (engine, _) = try await PartitionEngine.open(
          subject.layer(recorder), subject.workload.configuration(preallocates: false),
          parts: subject.workload.equipped(subject.parts(), on: recorder))
        storage.kill()
        recorder.stop()
        // Ends its tasks, as after a look.
        do throws(EngineError) { try await engine.close() } catch {}
      } catch {}  // whoever cannot open is found out by the state itself
    }.ending
    storage.kill()
    recorder.stop()
    if ending == .finished { loop.drain() }
    return recorder.recording
  }

  // MARK: The look

  private func look(_ engine: PartitionEngine, _ recovery: EngineRecovery) async {
    let workload = subject.workload
    var partitions = 0
    var registered: [TopicPartition] = []
    for topic in engine.topics {
      for number in 0..<topic.partitions { registered.append(TopicPartition(topic.name, PartitionID(number))) }
      if topic.name == workload.topic { partitions = min(topic.partitions, contents.count) }
    }
    transcript.registered(registered)
    for report in recovery.partitions where report.source.topic == workload.topic {
      for range in report.damage {
        transcript.reported(
          report.source.partition.index, OffsetRange(from: range.from, to: range.to),
          "\(range.path), bytes \(range.byteFrom) ..< \(range.byteTo)")
      }
    }
    for slot in 0..<partitions {
      await consume(engine, slot)
      if transcript.isKept { await probe(engine, slot) }
      for (number, group) in workload.groups.enumerated() {
        transcript.committed(slot, group: number, committedOffset(engine, slot, group))
      }
    }
    transcript.looked()
  }

  private func claims(_ engine: PartitionEngine, _ slot: Int) throws(EngineError) -> Verification.Watermarks {
    let marks = try engine.watermarks(subject.workload.topic, PartitionID(slot))
    return Verification.Watermarks(
      logStartOffset: marks.logStartOffset, highWatermark: marks.highWatermark, logEndOffset: marks.logEndOffset)
  }

  private func consume(_ engine: PartitionEngine, _ slot: Int) async {
    var at: Offset = 0
    do throws(EngineError) {
      let marks = try claims(engine, slot)
      transcript.claimed(slot, marks, after: false)
      at = marks.logStartOffset
      var end = marks.highWatermark
      var fruitless = 0
      var glance = Glance(from: at, to: end, chosenBy: transcript.hash)
      while at < end {
        transcript.asked(slot, at)
        if let damaged = try await fetch(engine, slot, at, Self.consumeBytes) {
          let next = max(damaged.to, at + 1)
          transcript.passedOver(slot, at, to: next)
          at = next
          continue
        }
        var isFirst = true
        response.forEachRecord { record in
          if isFirst, record.offset < at { transcript.wentBack(slot, at, to: record.offset) }
          isFirst = false
          let reading = contents[slot].read(record.value)
          transcript.message(slot, record.offset, reading)
          if record.offset == glance.target { glance.message = reading }
        }
        if response.nextOffset > at {
          at = response.nextOffset
          fruitless = 0
        } else {
          fruitless += 1
          if fruitless >= Self.patience { return transcript.ended(slot, .stuck(at: at, emptyAnswers: fruitless)) }
        }
        end = try claims(engine, slot).highWatermark
      }
      await take(glance, engine, slot)
      transcript.claimed(slot, try claims(engine, slot), after: true)
      transcript.ended(slot, .reached)
    } catch {
      transcript.ended(slot, .failed(at: at, "\(error)"))
    }
  }

  /// A start offset of a partition from which every state is asked, not only the one of each group that is written out.
  private struct Glance {
    /// Nil where there is none.
    let target: Offset?
    /// What consumption had there.
    var message: MessageContent.Reading?

    init(from start: Offset, to end: Offset, chosenBy hash: UInt64) {
      let span = UInt64(clamping: end.rawValue - start.rawValue)
      target = span == 0 ? nil : start + Int(hash % span)
    }
  }

  /// An answer that is another than consumption had is a behaviour of its own.
  private func take(_ glance: Glance, _ engine: PartitionEngine, _ slot: Int) async {
    guard let target = glance.target, let message = glance.message else { return }
    var found: (offset: Offset, reading: MessageContent.Reading)?
    do throws(EngineError) {
      if try await fetch(engine, slot, target, 1) == nil {
        response.withFirstRecord { found = ($0.offset, contents[slot].read($0.value)) }
      }
    } catch {}  // no answer is another one, too
    if found?.offset != target || found?.reading != message { transcript.differed(slot, target, found?.offset) }
  }

  private func probe(_ engine: PartitionEngine, _ slot: Int) async {
    var marks = Verification.Watermarks(logStartOffset: 0, highWatermark: 0, logEndOffset: 0)
    do throws(EngineError) { marks = try claims(engine, slot) } catch { return }
    var start = marks.logStartOffset
    while start < marks.highWatermark {
      await ask(engine, slot, start)
      start = start + 1
    }
    for outside in StartOffsets.outside(from: marks.logStartOffset, to: marks.highWatermark) { await ask(engine, slot, outside) }
  }

  private func ask(_ engine: PartitionEngine, _ slot: Int, _ start: Offset) async {
    do throws(EngineError) {
      guard try await fetch(engine, slot, start, 1) == nil else { return transcript.probed(slot, start, first: nil, nil) }
    } catch {
      return transcript.probed(slot, start, first: nil, nil)
    }
    var isFirst = true
    response.forEachRecord { record in
      let reading = contents[slot].read(record.value)
      if isFirst { transcript.probed(slot, start, first: record.offset, reading) } else {
        transcript.answered(slot, record.offset, reading)
      }
      isFirst = false
    }
    if isFirst { transcript.probed(slot, start, first: nil, nil) }
  }

  /// - Returns: the damaged range where the engine says that the offset is in one.
  private func fetch(
    _ engine: PartitionEngine, _ slot: Int, _ offset: Offset, _ maxBytes: Int
  ) async throws(EngineError) -> DamagedRange? {
    do throws(EngineError) {
      try await engine.fetch(subject.workload.topic, PartitionID(slot), from: offset, maxBytes: maxBytes, into: response)
      return nil
    } catch {
      if case .log(_, .damaged(let range)) = error { return range }
      throw error
    }
  }

  private func committedOffset(_ engine: PartitionEngine, _ slot: Int, _ group: String) -> Offset? {
    do throws(EngineError) {
      return try engine.committedOffset(group: group, subject.workload.topic, PartitionID(slot))
    } catch {
      return nil
    }
  }

  private func append(_ engine: PartitionEngine) async {
    guard let topic = engine.topics.first(where: { $0.name == subject.workload.topic }) else { return }
    for slot in 0..<min(topic.partitions, contents.count) {
      do throws(EngineError) {
        let receipt = try await subject.workload.append(
          engine, slot, first: subject.workload.appendedSequence, count: 1)
        transcript.appended(slot, .acknowledged, receipt.baseOffset)
      } catch {
        transcript.appended(slot, error.isCertainFailure ? .failed : .indeterminate, 0)
      }
    }
    guard subject.workload.checkpoints else { return }
    do throws(EngineError) {
      try await engine.checkpoint()
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
