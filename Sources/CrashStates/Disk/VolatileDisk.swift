import LogModel

/// The recorded disk at one moment: what is durable under a profile, and everything newer that a power cut may keep.
///
/// Independent of `Storage.MemoryDisk`, which ran the workload: that one knows two images of every page, this one every
/// version of every sector.
package struct VolatileDisk: Sendable {
  package struct Version: Sendable {
    /// Place of the completion in the recording.
    var at: Int
    var content: SectorID
    /// A sync of it has failed: its page counts as clean, and no sync covers it until the page is written again. Or its
    /// write has, past every page: nobody knows what of it is on the medium, and no sync changes that.
    var isAbandoned = false
    /// The device may have taken this in place of what counts as durable, and has it by now for good: the buffer was
    /// changed while it was in flight. No sync decides between the two.
    var isEither = false
  }

  package struct SizeChange: Sendable {
    var at: Int
    var size: Int
    var isTruncation: Bool
  }

  package struct File: Sendable {
    var durable: [SectorID] = []
    var durableSize = 0
    /// Sectors from here on were never durable: new space.
    var extent = 0
    /// Completed and not covered, oldest first, by sector.
    var newer: [Int: [Version]] = [:]
    var sizes: [SizeChange] = []
    /// Whether two versions of a sector may be of one moment.
    var hasChangedBuffers = false

    var settledSize: Int { sizes.last?.size ?? durableSize }
    func durable(_ sector: Int) -> SectorID { sector < durable.count ? durable[sector] : SectorStore.zero }
    func settled(_ sector: Int) -> SectorID { newer[sector]?.last?.content ?? durable(sector) }
  }

  package struct PendingName: Sendable {
    var at: Int
    var operation: Int
  }

  let profile: CrashProfile
  var files: [File]
  /// By path number.
  var names: [PathNode?]
  /// Changes of names, completed and not covered, in the order of completion.
  var pendingNames: [PendingName] = []
  /// In the order of submission.
  package var inFlight: [Flying] = []

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
    names = [PathNode?](repeating: nil, count: recording.table.count)
    names[Int(PathTable.root)] = .directory
    for (path, node) in recording.initial.names { names[Int(path)] = node }
    files = recording.initial.files.map {
      File(durable: $0.sectors, durableSize: $0.size, extent: $0.sectors.count)
    }
    while files.count < recording.filePaths.count { files.append(File()) }
  }

  /// Takes in `recording.events[index]`.
  package mutating func apply(_ index: Int, of recording: Recording) {
    switch recording.events[index].what {
    case .fact: break
    case .submitted(let number): inFlight.append(Flying(operation: number, submittedAt: index))
    case .changed(let number, let bytes):
      if let place = inFlight.firstIndex(where: { $0.operation == number }) { inFlight[place].changes.append(bytes) }
    case .completed(let number, let succeeded, let taken):
      let isUncertain = taken < 0
      guard let place = inFlight.firstIndex(where: { $0.operation == number }) else { return }
      let flying = inFlight.remove(at: place)
      if succeeded {
        complete(recording, flying, at: index, taken: taken)
      } else {
        switch recording.operations[number] {
        case .sync(let file, _): files[Int(file)].abandon(upTo: flying.submittedAt)
        case .write(let file, let offset, let bytes, _) where isUncertain:
          fail(recording, Int(file), bytes, at: offset, index)
        default: break
        }
      }
    }
  }

  /// A durable write has given EIO: nobody knows what of it has happened, and no later sync makes it so.
  private mutating func fail(_ recording: Recording, _ f: Int, _ bytes: [UInt8], at offset: Int, _ index: Int) {
    files[f].lay(recording.store, bytes, bytes.count, at: offset) { file, sector, content in
      file.newer[sector, default: []].append(Version(at: index, content: content, isAbandoned: true))
    }
    let end = offset + bytes.count
    // Whatever the profile: the size is as uncertain as the write.
    if end > files[f].settledSize { files[f].sizes.append(SizeChange(at: index, size: end, isTruncation: false)) }
  }

  private mutating func complete(_ recording: Recording, _ flying: Flying, at index: Int, taken: Int) {
    let (number, submittedAt) = (flying.operation, flying.submittedAt)
    switch recording.operations[number] {
    case .write(let file, let offset, let bytes, let durable):
      let f = Int(file)
      // It will be found again, so what was cut before it stays cut.
      if durable, let cut = files[f].sizes.last(where: { $0.isTruncation && $0.size < offset + taken }) {
        files[f].coverSizes(upTo: cut.at + 1)
      }
      files[f].lay(recording.store, bytes, taken, at: offset) { file, sector, content in
        if durable {
          file.makeDurable(sector, content)
        } else {
          file.newer[sector, default: []].append(Version(at: index, content: content))
          file.takeUpPage(of: sector)
        }
      }
      // The first stands there, or the last: those between are left out.
      if let last = flying.changes.last {
        files[f].change(recording.store, to: last, taken, at: offset, index, isDurable: durable)
      }
      let end = offset + taken
      if durable {
        files[f].durableSize = max(files[f].durableSize, end)
        files[f].sizes.removeAll { !$0.isTruncation && $0.size <= end }
      } else if end > files[f].settledSize {
        change(size: end, of: f, at: index, isTruncation: false)
      }
    case .truncate(let file, let size): change(size: size, of: Int(file), at: index, isTruncation: true)
    case .sync(let file, let isFull):
      files[Int(file)].cover(upTo: submittedAt)
      guard isFull else { return }
      switch profile.syncReach {
      case .file: break
      case .everyName: cover(namesBefore: submittedAt, recording) { _ in true }
      case .ownNames:
        let names = names
        cover(namesBefore: submittedAt, recording) { $0.concerns(file, names) }
      }
    case .syncDirectory(let path):
      if profile.ordersDirectorySyncs {
        cover(namesBefore: submittedAt, recording) { _ in true }
      } else {
        let parents = recording.table.parents
        cover(namesBefore: submittedAt, recording) { $0.paths.contains { parents[Int($0)] == path } }
      }
    case .create, .makeDirectory, .rename, .unlink:
      if profile.names == .immediate {
        names.apply(recording.operations[number])
      } else {
        pendingNames.append(PendingName(at: index, operation: number))
      }
    }
  }

  private mutating func change(size: Int, of f: Int, at index: Int, isTruncation: Bool) {
    if profile.sizes == .immediate {
      files[f].durableSize = size
    } else {
      files[f].sizes.append(SizeChange(at: index, size: size, isTruncation: isTruncation))
    }
  }

  private mutating func cover(
    namesBefore submission: Int, _ recording: Recording, _ isCovered: (DiskOperation) -> Bool
  ) {
    // What was done to the same names before goes with it: a name is never taken back to an earlier state.
    var paths: Set<Int32> = []
    var covered = Set<Int>()
    for change in pendingNames.reversed() {
      let operation = recording.operations[change.operation]
      guard change.at < submission, isCovered(operation) || !paths.isDisjoint(with: operation.paths) else { continue }
      paths.formUnion(operation.paths)
      covered.insert(change.operation)
    }
    for change in pendingNames where covered.contains(change.operation) {
      names.apply(recording.operations[change.operation])
    }
    pendingNames.removeAll { covered.contains($0.operation) }
  }
}

