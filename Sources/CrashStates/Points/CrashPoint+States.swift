import LogModel

// States of the disk that a crash point leads to, one for each choice.

/// Resolves choices of one crash point. What names lead to is kept from one choice to the next: neighbours differ in
/// data.
package struct StateResolver {
  /// A disk's names, and how many marks of each file it keeps.
  private struct Tree {
    var alternatives: [Alternative] = []
    var marks: [Int: Int] = [:]
    var reached: [(entry: EntryNumber, inode: InodeNumber)] = []
    var paths: [Int32] = []
    /// Sum of the hashes of directories, and of files of which nothing may be missing.
    var settledHash: UInt64 = 0
    /// Places in `reached` of the files that have pieces.
    var open: [Int] = []
  }

  private let point: CrashPoint
  private var tree: Tree?

  package init(_ point: CrashPoint) { self.point = point }

  private mutating func updateTree(_ choice: [Alternative]) {
    let chosen = point.changePieces.map { choice[$0] }
    if tree?.alternatives == chosen { return }
    var made = Tree(alternatives: chosen)
    var names = point.names
    for (place, alternative) in zip(point.changePieces, chosen) {
      guard case .changes(let changes) = point.pieces[place] else { continue }
      for change in changes.kept(Int(alternative)) {
        names.apply(change.effect)
        if case .mark(let file) = change.effect { made.marks[Int(file), default: 0] += 1 }
      }
    }
    made.reached = point.inodes.reachable(names)
    made.paths = point.inodes.paths(of: made.reached, point.table)
    for (place, (_, inode)) in made.reached.enumerated() {
      let hash = point.table.hashes[Int(made.paths[place])]
      let f = Int(inode)
      if point.inodes.isDirectory(inode) {
        made.settledHash &+= DiskHash.directory(hash)
      } else if let target = point.inodes.kinds[f].target {
        made.settledHash &+= DiskHash.link(hash, target)
      } else if point.ofFile[f] != nil {
        made.open.append(place)
      } else {
        let (size, sum) = point.sizeAndSum(f, [], keeping: 0)
        made.settledHash &+= DiskHash.file(hash, size: size, sectors: sum)
      }
    }
    tree = made
  }

  /// The disk that the next machine finds.
  package mutating func image(_ choice: [Alternative]) -> DiskImage {
    updateTree(choice)
    var image = DiskImage(files: [DiskImage.File](repeating: DiskImage.File(), count: point.files.count))
    for (place, (_, inode)) in tree!.reached.enumerated() {
      let path = tree!.paths[place]
      let f = Int(inode)
      guard !point.inodes.isDirectory(inode) else {
        image.names.append((path, .directory))
        continue
      }
      image.names.append((path, .file(inode)))
      if image.files[f].isFilled { continue }
      image.files[f] = point.file(f, choice, keeping: tree!.marks[f] ?? 0)
    }
    return image
  }

  /// A hash of `image(choice)`: of what can be reached, by path and content.
  package mutating func contentHash(_ choice: [Alternative]) -> UInt64 {
    updateTree(choice)
    var hash = tree!.settledHash
    for place in tree!.open {
      let f = Int(tree!.reached[place].inode)
      let (size, sum) = point.sizeAndSum(f, choice, keeping: tree!.marks[f] ?? 0)
      hash &+= DiskHash.file(point.table.hashes[Int(tree!.paths[place])], size: size, sectors: sum)
    }
    return hash
  }

  /// One file, where so many of its marks are kept.
  func file(_ f: Int, _ choice: [Alternative], _ marks: Int) -> DiskImage.File {
    point.file(f, choice, keeping: marks)
  }

  /// The marks of a file that the choice keeps.
  package mutating func marksKept(_ f: Int, _ choice: [Alternative]) -> Int {
    updateTree(choice)
    return tree!.marks[f] ?? 0
  }
}

