import Glibc
import LogModel
import Storage
import Verification

/// An operation that changes the disk or what is durable on it; reads are not recorded.
enum DiskOperation: Sendable {
  case create(path: Int32, file: Int32)
  case makeDirectory(path: Int32)
  case rename(from: Int32, to: Int32)
  case unlink(path: Int32)
  case write(file: Int32, offset: Int, bytes: [UInt8], durable: Bool)
  case truncate(file: Int32, size: Int)
  case sync(file: Int32, isFull: Bool)
  case syncDirectory(path: Int32)
}

/// Something between the engine and its callers: what promises follow from.
enum RecordedFact: Hashable, Sendable {
  case opened
  case topicRequested
  case topicAnswered(Outcome)
  /// By its number in `Recording.requests`.
  case requested(Int)
  case answered(Int, Outcome, base: Offset)
  /// By its number in `Recording.commits`.
  case commitRequested(Int)
  case commitAnswered(Int, Outcome)
  /// The engine has said that everything of the partition before an offset is in the object store.
  case archived(Int, before: Offset)
  /// A consumer beside the producers was answered; by its number in `Recording.readings`.
  case read(Int)
  /// What somebody who is no partition engine has answered, in words.
  case said(String)
}

/// A moment of the recorded life, in the one order of everything that happened.
struct RecordedEvent: Sendable {
  enum What: Sendable {
    case submitted(Int)
    /// A write in flight is of other bytes by now: whoever started it has touched its buffer before it had completed.
    case changed(Int, bytes: [UInt8])
    /// - Parameter taken: bytes of a write; 0 where it failed, or changed nothing, -1 where nobody knows how many.
    case completed(Int, succeeded: Bool, taken: Int)
    case fact(RecordedFact)
  }

  var time: Instant
  var what: What
}

/// A life of the engine as the disk and its callers saw it: operations with their content, in the order in which they
/// were submitted and completed, with acknowledgements in the same sequence.
struct Recording: Sendable {
  /// Operations that a recording takes. No piece of a crash point has more than four alternatives for each of them, and
  /// `Alternative` holds as many.
  static let mostOperations = 15_000

  struct Request: Sendable {
    var partition: Int
    var producer: Int
    var first: Int
    var count: Int
  }

  var store: SectorStore
  var table: PathTable
  /// What the disk held before.
  var initial = DiskImage()
  var operations: [DiskOperation] = []
  var events: [RecordedEvent] = []
  var requests: [Request] = []
  var commits: [(partition: Int, offset: Offset, group: String)] = []
  var readings: [ConcurrentReaders.Answer] = []
  /// The path that each file was created under.
  var filePaths: [Int32] = []
  /// There were more operations than the recorder takes: those after them are not recorded.
  var isCutShort = false
}

