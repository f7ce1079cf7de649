import Glibc
import LogModel
import Storage

/// Writes down what passes the storage interface, and changes nothing.
package final class DiskRecorder: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  package private(set) var recording: Recording
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
  /// Told how many events there are, at each of them: of a submission before the operation goes on, of a completion
  /// when it has come back.
  package var onEvent: ((Int) -> Void)?
  private var visible: [Int32: PathNode] = [:]
  private var fileOf: [FileID: Int32] = [:]

  package init(_ base: any Storage, _ recording: Recording, limit: Int = Recording.mostOperations) {
    self.recording = recording
    self.limit = limit
    for (path, node) in recording.initial.names { visible[path] = node }
    super.init(base)
  }

  /// Adds a fact, at this moment.
  package func note(_ fact: any CallerFact) { add(.fact(fact)) }

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
  package func stop() { isStopped = true }

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

  package override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
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

  package override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    guard let number = fileOf[file] else {
      return try await super.write(file, at: offset, from: buffer, range, durability)
    }
    let operation = DiskOperation.write(
      file: number, offset: Int(offset), bytes: Array(buffer[range]), durable: durability == .durable)
    return try await around(operation, of: (buffer, range), taken: { $0 }) { () async throws(StorageError) in
      try await super.write(file, at: offset, from: buffer, range, durability)
    }
  }

  package override func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    guard let number = fileOf[file] else { return try await super.truncate(file, to: size) }
    try await around(.truncate(file: number, size: Int(size))) { () async throws(StorageError) in
      try await super.truncate(file, to: size)
    }
  }

  package override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    guard let number = fileOf[file] else { return try await super.sync(file, scope) }
    try await around(.sync(file: number, isFull: scope == .all)) { () async throws(StorageError) in
      try await super.sync(file, scope)
    }
  }

  package override func syncDirectory(_ path: String) async throws(StorageError) {
    let place = recording.table.intern(path)
    try await around(.syncDirectory(path: place)) { () async throws(StorageError) in try await super.syncDirectory(path)
    }
  }

  package override func makeDirectory(_ path: String) async throws(StorageError) {
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

  package override func rename(_ path: String, to newPath: String) async throws(StorageError) {
    let (from, to) = (recording.table.intern(path), recording.table.intern(newPath))
    try await around(
      .rename(from: from, to: to),
      then: {
        visible[to] = visible[from]
        visible[from] = nil
      }
    ) { () async throws(StorageError) in try await super.rename(path, to: newPath) }
  }

  package override func unlink(_ path: String) async throws(StorageError) {
    let place = recording.table.intern(path)
    try await around(.unlink(path: place), then: { visible[place] = nil }) { () async throws(StorageError) in
      try await super.unlink(path)
    }
  }
}
