import Glibc
import LogModel
import Storage
import WriteAheadLog

/// The engine's own log: topics, consumer offsets, log start offsets, durable ends, newest segments. Always synced,
/// with the codec and the recovery of every other log, and kept twice, so that no damage to one place closes the
/// engine.
///
/// 1. A change is written to both copies, at the same offset, and acknowledged once it is on the medium in both.
/// 2. At opening each record is replayed from whichever copy has it. Where both have one and they differ, a crash or a
///    failure came between the two, and neither was acknowledged: the one that was written later holds, that is the one
///    whose batch has the higher epoch or, of one epoch, the later time.
/// 3. Copies that are not the same (one is damaged, gone or behind, a write failed in one) are made the same before
///    anything else is written: a snapshot of the state goes to both, at one offset above all that either holds. Only
///    once both have it is removed what came before, so that a crash at any point leaves at least what there was.
/// 4. A record that neither copy has, and that no later snapshot makes void, keeps the engine from opening.
///
/// A log that has become long is compacted by the same snapshot, at opening and while the engine runs; see
/// `MetadataCompacting`.
final class MetadataLog: @unchecked Sendable {
  // Owned by the loop of its storage.

  /// One for each copy. They do not share one, so that a directory which goes takes one copy only.
  static let directories = ["metadata", "metadata-mirror"]
  static let source = TopicPartition("__metadata", 0)
  /// Records that a replay may waste before the log is compacted.
  static let tolerance = 4096
  /// Segments from which on it is compacted too.
  static let mostSegments = 16

  private let copies: [PartitionLog]
  private let compaction: any MetadataCompacting
  /// From this size on it is asked whether a copy is too large.
  private var compactedAt: Int64
  private let claim: any WriterClaim
  private let loop: EventLoop
  private(set) var state: Metadata
  let recovery: MetadataRecovery
  /// The copies may not be the same. Nothing is appended before they are.
  private var isUneven: Bool
  /// Index of the copy that failed last: it is tried first, and the other is left alone while it fails.
  private var suspect = 0
  /// Changes that wait for those before them to be written.
  private var queue: [Request] = []
  /// Shut while changes are being written.
  private let idle = AsyncEvent(isOpen: true)
  /// No more changes are taken: a copy that is closed later than the other must not take what the other has refused.
  private var isClosing = false

  private final class Request {
    let changes: [MetadataRecord]
    /// As both copies take them.
    let texts: [[UInt8]]
    let bytes: Int
    let done = AsyncEvent()
    var failure: EngineError?

    init(_ changes: [MetadataRecord]) {
      self.changes = changes
      texts = changes.map(\.bytes)
      bytes = texts.reduce(0) { $0 + $1.sizeInBatch }
    }
  }

  /// The mirror's part of an append.
  private final class Mirrored: @unchecked Sendable {
    // Owned by the loop of the log.
    let done = AsyncEvent()
    var failure: LogError?

    func wait() async -> LogError? {
      await done.wait()
      return failure
    }
  }

  private init(
    _ copies: [PartitionLog], _ claim: any WriterClaim, _ loop: EventLoop, _ replay: MetadataReplay,
    _ recovery: MetadataRecovery, _ compaction: any MetadataCompacting
  ) {
    self.copies = copies
    self.compaction = compaction
    compactedAt = compaction.limit(live: 0)
    self.claim = claim
    self.loop = loop
    self.recovery = recovery
    state = replay.state
    isUneven = replay.isUneven
  }

  // MARK: Opening

