import LogModel

/// What a sync makes durable: data of one file, and of the metadata what the profile says.
extension VolatileDisk {
  mutating func sync(_ f: Int, isFull: Bool, _ submission: Int) {
    coverMetadata(with: f, isFull: isFull, before: submission, directly: submission)
    cover(f, submission)
  }

  /// A sync of a file covers metadata beside its own.
  /// - Parameters:
  ///   - submission: what came later is not covered.
  ///   - own: the write that is made durable, which has changed the file itself.
  ///   - directly: its own changes of size before this moment are covered in any case.
  mutating func coverMetadata(
    with f: Int, isFull: Bool, before submission: Int, own: Int? = nil, directly: Int
  ) {
    let inode = InodeNumber(f)
    switch profile.syncReach {
    case .file: break
    case .ownNames:
      synced[f] = max(synced[f], submission)
      coverNames(of: [inode], before: submission)
    case .journal:
      // Up to the last change of the file that is in the journal: a file that has not changed since a commit causes
      // none.
      coverJournal(upTo: (isFull ? logged[f] : loggedData[f]).last { $0.at < submission || $0.at == own })
    }
    coverChanges { $0.effect == .mark(inode) && $0.at < directly }
  }

  /// A write that is durable by itself covers metadata too.
  mutating func coverMetadata(withWrite f: Int, _ bytes: Range<Int>, _ flying: Flying, at index: Int) {
    // It will be found again, so what was emptied before it stays so.
    let sectors = SectorStore.sectors(of: bytes)
    let isFound = files[f].marks.last { ($0.size ?? .max) < bytes.upperBound || $0.touches(sectors) }
    let found = isFound.map { $0.at + 1 } ?? 0
    coverMetadata(
      with: f, isFull: false, before: flying.submittedAt, own: index, directly: min(found, flying.submittedAt))
  }

  /// Combinations of syncs in flight that are looked at.
  private static let mostSyncsTogether = 64

  /// What syncs in flight cover out of the journal's order: each of them, and several together. When the power goes,
  /// any of them may be over while another is not.
  /// - Returns: and whether there are more combinations than are listed.
  func syncsInFlight(_ recording: Recording, at index: Int) -> (names: [SyncedNames], omits: Bool) {
    guard profile.syncReach == .ownNames, !changes.isEmpty else { return ([], false) }
    var start = self
    start.covered = []
    var disks = [start]
    var omits = false
    for flying in inFlight {
      for var disk in disks {
        let before = disk.covered?.count
        disk.coverMetadata(with: flying, recording, at: index)
        if disk.covered?.count == before { continue }
        if disks.count <= Self.mostSyncsTogether { disks.append(disk) } else { omits = true }
      }
    }
    let names = disks.dropFirst().map { disk in
      var names = SyncedNames()
      for change in disk.covered ?? [] {
        guard let place = changes.firstIndex(where: { $0.operation == change.operation }) else { continue }
        names.effects[place, default: []].append(change.effect)
      }
      return names
    }
    return (names, omits)
  }

  /// Applies what a sync in flight covers of the metadata.
  private mutating func coverMetadata(with flying: Flying, _ recording: Recording, at index: Int) {
    switch recording.operations[flying.operation] {
    case .sync(let file, let isFull):
      coverMetadata(with: Int(file), isFull: isFull, before: flying.submittedAt, directly: flying.submittedAt)
    case .write(let file, let offset, let bytes, durable: true):
      coverMetadata(withWrite: Int(file), offset..<offset + bytes.count, flying, at: index)
    case .syncDirectory(let directory): syncDirectory(directory, flying.submittedAt)
    // That of everything covers a beginning of the journal.
    default: break
    }
  }

  mutating func syncDirectory(_ directory: InodeNumber, _ submission: Int) {
    switch profile.directorySync {
    case .entries where profile.syncReach == .ownNames: syncDirectoryOfLogTree(directory, submission)
    case .entries:
      let entries = inodes.entries
      cover(before: submission) { $0.entries.contains { entries[Int($0)].directory == directory } }
    case .journal: coverJournal(upTo: logged[Int(directory)].last { $0.at < submission })
    case .everything: coverChanges { $0.at < submission }
    }
  }

  /// btrfs logs the entries of the directory, its own names, and the directories that lead to it. Where a file has left
  /// it for another directory it commits everything (btrfs_record_unlink_dir). A file that has come from another one
  /// has its new name; the old one may be there too.
  private mutating func syncDirectoryOfLogTree(_ directory: InodeNumber, _ submission: Int) {
    synced[Int(directory)] = max(synced[Int(directory)], submission)
    func isInside(_ entry: EntryNumber) -> Bool { inodes.entries[Int(entry)].directory == directory }
    let hasLost = changes.contains { change in
      guard change.at < submission, case .rename(let from, let to) = change.effect else { return false }
      return isInside(from) && !isInside(to)
    }
    if hasLost { return coverChanges { $0.at < submission } }
    splitRenames(into: directory, before: submission)
    let entries = inodes.entries
    // With a new entry its inode is logged (log_new_dir_dentries).
    for change in changes where change.at < submission {
      if case .link(let entry, let inode) = change.effect, isInside(entry) {
        synced[Int(inode)] = max(synced[Int(inode)], submission)
      }
    }
    cover(before: submission) { $0.entries.contains { entries[Int($0)].directory == directory } }
    coverNames(of: [directory], before: submission)
  }

