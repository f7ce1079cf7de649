import CrashStates
import LogModel

extension DiskTrace {
  /// A trace in the crash-state model.
  package struct Recorded: Sendable {
    package var recording: Recording
    /// For each step, 0 for the setup, the events that have happened when it has completed.
    package var ends: [Int]
  }

  /// The trace as a recording, each operation after the one before.
  /// - Throws: `DiskTraceError` where an operation would fail.
  package func recorded() throws(DiskTraceError) -> Recorded {
    var builder = RecordingBuilder(Recording(store: SectorStore(), table: PathTable()))
    builder.recording.isCached = true
    var files: [String: InodeNumber] = [:]
    for operation in setup { try Self.run(operation, &builder, &files) }
    builder.run(.syncAll)
    // So long that the clock ticks, and that the first write sets the times of its file.
    builder.pause(.milliseconds(50))
    var ends = [builder.recording.events.count]
    for step in steps {
      try Self.run(step, &builder, &files)
      ends.append(builder.recording.events.count)
    }
    return Recorded(recording: builder.recording, ends: ends)
  }

  private static func run(
    _ operation: TraceOperation, _ builder: inout RecordingBuilder, _ files: inout [String: InodeNumber]
  ) throws(DiskTraceError) {
    func failed() -> DiskTraceError { DiskTraceError(file: "", problem: "`\(operation)` would fail") }
    func change(_ change: RecordingBuilder.NameChange) throws(DiskTraceError) {
      guard let operation = builder.operation(change) else { throw failed() }
      builder.run(operation)
    }
    /// The file that was opened under a path first.
    func file(_ path: String, creating: Bool = false) throws(DiskTraceError) -> InodeNumber {
      if let known = files[path] { return known }
      if creating, builder.inode(path) == nil { try change(.create(path, .file)) }
      guard let inode = builder.inode(path) else { throw failed() }
      files[path] = inode
      return inode
    }
    /// Whoever renames a file goes on with it under its new name.
    func move(_ path: String, to newPath: String) {
      (files[newPath], files[path]) = (files[path], files[newPath])
      files[newPath] = files[newPath] ?? builder.inode(newPath)
    }
    switch operation {
    case .create(let path):
      files[path] = nil
      _ = try file(path, creating: true)
    case .makeDirectory(let path): try change(.create(path, .directory))
    case .symbolicLink(let target, let path): try change(.create(path, .symbolicLink(target: target)))
    case .link(let path, let newPath): try change(.link(path, as: newPath))
    case .unlink(let path), .removeDirectory(let path):
      try change(.unlink(path))
    case .rename(let path, let newPath):
      try change(.rename(path, to: newPath))
      move(path, to: newPath)
    case .exchange(let path, let other):
      try change(.exchange(path, other))
      move(path, to: other)
    case .write(let path, let offset, let length, let letter, let durable):
      let bytes = [UInt8](repeating: letter, count: length)
      builder.run(.write(file: try file(path, creating: true), offset: offset, bytes: bytes, durable: durable))
    case .truncate(let path, let size): builder.run(.truncate(file: try file(path, creating: true), size: size))
    case .allocate(let path, let offset, let length, let keepsSize):
      builder.run(.allocate(file: try file(path, creating: true), end: offset + length, keepsSize: keepsSize))
    case .punch(let path, let offset, let length):
      builder.run(.zero(file: try file(path), range: offset..<offset + length))
    case .zero(let path, let offset, let length):
      let inode = try file(path)
      builder.run(.zero(file: inode, range: offset..<offset + length))
      builder.run(.allocate(file: inode, end: offset + length, keepsSize: false))
    case .sync(let path, let isFull): builder.run(.sync(file: try file(path), isFull: isFull))
    case .syncDirectory(let path):
      guard let inode = builder.inode(path) else { throw failed() }
      builder.run(.syncDirectory(inode))
    case .changeMode(let path, _), .setAttribute(let path, _, _):
      guard let inode = files[path] ?? builder.inode(path) else { throw failed() }
      builder.run(.attributes(inode, onlyTimes: false))
    case .changeTimes(let path):
      guard let inode = files[path] ?? builder.inode(path) else { throw failed() }
      builder.run(.attributes(inode, onlyTimes: true))
    case .syncFileSystem: builder.run(.syncAll)
    }
  }
}