extension CrashPoint {
  /// The choice that keeps nothing.
  package var nothing: [Alternative] { [Alternative](repeating: 0, count: pieces.count) }

  /// Whether the profile permits what the choice makes of all pieces together; of each by itself it permits every
  /// alternative.
  package func permits(_ choice: [Alternative]) -> Bool { hasFewUnreadable(choice) && overtakes(choice) == nil }

  private func hasFewUnreadable(_ choice: [Alternative]) -> Bool {
    if profile.mostUnreadable == 0 || profile.mostUnreadable == .max { return true }
    var unreadable = 0
    for index in choice.indices where choice[index] > 0 && isUnreadable(index, choice[index]) { unreadable += 1 }
    return unreadable <= profile.mostUnreadable
  }

  /// What is kept, and comes with the journal only, after a change that the journal had before and that is missing: the
  /// place of such a piece, or nil. See `CrashProfile.JournalRule`.
  func overtakes(_ choice: [Alternative]) -> Int? {
    guard profile.journal != .namesOnly, let changes = changePieces.first, case .changes(let kept) = pieces[changes],
      let missing = kept.firstMissing(Int(choice[changes]))
    else { return nil }
    // What was in flight may have come with a sync of its own.
    for index in choice.indices where choice[index] > 0 {
      switch pieces[index] {
      case .size(let f, let growths):
        let growth = growths[Int(choice[index]) - 1].at
        if growth > missing, growth < event, profile.syncReach == .journal || !isSyncing(f) { return index }
      case .sectors(let f, let unit):
        if profile.journal == .sizesAndData, unit.isWritten(Int(choice[index]), after: missing, before: event),
          !isSyncing(f)
        {
          return index
        }
      case .changes: break
      }
    }
    return nil
  }

  private func isSyncing(_ f: Int) -> Bool { isSyncingAll || syncing.contains(f) }

  package func isUnreadable(_ piece: Int, _ alternative: Alternative) -> Bool {
    guard case .sectors(_, let unit) = pieces[piece] else { return false }
    return unit.isUnreadable(Int(alternative))
  }

  package func image(_ choice: [Alternative]) -> DiskImage {
    var resolver = StateResolver(self)
    return resolver.image(choice)
  }

  package func contentHash(_ choice: [Alternative]) -> UInt64 {
    var resolver = StateResolver(self)
    return resolver.contentHash(choice)
  }

  // MARK: One file

  private var dataIsFree: Bool { profile.names == .independent }

  /// The moment of the last of so many marks of a file; -1 of none.
  @inline(__always)
  func lastMark(_ f: Int, _ marks: Int) -> Int { marks == 0 ? -1 : ofFile[f]!.marks[marks - 1].at }

  /// What is seen of a unit.
  @inline(__always)
  private func seen(_ piece: Int, _ choice: [Alternative], _ marks: Int) -> (unit: UnitAlternatives, alternative: Int) {
    guard case .sectors(let f, let unit) = pieces[piece] else { preconditionFailure("not a unit") }
    return (unit, unit.seen(Int(choice[piece]), keeping: lastMark(f, marks), dataIsFree: dataIsFree))
  }

  /// The content of a file that has pieces or not.
  fileprivate func file(_ f: Int, _ choice: [Alternative], keeping marks: Int) -> DiskImage.File {
    var sectors = files[f].durable
    guard let own = ofFile[f] else { return filled(sectors, files[f].durableSize) }
    for mark in own.marks.prefix(marks) {
      for sector in mark.holes.clamped(to: 0..<sectors.count) { sectors[sector] = SectorStore.hole }
      for sector in mark.edgeSectors where sector < sectors.count {
        sectors[sector] = mark.content(of: sector, sectors[sector], store)
      }
    }
    for piece in own.units {
      let (unit, alternative) = seen(piece, choice, marks)
      if alternative == 0 { continue }
      for (sector, content) in zip(unit.sectors, unit.contents[alternative]) {
        if sector >= sectors.count {
          if content == SectorStore.zero { continue }
          sectors.append(contentsOf: repeatElement(SectorStore.hole, count: sector + 1 - sectors.count))
        }
        sectors[sector] = content
      }
    }
    return filled(sectors, size(f, own, choice, marks))
  }

