import EngineAdapter
import FaultInjection
import LogModel
import PartitionEngine
import Storage
import SystemUnderTest
import Verification
import WriteAheadLog

/// Where the stories of one scenario begin: the disk, and what has been promised so far. Made once; each story works on
/// a snapshot.
final class ErrorFixture: @unchecked Sendable {
  // Nothing of it changes once it has been made.

  let scenario: ErrorScenario
  let subject: EngineUnderTest
  let disk: MemoryDisk
  let book: HistoryRecorder
  private(set) var unreadable: [String: [Int64]] = [:]

  /// - Throws: `ExplorationError.recordingFailed` where the lives before do not get through, or a harm finds no place;
  ///   `.neverEnds` where one of them hangs.
  init(_ scenario: ErrorScenario, _ subject: EngineUnderTest) throws(ExplorationError) {
    self.scenario = scenario
    var own = subject
    own.workload = scenario.workload
    self.subject = own
    disk = MemoryDisk(seed: scenario.workload.seed)
    book = HistoryRecorder(scenario.workload)
    for life in scenario.past { try live(life) }
  }

  var configuration: EngineConfiguration { configuration(scenario.workload.syncPolicy) }

  private func configuration(_ policy: SyncPolicy) -> EngineConfiguration {
    var configuration = scenario.workload.configuration(preallocates: true)
    configuration.log.syncPolicy = policy
    configuration.log.recoveryPolicy = scenario.recovery
    return configuration
  }

  /// For each life its own: parts may remember.
  /// - Parameter machine: what an object store lies on: no defect of the engine edits what it does.
  func parts(on machine: any Storage, hasStore: Bool = true) -> EngineParts {
    var parts = hasStore ? subject.workload.equipped(subject.parts(), on: machine) : subject.parts()
    if scenario.leases, let loop = book.loop {
      parts.exclusion = LeaseExclusion(duration: .milliseconds(2), clock: .following(loop))
    }
    return parts
  }

  // MARK: The lives before

  private struct Failure: Sendable { var text: String? }

  private func live(_ life: ErrorScenario.PastIncarnation) throws(ExplorationError) {
    let number = UInt64(book.history.crashes.count)
    let loop = EventLoop(
      simulatedWithSeed: scenario.workload.seed &+ 100 &+ number, startingAt: book.end + .seconds(1))
    book.begin(loop)
    let machine = MemoryStorage(disk: disk, loop: loop)
    // Of the partition of which the life under errors deletes nothing: what is deleted nobody misses.
    let last = "topics/\(scenario.workload.topic)/\(scenario.workload.partitions - 1)/"
    let storage = subject.layer(life.failsSync ? FirstSyncFails(machine, below: last) : machine)
    let (ending, failure) = loop.run(limit: .seconds(600)) { [self] in await body(life, storage, machine) }
    if ending != .finished { throw .neverEnds("\(scenario.name), life \(number): \(ending)") }
    if let text = failure?.text { throw .recordingFailed("\(scenario.name), life \(number): \(text)") }
    book.crash(life.ending, at: loop.now)
    if life.ending != .powerLoss || life.isWrittenBack { _ = disk.processKill(seed: number) }
    do throws(StorageError) {
      if life.isWrittenBack {
        for path in disk.paths { if let bytes: [UInt8] = disk.read(path) { try disk.putAtRest(path, bytes, at: 0) } }
      }
      if life.ending == .powerLoss { _ = disk.powerLoss(seed: number, profile: .dropUnsynced) }
      for harm in life.harm { try inflict(harm) }
    } catch {
      throw .recordingFailed("\(scenario.name): \(error)")
    }
    book.drain()
  }

  private func body(_ life: ErrorScenario.PastIncarnation, _ storage: any Storage, _ machine: any Storage) async
    -> Failure
  {
    do throws(LogFailure) {
      let policy = scenario.earlierPolicy ?? scenario.workload.syncPolicy
      let (log, _) = try await EngineFactory(
        storage, configuration(policy), parts: parts(on: machine, hasStore: life.hasStore)
      ).open()
      book.opened(log)
      guard await book.createTopic(log, attempts: 1) else { return Failure(text: "the topic cannot be created") }
      for k in 0..<(life.batches ?? 0) {
        // The policy is one that syncs by itself.
        if life.failsSync, k * 2 == life.batches { await book.loop?.sleep(until: book.now + .seconds(1)) }
        await book.produce(
          log, k % scenario.workload.partitions, producer: 0, count: scenario.workload.messagesPerBatch)
      }
      if life.batches != nil {
        for partition in 0..<scenario.workload.partitions { await book.commit(log, partition) }
      }
      if life.hasStore, scenario.workload.checkpoints { try await log.checkpoint() }
      if life.ending == .none { try await log.close() }
      return Failure(text: nil)
    } catch {
      return Failure(text: "\(error)")
    }
  }

  // MARK: Harm

