import LogModel

/// Finds the alternatives of one unit.
struct UnitBuilder {
  /// So many writes in flight to one unit are combined in every way; of more each by itself, and the first so many.
  private static let mostCombined = 3

  private let sectors: Range<Int>
  private let file: FileInFlight
  private let event: Int
  private let profile: CrashProfile
  private let store: SectorStore
  /// By sector of the unit.
  private let versions: [[FileHistory.Version]]
  private let marks: [FileHistory.Mark]
  private let combinations: [Set<Int>]
  private var omits: Bool

  private var contents: [[SectorID]] = []
  private var moments: [Set<Int>] = []
  private var eras: [Int] = []
  private var settled: [Int] = []
  private var isNew: [Bool] = []

  /// - Parameter event: versions from this moment on are of operations in flight, each with a moment of its own.
  init(_ sectors: Range<Int>, _ file: FileInFlight, at event: Int, _ profile: CrashProfile, _ store: SectorStore) {
    (self.sectors, self.file, self.event, self.profile, self.store) = (sectors, file, event, profile, store)
    versions = sectors.map { (file.file.newer[$0] ?? []) + (file.versions[$0] ?? []) }
    marks = file.file.marks.isEmpty && file.marks.isEmpty ? [] : file.allMarks.filter { $0.touches(sectors) }
    let flying = Set(versions.flatMap { $0.filter { $0.at >= event && !$0.isOfMark }.map(\.at) }).sorted()
    (combinations, omits) = Self.combinations(of: flying)
    omits = omits || file.file.omitsVersions
  }

  /// - Returns: nil where the unit holds the same in every state.
  mutating func build(foreign: (Int) -> SectorID) -> UnitAlternatives? {
    var since = -1
    for era in 0...marks.count {
      beginEra(era, &since)
      addWrites(era, since: since)
      addEarlyZeros(era)
      addOthers(era, foreign)
    }
    guard Set(contents).count > 1 else { return nil }
    return UnitAlternatives(
      first: sectors.lowerBound, contents: contents, eras: eras, settled: settled, moments: moments, isNew: isNew,
      begins: [-1] + marks.map(\.at), omits: omits, store)
  }

  private func normal(_ content: [SectorID]) -> [SectorID] {
    content.map { $0 == SectorStore.hole ? SectorStore.zero : $0 }
  }

  /// - Parameter since: what was written before this moment is not in the era.
  private mutating func beginEra(_ era: Int, _ since: inout Int) {
    let earlier = eras.last.map { $0..<contents.count }
    eras.append(contents.count)
    guard let earlier, era > 0 else {
      let durable = sectors.map { file.file.durable($0) }
      isNew.append(durable.allSatisfy { $0 == SectorStore.hole })
      return add(normal(durable), [])
    }
    let mark = marks[era - 1]
    let isWhole = sectors.allSatisfy { mark.holes.contains($0) }
    isNew.append(isWhole || isNew[era - 1])
    if isWhole { since = mark.at }
    for alternative in earlier where !contents[alternative].contains(SectorStore.unreadable) {
      let left = zip(sectors, contents[alternative]).map { mark.content(of: $0, $1, store) }
      add(normal(left), isWhole ? [] : moments[alternative])
    }
  }

  private mutating func addWrites(_ era: Int, since: Int) {
    let begin = era == 0 ? -1 : marks[era - 1].at
    let end = era < marks.count ? marks[era].at : Int.max
    let completed = Set(
      versions.flatMap { $0.filter { $0.at < min(event, end) && $0.at > since && !$0.isOfMark }.map(\.at) }
    ).sorted()
    for moment in completed where moment > begin {
      let there = Set(completed.prefix { $0 <= moment })
      if file.file.hasChangedBuffers { add(normal(unchanged(era, moment)), there) }
      add(normal(content(era, upTo: moment) { $0 < event }), there)
    }
    var last = content(era, upTo: min(end, event) - 1) { $0 < event }
    // What is in flight began after every mark that has completed.
    for chosen in combinations where end >= event {
      let content = content(era, upTo: min(end, event) - 1) { $0 < event || chosen.contains($0) }
      add(normal(content), Set(completed).union(chosen))
      last = content
    }
    if !combinations.isEmpty, era == marks.count { last = content(era, upTo: .max) { _ in true } }
    settled.append(place(of: normal(last)))
  }

