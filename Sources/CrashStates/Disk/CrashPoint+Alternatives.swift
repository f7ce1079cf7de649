import LogModel

/// What a unit of a file may hold after a power cut, and of which writes each of these has something.
package struct UnitAlternatives {
  /// The durable content first, then what the completed writes made of it, in their order, then what writes in flight
  /// make of that. Each once.
  private(set) var contents: [[SectorID]] = []
  /// For each content the moments of the writes that are in it: which of several moments a content was of cannot be
  /// told.
  private(set) var moments: [Set<Int>] = []
  /// What everything leads to.
  private(set) var newest: [SectorID] = []

  /// So many writes in flight to one unit are combined in every way; of more each by itself, and the first so many.
  private static let mostCombined = 3

  /// - Parameter event: versions from this moment on are of operations in flight, each with a moment of its own.
  init(of sectors: Range<Int>, in file: VolatileDisk.File, at event: Int) {
    let all = Set(sectors.flatMap { (file.newer[$0] ?? []).map(\.at) }).sorted()
    let (completed, flying) = (all.filter { $0 < event }, all.filter { $0 >= event })
    func content(_ isThere: (Int) -> Bool) -> [SectorID] {
      sectors.map { s in (file.newer[s] ?? []).last { isThere($0.at) }?.content ?? file.durable(s) }
    }
    /// The same, but of the versions of the last moment the first: the buffer as it was submitted.
    func unchanged(_ moment: Int) -> [SectorID] {
      sectors.map { s in
        let versions = (file.newer[s] ?? []).prefix { $0.at <= moment }
        return versions.first { $0.at == moment }?.content ?? versions.last?.content ?? file.durable(s)
      }
    }
    add(content { _ in false }, [])
    for moment in completed {
      let there = Set(completed.filter { $0 <= moment })
      if file.hasChangedBuffers { add(unchanged(moment), there) }
      add(content { $0 <= moment }, there)
    }
    for chosen in Self.combinations(of: flying) {
      add(content { $0 < event || chosen.contains($0) }, Set(completed).union(chosen))
    }
    newest = content { _ in true }
  }

  /// Zeros that do not keep a size from reaching them, beside the content that was never written and does.
  mutating func addUnwritten() {
    guard contents.count > 1 else { return }
    contents.append(contents[0].map { _ in SectorStore.zero })
    moments.append(moments.reduce(into: []) { $0.formUnion($1) })
  }

  mutating func add(_ content: [SectorID], _ writes: Set<Int>) {
    if let known = contents.firstIndex(of: content) {
      moments[known].formUnion(writes)
    } else {
      contents.append(content)
      moments.append(writes)
    }
  }

  /// Each in flight has happened or not, whatever became of those that were submitted before it.
  private static func combinations(of flying: [Int]) -> [Set<Int>] {
    if flying.count <= mostCombined {
      return (0..<1 << flying.count).dropFirst().map { bits in
        Set(flying.indices.filter { bits >> $0 & 1 == 1 }.map { flying[$0] })
      }
    }
    return flying.indices.map { Set(flying[...$0]) } + flying.map { [$0] }
  }
}

/// A unit that was never durable: where its data are missing, a size that comes after its data does not reach it.
package struct NewUnit: Sendable {
  /// Of the crash point.
  var piece: Int
  /// Its first sector.
  var first: Int
  /// Moments of all writes to it.
  private let all: [Int]
  /// By alternative, for each of these whether it is in it.
  private let holds: [[Bool]]
  /// By alternative, whether all of them are.
  private let holdsAll: [Bool]

  /// - Parameter moments: by alternative; see `UnitAlternatives.moments`.
  init(piece: Int, first: Int, moments: [Set<Int>]) {
    (self.piece, self.first) = (piece, first)
    let all = moments.reduce(into: Set<Int>()) { $0.formUnion($1) }.sorted()
    self.all = all
    holds = moments.map { own in all.map { own.contains($0) } }
    holdsAll = holds.map { own in own.allSatisfy { $0 } }
  }

  /// Whether alternative `picked` has what had been written when a write at `moment` made the file grow. What was
  /// written over it since may be there or not: write-back takes the page as it finds it, and again when it is dirty
  /// again.
  @inline(__always)
  func isComplete(_ picked: Int, for moment: Int) -> Bool {
    if holdsAll[picked] { return true }
    guard let last = all.lastIndex(where: { $0 <= moment }) else { return true }
    return holds[picked][last]
  }
}
