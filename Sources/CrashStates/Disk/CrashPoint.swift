import LogModel

/// A number of an alternative of a piece. Every alternative comes of an operation, of which `Recording.mostOperations`
/// is far below what this holds.
package typealias Alternative = UInt16

/// A moment at which power may go, with everything that a power cut is free to decide there.
///
/// The freedom is a list of *pieces*. Each has alternatives, of which the first is the durable one and `newest` the one
/// that everything which happened leads to. A state of the disk is one choice of alternatives.
package struct CrashPoint: Sendable {
  package enum Piece: Sendable {
    /// A unit of a file: the contents of its sectors, by alternative.
    case sectors(file: Int, first: Int, contents: [[SectorID]], newest: Int)
    /// The size of a file: `VolatileDisk.File.durableSize`, then these.
    case size(file: Int, changes: [VolatileDisk.SizeChange])
    /// Changes of names: the first so many of them.
    case names([DiskOperation], truncations: [(file: Int, after: Int)])

    var count: Int {
      switch self {
      case .sectors(_, _, let contents, _): contents.count
      case .size(_, let changes): changes.count + 1
      case .names(let changes, _): changes.count + 1
      }
    }

    package var newest: Int {
      switch self {
      case .sectors(_, _, _, let newest): newest
      case .size, .names: count - 1
      }
    }
  }

  /// Events before this one have happened.
  package let event: Int
  package let profile: CrashProfile
  package private(set) var pieces: [Piece] = []
  let files: [VolatileDisk.File]
  private let names: [PathNode?]
  let parents: [Int32]
  private let pathHashes: [UInt64]
  let store: SectorStore
  /// By file the units that have never been durable and show that a size came without its data.
  private(set) var newUnits: [Int: [NewUnit]] = [:]

  package init(_ disk: VolatileDisk, _ recording: Recording, at event: Int, foreign: ForeignBytes) {
    self.event = event
    profile = disk.profile
    store = recording.store
    names = disk.names
    parents = recording.table.parents
    pathHashes = recording.table.hashes
    // Operations in flight have happened last, or not at all.
    var ended = disk.files
    var changes = disk.pendingNames.map { recording.operations[$0.operation] }
    var independent: [DiskOperation] = []
    var order = disk.pendingNames.map(\.at)
    var moment = event - 1
    for flying in disk.inFlight {
      // Each at a moment of its own: one may have happened without the other.
      moment += 1
      switch recording.operations[flying.operation] {
      case .write(let file, let offset, let bytes, _):
        let f = Int(file)
        let submitted = moment
        for (n, bytes) in ([bytes] + flying.changes).enumerated() {
          // Whichever of its contents the device has taken: one of them, or the other, or of each some sectors.
          if n > 0 { moment += 1 }
          ended[f].lay(recording.store, bytes, bytes.count, at: offset) { file, sector, content in
            file.newer[sector, default: []].append(VolatileDisk.Version(at: moment, content: content))
          }
        }
        if offset + bytes.count > ended[f].settledSize {
          ended[f].sizes.append(VolatileDisk.SizeChange(at: submitted, size: offset + bytes.count, isTruncation: false))
        }
      case .truncate(let file, let size):
        ended[Int(file)].sizes.append(VolatileDisk.SizeChange(at: event, size: size, isTruncation: true))
      case .create, .makeDirectory, .rename, .unlink:
        if profile.names == .immediate {
          independent.append(recording.operations[flying.operation])
        } else {
          changes.append(recording.operations[flying.operation])
          order.append(event)
        }
      case .sync, .syncDirectory: break
      }
    }
    files = ended
    var named = Set<Int>()
    for case .file(let file)? in disk.names { named.insert(Int(file)) }
    for case .create(_, let file) in changes + independent { named.insert(Int(file)) }
    for f in named.sorted() { addSectors(of: f, foreign) }
    for f in named.sorted() where !ended[f].sizes.isEmpty { pieces.append(.size(file: f, changes: ended[f].sizes)) }
    addNames(changes, order, independent)
  }

  private mutating func addSectors(of f: Int, _ foreign: ForeignBytes) {
    let file = files[f]
    let perUnit = profile.unit / SectorStore.size
    for unit in Set(file.newer.keys.map { $0 / perUnit }).sorted() {
      let first = unit * perUnit
      let sectors = first..<first + perUnit
      var unit = UnitAlternatives(of: sectors, in: file, at: event)
      let isNew = first >= file.extent
      // A part of it may be new too: then a size that comes after its data does not reach that part without them.
      let isPartlyNew = sectors.upperBound > file.extent
      if isNew && profile.showsForeignBytes { unit.add(sectors.map { foreign.content(file: f, sector: $0) }, []) }
      if isNew && profile.showsUnwrittenSpace { unit.addUnwritten() }
      if profile.mostUnreadable > 0 { unit.add(sectors.map { _ in SectorStore.unreadable }, []) }
      guard unit.contents.count > 1, let newest = unit.contents.firstIndex(of: unit.newest) else { continue }
      if isPartlyNew {
        newUnits[f, default: []].append(NewUnit(piece: pieces.count, first: first, moments: unit.moments))
      }
      pieces.append(.sectors(file: f, first: first, contents: unit.contents, newest: newest))
    }
  }

  private mutating func addNames(_ changes: [DiskOperation], _ order: [Int], _ independent: [DiskOperation]) {
    for change in independent { pieces.append(.names([change], truncations: [])) }
    guard !changes.isEmpty else { return }
    switch profile.names {
    case .immediate: break
    case .ordered:
      // A truncation stands in the same order: it is there with every change of names after it.
      var truncations: [(file: Int, after: Int)] = []
      for (f, file) in files.enumerated() {
        for size in file.sizes where size.isTruncation {
          truncations.append((f, order.filter { $0 < size.at }.count))
        }
      }
      pieces.append(.names(changes, truncations: truncations))
    case .independent:
      // Changes that share a name keep their order; all others are free of each other.
      var groups: [(paths: Set<Int32>, changes: [DiskOperation])] = []
      for change in changes {
        let touching = groups.indices.filter { !groups[$0].paths.isDisjoint(with: change.paths) }
        guard let first = touching.first else {
          groups.append((Set(change.paths), [change]))
          continue
        }
        for other in touching.dropFirst().reversed() {
          let merged = groups.remove(at: other)
          groups[first].paths.formUnion(merged.paths)
          groups[first].changes += merged.changes
        }
        groups[first].paths.formUnion(change.paths)
        groups[first].changes.append(change)
      }
      for group in groups { pieces.append(.names(group.changes, truncations: [])) }
    }
  }
}