  static func open(
    _ storage: any Storage, _ configuration: LogConfiguration, _ reading: any MetadataReading,
    _ compaction: any MetadataCompacting, _ claim: any WriterClaim, _ directories: DurableDirectories
  ) async throws(EngineError) -> MetadataLog {
    var opening = MetadataOpening(storage, configuration, reading, claim, directories)
    do throws(EngineError) {
      let replay = try await opening.run()
      let copies = opening.copies.compactMap { $0?.log }
      var reports = opening.copies.compactMap { $0?.report }
      for index in reports.indices { reports[index].damage.removeAll { $0.to <= replay.known ?? 0 } }
      let recovery = MetadataRecovery(copies: reports, isRebuilt: replay.isUneven)
      let metadata = MetadataLog(copies, claim, storage.loop, replay, recovery, compaction)
      try await metadata.compactIfNeeded(replay)
      return metadata
    } catch {
      await opening.close()
      throw error
    }
  }

  private func compactIfNeeded(_ replay: MetadataReplay) async throws(EngineError) {
    // Every writer begins a segment of its own, so that restarts without number would leave as many files.
    let isLong =
      replay.records > state.records.count * 2 + Self.tolerance
      || copies.contains { $0.segmentBases.count > Self.mostSegments }
    guard replay.isUneven || isLong else { return }
    do throws(EngineError) { try await makeEven() } catch {
      // What only one copy has is not served: it may never have been acknowledged, and would be from now on.
      if replay.isUneven || error.isFenced { throw error }
      // A log that is too long can wait for the next opening.
    }
  }

  // MARK: Recording

  /// The most bytes of changes that one call may record.
  var largestRecord: Int { copies[0].configuration.largestBatch - 128 }

  /// Makes the changes durable in both copies, then takes them up.
  /// - Throws: `closed` where the log is being closed: neither copy has got anything of it.
  func record(_ changes: [MetadataRecord]) async throws(EngineError) {
    if isClosing { throw .closed }
    let request = Request(changes)
    queue.append(request)
    if idle.isOpen {
      idle.shut()
      loop.spawn { await self.writeQueue() }
    }
    await request.done.wait()
    if let failure = request.failure { throw failure }
  }

  /// The same of one change, for a log that knows of storage only.
  func note(_ change: MetadataRecord) async throws(StorageError) {
    do throws(EngineError) { try await record([change]) } catch {
      throw error.storageError ?? StorageError(errno: EIO, .write, Self.directories[0])
    }
  }

  /// Writes what has gathered, as many changes at a time as a batch holds: so both copies see them in one order.
  private func writeQueue() async {
    while let first = queue.first {
      var bytes = first.bytes
      var count = 1
      while count < queue.count, bytes + queue[count].bytes <= largestRecord {
        bytes += queue[count].bytes
        count += 1
      }
      let group = Array(queue[..<count])
      queue.removeFirst(count)
      var failure: EngineError?
      do throws(EngineError) {
        if isUneven { try await makeEven() }
        try await append(group.count == 1 ? first.texts : group.flatMap(\.texts))
        for request in group { for change in request.changes { state.apply(change) } }
      } catch {
        failure = error
      }
      for request in group {
        request.failure = failure
        request.done.open()
      }
      if failure == nil, stored > compactedAt { await compactIfLarge() }
    }
    idle.open()
  }

  /// Bytes of the larger copy.
  private var stored: Int64 { copies.reduce(0) { max($0, $1.storedBytes) } }

  /// Nobody waits for it but those who come meanwhile. Where it fails, what has been recorded stands.
  private func compactIfLarge() async {
    let live = snapshot().reduce(0) { $0 + $1.reduce(Int64(0)) { $0 + Int64($1.sizeInBatch) } }
    compactedAt = compaction.limit(live: live)
    guard stored > compactedAt else { return }
    // Not with each commit from now on: the device that has failed has work enough.
    do throws(EngineError) { try await makeEven() } catch { compactedAt = stored + compaction.limit(live: 0) }
  }

