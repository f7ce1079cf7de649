import CrashStates
import LogModel
import Volume

/// A mark of the volume, among the operations of a recording: an acknowledgement, for one.
package struct VolumeMark: CallerFact, Hashable {
  /// Its place in the volume's trace.
  package var sequence: Int
  /// The channel that it came through; 0 for one that the caller made.
  package var channel: UInt64 = 0
  package var payload: [UInt8]

  package var kind: UInt64 { UInt64(payload.count) << 8 | 1 }
}

/// What a program did on a volume, as crash states are made of it.
package struct VolumeRecording: Sendable {
  package private(set) var recording: Recording
  /// For each event the place of its operation in the volume's trace.
  package private(set) var sequences: [Int]
  /// What the volume knows of each inode beside its content, as it was last.
  package private(set) var owners: [InodeNumber: VolumeOwner]

  /// Where the last bytes came that a program had stored in a shared mapping; nil where none did.
  package private(set) var lastWriteBack: Int?

  /// - Parameters:
  ///   - root: the directory that is the disk's root; what is done elsewhere in the volume is left out.
  ///   - durableUntil: what came before this place in the trace is durable: the setup that is not to be tested.
  ///   - end: operations from this place on are left out; nil takes all that there are.
  ///   - store: of sectors, to share what another recording holds.
  ///   - times: for each operation when it began and ended where it was done once more; nil takes the trace's own.
  package init(
    _ trace: VolumeTrace, root: UInt64 = 1, durableUntil: Int = 0, end: Int? = nil,
    store: SectorStore = SectorStore(), times: [Range<Int64>]? = nil
  ) {
    var reader = TraceReader(root: root, store: store, times: times)
    reader.builder.recording.isCached = true
    let operations = trace.operations.prefix(end ?? .max)
    for operation in operations {
      if operation.sequence == durableUntil, durableUntil > 0 { reader.makeDurable() }
      reader.take(operation, trace)
      if operation.kind == .write, operation.flags.contains(.writeBack), operation.sequence >= durableUntil {
        lastWriteBack = operation.sequence
      }
    }
    if durableUntil >= (operations.last?.sequence ?? -1) + 1, durableUntil > 0 { reader.makeDurable() }
    (recording, sequences, owners) = (reader.builder.recording, reader.sequences, reader.owners)
  }

  /// Of directories, by the paths that they were made under.
  package var directoryOwners: [Int32: VolumeOwner] {
    var found: [Int32: VolumeOwner] = [:]
    for (inode, owner) in owners where recording.inodes.kinds[Int(inode)] == .directory {
      found[recording.inodes.homes[Int(inode)]] = owner
    }
    return found
  }

  /// A name as text. Bytes that are no UTF-8 are written out, so that no two names become one.
  static func text(_ name: [UInt8]) -> String {
    String(validating: name, as: UTF8.self)
      ?? name.map { $0 < 0x80 ? String(UnicodeScalar($0)) : "\\x" + String($0, radix: 16) }.joined()
  }

  /// The first event that came with an operation at this place in the trace, or after it.
  package func event(at sequence: Int) -> Int {
    var (low, high) = (0, sequences.count)
    while low < high {
      let middle = (low + high) / 2
      if sequences[middle] < sequence { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// Type, permissions and owner of an inode.
package struct VolumeOwner: Hashable, Sendable {
  /// As in `st_mode`.
  package var mode: UInt32
  package var user: UInt32
  package var group: UInt32

  mutating func setOwner(_ user: UInt32, _ group: UInt32) { (self.user, self.group) = (user, group) }

  mutating func setPermissions(_ permissions: UInt32) { mode = mode & ~0o7777 | permissions & 0o7777 }
}

/// Turns the operations of a volume into those of a recording.
private struct TraceReader {
  var builder: RecordingBuilder
  var sequences: [Int] = []
  var owners: [InodeNumber: VolumeOwner] = [:]
  private var inodes: [UInt64: InodeNumber]
  /// Writes that a later record makes durable, by the place of that record.
  private var unfinished: [Int: [Int]] = [:]
  private var sequence = 0
  private let times: [Range<Int64>]?

  init(root: UInt64, store: SectorStore, times: [Range<Int64>]?) {
    self.times = times
    builder = RecordingBuilder(Recording(store: store, table: PathTable()))
    inodes = [root: InodeTable.root]
  }

  private mutating func noteEvents() {
    while sequences.count < builder.recording.events.count {
      if let times, case .completed = builder.recording.events[sequences.count].what {
        builder.recording.events[sequences.count].time = Instant(nanoseconds: times[sequence].upperBound)
      }
      sequences.append(sequence)
    }
  }

  mutating func makeDurable() {
    builder.run(.syncAll)
    noteEvents()
  }

  mutating func take(_ operation: VolumeOperation, _ trace: VolumeTrace) {
    sequence = operation.sequence
    if operation.kind == .makeDirectory, operation.error == 0, inodes[operation.inode] == InodeTable.root {
      owners[InodeTable.root] = VolumeOwner(mode: operation.mode, user: operation.user, group: operation.group)
      return
    }
    builder.go(to: Instant(nanoseconds: times?[sequence].lowerBound ?? Int64(operation.time)))
    defer { noteEvents() }
    switch operation.kind {
    case .mark:
      let payload = trace.payload(of: sequence)
      builder.add(.fact(VolumeMark(sequence: sequence, channel: operation.inode, payload: payload)))
    case .write: write(operation, trace)
    case .sync: sync(operation, trace)
    case .syncWritten: finish(operation)
    case .syncAll: builder.run(.syncAll)
    case .syncDirectory:
      if operation.error == 0, let directory = inodes[operation.inode] { builder.run(.syncDirectory(directory)) }
    case .truncate, .allocate, .punchHole, .zeroRange: if operation.error == 0 { change(operation) }
    case .setMode, .setOwner, .setTimes, .setAttribute, .removeAttribute:
      guard operation.error == 0, let inode = inodes[operation.inode] else { return }
      if operation.kind == .setMode { owners[inode]?.setPermissions(operation.mode) }
      if operation.kind == .setOwner {
        owners[inode]?.setOwner(operation.user, operation.group)
      }
      builder.run(.attributes(inode, onlyTimes: operation.kind == .setTimes))
    case .create, .createUnnamed, .makeDirectory, .makeNode, .symlink, .link, .unlink, .removeDirectory, .rename,
      .exchange:
      if operation.error == 0 { name(operation, trace) }
    case .open, .flush, .release, .read, .lookup, .list, .status, .readLink, .readAttribute, .seek, .room: break
    }
  }

  // MARK: Names

  private func text(_ name: [UInt8]) -> String { VolumeRecording.text(name) }

  private mutating func entry(_ directory: UInt64, _ name: [UInt8]) -> EntryNumber? {
    inodes[directory].map { builder.entry(text(name), in: $0) }
  }

  private mutating func name(_ operation: VolumeOperation, _ trace: VolumeTrace) {
    func add(_ kind: InodeKind, _ place: EntryNumber?) {
      let home = place.map { builder.recording.inodes.entryPaths[Int($0)] } ?? PathTable.root
      let made = builder.recording.inodes.add(kind, home: home)
      inodes[operation.inode] = made
      owners[made] = VolumeOwner(mode: operation.mode, user: operation.user, group: operation.group)
    }
    guard operation.kind != .createUnnamed else { return add(.file, nil) }
    guard let place = entry(operation.directory, operation.name) ?? entry(operation.newDirectory, operation.newName)
    else { return }
    switch operation.kind {
    case .create, .makeNode: add(.file, place)
    case .makeDirectory: add(.directory, place)
    case .symlink: add(.symbolicLink(target: text(trace.payload(of: sequence))), place)
    default: break
    }
    switch operation.kind {
    case .create, .makeNode, .makeDirectory, .symlink: builder.run(.create(place, inodes[operation.inode]!))
    case .link:
      guard let inode = inodes[operation.inode], let new = entry(operation.newDirectory, operation.newName) else {
        return
      }
      builder.run(.link(new, inode))
    case .unlink, .removeDirectory: builder.run(.unlink(place))
    case .rename, .exchange:
      guard let new = entry(operation.newDirectory, operation.newName), new != place else { return }
      builder.noteMove(place, new)
      builder.run(operation.kind == .rename ? .rename(from: place, to: new) : .exchange(place, new))
    default: break
    }
  }

  // MARK: Data

  private mutating func write(_ operation: VolumeOperation, _ trace: VolumeTrace) {
    guard let file = inodes[operation.inode] else { return }
    let pieces = trace.stored(sequence)
    trace.withPayload(of: sequence) { payload in
      for piece in pieces where !piece.payload.isEmpty {
        let bytes = Array(UnsafeRawBufferPointer(rebasing: payload[piece.payload]))
        let isDurable = operation.durableBy != nil
        let number = builder.start(
          .write(file: file, offset: Int(piece.offset), bytes: bytes, durable: isDurable))
        if operation.flags.contains(.direct) { builder.recording.directWrites.insert(number) }
        // Between the write and the record that makes it durable it is in flight.
        if let later = operation.durableBy, later > sequence {
          unfinished[later, default: []].append(number)
        } else {
          builder.finish(number)
        }
      }
    }
  }

  /// The kernel's own sync after a write.
  private mutating func finish(_ operation: VolumeOperation) {
    for number in unfinished.removeValue(forKey: sequence) ?? [] {
      if operation.error == 0, !operation.flags.contains(.lying) {
        builder.finish(number)
      } else {
        builder.add(.completed(number, succeeded: false, taken: -1))
      }
    }
  }

  private mutating func sync(_ operation: VolumeOperation, _ trace: VolumeTrace) {
    let hasDropped = operation.flags.contains(.dropped)
    // One that lies makes nothing durable: it is as if it had not been.
    guard let file = inodes[operation.inode], hasDropped || !operation.flags.contains(.lying) else { return }
    let number = builder.start(.sync(file: file, isFull: !operation.flags.contains(.dataOnly)))
    if operation.error == 0, !hasDropped { return builder.finish(number) }
    let isReverting = if case .syncFails(_, .evicted) = trace.decision(at: sequence) { true } else { false }
    builder.recording.failedSyncs[number] = !hasDropped ? .kept : isReverting ? .reverted : .dropped
    builder.add(.completed(number, succeeded: false, taken: 0))
  }

  private mutating func change(_ operation: VolumeOperation) {
    guard let file = inodes[operation.inode] else { return }
    let (begin, end) = (Int(operation.offset), Int(operation.offset) + Int(operation.length))
    /// FALLOC_FL_KEEP_SIZE
    let keepsSize = operation.mode & 1 != 0
    switch operation.kind {
    case .truncate: builder.run(.truncate(file: file, size: Int(operation.length)))
    case .allocate: builder.run(.allocate(file: file, end: end, keepsSize: keepsSize))
    case .punchHole: builder.run(.zero(file: file, range: begin..<end))
    case .zeroRange:
      builder.run(.zero(file: file, range: begin..<end))
      if !keepsSize { builder.run(.allocate(file: file, end: end, keepsSize: false)) }
    default: break
    }
  }
}