// MARK: States

extension CrashPoint {
  /// The choice that keeps everything, and the one that keeps nothing.
  package var everything: [Alternative] { pieces.map { Alternative($0.newest) } }
  package var nothing: [Alternative] { pieces.map { _ in 0 } }

  /// Whether the profile permits what the choice makes of all pieces together; of each by itself it permits every
  /// alternative.
  func permits(_ choice: [Alternative]) -> Bool {
    if profile.mostUnreadable == 0 || profile.mostUnreadable == .max { return true }
    var unreadable = 0
    for index in choice.indices where choice[index] > 0 && isUnreadable(index, choice[index]) { unreadable += 1 }
    return unreadable <= profile.mostUnreadable
  }

  package func isUnreadable(_ piece: Int, _ alternative: Alternative) -> Bool {
    guard case .sectors(_, _, let contents, _) = pieces[piece] else { return false }
    return contents[Int(alternative)].contains(SectorStore.unreadable)
  }

  /// The disk that the next machine finds.
  package func image(_ choice: [Alternative]) -> DiskImage {
    let (files, standing, sizes) = resolved(choice)
    var names = standing
    var image = DiskImage(files: [DiskImage.File](repeating: DiskImage.File(), count: files.count))
    image.names = reachable(&names).map { ($0, names[Int($0)]!) }
    for case (_, .file(let file)) in image.names {
      let f = Int(file)
      let count = (sizes[f] + SectorStore.size - 1) / SectorStore.size
      var sectors = files[f].durable
      if sectors.count > count { sectors.removeSubrange(count...) }
      while sectors.count < count { sectors.append(SectorStore.zero) }
      image.files[f] = DiskImage.File(sectors: sectors, size: sizes[f])
    }
    return image
  }

  /// A hash of `image(choice)`: of what can be reached, by path and content.
  package func contentHash(_ choice: [Alternative]) -> UInt64 {
    let (files, standing, sizes) = resolved(choice)
    var names = standing
    var hash: UInt64 = 0
    for path in reachable(&names) {
      switch names[Int(path)]! {
      case .directory: hash &+= DiskHash.directory(pathHashes[Int(path)])
      case .file(let file):
        let f = Int(file)
        let count = (sizes[f] + SectorStore.size - 1) / SectorStore.size
        hash &+= DiskHash.file(pathHashes[Int(path)], size: sizes[f], sectors: sum(of: f, files[f].durable, count))
      }
    }
    return hash
  }