  /// A file of this content. What its last sector holds behind its end nobody sees.
  private func filled(_ sectors: [SectorID], _ size: Int) -> DiskImage.File {
    let last = size / SectorStore.size
    guard size % SectorStore.size != 0, last < sectors.count else {
      return DiskImage.File(filling: sectors, size: size)
    }
    var sectors = sectors
    sectors[last] = store.zeroed(sectors[last], in: last, from: size..<(last + 1) * SectorStore.size)
    return DiskImage.File(filling: sectors, size: size)
  }

  fileprivate func sizeAndSum(_ f: Int, _ choice: [Alternative], keeping marks: Int) -> (size: Int, sum: UInt64) {
    guard let own = ofFile[f] else { return sizeAndSum(f, FilePieces(), choice, marks) }
    return sizeAndSum(f, own, choice, marks)
  }

  private func sizeAndSum(
    _ f: Int, _ own: FilePieces, _ choice: [Alternative], _ marks: Int
  ) -> (size: Int, sum: UInt64) {
    let size = size(f, own, choice, marks)
    let count = (size + SectorStore.size - 1) / SectorStore.size
    if files[f].durable.count > count || marks > 0 || !own.marks.isEmpty {
      return (size, slowSum(f, choice, marks, count))
    }
    var sum = files[f].durableSum
    var place = 0
    // Units lie in the order of their sectors: those behind the end come last.
    while place < own.ends.count, Int(own.ends[place]) <= count {
      sum &+= own.deltas[Int(own.firstDelta[place]) + Int(choice[own.units.lowerBound + place])]
      place += 1
    }
    if place < own.ends.count, case .sectors(_, let unit) = pieces[own.units.lowerBound + place], unit.first < count {
      let contents = unit.contents[Int(choice[own.units.lowerBound + place])]
      for sector in unit.first..<count {
        sum &-= DiskHash.sector(store.hash(of: files[f].durable(sector)), at: sector)
        sum &+= DiskHash.sector(store.hash(of: contents[sector - unit.first]), at: sector)
      }
    }
    if size % SectorStore.size != 0 {
      let last = self.last(f, own, choice, count - 1)
      let end = store.zeroed(last, in: count - 1, from: size..<count * SectorStore.size)
      if end != last {
        sum &-= DiskHash.sector(store.hash(of: last), at: count - 1)
        sum &+= DiskHash.sector(store.hash(of: end), at: count - 1)
      }
    }
    return (size, sum)
  }

  /// What a sector holds where no mark is.
  private func last(_ f: Int, _ own: FilePieces, _ choice: [Alternative], _ sector: Int) -> SectorID {
    let place = own.ends.partitioningIndex { Int($0) > sector }
    if place < own.ends.count, case .sectors(_, let unit) = pieces[own.units.lowerBound + place],
      unit.sectors.contains(sector)
    {
      return unit.contents[Int(choice[own.units.lowerBound + place])][sector - unit.first]
    }
    return files[f].durable(sector)
  }

  /// Where a mark is kept, or the file ends before what is durable of it.
  private func slowSum(_ f: Int, _ choice: [Alternative], _ marks: Int, _ count: Int) -> UInt64 {
    var sum: UInt64 = 0
    for (sector, content) in file(f, choice, keeping: marks).sectors.prefix(count).enumerated() {
      sum &+= DiskHash.sector(store.hash(of: content), at: sector)
    }
    return sum
  }