  /// Of a rename from another directory the new name is one change, and that the old one goes is another.
  private mutating func splitRenames(into directory: InodeNumber, before submission: Int) {
    var names = names
    var split: [Change] = []
    for change in changes {
      if case .rename(let from, let to) = change.effect, change.at < submission, let inode = names[Int(from)],
        !inodes.isDirectory(inode),
        inodes.entries[Int(to)].directory == directory, inodes.entries[Int(from)].directory != directory
      {
        var (new, old) = (change, change)
        (new.effect, old.effect) = (.link(to, inode), .unlink(from))
        split += [new, old]
      } else {
        split.append(change)
      }
      names.apply(change.effect)
    }
    changes = split
  }

  /// What a change of names of a file leaves in the log tree of btrfs at once; nil where neither it nor its directory
  /// is in there.
  func logTree(of effects: [Change.Effect]) -> LogTree? {
    guard let effect = effects.first else { return nil }
    func directory(_ entry: EntryNumber) -> Int { Int(inodes.entries[Int(entry)].directory) }
    let (subject, since, logged): (InodeNumber?, Int, [Change.Effect])
    switch effect {
    case .rename(let from, let to):
      subject = settledNames[Int(from)]
      since = max(synced[directory(from)], subject.map { synced[Int($0)] } ?? -1)
      logged = subject.map { [.link(to, $0), .unlink(from)] } ?? []
    case .link(_, let inode): (subject, since, logged) = (inode, synced[Int(inode)], [effect])
    case .unlink(let entry):
      subject = settledNames[Int(entry)]
      since = max(synced[directory(entry)], subject.map { synced[Int($0)] } ?? -1)
      logged = [effect]
    case .exchange, .attributes, .mark: return nil
    }
    guard let subject, !inodes.isDirectory(subject), since >= 0 else { return nil }
    return LogTree(since: since, durable: nil, effects: logged)
  }

  /// A sync makes the log tree durable, whatever file it is of; one in flight may have.
  mutating func noteLogSync(_ operation: DiskOperation, at index: Int) {
    switch operation {
    case .sync, .syncDirectory, .write(_, _, _, durable: true): break
    default: return
    }
    for place in changes.indices where changes[place].log != nil && changes[place].log?.durable == nil {
      changes[place].log?.durable = index
    }
  }

  private mutating func coverJournal(upTo last: Logged?) {
    guard let last else { return }
    coverChanges { $0.at < last.submitted || $0.at == last.at }
  }

  /// The names of some inodes, and those of the directories that lead to them.
  private mutating func coverNames(of inodes: Set<InodeNumber>, before submission: Int) {
    if changes.isEmpty { return }
    // A file that has lost its last name gets none back.
    let own = inodes.filter { settledNames.contains($0) }
    let table = self.inodes
    func directories(of inode: InodeNumber) -> [InodeNumber] {
      settledNames.indices.filter { settledNames[$0] == inode }.map { table.entries[$0].directory }
    }
    /// Directories that were made since the last commit are logged with their names.
    var made: Set<InodeNumber> = []
    for case .link(_, let inode) in changes.map(\.effect) where table.isDirectory(inode) { made.insert(inode) }
    var reached = own
    var waiting = own
    while let inode = waiting.popFirst() {
      for directory in directories(of: inode) where made.contains(directory) && reached.insert(directory).inserted {
        waiting.insert(directory)
      }
    }
    for inode in reached { synced[Int(inode)] = max(synced[Int(inode)], submission) }
    // What an entry stood for before and after each change decides which inodes the change is about.
    var names = names
    var concerned: Set<Int> = []
    var isMoved = false
    for (index, change) in changes.enumerated() {
      let before = change.effect.entries.compactMap { names[Int($0)] }
      names.apply(change.effect)
      let after = change.effect.entries.compactMap { names[Int($0)] }
      if !reached.isDisjoint(with: before + after) { concerned.insert(index) }
      if !own.isDisjoint(with: before) { isMoved = true }
      if case .mark(let file) = change.effect, own.contains(file) { concerned.insert(index) }
      if case .attributes(let inode) = change.effect, reached.contains(inode) { concerned.insert(index) }
    }
    // Of a file that was renamed, or has lost a name, the directories are logged, with the entries that are new there.
    if isMoved {
      let directories = Set(own.flatMap(directories))
      for directory in directories { synced[Int(directory)] = max(synced[Int(directory)], submission) }
      for (index, change) in changes.enumerated() {
        switch change.effect {
        case .link(let entry, _), .rename(_, let entry):
          if directories.contains(table.entries[Int(entry)].directory) { concerned.insert(index) }
        case .unlink, .exchange, .attributes, .mark: break
        }
      }
    }
    cover(concerned.filter { changes[$0].at < submission })
  }

  private mutating func cover(before submission: Int, _ isCovered: (Change.Effect) -> Bool) {
    cover(Set(changes.indices.filter { changes[$0].at < submission && isCovered(changes[$0].effect) }))
  }

  /// Covers some changes by their places. What was done to the same names before goes with them: a name is never taken
  /// back to an earlier state.
  private mutating func cover(_ places: Set<Int>) {
    var entries: Set<EntryNumber> = []
    var covered: Set<Int> = []
    for place in changes.indices.reversed() {
      let touched = changes[place].effect.entries
      guard places.contains(place) || !entries.isDisjoint(with: touched) else { continue }
      entries.formUnion(touched)
      covered.insert(place)
    }
    var place = -1
    coverChanges { _ in
      place += 1
      return covered.contains(place)
    }
  }

  mutating func coverChanges(_ isCovered: (Change) -> Bool) {
    if changes.isEmpty { return }
    var rest: [Change] = []
    for change in changes {
      guard isCovered(change) else {
        rest.append(change)
        continue
      }
      covered?.append(change)
      applyDurable(change.effect)
      if case .mark(let file) = change.effect {
        files[Int(file)].coverMarks(before: change.at + 1, store)
        noteSettled(Int(file))
      }
    }
    changes = rest
  }
}