  private func sum(of f: Int, _ sectors: [SectorID], _ count: Int) -> UInt64 {
    var sum: UInt64 = 0
    sectors.withUnsafeBufferPointer { sectors in
      for index in 0..<min(count, sectors.count) {
        sum &+= DiskHash.sector(store.hashes[Int(sectors[index])], at: index)
      }
    }
    return sum
  }

  func resolved(_ choice: [Alternative]) -> (files: [VolatileDisk.File], names: [PathNode?], sizes: [Int]) {
    var files = files
    var names = names
    var sizes = files.map(\.durableSize)
    var prefix = Prefix()
    var chosenSizes: [Int: Int] = [:]
    for (index, piece) in pieces.enumerated() {
      let picked = Int(choice[index])
      switch piece {
      case .sectors(let f, let first, let contents, _):
        guard picked > 0 else { continue }
        for (s, content) in contents[picked].enumerated() {
          while files[f].durable.count <= first + s { files[f].durable.append(SectorStore.zero) }
          files[f].durable[first + s] = content
        }
      case .size(let f, _): chosenSizes[f] = picked
      case .names(let changes, let truncations):
        for change in changes.prefix(picked) { names.apply(change) }
        for truncation in truncations {
          if truncation.after < picked { prefix.forced[truncation.file, default: 0] += 1 }
          if truncation.after > picked { prefix.forbidden[truncation.file, default: 0] += 1 }
        }
      }
    }
    for (f, picked) in chosenSizes { sizes[f] = size(of: f, picked, prefix, choice) }
    return (files, names, sizes)
  }

  /// What a prefix of the changes of names says of truncations in the same order, by file.
  private struct Prefix {
    /// Truncations before the last change that is there.
    var forced: [Int: Int] = [:]
    /// Truncations after the first change that is not there.
    var forbidden: [Int: Int] = [:]
  }

  private func size(of f: Int, _ picked: Int, _ prefix: Prefix, _ choice: [Alternative]) -> Int {
    let changes = files[f].sizes
    var picked = picked
    if !prefix.forced.isEmpty || !prefix.forbidden.isEmpty {
      let cuts = changes.indices.filter { changes[$0].isTruncation }
      if let forced = prefix.forced[f], forced > 0 { picked = max(picked, cuts[forced - 1] + 1) }
      if let forbidden = prefix.forbidden[f], forbidden > 0 { picked = min(picked, cuts[cuts.count - forbidden]) }
    }
    var size = picked == 0 ? files[f].durableSize : changes[picked - 1].size
    guard profile.sizes == .afterData, size > files[f].durableSize else { return size }
    let moment = changes[picked - 1].at
    for unit in newUnits[f] ?? [] where !unit.isComplete(Int(choice[unit.piece]), for: moment) {
      size = min(size, max(files[f].durableSize, unit.first * SectorStore.size))
    }
    return size
  }

  /// Paths that stand, parents first; what has lost its directory is gone with it.
  func reachable(_ names: inout [PathNode?]) -> [Int32] {
    var found: [Int32] = []
    for path in 1..<max(1, names.count) where names[path] != nil {
      let parent = Int(parents[path])
      guard names[parent] == .directory else {
        names[path] = nil
        continue
      }
      found.append(Int32(path))
    }
    return found
  }
}

/// What stands in space that was never written: bytes that somebody else left there. Taken from the same place of
/// another file of the recording, where there is one, since those are the most credible; otherwise noise.
package struct ForeignBytes: Sendable {
  private var bySector: [Int: [(file: Int, content: SectorID)]] = [:]
  private let noise: [SectorID]

  package init(_ recording: Recording, seed: UInt64) {
    var random = SeededGenerator(seed: seed, stream: "foreign bytes")
    noise = (0..<4).map { _ in
      let words = (0..<SectorStore.size / 8).map { _ in random.next() }
      return words.withUnsafeBytes { recording.store.intern($0.baseAddress!) }
    }
    for case .write(let file, let offset, let bytes, _) in recording.operations where offset % SectorStore.size == 0 {
      bytes.withUnsafeBytes { source in
        for at in stride(from: 0, to: bytes.count - SectorStore.size + 1, by: SectorStore.size) {
          let sector = (offset + at) / SectorStore.size
          let content = recording.store.intern(source.baseAddress! + at)
          if content == SectorStore.zero || bySector[sector]?.contains(where: { $0.file == Int(file) }) ?? false {
            continue
          }
          bySector[sector, default: []].append((Int(file), content))
        }
      }
    }
  }

  func content(file: Int, sector: Int) -> SectorID {
    bySector[sector]?.first { $0.file != file }?.content ?? noise[sector % noise.count]
  }
}
