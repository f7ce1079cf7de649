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
  /// The names as the program sees them, by entry.
  private var names: NameSpace
  private var fileOf: [FileID: InodeNumber] = [:]

  package init(_ base: any Storage, _ recording: Recording, limit: Int = Recording.mostOperations) {
    self.recording = recording
    self.limit = limit
    names = recording.initialNames
    super.init(base)
  }

  // MARK: Names

  /// What stands at a path now; nil where nothing does.
  private func inode(_ path: String) -> InodeNumber? {
    var directory = InodeTable.root
    var rest = path[...]
    while !rest.isEmpty {
      let cut = rest.firstIndex(of: "/") ?? rest.endIndex
      let known = recording.inodes.find(String(rest[..<cut]), in: directory)
      guard let known, Int(known) < names.count, let inode = names[Int(known)] else { return nil }
      directory = inode
      rest = cut == rest.endIndex ? rest[cut...] : rest[rest.index(after: cut)...]
    }
    return directory
  }

  /// The entry of a path whose directory stands; nil where it does not.
  private func entry(_ path: String) -> EntryNumber? {
    let cut = path.lastIndex(of: "/")
    guard let directory = inode(cut.map { String(path[..<$0]) } ?? "") else { return nil }
    let name = cut.map { String(path[path.index(after: $0)...]) } ?? path
    let entry = recording.entry(name, in: directory, path: path)
    while names.count <= Int(entry) { names.append(nil) }
    return entry
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
    var creation: (number: Int, entry: EntryNumber, file: InodeNumber)?
    if mode.contains(.create), let entry = entry(path), names[Int(entry)] == nil {
      let file = recording.inodes.add(.file, home: recording.table.intern(path))
      creation = (submit(.create(entry, file)), entry, file)
    }
    do throws(StorageError) {
      let handle = try await super.open(path, mode)
      if let creation {
        // Somebody else may have created it meanwhile.
        let isNew = names[Int(creation.entry)] == nil
        if isNew { names[Int(creation.entry)] = creation.file }
        complete(creation.number, succeeded: isNew)
      }
      fileOf[handle] = inode(path)
      return handle
    } catch {
      if let creation { complete(creation.number, succeeded: false) }
      throw error
    }
  }

  /// The file of a handle. Every file that can be opened is known, so that nothing passes unrecorded.
  private func file(_ handle: FileID) -> InodeNumber {
    guard let file = fileOf[handle] else { preconditionFailure("a handle that was never opened here") }
    return file
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
    let operation = DiskOperation.write(
      file: self.file(file), offset: Int(offset), bytes: Array(buffer[range]), durable: durability == .durable)
    return try await around(operation, of: (buffer, range), taken: { $0 }) { () async throws(StorageError) in
      try await super.write(file, at: offset, from: buffer, range, durability)
    }
  }

  package override func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    try await around(.truncate(file: self.file(file), size: Int(size))) { () async throws(StorageError) in
      try await super.truncate(file, to: size)
    }
  }

  package override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    try await around(.sync(file: self.file(file), isFull: scope == .all)) { () async throws(StorageError) in
      try await super.sync(file, scope)
    }
  }

  package override func syncDirectory(_ path: String) async throws(StorageError) {
    guard let directory = inode(path) else { return try await super.syncDirectory(path) }
    try await around(.syncDirectory(directory)) { () async throws(StorageError) in try await super.syncDirectory(path) }
  }

  package override func makeDirectory(_ path: String) async throws(StorageError) {
    // Each missing part of the path is a change of its own, and stands in the one before.
    var made: [(number: Int, entry: EntryNumber, directory: InodeNumber)] = []
    var parent = InodeTable.root
    var prefix = ""
    for name in path.split(separator: "/").map(String.init) {
      prefix += prefix.isEmpty ? name : "/" + name
      let place = recording.table.intern(prefix)
      let entry = recording.entry(name, in: parent, path: prefix)
      while names.count <= Int(entry) { names.append(nil) }
      if let there = names[Int(entry)] {
        parent = there
      } else {
        parent = recording.inodes.add(.directory, home: place)
        made.append((submit(.create(entry, parent)), entry, parent))
      }
    }
    do throws(StorageError) {
      try await super.makeDirectory(path)
    } catch {
      for change in made { complete(change.number, succeeded: false) }
      throw error
    }
    for change in made {
      let isNew = names[Int(change.entry)] == nil
      if isNew { names[Int(change.entry)] = change.directory }
      complete(change.number, succeeded: isNew)
    }
  }

  package override func rename(_ path: String, to newPath: String) async throws(StorageError) {
    guard let from = entry(path), let to = entry(newPath), let moved = names[Int(from)] else {
      return try await super.rename(path, to: newPath)
    }
    recording.noteMove(of: moved, to: newPath, names)
    try await around(
      .rename(from: from, to: to),
      then: { names.apply(.rename(from: from, to: to)) }
    ) { () async throws(StorageError) in try await super.rename(path, to: newPath) }
  }

  package override func unlink(_ path: String) async throws(StorageError) {
    guard let entry = entry(path) else { return try await super.unlink(path) }
    try await around(.unlink(entry), then: { names[Int(entry)] = nil }) { () async throws(StorageError) in
      try await super.unlink(path)
    }
  }
}