/// Writes down what passes the seam, and changes nothing.
final class DiskRecorder: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private(set) var recording: Recording
  private var archivedEnds: [Int: Offset] = [:]
  private var isStopped = false
  private let limit: Int
  /// Writes in flight, with the bytes that they were of when they were looked at last.
  private var flying: [Flying] = []
  private struct Flying {
    var number: Int
    var buffer: IOBuffer
    var range: Range<Int>
    var bytes: [UInt8]

    var isChanged: Bool { !bytes.withUnsafeBytes { $0.elementsEqual(buffer[range]) } }
  }
  /// Told how many events there are, at each of them: of a submission before the operation goes on, of a completion when
  /// it has come back.
  var onEvent: ((Int) -> Void)?
  private var visible: [Int32: PathNode] = [:]
  private var fileOf: [FileID: Int32] = [:]

  init(_ base: any Storage, _ recording: Recording, limit: Int = Recording.mostOperations) {
    self.recording = recording
    self.limit = limit
    for (path, node) in recording.initial.names { visible[path] = node }
    super.init(base)
  }

  /// Adds to what the recording knows beside events.
  func add<Value>(_ body: (inout Recording) -> Value) -> Value { body(&recording) }

  func note(_ fact: RecordedFact) { add(.fact(fact)) }

  /// Each end once.
  func noteArchived(_ partition: Int, before end: Offset) {
    guard end > archivedEnds[partition] ?? 0 else { return }
    archivedEnds[partition] = end
    note(.archived(partition, before: end))
  }

  private func add(_ what: RecordedEvent.What) {
    noteChanges()
    append(what)
  }

  /// Buffers are looked at whenever something is recorded: what was there in between nobody could have crashed into.
  private func noteChanges() {
    for index in flying.indices where !isStopped && flying[index].isChanged {
      flying[index].bytes = Array(flying[index].buffer[flying[index].range])
      append(.changed(flying[index].number, bytes: flying[index].bytes))
    }
  }

  private func append(_ what: RecordedEvent.What) {
    recording.events.append(RecordedEvent(time: loop.now, what: what))
    onEvent?(recording.events.count)
  }

  /// What passes from now on is not recorded: the machine is dead.
  func stop() { isStopped = true }

  private func submit(_ operation: DiskOperation) -> Int {
    if isStopped { return -1 }
    if recording.operations.count == limit {
      (recording.isCutShort, isStopped) = (true, true)
      return -1
    }
    recording.operations.append(operation)
    let number = recording.operations.count - 1
    add(.submitted(number))
    return number
  }

  private func complete(_ number: Int, succeeded: Bool = true, taken: Int = 0) {
    if number < 0 || isStopped { return }
    add(.completed(number, succeeded: succeeded, taken: taken))
    flying.removeAll { $0.number == number }
  }

  override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    let place = recording.table.intern(path)
    var creation: (number: Int, file: Int32)?
    if mode.contains(.create), visible[place] == nil {
      let file = Int32(recording.filePaths.count)
      recording.filePaths.append(place)
      creation = (submit(.create(path: place, file: file)), file)
    }
    do throws(StorageError) {
      let handle = try await super.open(path, mode)
      if let creation {
        // Somebody else may have created it meanwhile.
        let isNew = visible[place] == nil
        if isNew { visible[place] = .file(creation.file) }
        complete(creation.number, succeeded: isNew)
      }
      if case .file(let file)? = visible[place] { fileOf[handle] = file }
      return handle
    } catch {
      if let creation { complete(creation.number, succeeded: false) }
      throw error
    }
  }

  /// Passes an operation on between its two events.
  private func around<Value>(
    _ operation: DiskOperation, of buffer: (IOBuffer, Range<Int>)? = nil, taken: (Value) -> Int = { _ in 0 },
    then: () -> Void = {}, _ body: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let number = submit(operation)
    if number >= 0, let (buffer, range) = buffer, case .write(_, _, let bytes, _) = operation {
      flying.append(Flying(number: number, buffer: buffer, range: range, bytes: bytes))
    }
    do throws(StorageError) {
      let value = try await body()
      then()
      complete(number, taken: taken(value))
      return value
    } catch {
      complete(number, succeeded: false, taken: buffer != nil && error.isErrno(EIO) ? -1 : 0)
      throw error
    }
  }

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    guard let number = fileOf[file] else { return try await super.write(file, at: offset, from: buffer, range, durability) }
    let operation = DiskOperation.write(
      file: number, offset: Int(offset), bytes: Array(buffer[range]), durable: durability == .durable)
    return try await around(operation, of: (buffer, range), taken: { $0 }) { () async throws(StorageError) in
      try await super.write(file, at: offset, from: buffer, range, durability)
    }
  }

  override func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    guard let number = fileOf[file] else { return try await super.truncate(file, to: size) }
    try await around(.truncate(file: number, size: Int(size))) { () async throws(StorageError) in
      try await super.truncate(file, to: size)
    }
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    guard let number = fileOf[file] else { return try await super.sync(file, scope) }
    try await around(.sync(file: number, isFull: scope == .all)) { () async throws(StorageError) in
      try await super.sync(file, scope)
    }
  }

  override func syncDirectory(_ path: String) async throws(StorageError) {
    let place = recording.table.intern(path)
    try await around(.syncDirectory(path: place)) { () async throws(StorageError) in try await super.syncDirectory(path) }
  }

  override func makeDirectory(_ path: String) async throws(StorageError) {
    // Each missing part of the path is a change of its own.
    var missing: [Int32] = []
    var place = recording.table.intern(path)
    while place != PathTable.root, visible[place] == nil {
      missing.insert(place, at: 0)
      place = recording.table.parents[Int(place)]
    }
    let numbers = missing.map { submit(.makeDirectory(path: $0)) }
    do throws(StorageError) {
      try await super.makeDirectory(path)
    } catch {
      for number in numbers { complete(number, succeeded: false) }
      throw error
    }
    for (place, number) in zip(missing, numbers) {
      let isNew = visible[place] == nil
      visible[place] = visible[place] ?? .directory
      complete(number, succeeded: isNew)
    }
  }

  override func rename(_ path: String, to newPath: String) async throws(StorageError) {
    let (from, to) = (recording.table.intern(path), recording.table.intern(newPath))
    try await around(.rename(from: from, to: to), then: {
      visible[to] = visible[from]
      visible[from] = nil
    }) { () async throws(StorageError) in try await super.rename(path, to: newPath) }
  }

  override func unlink(_ path: String) async throws(StorageError) {
    let place = recording.table.intern(path)
    try await around(.unlink(path: place), then: { visible[place] = nil }) { () async throws(StorageError) in
      try await super.unlink(path)
    }
  }
}

