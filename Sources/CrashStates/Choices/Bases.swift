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
    for write in Self.spread(point.newestWrites, limit) {
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

  /// When something was written that may be missing, in order.
  private func moments() -> [Int] {
    var moments: [Int] = []
    for piece in point.pieces {
      switch piece {
      case .sectors(_, let unit): if let span = unit.span { moments.append(span.upperBound) }
      case .size: break
      case .changes(let changes): moments += changes.changes.map(\.at)
      }
    }
    moments.sort()
    return moments.indices.filter { $0 == 0 || moments[$0] != moments[$0 - 1] }.map { moments[$0] }
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
}

extension CrashPoint {
  /// For each write the places of the pieces that it is the newest of.
  fileprivate var newestWrites: [[Int]] {
    var newest: [(moment: Int, place: Int)] = []
    for (index, piece) in pieces.enumerated() {
      if case .sectors(_, let unit) = piece, let span = unit.span { newest.append((span.upperBound, index)) }
    }
    newest.sort { ($0.moment, $0.place) < ($1.moment, $1.place) }
    return newest.chunked(by: { $0.moment == $1.moment }).map { $0.map(\.place) }
  }

  /// Whether the beginning of the last write is there, and its end is not: a torn tail.
  package func tearsLastWrite(_ choice: [Alternative]) -> Bool {
    guard let places = newestWrites.last, let first = places.min(), let last = places.max() else { return false }
    return Int(choice[first]) == pieces[first].newest && Int(choice[last]) != pieces[last].newest
  }
}

extension Array {
  /// Neighbours that belong together, in one array each.
  fileprivate func chunked(by belong: (Element, Element) -> Bool) -> [ArraySlice<Element>] {
    var chunks: [ArraySlice<Element>] = []
    var begin = 0
    for index in indices where index + 1 == count || !belong(self[index], self[index + 1]) {
      chunks.append(self[begin...index])
      begin = index + 1
    }
    return chunks
  }
}
