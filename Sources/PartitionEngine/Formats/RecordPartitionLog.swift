import LogModel
import RecordLogs
import Storage
import WriteAheadLog

/// The log of one partition in the format of another system: the engine is that system then, as far as its log goes.
///
/// What these formats do not carry, no engine can make up for: nothing in them says what was durable when a record was
/// written, so damage at the end of a log looks like a torn write; `RecordRecovery` has the table.
final class RecordPartitionLog<Format: PartitionFormat>: EngineLog, @unchecked Sendable {
  // Owned by `storage.loop`: every call is made there.

  typealias Codec = Format.Codec

  let source: TopicPartition
  let directory: String
  let log: RecordLog<Codec>
  private let storage: any Storage
  private let fence: any WriterFence
  /// Told of each file that begins.
  private let witness: SegmentEvidence
  /// The newest file that it has been told of.
  private var witnessed: Int
  private var isOpen = true
  private var isFenced = false

  private(set) var logStartOffset: Offset
  private(set) var highWatermark: Offset
  /// The offset that the next message gets.
  private var assigned: Offset
  private var durable: Offset
  /// Acknowledged messages that recovery found missing, in the order of their offsets.
  let damage: [DamagedRange]
  private(set) var index: RecordIndex
  /// Requests that have been numbered and not been acknowledged.
  private var numbered: [RecordIndex.Entry] = []
  /// For requests on their way from their producer's form into the format's.
  private var spare: [IOBuffer] = []

  init(
    _ source: TopicPartition, in directory: String, of storage: any Storage, _ log: RecordLog<Codec>,
    _ fence: any WriterFence,
    _ recovered: RecordPartitionRecovery<Format>, _ witness: @escaping SegmentEvidence
  ) {
    self.source = source
    self.directory = directory
    self.storage = storage
    self.log = log
    self.fence = fence
    self.witness = witness
    witnessed = recovered.index.entries.last?.position.file ?? -1
    logStartOffset = recovered.logStartOffset
    assigned = recovered.logEndOffset
    highWatermark = recovered.logEndOffset
    durable = recovered.logEndOffset
    damage = recovered.damage
    index = recovered.index
    log.numbering = self
  }

  var canBeRead: Bool { isOpen }
  var logEndOffset: Offset { assigned }
  var durableOffset: Offset { log.durableEnd >= log.end ? highWatermark : durable }
  var segmentBases: [Offset] { index.files.map(\.offset) }

  func append(
    recordCount: Int, payloadBytes: Int, _ write: (inout RecordWriter) -> Void
  ) async throws(LogError) -> Offset {
    guard recordCount > 0 else { throw .emptyBatch }
    guard isOpen else { throw .closed }
    if isFenced { throw .fenced(fence.epoch) }
    let length = Format.length(messages: recordCount, payload: payloadBytes, of: source)
    guard length <= log.largestRecord else { throw .batchTooLarge(bytes: length, limit: log.largestRecord) }
    let buffer = takeBuffer(recordCount * RecordWriter.recordHeader + payloadBytes)
    defer { spare.append(buffer) }
    var writer = RecordWriter(base: buffer.base, capacity: buffer.capacity)
    write(&writer)
    precondition(writer.recordCount == recordCount, "the append announced \(recordCount) records")
    let request = MessageRequest(
      source: source, time: milliseconds, count: recordCount, records: buffer[0..<writer.byteCount])
    if !Format.carriesKeys {
      var hasKey = false
      request.forEach { if $0.key != nil { hasKey = true } }
      if hasKey { throw .keyNotRepresentable }
    }
    do throws(RecordLogError) {
      return Offset(try await log.appendNumbered(length: length) { Format.write(request, to: $0) }.number)
    } catch { throw LogError(error, fence.epoch) }
  }

  private func takeBuffer(_ bytes: Int) -> IOBuffer {
    if let last = spare.popLast(), last.capacity >= bytes { return last }
    return IOBuffer(capacity: max(bytes, 4096))
  }

