/// The alternatives of units as they were at the crash point before, for those that have not changed since.
struct UnitCache: Sendable {
  private struct OfFile: Sendable {
    /// Blocks with versions, sorted.
    var numbers: [Int] = []
    /// Without those that hold the same in every state.
    var units: [Int: [UnitAlternatives]] = [:]
    var stale: Set<Int>?
  }

  private var files: [Int: OfFile] = [:]

  /// Sectors of a block: no unit is larger.
  private static let perBlock = FileCut.block / SectorStore.size

  /// Takes in what an event has changed.
  mutating func update(_ disk: inout VolatileDisk) {
    disk.takeChangedSectors { f, changed in
      if files[f]?.stale != nil { files[f]!.stale!.formUnion(changed.map { $0 / Self.perBlock }) }
    }
  }

  /// All units of a file that have more than one alternative, and whether something was written that no state shows:
  /// what stood there before.
  mutating func units(
    of f: Int, _ file: FileInFlight, at event: Int, _ profile: CrashProfile, _ store: SectorStore,
    _ foreign: ForeignBytes
  ) -> (units: [UnitAlternatives], hasUnseen: Bool) {
    func build(_ block: Int) -> [UnitAlternatives] {
      let sectors = block * Self.perBlock..<(block + 1) * Self.perBlock
      // A block that is empty is there when all of it has been written; and one that was freed before.
      let isNew =
        sectors.allSatisfy { file.file.durable($0) == SectorStore.hole } || isFreedBeforeItIsWritten(sectors, file)
      let perUnit = (isNew ? profile.newUnit ?? profile.unit : profile.unit) / SectorStore.size
      return stride(from: sectors.lowerBound, to: sectors.upperBound, by: perUnit).compactMap { first in
        var builder = UnitBuilder(first..<first + perUnit, file, at: event, profile, store)
        return builder.build { foreign.content(file: f, sector: $0) }
      }
    }
    refresh(f, file.file)
    let flying = Set(file.versions.keys.map { $0 / Self.perBlock })
    let known = files[f]!.numbers
    let numbers = flying.isEmpty ? known : Set(known).union(flying).sorted()
    var found: [UnitAlternatives] = []
    found.reserveCapacity(numbers.count)
    var hasUnseen = false
    for number in numbers {
      let before = found.count
      if flying.contains(number) || !file.marks.isEmpty {
        found += build(number)
      } else {
        let units = files[f]!.units[number] ?? build(number)
        files[f]!.units[number] = units
        found += units
      }
      if found.count == before { hasUnseen = true }
    }
    return (found, hasUnseen)
  }

  private func isFreedBeforeItIsWritten(_ sectors: Range<Int>, _ file: FileInFlight) -> Bool {
    guard let mark = file.allMarks.first(where: { $0.touches(sectors) }), sectors.allSatisfy(mark.holes.contains) else {
      return false
    }
    return sectors.allSatisfy { sector in
      (file.file.newer[sector]?.first?.at ?? .max) > mark.at && (file.versions[sector]?.first?.at ?? .max) > mark.at
    }
  }

  private mutating func refresh(_ f: Int, _ file: FileHistory) {
    guard let stale = files[f]?.stale else {
      files[f] = OfFile(numbers: Set(file.newer.keys.map { $0 / Self.perBlock }).sorted(), units: [:], stale: [])
      return
    }
    for number in stale {
      files[f]!.units[number] = nil
      let isThere = (number * Self.perBlock..<(number + 1) * Self.perBlock).contains { file.newer[$0] != nil }
      let place = files[f]!.numbers.partitioningIndex { $0 >= number }
      let wasThere = place < files[f]!.numbers.count && files[f]!.numbers[place] == number
      if isThere, !wasThere { files[f]!.numbers.insert(number, at: place) }
      if !isThere, wasThere { files[f]!.numbers.remove(at: place) }
    }
    files[f]!.stale = []
  }
}

extension Array {
  /// The first place of which `isBehind` is true; it is true of everything after it.
  func partitioningIndex(_ isBehind: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
