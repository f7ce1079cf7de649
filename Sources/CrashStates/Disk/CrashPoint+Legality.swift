import Glibc
import LogModel

// The question that exploration never asks: here is a disk; is it one of the states of this crash point? The answer
// does not come from enumeration, of which there may be more than can be visited, but from looking for the alternatives
// of each piece that agree with what is there. What is found is built again by `image` and compared, byte by byte.

/// Whether a disk is a state that a profile permits.
package enum Legality: Hashable, Sendable {
  /// By this choice of alternatives.
  case legal([Alternative])
  /// What contradicts the state that comes closest, one line each.
  case illegal([String])
  /// There are more combinations of names than can be tried.
  case undecided(String)
}

extension CrashPoint {
  /// Combinations of names that are tried.
  private static let mostCombinations = 4096

  package func legality(of found: MountedImage, _ table: PathTable) -> Legality {
    let strange = found.paths.filter { table.find($0) == nil }
    guard strange.isEmpty else { return .illegal(strange.map { "\($0): no operation ever gave this name" }) }
    let own = PiecesByFile(pieces)
    guard let combinations = nameChoices(found, table) else {
      return .undecided("more than \(Self.mostCombinations) combinations of names agree with what is there")
    }
    var closest: [String]?
    for combination in combinations {
      var choice = nothing
      for (piece, picked) in combination { choice[piece] = Alternative(picked) }
      let objections = objections(to: found, &choice, own, table)
      if objections.isEmpty { return .legal(choice) }
      if objections.count < closest?.count ?? Int.max { closest = objections }
    }
    return .illegal(
      closest ?? ["no order of the changes of names leads to \(found.paths.sorted().joined(separator: ", "))"])
  }

  /// Makes `choice`, of which the names are given, agree with what is there, as far as it can.
  private func objections(
    to found: MountedImage, _ choice: inout [Alternative], _ own: PiecesByFile, _ table: PathTable
  ) -> [String] {
    var names = resolved(choice).names
    let standing = reachable(&names)
    var objections: [String] = []
    var expected: Set<String> = []
    for path in standing {
      let name = table.paths[Int(path)]
      expected.insert(name)
      switch (names[Int(path)], found.files[name]) {
      case (.directory, nil) where found.directories.contains(name): continue
      case (.file(let file), let bytes?):
        if let objection = fit(Int(file), to: bytes, &choice, own) { objections.append("\(name): \(objection)") }
      default:
        objections.append(
          "\(name): is not there, or of another kind, and must be a "
            + "\(names[Int(path)] == .directory ? "directory" : "file")"
        )
      }
    }
    for name in found.paths.subtracting(expected).sorted() {
      objections.append("\(name): is there, and no state has it")
    }
    if objections.isEmpty, let difference = difference(choice, found, table) { objections.append(difference) }
    return objections
  }

  /// Finds the alternatives of a file's pieces that agree with its bytes.
  /// - Returns: what contradicts all of them.
  private func fit(_ f: Int, to bytes: [UInt8], _ choice: inout [Alternative], _ own: PiecesByFile) -> String? {
    var hidden: [Int] = []
    var decided = Set<Int>()
    for piece in own.sectors[f] ?? [] {
      guard case .sectors(_, let first, let contents, let newest) = pieces[piece] else { continue }
      decided.formUnion(first..<first + profile.unit / SectorStore.size)
      guard first * SectorStore.size < bytes.count else {
        hidden.append(piece)
        continue
      }
      if showsAnything(f, piece) { continue }
      let agreeing = contents.indices.filter { agrees(contents[$0], at: first, bytes) }
      guard let last = agreeing.last else {
        return
          "bytes \(first * SectorStore.size) ..< \(first * SectorStore.size + profile.unit) hold none of the "
          + "\(contents.count) "
          + "contents that \(profile.name) permits there"
      }
      choice[piece] = Alternative(agreeing.contains(newest) ? newest : last)
    }
    for sector in 0..<(bytes.count + SectorStore.size - 1) / SectorStore.size where !decided.contains(sector) {
      guard agrees([files[f].durable(sector)], at: sector, bytes) else {
        return "bytes from \(sector * SectorStore.size) on are not what was made durable there"
      }
    }
    return fitSize(f, bytes.count, hidden, &choice, own)
  }