extension Recording {
  /// For each moment how many answers callers had been given.
  var answersBefore: [Int] {
    var answers = [0]
    for event in events {
      var isAnswer = false
      switch event.what {
      case .fact(.answered), .fact(.topicAnswered), .fact(.commitAnswered), .fact(.archived), .fact(.read): isAnswer = true
      case .fact, .submitted, .changed, .completed: break
      }
      answers.append(answers[answers.count - 1] + (isAnswer ? 1 : 0))
    }
    return answers
  }

  /// Whether a request of these producers has been acknowledged.
  func hasAnswered(producersFrom first: Int) -> Bool {
    events.contains { event in
      guard case .fact(.answered(let number, .acknowledged, _)) = event.what else { return false }
      return requests[number].producer >= first
    }
  }

  /// What callers knew when `events[..<end]` had happened, as the oracle reads it.
  /// - Parameter failedSyncs: of the whole recording.
  func history(_ workload: ExplorationWorkload, upTo end: Int, _ failedSyncs: [FailedSync] = []) -> History {
    var history = History(seed: workload.seed)
    var numbers: [Int: Int] = [:]
    var topic: (requested: Instant, outcome: Outcome)?
    var committed: [Int: Outcome] = [:]
    var commitOrder: [(number: Int, time: Instant, operationsBefore: Int)] = []
    // Creations first: every partition is recorded before its first use.
    for event in events[..<end] {
      switch event.what {
      case .fact(.topicRequested): topic = (event.time, .indeterminate)
      case .fact(.topicAnswered(let outcome)): topic?.outcome = outcome
      default: break
      }
    }
    if let topic {
      for number in 0..<workload.partitions {
        history.create(TopicPartition(workload.topic, PartitionID(number)), topic.outcome, at: topic.requested)
      }
    }
    for (index, event) in events[..<end].enumerated() {
      for failed in failedSyncs where failed.event == index + 1 { history.damage(failed.damage) }
      guard case .fact(let fact) = event.what else { continue }
      switch fact {
      case .opened: history.opened(at: event.time)
      case .topicRequested, .topicAnswered: break
      case .requested(let n):
        let request = requests[n]
        numbers[n] = history.submit(
          PartitionSlot(request.partition), producer: request.producer, firstSequence: request.first,
          count: request.count, at: event.time)
      case .answered(let n, let outcome, let base):
        guard let number = numbers[n] else { continue }
        switch outcome {
        case .acknowledged: history.acknowledge(number, baseOffset: base, at: event.time)
        case .failed, .indeterminate: history.fail(number, certainly: outcome == .failed, at: event.time)
        }
      case .commitRequested(let n): commitOrder.append((n, event.time, history.operations.count))
      case .commitAnswered(let n, let outcome): committed[n] = outcome
      case .archived(let partition, let end): history.archived(PartitionSlot(partition), before: end)
      case .read(let n): history.add(readings[n])
      case .said: break
      }
    }
    for (n, time, operationsBefore) in commitOrder {
      history.commit(
        group: commits[n].group, PartitionSlot(commits[n].partition), offset: commits[n].offset,
        committed[n] ?? .indeterminate, at: time, operationsBefore: operationsBefore)
    }
    return history
  }
}

extension History {
  /// Records what a consumer beside the producers was answered.
  fileprivate mutating func add(_ answer: ConcurrentReaders.Answer) {
    read(
      PartitionSlot(answer.partition), by: answer.reader, from: answer.asked, logStartOffset: answer.logStartOffset,
      highWatermark: answer.highWatermark, at: answer.at)
    for run in answer.runs { readMessages(run.offset, sequence: run.sequence, count: run.count) }
  }
}
