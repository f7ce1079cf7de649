import LogModel

/// States in which what is lost hangs together, as it does on a real disk: write-back goes by files, by writes and by
/// time, not by sectors.
///
/// - The cut came before some moment as far as the medium is concerned: nothing that is newer is there.
/// - The write-back of one file never ran, or ran for one file only.
/// - One write is missing, or is torn: its first part is there, or its last.
struct Bases {
  private(set) var choices: [[Alternative]] = []
  private let point: CrashPoint

  /// - Parameter most: of each kind so many at most, spread over all there are.
  init(_ point: CrashPoint, most: Int) {
    self.point = point
    let everything = point.everything
    let nothing = point.nothing
    let files = point.ofFile.filter { !$0.value.units.isEmpty || $0.value.size != nil }.keys.sorted()
    let limit = max(4, most / 4)
    if files.count > 1 {
      for f in Self.spread(files, limit) {
        var (lost, kept) = (everything, nothing)
        for piece in places(of: f) { (lost[piece], kept[piece]) = (0, everything[piece]) }
        for piece in point.changePieces { kept[piece] = everything[piece] }
        choices += [lost, kept]
      }
    }
    for moment in Self.spread(moments(), limit) { choices.append(choice(before: moment)) }
    for write in Self.spread(writes(), limit) {
      var missing = everything
      for piece in write { missing[piece] = 0 }
      choices.append(missing)
      guard write.count > 1 else { continue }
      var (head, tail) = (everything, everything)
      for piece in write.dropFirst(write.count / 2) { head[piece] = 0 }
      for piece in write.dropLast(write.count / 2) { tail[piece] = 0 }
      choices += [head, tail]
    }
  }

  private static func spread<T>(_ all: [T], _ most: Int) -> [T] {
    all.count <= most ? all : (0..<most).map { all[$0 * all.count / most] }
  }

  private func places(of f: Int) -> [Int] {
    let own = point.ofFile[f]!
    return Array(own.units) + (own.size.map { [$0] } ?? [])
  }

  /// When something was written that may be missing.
  private func moments() -> [Int] {
    var moments: Set<Int> = []
    for case .sectors(_, let unit) in point.pieces { moments.formUnion(unit.moments) }
    for case .changes(let changes) in point.pieces { moments.formUnion(changes.changes.map(\.at)) }
    return moments.sorted()
  }

  /// Everything of before a moment, and nothing newer.
  private func choice(before moment: Int) -> [Alternative] {
    point.pieces.map { piece in
      switch piece {
      case .sectors(_, let unit): Alternative(unit.alternative(before: moment))
      case .size(_, let growths): Alternative((growths.lastIndex { $0.at < moment } ?? -1) + 1)
      case .changes(let changes): Alternative(changes.alternative(before: moment))
      }
    }
  }

  /// For each write the places of the pieces that it is the newest of.
  private func writes() -> [[Int]] {
    var places: [Int: [Int]] = [:]
    for (index, piece) in point.pieces.enumerated() {
      if case .sectors(_, let unit) = piece, let last = unit.moments.max() { places[last, default: []].append(index) }
    }
    return places.keys.sorted().map { places[$0]! }
  }
}
