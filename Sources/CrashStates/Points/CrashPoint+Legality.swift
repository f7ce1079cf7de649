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
    guard let combinations = nameChoices(found, table) else {
      return .undecided("more than \(Self.mostCombinations) combinations of names agree with what is there")
    }
    var closest: [String]?
    for combination in combinations {
      var choice = nothing
      for (piece, picked) in combination { choice[piece] = Alternative(picked) }
      let objections = objections(to: found, &choice, table)
      if objections.isEmpty { return .legal(choice) }
      if objections.count < closest?.count ?? Int.max { closest = objections }
    }
    return .illegal(
      closest ?? ["no order of the changes of names leads to \(found.paths.sorted().joined(separator: ", "))"])
  }

  /// Makes `choice`, of which the changes of metadata are given, agree with what is there, as far as it can.
  private func objections(to found: MountedImage, _ choice: inout [Alternative], _ table: PathTable) -> [String] {
    var resolver = StateResolver(self)
    let image = resolver.image(choice)
    var objections: [String] = []
    var expected: Set<String> = []
    for (path, node) in image.names {
      let name = table.paths[Int(path)]
      expected.insert(name)
      switch (node, found.files[name]) {
      case (.directory, nil) where found.directories.contains(name): continue
      case (.file(let file), nil) where inodes.kinds[Int(file)].target == found.links[name] && found.links[name] != nil:
        continue
      case (.file(let file), let bytes?):
        let marks = resolver.marksKept(Int(file), choice)
        if let objection = fit(Int(file), to: bytes, &choice, marks) { objections.append("\(name): \(objection)") }
      default:
        objections.append(
          "\(name): is not there, or of another kind, and must be a \(node == .directory ? "directory" : "file")")
      }
    }
    for name in found.paths.subtracting(expected).sorted() {
      objections.append("\(name): is there, and no state has it")
    }
    if objections.isEmpty, let difference = difference(choice, found, table) { objections.append(difference) }
    if objections.isEmpty, let piece = overtaking(found, &choice, table) {
      let name =
        switch pieces[piece] {
        case .sectors(let f, let unit): "bytes from \(unit.first * SectorStore.size) on of file \(f)"
        case .size(let f, _): "the size of file \(f)"
        case .changes: "a change of metadata"
        }
      objections.append("\(name): is there, and a change of metadata from before it is not")
    }
    return objections
  }

  /// The place of a piece that is kept and must not be; nil where another choice that leads to the same disk is
  /// permitted, which `choice` is then.
  private func overtaking(_ found: MountedImage, _ choice: inout [Alternative], _ table: PathTable) -> Int? {
    while let piece = overtakes(choice) {
      let lower = (0..<choice[piece]).reversed().first { alternative in
        var other = choice
        other[piece] = alternative
        return overtakes(other) != piece && difference(other, found, table) == nil
      }
      guard let lower else { return piece }
      choice[piece] = lower
    }
    return nil
  }

  /// Finds the alternatives of a file's pieces that agree with its bytes.
  /// - Returns: what contradicts all of them.
  private func fit(_ f: Int, to bytes: [UInt8], _ choice: inout [Alternative], _ marks: Int) -> String? {
    var hidden: [Int] = []
    var decided = Set<Int>()
    for piece in ofFile[f]?.units ?? 0..<0 {
      guard case .sectors(_, let unit) = pieces[piece] else { continue }
      decided.formUnion(unit.sectors)
      guard unit.first * SectorStore.size < bytes.count else {
        hidden.append(piece)
        continue
      }
      if showsAnything(unit, f, marks) { continue }
      let agreeing = seenAlternatives(unit, f, marks).filter { agrees(unit.contents[$0], at: unit.first, bytes) }
      guard let last = agreeing.last(where: { unit.isWritten($0) }) ?? agreeing.last else {
        return
          "bytes \(unit.first * SectorStore.size) ..< \(unit.sectors.upperBound * SectorStore.size) hold none of the "
          + "\(unit.contents.count) contents that \(profile.name) permits there"
      }
      choice[piece] = Alternative(agreeing.contains(unit.newest) ? unit.newest : last)
    }
    let resolver = StateResolver(self)
    let settled = resolver.file(f, choice, marks).sectors
    for sector in 0..<(bytes.count + SectorStore.size - 1) / SectorStore.size where !decided.contains(sector) {
      guard agrees([sector < settled.count ? settled[sector] : SectorStore.zero], at: sector, bytes) else {
        return "bytes from \(sector * SectorStore.size) on are not what was made durable there"
      }
    }
    return fitSize(f, bytes.count, hidden, &choice, marks)
  }

  private var dataIsFree: Bool { profile.names == .independent }

  /// The alternatives of a unit that are seen as themselves.
  private func seenAlternatives(_ unit: UnitAlternatives, _ f: Int, _ marks: Int) -> [Int] {
    unit.contents.indices.filter { unit.seen($0, keeping: lastMark(f, marks), dataIsFree: dataIsFree) == $0 }
  }

  /// Finds the alternative of the size, and of pieces beyond it, that leads to `size`.
  private func fitSize(_ f: Int, _ size: Int, _ hidden: [Int], _ choice: inout [Alternative], _ marks: Int) -> String? {
    let piece = ofFile[f]?.size
    var permitted: Set<Int> = []
    let resolver = StateResolver(self)
    for picked in (0..<(piece.map { pieces[$0].count } ?? 1)).reversed() {
      if let piece { choice[piece] = Alternative(picked) }
      for isComplete in [true, false] {
        for place in hidden {
          guard case .sectors(_, let unit) = pieces[place] else { continue }
          choice[place] = Alternative(isComplete ? unit.newest : unit.eras[unit.era(keeping: lastMark(f, marks))])
        }
        let reached = resolver.file(f, choice, marks).size
        if reached == size { return nil }
        permitted.insert(reached)
      }
    }
    let sizes = permitted.sorted().map(String.init).joined(separator: ", ")
    return "it has \(size) bytes, and with this content only these sizes are permitted: \(sizes)"
  }

  /// Whether a profile lets the sectors of a unit show bytes of anybody, which no list of contents can name.
  private func showsAnything(_ unit: UnitAlternatives, _ f: Int, _ marks: Int) -> Bool {
    profile.showsForeignBytes && unit.isNew[unit.era(keeping: lastMark(f, marks))]
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
    var resolver = StateResolver(self)
    let image = resolver.image(choice)
    guard Set(image.names.map { table.paths[Int($0.path)] }) == found.paths else { return "the names differ" }
    for (path, node) in image.names {
      let name = table.paths[Int(path)]
      guard case .file(let file) = node, inodes.kinds[Int(file)] == .file else { continue }
      let (f, bytes) = (Int(file), found.files[name] ?? [])
      guard image.files[f].size == bytes.count else { return "\(name): the sizes differ" }
      var free = Set<Int>()
      for case .sectors(_, let unit) in (ofFile[f]?.units ?? 0..<0).map({ pieces[$0] })
      where showsAnything(unit, f, resolver.marksKept(f, choice)) { free.formUnion(unit.sectors) }
      for (sector, content) in image.files[f].sectors.enumerated() where !free.contains(sector) {
        guard agrees([content], at: sector, bytes) else { return "\(name): sector \(sector) differs" }
      }
    }
    return nil
  }

  /// Choices of the pieces that are of metadata under which each of its names is there, or not, as it is found.
  /// - Returns: nil where there are too many.
  private func nameChoices(_ found: MountedImage, _ table: PathTable) -> [[(piece: Int, picked: Int)]]? {
    var combinations: [[(piece: Int, picked: Int)]] = [[]]
    for index in changePieces {
      guard case .changes(let changes) = pieces[index] else { continue }
      let touched = Set(changes.changes.flatMap(\.effect.entries))
      let agreeing = (0..<changes.count).filter { picked in
        if movesDirectories { return true }
        var names = names
        for change in changes.kept(picked) { names.apply(change.effect) }
        return touched.allSatisfy { entry in
          let name = table.paths[Int(inodes.entryPaths[Int(entry)])]
          let isFound = found.paths.contains(name)
          if names[Int(entry)] == nil { return !isFound }
          // What has lost its directory is not seen.
          return isFound || !found.hasDirectory(of: name)
        }
      }
      guard combinations.count * agreeing.count <= Self.mostCombinations else { return nil }
      combinations = combinations.flatMap { before in agreeing.reversed().map { before + [(index, $0)] } }
    }
    return combinations
  }

  /// Whether names do not tell by themselves where they are.
  private var movesDirectories: Bool {
    changePieces.contains {
      guard case .changes(let changes) = pieces[$0] else { return false }
      return changes.changes.contains { change in
        switch change.effect {
        case .rename(let from, let to), .exchange(let from, let to):
          [from, to].contains { names[Int($0)].map { inodes.isDirectory($0) } ?? false }
        default: false
        }
      }
    }
  }
}