  private var milliseconds: Int64 {
    let loop = storage.loop
    return loop.isSimulated ? loop.now.nanoseconds / 1_000_000 : WallClock.system.milliseconds
  }

  func sync() async {
    let covered = highWatermark
    do throws(RecordLogError) {
      try await log.sync()
      durable = max(durable, covered)
    } catch {
      // What could not be synced is not durable, and `durableOffset` says so; the log takes no appends any more.
    }
  }

  /// Nothing in these formats testifies to what a failed sync may have lost.
  func isSecure(before offset: Offset) -> Bool { offset <= durableOffset }
  var syncFailure: StorageError? { log.syncFailure }

  /// Files of a format that counts its messages stay: without the first one nobody could count.
  func removeSegments(before offset: Offset) async throws(StorageError) {
    logStartOffset = max(logStartOffset, offset)
    guard Format.carriesOffsets else { return }
    while case let files = index.files, files.count > 1, files[1].offset <= offset {
      do throws(StorageError) { try await storage.here().unlink(log.path(ofFile: files[0].position.file)) } catch {
        if !error.isNotFound { throw error }
      }
      index.removeFile(files[0].position.file)
      try await storage.here().syncDirectory(directory)
    }
  }

  func close() async throws(StorageError) {
    isOpen = false
    do throws(RecordLogError) { try await log.close() } catch {
      if case .poisoned(let failure) = error { throw failure }
      if case .storage(let failure) = error { throw failure }
    }
  }
}

extension RecordPartitionLog: CommitNumbering {
  var refusal: RecordLogError? { isFenced ? .superseded("a claim of a newer epoch") : nil }

  func number(_ append: UnsafeMutableRawBufferPointer, at position: RecordPosition) -> Int64 {
    let first = assigned
    numbered.append(RecordIndex.Entry(offset: first, position: position))
    assigned += Format.number(append, from: first)
    return first.rawValue
  }

  func confirm() async throws(RecordLogError) {
    do throws(StorageError) {
      isFenced = try await !fence.isCurrent()
      if !isFenced { try await tellWitness() }
    } catch { throw .storage(error) }
    if isFenced { throw .superseded("a claim of a newer epoch") }
  }

  /// Before anything of a new file is acknowledged, or, where that does not say that it is durable, after its first
  /// sync: without that nobody would miss the file.
  private func tellWitness() async throws(StorageError) {
    let first: RecordIndex.Entry?
    switch log.policy.syncPolicy {
    case .always: first = numbered.first
    case .interval:
      first = index.newestFile.flatMap {
        $0.position.file == log.fileNumber && log.durableEnd > $0.position.offset ? $0 : nil
      }
    case .never: first = nil
    }
    guard let first, first.position.file != witnessed else { return }
    let previous = index.files.last { $0.position.file < first.position.file }
    // The commit that is about to be acknowledged has been synced, where that is what an acknowledgement says.
    let end = log.policy.syncPolicy == .always ? assigned : durableOffset
    try await witness(
      SegmentRecord(
        baseOffset: first.offset, epoch: fence.epoch, previousBase: previous?.offset ?? Offset(-1), end: end))
    witnessed = first.position.file
  }

  func ended(isAcknowledged: Bool) {
    if isAcknowledged {
      highWatermark = assigned
      for entry in numbered { index.note(entry.offset, at: entry.position) }
      if log.durableEnd >= log.end { durable = highWatermark }
      storage.note(.acknowledged(source, upTo: highWatermark))
    } else {
      assigned = highWatermark
    }
    numbered.removeAll(keepingCapacity: true)
  }
}

extension LogError {
  /// - Parameter epoch: of the writer that is told.
  init(_ error: RecordLogError, _ epoch: Epoch) {
    self =
      switch error {
      case .storage(let failure): .storage(failure)
      case .recordTooLarge(let bytes, let limit): .batchTooLarge(bytes: bytes, limit: limit)
      case .poisoned(let failure): .poisoned(by: failure)
      case .superseded: .fencedInCommit(epoch)
      // The last two are said of an opening only.
      case .closed, .inUse, .notALog: .closed
      }
  }
}
