import LogModel

/// The recorded disk at one moment: what is durable under a profile, and everything newer that a power cut may keep.
///
/// Independent of `Storage.MemoryDisk`, which ran the workload: that one knows two images of every page, this one every
/// version of every sector.
///
/// Changes of names, attributes and sizes stand in one list, in the order in which they were made, as in the journal of
/// a file system. What a sync covers of that list is the profile's rule (`CrashProfile.SyncReach`).
package struct VolatileDisk: Sendable {
  /// A change of metadata that has completed and is not covered.
  package struct Change: Hashable, Sendable {
    package enum Effect: Hashable, Sendable {
      case link(EntryNumber, InodeNumber)
      case unlink(EntryNumber)
      case rename(from: EntryNumber, to: EntryNumber)
      case exchange(EntryNumber, EntryNumber)
      case attributes(InodeNumber)
      /// See `FileHistory.Mark`.
      case mark(InodeNumber)
    }

    /// The operation's number.
    package var operation: Int
    package var effect: Effect
    /// Places of the submission and of the completion in the recording.
    var submitted: Int
    var at: Int
    /// Of btrfs: see `LogTree`.
    var log: LogTree?

    /// Whether it was over when the other one began: then it came first for certain.
    func precedes(_ other: Change) -> Bool { at < other.submitted }
  }

  /// btrfs puts a change of a name in its log tree at once, where the inode, or the directory that it leaves, was
  /// synced since the last commit (btrfs_log_new_name and btrfs_del_dir_entries_in_log in fs/btrfs/tree-log.c). The
  /// next sync of whatever file makes that log durable, and not what came before in other directories.
  package struct LogTree: Hashable, Sendable {
    /// Place in the recording of the last sync of the inode or the directory: a commit later than that has undone it.
    var since: Int
    /// Place of the sync that has made, or may have made, the log durable; nil before it.
    var durable: Int?
    /// What the log says: of a rename the new name, whatever the old one was, and that the old one is gone.
    var effects: [Change.Effect]
  }

  /// The last change of an inode that the file system has logged.
  struct Logged: Sendable {
    var submitted = -1
    var at = -1
  }

  let profile: CrashProfile
  let inodes: InodeTable
  let store: SectorStore
  package internal(set) var files: [FileHistory]
  package internal(set) var names: NameSpace
  /// Completed and not covered, in the order of completion.
  package internal(set) var changes: [Change] = []
  /// In the order of submission.
  package internal(set) var inFlight: [Flying] = []
  /// What `names` is once everything in `changes` has happened.
  var settledNames: NameSpace
  /// By inode, the last few: changes of any kind, and those that fdatasync waits for too.
  var logged: [[Logged]]
  var loggedData: [[Logged]]
  /// By inode: names that it has in `names`.
  private(set) var links: [Int]
  /// By inode, of btrfs: the submission of the last sync by which it is in the log tree; -1 without one.
  var synced: [Int]
  /// By inode, when its times were set last; nil for long ago.
  private var stamped: [Instant?]
  /// By inode, the first write since then, which may have set another time.
  private var mayBeStamped: [Logged?]
  /// Of the event that is taken in.
  private var time = Instant(nanoseconds: 0)
  /// Files of which something is not durable.
  private(set) var unsettled: Set<Int> = []
  /// The changes that syncs have covered since this was set to empty, in order; nil where nobody asks.
  var covered: [Change]?
  private var changedFiles: Set<Int> = []

  package struct Flying: Sendable {
    /// By its number.
    var operation: Int
    /// Place of the submission in the recording.
    var submittedAt: Int
    /// Of a write whose buffer was changed meanwhile the bytes that it held then, oldest first.
    var changes: [[UInt8]] = []
  }

  package init(_ recording: Recording, _ profile: CrashProfile) {
    self.profile = profile
    inodes = recording.inodes
    store = recording.store
    names = recording.initialNames
    names += NameSpace(repeating: nil, count: max(0, inodes.entries.count - names.count))
    settledNames = names
    files = recording.initialFiles.map { FileHistory($0, recording.store) }
    while files.count < inodes.count { files.append(FileHistory(DiskImage.File(), recording.store)) }
    logged = [[Logged]](repeating: [], count: inodes.count)
    loggedData = logged
    links = [Int](repeating: 0, count: inodes.count)
    synced = [Int](repeating: -1, count: inodes.count)
    stamped = [Instant?](repeating: nil, count: inodes.count)
    mayBeStamped = [Logged?](repeating: nil, count: inodes.count)
    for case let inode? in names { links[Int(inode)] += 1 }
  }

  /// Calls `visit` with each file and its sectors that have changed since the last call.
  mutating func takeChangedSectors(_ visit: (Int, Set<Int>) -> Void) {
    for f in changedFiles where !files[f].changedSectors.isEmpty {
      visit(f, files[f].changedSectors)
      files[f].changedSectors = []
    }
    changedFiles = []
  }

  /// A change of names is durable.
  mutating func applyDurable(_ effect: Change.Effect) {
    for case let inode? in effect.entries.map({ names[Int($0)] }) { links[Int(inode)] -= 1 }
    names.apply(effect)
    for case let inode? in effect.entries.map({ names[Int($0)] }) { links[Int(inode)] += 1 }
  }

  private mutating func stamp(_ inode: Int) { (stamped[inode], mayBeStamped[inode]) = (time, nil) }

  /// A write in place sets the file's times where the clock has ticked since they were set (file_update_time in
  /// fs/inode.c). That it has is certain after a tick; which of the writes since then it was is not: the first, at the
  /// earliest.
  /// - Parameter begun: when the write was submitted; it has looked at the clock then or later.
  private mutating func noteTime(_ f: Int, _ moment: Logged, begun: Instant) {
    let first = mayBeStamped[f] ?? moment
    guard stamped[f].map({ begun - $0 >= Self.tick }) ?? true else {
      mayBeStamped[f] = first
      return
    }
    if first.at > logged[f].last?.at ?? -1 { log(f, first, withData: false) }
    stamp(f)
  }

  /// No kernel's clock ticks less often.
  private static let tick = Duration.milliseconds(10)

  private mutating func log(_ inode: Int, _ moment: Logged, withData: Bool) {
    /// More of them than operations on one file are ever in flight.
    let most = 64
    logged[inode].append(moment)
    if logged[inode].count > most { logged[inode].removeFirst() }
    guard withData else { return }
    loggedData[inode].append(moment)
    if loggedData[inode].count > most { loggedData[inode].removeFirst() }
  }

  /// Takes in `recording.events[index]`.
  package mutating func apply(_ index: Int, of recording: Recording) {
    switch recording.events[index].what {
    case .fact: break
    case .submitted(let number):
      inFlight.append(Flying(operation: number, submittedAt: index))
      if profile.syncReach == .ownNames { noteLogSync(recording.operations[number], at: index) }
    case .changed(let number, let bytes):
      if let place = inFlight.firstIndex(where: { $0.operation == number }) { inFlight[place].changes.append(bytes) }
    case .completed(let number, let succeeded, let taken):
      time = recording.events[index].time
      let isUncertain = taken < 0
      guard let place = inFlight.firstIndex(where: { $0.operation == number }) else { return }
      let flying = inFlight.remove(at: place)
      if succeeded {
        complete(recording, flying, at: index, taken: taken)
      } else {
        switch recording.operations[number] {
        case .sync(let file, _):
          switch recording.failedSyncs[number] ?? .dropped {
          case .kept: break
          case .dropped: files[Int(file)].abandon(upTo: flying.submittedAt)
          case .reverted: files[Int(file)].revert(upTo: flying.submittedAt)
          }
          noteSettled(Int(file))
        case .write(let file, let offset, let bytes, _) where isUncertain: fail(Int(file), bytes, at: offset, index)
        default: break
        }
      }
    }
  }

  /// A durable write has given EIO: nobody knows what of it has happened, and no later sync makes it so.
  private mutating func fail(_ f: Int, _ bytes: [UInt8], at offset: Int, _ index: Int) {
    files[f].lay(store, bytes, bytes.count, at: offset) { file, sector, content in
      file.add(FileHistory.Version(at: index, content: content, isUncertain: true), to: sector)
    }
    let end = offset + bytes.count
    // Whatever the profile: the size is as uncertain as the write.
    if end > files[f].settledSize { files[f].grow(to: end, at: index, isUncertain: true) }
    noteSettled(f)
  }

  private mutating func complete(_ recording: Recording, _ flying: Flying, at index: Int, taken: Int) {
    let operation = recording.operations[flying.operation]
    switch operation {
    case .write(_, _, _, let durable): write(recording, flying, taken, at: index, durable: durable)
    case .sync(let file, let isFull): sync(Int(file), isFull: isFull, flying.submittedAt)
    case .syncDirectory(let directory): syncDirectory(directory, flying.submittedAt)
    case .syncAll:
      coverChanges { $0.at < flying.submittedAt }
      for f in unsettled { cover(f, flying.submittedAt) }
    case .create, .link, .unlink, .rename, .exchange, .attributes, .truncate, .allocate, .zero:
      change(operation, flying, at: index)
    }
  }

  // MARK: Data

  private mutating func write(
    _ recording: Recording, _ flying: Flying, _ taken: Int, at index: Int, durable: Bool
  ) {
    guard case .write(let file, let offset, let bytes, _) = recording.operations[flying.operation], taken > 0 else {
      return
    }
    let (f, end) = (Int(file), offset + taken)
    let grows = end > files[f].settledSize
    let sectors = offset / SectorStore.size...(end - 1) / SectorStore.size
    let isNewSpace = sectors.contains { files[f].isEmpty($0) }
    if grows || isNewSpace {
      // Space is allocated, or the size is logged, at the earliest now; in the latest at a sync.
      log(f, Logged(submitted: flying.submittedAt, at: index), withData: true)
      stamp(f)
    } else {
      noteTime(
        f, Logged(submitted: flying.submittedAt, at: index), begun: recording.events[flying.submittedAt].time)
    }
    if durable { coverMetadata(withWrite: f, offset..<end, flying, at: index) }
    let settled = files[f].settledSize
    if profile.edges == .atGrowth, grows {
      files[f].addZeros(settled..<min(max(settled, FileCut.blockEnd(settled)), max(settled, end)), at: index, store)
    }
    files[f].lay(store, bytes, taken, at: offset) { [store] file, sector, content in
      if durable {
        file.makeDurable(sector, content, store)
      } else {
        file.addWritten(content, to: sector, at: index)
        file.takeUpPage(of: sector)
      }
    }
    if durable, profile.names == .ordered, !recording.bypassesCache(flying.operation) {
      // The page cache writes whole pages (filemap_write_and_wait_range).
      let pages = offset / FileCut.block * FileCut.block..<FileCut.blockEnd(end)
      files[f].makeDurable(pages, store)
    }
    // The first stands there, or the last: those between are left out.
    if let last = flying.changes.last {
      files[f].change(store, to: last, taken, at: offset, index, isDurable: durable)
    }
    if durable {
      files[f].makeDurable(sizeUpTo: end)
    } else if grows {
      if profile.sizes == .immediate { files[f].durableSize = end } else { files[f].grow(to: end, at: index) }
    }
    noteSettled(f)
  }

  mutating func noteSettled(_ f: Int) {
    changedFiles.insert(f)
    if files[f].isSettled { unsettled.remove(f) } else { unsettled.insert(f) }
  }

  mutating func cover(_ f: Int, _ submission: Int) {
    files[f].cover(upTo: submission, store)
    noteSettled(f)
  }

  // MARK: Metadata

  private mutating func change(_ operation: DiskOperation, _ flying: Flying, at index: Int) {
    note(operation, Logged(submitted: flying.submittedAt, at: index))
    let effects = effects(of: operation, flying.operation, at: index)
    switch operation {
    case .truncate(let file, _), .allocate(let file, _, _), .zero(let file, _):
      cut(Int(file), operation, flying.operation, at: index)
    default: break
    }
    let log = profile.syncReach == .ownNames ? logTree(of: effects) : nil
    // What has a new name in the log is in the log itself.
    if let log, case .link(_, let inode)? = log.effects.first {
      synced[Int(inode)] = max(synced[Int(inode)], log.since)
    }
    for effect in effects {
      settledNames.apply(effect)
      if profile.names == .immediate { applyDurable(effect) }
    }
    if profile.names == .immediate { return }
    changes += effects.map {
      Change(operation: flying.operation, effect: $0, submitted: flying.submittedAt, at: index, log: log)
    }
  }

  /// What the operation changes; a rename from one directory to another is two changes where the profile splits it.
  func effects(of operation: DiskOperation, _ number: Int, at index: Int) -> [Change.Effect] {
    switch operation {
    case .create(let entry, let inode), .link(let entry, let inode): return [.link(entry, inode)]
    case .unlink(let entry): return [.unlink(entry)]
    case .exchange(let one, let other): return [.exchange(one, other)]
    case .attributes(let inode, _): return [.attributes(inode)]
    case .truncate(let file, _), .allocate(let file, _, _), .zero(let file, _):
      let settled = files[Int(file)].settledSize
      let cut = FileCut(operation, number: number, at: index, settled: settled, profile.edges)
      return cut.mark == nil ? [] : [.mark(file)]
    case .rename(let from, let to):
      guard profile.names == .independent, let inode = settledNames[Int(from)],
        inodes.entries[Int(from)].directory != inodes.entries[Int(to)].directory, !inodes.isDirectory(inode)
      else { return [.rename(from: from, to: to)] }
      return [.link(to, inode), .unlink(from)]
    case .write, .sync, .syncDirectory, .syncAll: return []
    }
  }

  /// Which inodes the file system logs with the operation.
  private mutating func note(_ operation: DiskOperation, _ moment: Logged) {
    func inode(_ entry: EntryNumber) -> InodeNumber? { settledNames[Int(entry)] }
    var both: [InodeNumber?] = []
    var full: [InodeNumber?] = []
    func directory(_ entry: EntryNumber) -> InodeNumber { inodes.entries[Int(entry)].directory }
    switch operation {
    case .create(let entry, let inode): both = [inode, directory(entry)]
    case .link(let entry, let inode): (both, full) = ([directory(entry)], [inode])
    case .unlink(let entry): (both, full) = ([directory(entry)], [inode(entry)])
    case .rename(let from, let to):
      (both, full) = ([directory(from), directory(to)], [inode(from), inode(to)])
    case .exchange(let one, let other):
      (both, full) = ([directory(one), directory(other)], [inode(one), inode(other)])
    case .attributes(let inode, _): full = [inode]
    case .truncate(let file, _), .allocate(let file, _, _), .zero(let file, _): both = [file]
    case .write, .sync, .syncDirectory, .syncAll: return
    }
    for case let inode? in both { log(Int(inode), moment, withData: true) }
    for case let inode? in full { log(Int(inode), moment, withData: profile.dataSyncSeesAttributes) }
    for case let inode? in both + full { stamp(Int(inode)) }
  }
}

extension VolatileDisk.Change.Effect {
  /// The entries that it changes.
  package var entries: [EntryNumber] {
    switch self {
    case .link(let entry, _), .unlink(let entry): [entry]
    case .rename(let from, let to): [from, to]
    case .exchange(let one, let other): [one, other]
    case .attributes, .mark: []
    }
  }
}

extension NameSpace {
  /// A change takes effect; one that has lost its ground changes nothing.
  mutating func apply(_ effect: VolatileDisk.Change.Effect) {
    switch effect {
    case .link(let entry, let inode): self[Int(entry)] = inode
    case .unlink(let entry): self[Int(entry)] = nil
    case .rename(let from, let to):
      // Of two names of one file both stay, `man 2 rename`.
      guard let inode = self[Int(from)], self[Int(to)] != inode else { return }
      self[Int(to)] = inode
      self[Int(from)] = nil
    case .exchange(let one, let other): self.swapAt(Int(one), Int(other))
    case .attributes, .mark: break
    }
  }
}
