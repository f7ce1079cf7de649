import LogModel

/// Writes a recording down operation by operation, with paths as a program would name them.
package struct RecordingBuilder: Sendable {
  package var recording: Recording
  /// The names as a program sees them now, those of operations in flight included.
  package private(set) var names: NameSpace
  /// When the next event happens; each takes a nanosecond.
  private var time = Instant(nanoseconds: 0)

  package init(_ recording: Recording = Recording()) {
    self.recording = recording
    names = recording.initialNames
  }

  // MARK: Paths

  /// What stands at a path; nil where nothing does. The empty path is the root.
  package func inode(_ path: String) -> InodeNumber? {
    var directory = InodeTable.root
    for name in path.split(separator: "/") {
      guard let entry = recording.inodes.find(String(name), in: directory), Int(entry) < names.count,
        let inode = names[Int(entry)]
      else { return nil }
      directory = inode
    }
    return directory
  }

  /// The entry of a path; nil where its directory does not stand.
  private mutating func entry(_ path: String) -> EntryNumber? {
    let parts = path.split(separator: "/").map(String.init)
    guard let name = parts.last, let directory = inode(parts.dropLast().joined(separator: "/")),
      recording.inodes.isDirectory(directory)
    else { return nil }
    let entry = recording.entry(name, in: directory, path: path)
    while names.count <= Int(entry) { names.append(nil) }
    return entry
  }

  /// An operation on names that a program could make now; nil where it would fail.
  package mutating func operation(_ change: NameChange) -> DiskOperation? {
    switch change {
    case .create(let path, let kind):
      guard let entry = entry(path), names[Int(entry)] == nil else { return nil }
      return .create(entry, recording.inodes.add(kind, home: recording.table.intern(path)))
    case .link(let path, let newPath):
      guard let inode = inode(path), !recording.inodes.isDirectory(inode), let entry = entry(newPath),
        names[Int(entry)] == nil
      else { return nil }
      return .link(entry, inode)
    case .unlink(let path):
      guard let entry = entry(path), names[Int(entry)] != nil else { return nil }
      return .unlink(entry)
    case .rename(let path, let newPath):
      guard let from = entry(path), let moved = names[Int(from)], let to = entry(newPath) else { return nil }
      recording.noteMove(of: moved, to: newPath, names)
      return .rename(from: from, to: to)
    case .exchange(let path, let other):
      guard let from = entry(path), let moved = names[Int(from)], let to = entry(other), let back = names[Int(to)]
      else { return nil }
      recording.noteMove(of: moved, to: other, names)
      recording.noteMove(of: back, to: path, names)
      return .exchange(from, to)
    }
  }

  package enum NameChange: Sendable {
    case create(String, InodeKind)
    case link(String, as: String)
    /// Of an empty directory too.
    case unlink(String)
    case rename(String, to: String)
    case exchange(String, String)
  }

  // MARK: Events

  /// Submits an operation and leaves it in flight.
  /// - Returns: its number.
  package mutating func start(_ operation: DiskOperation) -> Int {
    recording.operations.append(operation)
    let number = recording.operations.count - 1
    add(.submitted(number))
    switch operation {
    case .create(let entry, let inode), .link(let entry, let inode): names[Int(entry)] = inode
    case .unlink(let entry): names[Int(entry)] = nil
    case .rename(let from, let to): names.apply(.rename(from: from, to: to))
    case .exchange(let one, let other): names.apply(.exchange(one, other))
    default: break
    }
    return number
  }

  package mutating func finish(_ number: Int) {
    var taken = 0
    if case .write(_, _, let bytes, _) = recording.operations[number] { taken = bytes.count }
    add(.completed(number, succeeded: true, taken: taken))
  }

  package mutating func run(_ operation: DiskOperation) { finish(start(operation)) }

  package mutating func add(_ what: RecordedEvent.What) {
    recording.events.append(RecordedEvent(time: time, what: what))
    pause(.nanoseconds(1))
  }

  package mutating func pause(_ duration: Duration) { time = time + duration }

  /// What happens next happens then, if that is not before what has happened.
  package mutating func go(to instant: Instant) { time = max(time, instant) }

  // MARK: Inodes

  /// The entry of a name, by its directory's inode.
  package mutating func entry(_ name: String, in directory: InodeNumber) -> EntryNumber {
    let parent = path(of: directory)
    let entry = recording.entry(name, in: directory, path: parent.isEmpty ? name : "\(parent)/\(name)")
    while names.count <= Int(entry) { names.append(nil) }
    return entry
  }

  /// The path of a directory now; empty for the root, and for one that has no name.
  package func path(of directory: InodeNumber) -> String {
    var parts: [String] = []
    var inode = directory
    while inode != InodeTable.root, let place = recording.inodes.place(of: inode, names) {
      parts.append(place.name)
      inode = place.directory
    }
    return parts.reversed().joined(separator: "/")
  }

  /// A rename, or an exchange, of entries: what is in directories has other paths then.
  package mutating func noteMove(_ from: EntryNumber, _ to: EntryNumber) {
    for (one, other) in [(from, to), (to, from)] {
      guard let inode = names[Int(one)], recording.inodes.isDirectory(inode) else { continue }
      let place = recording.inodes.entries[Int(other)]
      let parent = path(of: place.directory)
      recording.noteMove(of: inode, to: parent.isEmpty ? place.name : "\(parent)/\(place.name)", names)
    }
  }
}