extension VolatileDisk.File {
  /// Calls `put` with each sector that the bytes touch and what it holds with them.
  mutating func lay(
    _ store: SectorStore, _ bytes: [UInt8], _ count: Int, at offset: Int,
    _ put: (inout Self, Int, SectorID) -> Void
  ) {
    bytes.withUnsafeBytes { source in
      var at = 0
      while at < count {
        let sector = (offset + at) / SectorStore.size
        let start = (offset + at) % SectorStore.size
        let n = min(SectorStore.size - start, count - at)
        put(&self, sector, store.overlay(settled(sector), source.baseAddress! + at, at: start, n))
        at += n
      }
    }
  }

  /// A write has completed whose buffer was changed while it was in flight: each sector may be of the bytes that it had
  /// been submitted with or, as a newer version, of those that stood there at last.
  mutating func change(
    _ store: SectorStore, to bytes: [UInt8], _ count: Int, at offset: Int, _ index: Int, isDurable: Bool
  ) {
    hasChangedBuffers = true
    lay(store, bytes, count, at: offset) { file, sector, content in
      guard content != file.settled(sector) else { return }
      file.newer[sector, default: []].append(VolatileDisk.Version(at: index, content: content, isEither: isDurable))
    }
  }

  mutating func makeDurable(_ sector: Int, _ content: SectorID) {
    while durable.count <= sector { durable.append(SectorStore.zero) }
    durable[sector] = content
    extent = max(extent, sector + 1)
    newer[sector] = nil
  }