  /// Finds the alternative of the size, and of pieces beyond it, that leads to `size`.
  private func fitSize(_ f: Int, _ size: Int, _ hidden: [Int], _ choice: inout [Alternative], _ own: PiecesByFile)
    -> String?
  {
    let alternatives = own.size[f].map { pieces[$0].count } ?? 1
    var permitted: Set<Int> = []
    for picked in (0..<alternatives).reversed() {
      if let piece = own.size[f] { choice[piece] = Alternative(picked) }
      for isComplete in [true, false] {
        for piece in hidden { choice[piece] = Alternative(pieces[piece].newest == 0 ? 1 : 0) }
        if isComplete { for piece in hidden { choice[piece] = Alternative(pieces[piece].newest) } }
        let reached = resolved(choice).sizes[f]
        if reached == size { return nil }
        permitted.insert(reached)
      }
    }
    return
      "is \(size) bytes long; with these contents \(profile.name) permits "
      + "\(permitted.sorted().map(String.init).joined(separator: ", "))"
  }

  /// Whether a profile lets the sectors of a piece show bytes of anybody, which no list of contents can name.
  private func showsAnything(_ f: Int, _ piece: Int) -> Bool {
    profile.showsForeignBytes && newUnits[f]?.contains { $0.piece == piece } ?? false
  }

  /// Whether `contents` stands in the file from sector `first` on, as far as the file reaches.
  private func agrees(_ contents: [SectorID], at first: Int, _ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { found in
      contents.enumerated().allSatisfy { index, content in
        let start = (first + index) * SectorStore.size
        let count = min(SectorStore.size, found.count - start)
        return count <= 0 || memcmp(found.baseAddress! + start, store.bytes(content), count) == 0
      }
    }
  }

  /// How the disk of `choice` differs from what is there: the answer to a mistake of the search above.
  private func difference(_ choice: [Alternative], _ found: MountedImage, _ table: PathTable) -> String? {
    let image = image(choice)
    guard Set(image.names.map { table.paths[Int($0.path)] }) == found.paths else { return "the names differ" }
    for (path, node) in image.names {
      let name = table.paths[Int(path)]
      guard case .file(let file) = node else { continue }
      let (f, bytes) = (Int(file), found.files[name] ?? [])
      guard image.files[f].size == bytes.count else { return "\(name): the sizes differ" }
      var free = Set<Int>()
      for new in newUnits[f] ?? [] where showsAnything(f, new.piece) {
        free.formUnion(new.first..<new.first + profile.unit / SectorStore.size)
      }
      for (sector, content) in image.files[f].sectors.enumerated() where !free.contains(sector) {
        guard agrees([content], at: sector, bytes) else { return "\(name): sector \(sector) differs" }
      }
    }
    return nil
  }

  /// Choices of the pieces that are of names under which each of its names is there, or not, as it is found.
  /// - Returns: nil where there are too many.
  private func nameChoices(_ found: MountedImage, _ table: PathTable) -> [[(piece: Int, picked: Int)]]? {
    var combinations: [[(piece: Int, picked: Int)]] = [[]]
    for (index, piece) in pieces.enumerated() {
      guard case .names(let changes, _) = piece else { continue }
      let touched = Set(changes.flatMap(\.paths))
      let agreeing = (0...changes.count).filter { picked in
        var choice = nothing
        choice[index] = Alternative(picked)
        let names = resolved(choice).names
        return touched.allSatisfy { path in
          let name = table.paths[Int(path)]
          let isFound = found.paths.contains(name)
          if names[Int(path)] == nil { return !isFound }
          // What has lost its directory is not seen.
          return isFound || !found.hasDirectory(of: name)
        }
      }
      guard combinations.count * agreeing.count <= Self.mostCombinations else { return nil }
      combinations = combinations.flatMap { before in agreeing.reversed().map { before + [(index, $0)] } }
    }
    return combinations
  }
}

/// The numbers of the pieces that decide over each file.
private struct PiecesByFile {
  var sectors: [Int: [Int]] = [:]
  var size: [Int: Int] = [:]

  init(_ pieces: [CrashPoint.Piece]) {
    for (index, piece) in pieces.enumerated() {
      switch piece {
      case .sectors(let file, _, _, _): sectors[file, default: []].append(index)
      case .size(let file, _): size[file] = index
      case .names: break
      }
    }
  }
}