  /// The alternative of this era with a content, which is there.
  private func place(of content: [SectorID]) -> Int {
    contents[eras.last!...].firstIndex(of: content) ?? eras.last!
  }

  /// The zeros at the ends of the next mark may be there before it is.
  private mutating func addEarlyZeros(_ era: Int) {
    guard era < marks.count else { return }
    var early = marks[era]
    early.holes = 0..<0
    for alternative in eras[era]..<contents.count {
      let zeroed = zip(sectors, contents[alternative]).map { early.content(of: $0, $1, store) }
      add(zeroed, moments[alternative])
    }
  }

  /// What the unit may show that nobody has written there.
  private mutating func addOthers(_ era: Int, _ foreign: (Int) -> SectorID) {
    guard contents.count > eras[era] + 1 || isNew[era] && hasWrites(era) else { return }
    let all = moments[eras[era]...].reduce(into: Set<Int>()) { $0.formUnion($1) }
    if isNew[era], profile.showsForeignBytes { add(sectors.map(foreign), []) }
    // Zeros that a size reaches, beside those that it does not reach since nothing is there.
    if isNew[era], profile.sizes == .withSpace {
      contents.append(sectors.map { _ in SectorStore.zero })
      moments.append(all)
      // What was written last may be zeros too: they have space.
      if settled[era] == eras[era], hasWrites(era) { settled[era] = contents.count - 1 }
    }
    if profile.mostUnreadable > 0 { add(sectors.map { _ in SectorStore.unreadable }, []) }
  }

  private func hasWrites(_ era: Int) -> Bool { moments[eras[era]...].contains { !$0.isEmpty } }

  private mutating func add(_ content: [SectorID], _ writes: Set<Int>) {
    if let known = contents[eras.last!...].firstIndex(of: content) {
      moments[known].formUnion(writes)
    } else {
      contents.append(content)
      moments.append(writes)
    }
  }

  /// The unit with the versions up to a moment, and what the era's marks have left of it.
  private func content(_ era: Int, upTo moment: Int, _ isThere: (Int) -> Bool) -> [SectorID] {
    let marks = marks[..<era]
    let lastMark = marks.last?.at ?? -1
    return zip(sectors, versions).map { sector, versions in
      let version = versions.last {
        if $0.isOfMark { return $0.at <= lastMark }
        // What is in flight happens last.
        return isThere($0.at) && ($0.at <= moment || $0.at >= event)
      }
      if let version, version.at >= event, !version.isOfMark { return version.content }
      for mark in marks.reversed() where mark.holes.contains(sector) {
        return mark.at > version?.at ?? -1 ? SectorStore.hole : version!.content
      }
      return version?.content ?? file.file.durable(sector)
    }
  }

  /// The same, but of the versions of the last moment the first: the buffer as it was submitted.
  private func unchanged(_ era: Int, _ moment: Int) -> [SectorID] {
    zip(sectors, zip(content(era, upTo: moment) { $0 < event }, versions)).map { _, both in
      both.1.first { $0.at == moment && !$0.isOfMark }?.content ?? both.0
    }
  }

  /// Each in flight has happened or not, whatever became of those that were submitted before it.
  private static func combinations(of flying: [Int]) -> (sets: [Set<Int>], omits: Bool) {
    if flying.count <= mostCombined {
      let sets = (0..<1 << flying.count).dropFirst().map { bits in
        Set(flying.indices.filter { bits >> $0 & 1 == 1 }.map { flying[$0] })
      }
      return (sets, false)
    }
    return (flying.indices.map { Set(flying[...$0]) } + flying.map { [$0] }, true)
  }
}