  /// A sync that was submitted at `submission` has failed. `man 2 fsync`; Storage/WriteBack.swift.
  mutating func abandon(upTo submission: Int) {
    for sector in newer.keys {
      for index in newer[sector]!.indices where newer[sector]![index].at < submission {
        newer[sector]![index].isAbandoned = true
      }
    }
  }

  /// A page of 4096 bytes of which a sector is written is dirty again, all of it.
  mutating func takeUpPage(of sector: Int) {
    let perPage = 4096 / SectorStore.size
    for neighbour in sector / perPage * perPage..<(sector / perPage + 1) * perPage where newer[neighbour] != nil {
      for index in newer[neighbour]!.indices { newer[neighbour]![index].isAbandoned = false }
    }
  }

  /// A sync that was submitted at `submission` has completed.
  mutating func cover(upTo submission: Int) {
    coverSizes(upTo: submission)
    for sector in newer.keys.sorted() {
      guard let versions = newer[sector],
        let last = versions.last(where: { $0.at < submission && !$0.isAbandoned && !$0.isEither })
      else { continue }
      // Of a write whose buffer was changed the first content, or one of the others.
      let same = versions.filter { $0.at == last.at && !$0.isEither }
      makeDurable(sector, same[0].content)
      var rest = Array(same.dropFirst())
      for index in rest.indices { rest[index].isEither = true }
      rest += versions.filter { $0.at > last.at }
      if !rest.isEmpty { newer[sector] = rest }
    }
  }

  /// Changes of the size that came before `submission` are durable. What was cut is gone: what is written there
  /// afterwards is new space. (Of the sector that the cut goes through the rest is kept: no size that shows it comes
  /// without a write.)
  mutating func coverSizes(upTo submission: Int) {
    let covered = sizes.prefix { $0.at < submission }
    guard let last = covered.last else { return }
    for cut in covered where cut.isTruncation {
      let kept = (cut.size + SectorStore.size - 1) / SectorStore.size
      if durable.count > kept { durable.removeSubrange(kept...) }
      extent = min(extent, kept)
      for sector in newer.keys where sector >= kept {
        newer[sector]!.removeAll { $0.at < cut.at }
        if newer[sector]!.isEmpty { newer[sector] = nil }
      }
    }
    durableSize = last.size
    sizes.removeAll { $0.at < submission }
  }
}

extension DiskOperation {
  /// The paths whose names it changes.
  package var paths: [Int32] {
    switch self {
    case .create(let path, _), .makeDirectory(let path), .unlink(let path): [path]
    case .rename(let from, let to): [from, to]
    case .write, .truncate, .sync, .syncDirectory: []
    }
  }

  /// Whether it gives or takes a name of `file`.
  func concerns(_ file: Int32, _ names: [PathNode?]) -> Bool {
    switch self {
    case .create(_, let created): created == file
    case .rename(let from, _): names[Int(from)] == .file(file)
    default: false
    }
  }
}

extension [PathNode?] {
  /// A change of names takes effect; one that has lost its ground changes nothing.
  mutating func apply(_ operation: DiskOperation) {
    switch operation {
    case .create(let path, let file): self[Int(path)] = .file(file)
    case .makeDirectory(let path): self[Int(path)] = .directory
    case .unlink(let path): self[Int(path)] = nil
    case .rename(let from, let to):
      guard let node = self[Int(from)] else { return }
      self[Int(to)] = node
      self[Int(from)] = nil
    case .write, .truncate, .sync, .syncDirectory: break
    }
  }
}