  /// The size of a file: of the last mark that is kept, and what writes have added to it.
  private func size(_ f: Int, _ own: FilePieces, _ choice: [Alternative], _ marks: Int) -> Int {
    let base = own.marks.prefix(marks).last { $0.size != nil }
    // Of two in flight either may be the first.
    let end = own.marks.dropFirst(marks).first { $0.size != nil && $0.at < event }?.at ?? Int.max
    let durable = base?.size ?? files[f].durableSize
    guard let piece = own.size, choice[piece] > 0 else { return durable }
    var growth = own.growths[Int(choice[piece]) - 1]
    if profile.sizes == .independent, growth.at >= end { return growth.size }
    if growth.at < min(base?.at ?? -1, event) { return durable }
    if growth.at >= end {
      // The file has not got the space that this one is in.
      guard let last = own.growths.last(where: { $0.at < end && $0.at >= base?.at ?? -1 }) else { return durable }
      growth = last
    }
    guard growth.size > durable else { return growth.size }
    switch profile.sizes {
    case .immediate, .independent: return growth.size
    case .withAnyData:
      let growths = own.growths.filter { $0.at <= growth.at && $0.at >= base?.at ?? -1 && $0.size > durable }
      return growths.last { isReached($0, own, choice, marks) }?.size ?? durable
    case .withItsEnd, .withSpace: return size(own, growth, from: durable, f, choice, marks)
    }
  }

  /// Whether a file has got a size that comes with any of its data: those of another block, or those that its last
  /// block had then. A write to a block waits until the block has been written back
  /// (btrfs_lock_and_flush_ordered_range).
  private func isReached(
    _ growth: FileHistory.Growth, _ own: FilePieces, _ choice: [Alternative], _ marks: Int
  ) -> Bool {
    let block = (growth.size - 1) / FileCut.block
    return own.hasUnseen
      || own.units.contains {
        let (unit, alternative) = seen($0, choice, marks)
        let isLast = unit.first * SectorStore.size / FileCut.block == block
        return unit.isWritten(alternative) && (!isLast || unit.isComplete(alternative, for: growth.at))
      }
  }

  /// How far a file reaches whose end comes with its data, or the space for them: page by page from the end, to the
  /// first that is there. The page cache is written back by pages, of 4096 bytes.
  private func size(
    _ own: FilePieces, _ growth: FileHistory.Growth, from durable: Int, _ f: Int, _ choice: [Alternative], _ marks: Int
  ) -> Int {
    let page = 4096
    var size = growth.size
    var place = own.units.upperBound - 1
    while place >= own.units.lowerBound, size > durable {
      guard case .sectors(_, let last) = pieces[place] else { break }
      let number = last.first * SectorStore.size / page
      guard last.first * SectorStore.size < size else {
        place -= 1
        continue
      }
      if (number + 1) * page < size {
        // The end of the file holds zeros, which nobody can miss; or what was between is a hole, where no size ends.
        if size == growth.size { break }
        size = max(durable, (number + 1) * page)
      }
      var isThere = profile.sizes == .withItsEnd || isAllocated(number, f, own, marks)
      while place >= own.units.lowerBound, !(isThere && profile.sizes == .withSpace) {
        let (unit, alternative) = seen(place, choice, marks)
        guard unit.first * SectorStore.size / page == number else { break }
        let isInside = unit.sectors.upperBound * SectorStore.size > durable && unit.first * SectorStore.size < size
        if profile.sizes == .withItsEnd {
          if isInside, !unit.isComplete(alternative, for: growth.at) { isThere = false }
        } else if unit.isPresent(alternative) {
          isThere = true
        }
        place -= 1
      }
      if isThere { break }
      size = max(durable, number * page)
    }
    return size
  }

  /// Whether a page has space on the medium whatever becomes of what is written to it.
  private func isAllocated(_ page: Int, _ f: Int, _ own: FilePieces, _ marks: Int) -> Bool {
    let perPage = 4096 / SectorStore.size
    let sectors = page * perPage..<(page + 1) * perPage
    return sectors.contains { sector in
      files[f].durable(sector) != SectorStore.hole && !own.marks.prefix(marks).contains { $0.holes.contains(sector) }
    }
  }
}