  /// Appends to both copies at once.
  private func append(_ texts: [[UInt8]]) async throws(EngineError) {
    let mirror = Mirrored()
    loop.spawn { [copies] in
      mirror.failure = await Self.append(texts, to: copies[1])
      mirror.done.open()
    }
    let failures = [await Self.append(texts, to: copies[0]), await mirror.wait()]
    guard let index = failures.firstIndex(where: { $0 != nil }), let failure = failures[index] else { return }
    suspect = index
    if failures.allSatisfy({ $0?.isCertainFailure ?? false }) { throw .log(Self.source, failure) }
    isUneven = true
    throw .log(Self.source, failure.whereItMayBeThere)
  }

  private static func append(_ texts: [[UInt8]], to log: PartitionLog) async -> LogError? {
    do throws(LogError) {
      _ = try await log.append(recordCount: texts.count, payloadBytes: texts.reduce(0) { $0 + $1.count }) { writer in
        for text in texts { text.withUnsafeBytes { writer.append(value: $0) } }
      }
      return nil
    } catch {
      return error
    }
  }

  /// Makes the copies the same, and short: a snapshot in both, and nothing before it.
  ///
  /// Where nothing has come into the first of them the copies are still what they were.
  private func makeEven() async throws(EngineError) {
    let base = copies.map(\.logEndOffset).max() ?? 0
    let batches = snapshot()
    for index in [suspect, 1 - suspect] {
      do throws(LogError) {
        try await copies[index].beginSegment(at: base)
        isUneven = true
        for batch in batches {
          if let failure = await Self.append(batch, to: copies[index]) { throw failure }
        }
      } catch {
        suspect = index
        throw .log(Self.source, error)
      }
    }
    isUneven = false
    for copy in copies {
      // What cannot be removed now is void all the same; the next snapshot takes it along.
      do throws(StorageError) {
        guard try await claim.isCurrent() else { return }
        try await copy.removeSegments(before: base)
        try await copy.setAsideStrangers()
      } catch {}
    }
  }

  /// The state, in batches: it counts once its last record is there.
  private func snapshot() -> [[[UInt8]]] {
    let records = state.records
    var batches = [[MetadataRecord.snapshot(count: records.count).bytes]]
    var size = batches[0][0].sizeInBatch
    for text in records.lazy.map(\.bytes) {
      size += text.sizeInBatch
      if size > largestRecord {
        batches.append([])
        size = text.sizeInBatch
      }
      batches[batches.count - 1].append(text)
    }
    return batches
  }

  /// Commits what is pending and releases the files.
  /// - Throws: the first failure. Everything is closed all the same.
  func close() async throws(StorageError) {
    isClosing = true
    await idle.wait()
    var failure: StorageError?
    for copy in copies {
      do throws(StorageError) { try await copy.close() } catch { failure = failure ?? error }
    }
    if let failure { throw failure }
  }
}

/// What the opening of the metadata came to.
public struct MetadataRecovery: Hashable, Sendable, Codable {
  /// One for each copy, the mirror last. What a later snapshot has made void is not counted as damaged: its removal may
  /// have become durable in part.
  public var copies: [RecoveryReport]
  /// The copies were not the same, for one was damaged, gone or behind. They are again.
  public var isRebuilt: Bool

  /// What was damaged in either copy. Nothing of it is lost: the other one had it.
  public var damage: [DamagedRange] { copies.flatMap(\.damage) }
}

extension MetadataRecord {
  fileprivate var bytes: [UInt8] { Array(text.utf8) }
}

extension [UInt8] {
  /// The most that a record of these bytes takes in a batch.
  fileprivate var sizeInBatch: Int { count + 16 }
}

extension LogError {
  /// The same failure of one copy, where the other has taken the records.
  fileprivate var whereItMayBeThere: LogError {
    switch self {
    case .poisoned(let error): .storage(error)
    case .fenced(let epoch): .fencedInCommit(epoch)
    case .closed: .storage(StorageError(errno: EBADF, .write, MetadataLog.directories[0]))
    default: self
    }
  }
}

extension EngineError {
  fileprivate var isFenced: Bool {
    switch self {
    case .log(_, .fenced), .log(_, .fencedInCommit): true
    default: false
    }
  }
}