  private func segments(_ directory: String) -> [String] {
    disk.paths.filter { $0.hasPrefix(directory + "/") && FaultTarget.isLog($0) }.sorted()
  }

  private func inflict(_ harm: ErrorScenario.Harm) throws(StorageError) {
    let metadata = FaultTarget.metadataCopies
    switch harm {
    case .flip(let partition, let message): try flip(partition, message)
    case .head(let partition, let copy):
      let files = segments("topics/\(scenario.workload.topic)/\(partition)")
      guard let path = scenario.workload.system == .tornlog ? files.first : files.last else {
        throw StorageError(errno: 2, .open, "\(partition)")
      }
      // Behind the magic of a segment; in the magic of a file of records.
      _ = disk.flipBit(path, byte: scenario.workload.system == .tornlog ? Int64(copy) * 2048 + 20 : 3, bit: 3)
    case .blankSegment(let partition, let bytes, let epoch):
      try putBlank("topics/\(scenario.workload.topic)/\(partition)", bytes, epoch)
    case .blankMetadata(let bytes, let epoch): for copy in metadata { try putBlank(copy, bytes, epoch) }
    case .metadata(let copy):
      guard let path = segments(metadata[copy]).first else { throw StorageError(errno: 2, .open, metadata[copy]) }
      _ = disk.flipBit(path, byte: 4096 + 70, bit: 3)
    case .metadataHead(let copy):
      guard let path = segments(metadata[copy]).first else { throw StorageError(errno: 2, .open, metadata[copy]) }
      try disk.putAtRest(path, [UInt8](repeating: 0, count: 4096), at: 0)
    case .fileWithoutRecords(let partition, let garbage):
      // `NAME.wal`, or `NAME.wal.NUMBER`.
      guard let path = segments("topics/\(scenario.workload.topic)/\(partition)").last,
        let bytes: [UInt8] = disk.read(path)
      else {
        throw StorageError(errno: 2, .open, "\(partition)")
      }
      let words = path.split(separator: ".")
      let number = words.last.flatMap { Int($0) }
      let stem = words.dropLast(number == nil ? 0 : 1).joined(separator: ".")
      try disk.putAtRest(
        "\(stem).\((number ?? 0) + 1)", Array(bytes.prefix(16)) + [UInt8](repeating: 0xA5, count: garbage), at: 0)
    case .unreadableMetadata(let copy):
      guard let path = segments(metadata[copy]).first else { throw StorageError(errno: 2, .open, metadata[copy]) }
      unreadable[path] = Array(0..<1024)
    }
  }

  /// A file with the name of a segment behind all others, and nothing in it that anybody wrote.
  private func putBlank(_ directory: String, _ bytes: Int, _ epoch: Int) throws(StorageError) {
    func padded(_ number: Int, _ width: Int) -> String {
      let digits = "\(number)"
      return String(repeating: "0", count: width - digits.count) + digits
    }
    let name = "\(padded(100_000 + epoch * 10, 20))-\(padded(epoch, 10)).log"
    try disk.putAtRest("\(directory)/\(name)", [UInt8](repeating: 0xA5, count: bytes), at: 0)
  }

  private func flip(_ partition: Int, _ message: Int) throws(StorageError) {
    let reader = book.content(partition)
    let size = scenario.workload.messageSize
    for path in segments("topics/\(scenario.workload.topic)/\(partition)") {
      guard let bytes: [UInt8] = disk.read(path) else { continue }
      for at in stride(from: 0, through: bytes.count - size, by: scenario.workload.system == .tornlog ? 8 : 1) {
        let reading = bytes.withUnsafeBytes { reader.read(UnsafeRawBufferPointer(rebasing: $0[at..<at + size])) }
        guard reading == .intact(sequence: UInt64(message)) else { continue }
        let touched = book.touched(partition, bytes, in: at + 100..<at + 101)
        // An opening that has cut the file, and then failed, leaves to the next one where it was cut, and no bytes.
        let place = scenario.recovery == .skipCorrupted ? Int64(at + 100)..<Int64(at + 101) : nil
        _ = disk.flipBit(path, byte: Int64(at + 100), bit: 3)
        book.damage(
          Damage(
            partition: PartitionSlot(partition), kind: "bit-flip", touched: touched.ranges, unplaced: touched.unplaced,
            description: "bit 3 of byte \(at + 100) of \(path)",
            places: [DamagedPlace(path: path, bytes: place, offsets: touched.ranges)]))
        return
      }
    }
    throw StorageError(errno: 2, .read, "message \(message) of partition \(partition)")
  }
}

/// The first sync of a partition's log does not happen, and says so.
private final class FirstSyncFails: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private let folder: String
  private var hasFailed = false

  init(_ base: any Storage, below folder: String) {
    self.folder = folder
    super.init(base)
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    if !hasFailed, scope == .data, paths[file].hasPrefix(folder) {
      hasFailed = true
      throw StorageError(errno: 5, .sync, paths[file])
    }
    try await super.sync(file, scope)
  }
}
