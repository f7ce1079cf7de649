import LogModel

/// A file of the recorded disk at one moment: what is durable of it, and everything newer that a power cut may keep.
package struct FileHistory: Sendable {
  package struct Version: Sendable {
    /// Place of the completion in the recording.
    var at: Int
    var content: SectorID
    /// A sync of it has failed: its page counts as clean, and no sync covers it until the page is written again.
    var isAbandoned = false
    /// Its write has failed past every page: nobody knows what of it is on the medium, and no sync changes that.
    var isUncertain = false
    /// The device may have taken this in place of what counts as durable, and has it by now for good: the buffer was
    /// changed while it was in flight. No sync decides between the two.
    var isEither = false
    /// What a mark has left of the sector that its range begins or ends in.
    var isOfMark = false
  }

  /// A write has made the file grow.
  package struct Growth: Sendable {
    /// Place of the completion in the recording.
    var at: Int
    package var size: Int
    /// The write has failed.
    var isUncertain = false
  }

  /// A change that frees blocks of the file, or sets its size, all of it or nothing: metadata, with a place in the
  /// order of metadata.
  package struct Mark: Sendable {
    /// The operation's number.
    var operation: Int
    /// Place of the completion in the recording.
    var at: Int
    /// Sectors of the blocks that it frees.
    var holes: Range<Int>
    /// Bytes at its ends that become zeros together with it.
    var edges: [Range<Int>]
    /// The size that it leads to; nil where the size stays.
    package var size: Int?

    /// The sectors that hold zeros in part, or lie in a block that is freed in part.
    var edgeSectors: [Int] { edges.flatMap { SectorStore.sectors(of: $0) } }

    func touches(_ sectors: Range<Int>) -> Bool {
      holes.overlaps(sectors) || edges.contains { SectorStore.sectors(of: $0).overlaps(sectors) }
    }

    /// What the mark leaves of a sector.
    func content(of sector: Int, _ content: SectorID, _ store: SectorStore) -> SectorID {
      if holes.contains(sector) { return SectorStore.hole }
      return edges.reduce(content) { store.zeroed($0, in: sector, from: $1) }
    }
  }

  /// By sector; `SectorStore.hole` where nothing was ever durable.
  package internal(set) var durable: [SectorID] = []
  package internal(set) var durableSize = 0
  /// Sum of the hashes of what is durable.
  private(set) var durableSum: UInt64 = 0
  /// Completed and not covered, oldest first, by sector.
  private(set) var newer: [Int: [Version]] = [:]
  package private(set) var growths: [Growth] = []
  /// Completed and not covered, in their order.
  package private(set) var marks: [Mark] = []
  /// Whether two versions of a sector may be of one moment.
  private(set) var hasChangedBuffers = false
  /// Versions between the first and the last of a sector have been left out, for there were too many.
  private(set) var omitsVersions = false
  /// Sectors of `newer` that changed since they were last looked at; see `UnitCache`.
  var changedSectors: Set<Int> = []

  /// Versions of a sector that are kept. Of more the oldest half stays, and the newest.
  static let mostVersions = 256

  init(_ found: DiskImage.File, _ store: SectorStore) {
    durable = found.sectors
    durableSize = found.size
    for (sector, content) in durable.enumerated() {
      durableSum &+= DiskHash.sector(store.hash(of: content), at: sector)
    }
  }

  var isSettled: Bool { newer.isEmpty && growths.isEmpty && marks.isEmpty }
  func durable(_ sector: Int) -> SectorID { sector < durable.count ? durable[sector] : SectorStore.hole }

  /// The size that everything leads to.
  var settledSize: Int {
    let mark = marks.last { $0.size != nil }
    if let growth = growths.last, growth.at > mark?.at ?? -1 { return growth.size }
    return mark?.size ?? durableSize
  }

  /// What everything leads to.
  func settled(_ sector: Int) -> SectorID { content(sector) { _ in true } }

  /// What some versions lead to, and the marks of their time.
  func content(_ sector: Int, before limit: Int = .max, _ isThere: (Version) -> Bool) -> SectorID {
    let version = newer[sector]?.last { $0.at < limit && isThere($0) }
    for mark in marks.reversed() where mark.at < limit && mark.holes.contains(sector) {
      return mark.at > version?.at ?? -1 ? SectorStore.hole : version!.content
    }
    return version?.content ?? durable(sector)
  }

  // MARK: Writing

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

  mutating func add(_ version: Version, to sector: Int) {
    newer[sector, default: []].append(version)
    changedSectors.insert(sector)
    if newer[sector]!.count > Self.mostVersions {
      newer[sector]!.remove(at: Self.mostVersions / 2)
      omitsVersions = true
    }
  }

  /// A write has put this there. What the same operation had put there before it was never seen.
  mutating func addWritten(_ content: SectorID, to sector: Int, at index: Int) {
    if let last = newer[sector]?.last, last.at == index, !last.isOfMark { newer[sector]!.removeLast() }
    add(Version(at: index, content: content), to: sector)
  }

  mutating func grow(to size: Int, at index: Int, isUncertain: Bool = false) {
    growths.append(Growth(at: index, size: size, isUncertain: isUncertain))
  }

  /// Whether a write to a sector needs space that it has not got: nothing was written there since it was freed, or
  /// ever.
  func isEmpty(_ sector: Int) -> Bool {
    let freed = marks.last { $0.holes.contains(sector) }?.at
    if let last = newer[sector]?.last { return last.at < freed ?? -1 }
    return freed != nil || durable(sector) == SectorStore.hole
  }

  mutating func add(_ mark: Mark, _ store: SectorStore) {
    for sector in mark.edgeSectors {
      let content = mark.content(of: sector, settled(sector), store)
      add(Version(at: mark.at, content: content, isOfMark: true), to: sector)
    }
    noteChange(of: mark)
    marks.append(mark)
  }

  /// Units of up to 4096 bytes that a mark touches have other alternatives.
  private mutating func noteChange(of mark: Mark) {
    for sector in newer.keys where mark.touches(sector / 8 * 8..<sector / 8 * 8 + 8) { changedSectors.insert(sector) }
  }

  /// Zeros are written to a part of a block; as a version like any other.
  mutating func addZeros(_ range: Range<Int>, at index: Int, _ store: SectorStore) {
    for sector in SectorStore.sectors(of: range) {
      let before = settled(sector)
      let content = store.zeroed(before, in: sector, from: range)
      if content != before { add(Version(at: index, content: content), to: sector) }
    }
  }

  /// What is written from byte `range.lowerBound` on is on the medium, whatever becomes of its size.
  mutating func makeDurable(_ range: Range<Int>, _ store: SectorStore) {
    for sector in newer.keys.sorted() where SectorStore.sectors(of: range).contains(sector) {
      makeDurable(sector, settled(sector), store)
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
      file.add(Version(at: index, content: content, isEither: isDurable), to: sector)
    }
  }

  // MARK: Durable

  private mutating func set(_ sector: Int, _ content: SectorID, _ store: SectorStore) {
    if sector >= durable.count {
      if content == SectorStore.hole { return }
      durable.append(contentsOf: repeatElement(SectorStore.hole, count: sector + 1 - durable.count))
    }
    durableSum &-= DiskHash.sector(store.hash(of: durable[sector]), at: sector)
    durableSum &+= DiskHash.sector(store.hash(of: content), at: sector)
    durable[sector] = content
  }

  mutating func makeDurable(_ sector: Int, _ content: SectorID, _ store: SectorStore) {
    set(sector, content, store)
    newer[sector] = nil
    changedSectors.insert(sector)
  }

  /// A durable write up to byte `end` has made the size durable that reaches it.
  mutating func makeDurable(sizeUpTo end: Int) {
    durableSize = max(durableSize, end)
    growths.removeAll { $0.size <= end }
  }

  /// A sync that was submitted at `submission` has failed. `man 2 fsync`; Storage/WriteBack.swift.
  mutating func abandon(upTo submission: Int) {
    for sector in newer.keys {
      for index in newer[sector]!.indices where newer[sector]![index].at < submission {
        newer[sector]![index].isAbandoned = true
      }
    }
  }

  /// A sync that was submitted at `submission` has failed, and the cache shows what is on the disk from now on: none of
  /// what it was to store. What a change of size has left of a sector stays.
  mutating func revert(upTo submission: Int) {
    for (sector, versions) in newer {
      let rest = versions.filter { $0.at >= submission || $0.isOfMark || $0.isEither }
      if rest.count == versions.count { continue }
      newer[sector] = rest.isEmpty ? nil : rest
      changedSectors.insert(sector)
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
  mutating func cover(upTo submission: Int, _ store: SectorStore) {
    coverMarks(before: submission, store)
    if let last = growths.last(where: { $0.at < submission && !$0.isUncertain }) {
      durableSize = last.size
      growths.removeAll { $0.at <= last.at }
    }
    for sector in newer.keys.sorted() {
      guard let versions = newer[sector],
        let last = versions.last(where: {
          $0.at < submission && !$0.isAbandoned && !$0.isUncertain && !$0.isEither
        })
      else { continue }
      // Of a write whose buffer was changed the first content, or one of the others.
      let same = versions.filter { $0.at == last.at && !$0.isEither }
      makeDurable(sector, same[0].content, store)
      var rest = Array(same.dropFirst())
      for index in rest.indices { rest[index].isEither = true }
      rest += versions.filter { $0.at > last.at }
      if !rest.isEmpty { newer[sector] = rest }
    }
  }

  mutating func coverMarks(before submission: Int, _ store: SectorStore) {
    while let mark = marks.first, mark.at < submission { coverFirstMark(store, mark) }
  }

  /// The first mark is durable. What it has emptied is gone; what is written there afterwards is new space.
  private mutating func coverFirstMark(_ store: SectorStore, _ mark: Mark) {
    marks.removeFirst()
    noteChange(of: mark)
    let holes = mark.holes.clamped(to: 0..<durable.count)
    for sector in holes { set(sector, SectorStore.hole, store) }
    if mark.holes.upperBound == Int.max, mark.holes.lowerBound < durable.count {
      durable.removeSubrange(mark.holes.lowerBound...)
    }
    for sector in mark.edgeSectors where sector < durable.count {
      set(sector, mark.content(of: sector, durable[sector], store), store)
    }
    for (sector, versions) in newer where mark.touches(sector..<sector + 1) {
      var rest: [Version] = []
      for var version in versions where version.at > mark.at || !mark.holes.contains(sector) {
        if version.at < mark.at { version.content = mark.content(of: sector, version.content, store) }
        if version.at == mark.at, version.isOfMark { continue }
        rest.append(version)
      }
      newer[sector] = rest.isEmpty ? nil : rest
      changedSectors.insert(sector)
    }
    guard let size = mark.size else { return }
    durableSize = size
    growths.removeAll { $0.at < mark.at }
  }
}
