import CrashStates
import LogModel
import Volume

/// A mark of the volume, among the operations of a recording: an acknowledgement, for one.
package struct VolumeMark: CallerFact, Hashable {
  /// Its place in the volume's trace.
  package var sequence: Int
  package var payload: [UInt8]

  package var kind: UInt64 { UInt64(payload.count) << 8 | 1 }
}

/// What a program did on a volume, as crash states are made of it.
package struct VolumeRecording: Sendable {
  package private(set) var recording: Recording
  /// For each event the place of its operation in the volume's trace.
  package private(set) var sequences: [Int]

  /// - Parameters:
  ///   - durableUntil: what came before this place in the trace is durable: the setup that is not to be tested.
  ///   - end: operations from this place on are left out; nil takes all that there are.
  package init(_ trace: VolumeTrace, durableUntil: Int = 0, end: Int? = nil) {
    var reader = TraceReader()
    reader.builder.recording.isCached = true
    let operations = trace.operations.prefix(end ?? .max)
    for operation in operations {
      if operation.sequence == durableUntil, durableUntil > 0 { reader.makeDurable() }
      reader.take(operation, trace)
    }
    (recording, sequences) = (reader.builder.recording, reader.sequences)
  }
}

/// Turns the operations of a volume into those of a recording.
private struct TraceReader {
  var builder = RecordingBuilder(Recording(store: SectorStore(), table: PathTable()))
  var sequences: [Int] = []
  private var inodes: [UInt64: InodeNumber] = [1: InodeTable.root]
  /// Writes that a later record makes durable, by the place of that record.
  private var unfinished: [Int: [Int]] = [:]
  private var sequence = 0

  private mutating func noteEvents() {
    while sequences.count < builder.recording.events.count { sequences.append(sequence) }
  }

  mutating func makeDurable() {
    builder.run(.syncAll)
    noteEvents()
  }

  mutating func take(_ operation: VolumeOperation, _ trace: VolumeTrace) {
    sequence = operation.sequence
    builder.go(to: Instant(nanoseconds: Int64(operation.time)))
    defer { noteEvents() }
    switch operation.kind {
    case .mark: builder.add(.fact(VolumeMark(sequence: sequence, payload: trace.payload(of: sequence))))
    case .write: write(operation, trace)
    case .sync: sync(operation)
    case .syncWritten: finish(operation)
    case .syncDirectory:
      if operation.error == 0, let directory = inodes[operation.inode] { builder.run(.syncDirectory(directory)) }
    case .truncate, .allocate, .punchHole, .zeroRange: if operation.error == 0 { change(operation) }
    case .setMode, .setOwner, .setTimes, .setAttribute, .removeAttribute:
      guard operation.error == 0, let inode = inodes[operation.inode] else { return }
      builder.run(.attributes(inode, onlyTimes: operation.kind == .setTimes))
    case .create, .createUnnamed, .makeDirectory, .makeNode, .symlink, .link, .unlink, .removeDirectory, .rename,
      .exchange:
      if operation.error == 0 { name(operation, trace) }
    case .open, .flush, .release, .read, .lookup, .list, .status, .readLink, .readAttribute, .seek, .room: break
    }
  }

  // MARK: Names

  /// A name as text. Bytes that are no UTF-8 are written out, so that no two names become one.
  private func text(_ name: [UInt8]) -> String {
    String(validating: name, as: UTF8.self)
      ?? name.map { $0 < 0x80 ? String(UnicodeScalar($0)) : "\\x" + String($0, radix: 16) }.joined()
  }

  private mutating func entry(_ directory: UInt64, _ name: [UInt8]) -> EntryNumber? {
    inodes[directory].map { builder.entry(text(name), in: $0) }
  }

  private mutating func name(_ operation: VolumeOperation, _ trace: VolumeTrace) {
    func add(_ kind: InodeKind, _ place: EntryNumber?) {
      let home = place.map { builder.recording.inodes.entryPaths[Int($0)] } ?? PathTable.root
      inodes[operation.inode] = builder.recording.inodes.add(kind, home: home)
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

  private mutating func sync(_ operation: VolumeOperation) {
    // One that lies makes nothing durable: it is as if it had not been.
    guard let file = inodes[operation.inode], !operation.flags.contains(.lying) else { return }
    let number = builder.start(.sync(file: file, isFull: !operation.flags.contains(.dataOnly)))
    if operation.error == 0 {
      builder.finish(number)
    } else {
      builder.add(.completed(number, succeeded: false, taken: 0))
    }
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
