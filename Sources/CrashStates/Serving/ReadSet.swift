import LogModel

/// One thing that a life may learn of the disk it began on. Paths are numbers of `PathTable`; a file goes by its
/// *home*, the first path that it has there.
///
/// | question  | asked by | answer |
/// |-----------|----------|--------|
/// | `node`    | open, make, sync, rename, unlink, list, and all of them of the parent | nothing, a directory, or a file with its home |
/// | `names`   | list | the names in a directory, with their kinds |
/// | `size`    | size, read, write, truncate | bytes |
/// | `links`   | linkCount | names of the file |
/// | `sectors` | read; a write or a truncation that changes a part of a sector | what they hold |
///
/// Nothing else of the disk passes the storage interface: the clock, the boot and the seeds of a life are the same for
/// every state.
package enum DiskQuestion: Hashable, Sendable {
  case node(Int32)
  case names(Int32)
  case size(Int32)
  case links(Int32)
  case sectors(Int32, first: Int32, count: Int32)
  /// All of it, as the space that is left tells something of. No life on `StateStorage` asks this.
  case everything

  /// For tests of what finds a question that was left out.
  package enum Kind: String, CaseIterable, Sendable { case node, names, size, links, sectors, everything }

  /// Of the file that it is about.
  var home: Int32? {
    switch self {
    case .node, .names, .everything: nil
    case .size(let home), .links(let home), .sectors(let home, _, _): home
    }
  }

  var kind: Kind {
    switch self {
    case .node: .node
    case .names: .names
    case .size: .size
    case .links: .links
    case .sectors: .sectors
    case .everything: .everything
    }
  }
}

/// The disk as a life found it, and what the life has asked of it so far, each thing once, in order.
///
/// What a life has written itself follows from the answers before; it is no question. Where that is in doubt, the
/// question is asked: one too many makes two read sets of one, one too few would make one of two.
package struct ReadSet {
  package struct File {
    var sectors: [SectorID]
    var size: Int
    /// -1 for a file without a name: nobody can ask for it.
    var home: Int32 = -1
    var links = 0
    var isSizeAsked = false
    var areLinksAsked = false
    /// Of its first sector in `askedSectors`.
    var flag = 0
  }

  package private(set) var questions: [DiskQuestion] = []
  /// By path number, as in `StateStorage`.
  private(set) var nodes: [Int32] = []
  private(set) var files: [File] = []
  private var askedNodes: [Bool] = []
  private var askedNames: [Bool] = []
  private var askedSectors: [Bool] = []
  /// No disk that a life may begin on has a path with this number or above.
  private var pathLimit = Int.max

  /// A file that has two names would need more questions than there are.
  package var hasHardLinks: Bool { files.contains { $0.links > 1 } }

  mutating func begin(_ nodes: [Int32], pathLimit: Int) {
    questions.removeAll(keepingCapacity: true)
    files.removeAll(keepingCapacity: true)
    askedSectors.removeAll(keepingCapacity: true)
    self.pathLimit = pathLimit
    self.nodes = nodes
    askedNodes.removeAll(keepingCapacity: true)
    askedNodes.append(contentsOf: repeatElement(false, count: nodes.count))
    askedNames.removeAll(keepingCapacity: true)
    askedNames.append(contentsOf: repeatElement(false, count: nodes.count))
  }

  /// Files in the order of their numbers.
  mutating func add(_ sectors: [SectorID], size: Int) {
    files.append(File(sectors: sectors, size: size, flag: askedSectors.count))
    askedSectors.append(contentsOf: repeatElement(false, count: sectors.count))
  }

  mutating func findHomes() {
    for (path, node) in nodes.enumerated() where node >= 0 {
      if files[Int(node)].home < 0 { files[Int(node)].home = Int32(path) }
      files[Int(node)].links += 1
    }
  }

  /// As `nodes`; -1 for a path that this disk has not got, whoever knows it.
  func node(at path: Int32) -> Int32 { Int(path) < nodes.count ? nodes[Int(path)] : -1 }
  func file(at home: Int32) -> File? { node(at: home) < 0 ? nil : files[Int(node(at: home))] }

  // MARK: Asking

  @inline(__always)
  private static func isFirst(_ flags: inout [Bool], _ index: Int) -> Bool {
    while flags.count <= index { flags.append(false) }
    if flags[index] { return false }
    flags[index] = true
    return true
  }

  mutating func node(_ path: Int) {
    guard path < pathLimit, Self.isFirst(&askedNodes, path) else { return }
    questions.append(.node(Int32(path)))
  }

  mutating func names(_ path: Int) {
    guard path < pathLimit, Self.isFirst(&askedNames, path) else { return }
    questions.append(.names(Int32(path)))
  }

  @inline(__always)
  mutating func size(_ file: Int) {
    guard file < files.count, !files[file].isSizeAsked else { return }
    files[file].isSizeAsked = true
    questions.append(.size(files[file].home))
  }

  mutating func links(_ file: Int) {
    guard file < files.count, !files[file].areLinksAsked else { return }
    files[file].areLinksAsked = true
    questions.append(.links(files[file].home))
  }

  /// - Parameter now: the file's sectors by now: those that are others than at the beginning were written since.
  mutating func sectors(_ file: Int, _ range: Range<Int>, now: [SectorID]) {
    guard file < files.count else { return }
    let found = files[file]
    var run = 0
    for sector in range.lowerBound..<max(range.lowerBound, min(range.upperBound, found.sectors.count, now.count)) {
      if now[sector] == found.sectors[sector], !askedSectors[found.flag + sector] {
        askedSectors[found.flag + sector] = true
        run += 1
      } else if run > 0 {
        questions.append(.sectors(found.home, first: Int32(sector - run), count: Int32(run)))
        run = 0
      }
      if run > 0, sector + 1 == min(range.upperBound, found.sectors.count, now.count) {
        questions.append(.sectors(found.home, first: Int32(sector + 1 - run), count: Int32(run)))
      }
    }
  }

  /// Asks of this disk what a later life asked of the one that became of it.
  mutating func follow(_ question: DiskQuestion, of later: ReadSet) {
    switch question {
    case .node(let path): return node(Int(path))
    case .names(let path): return names(Int(path))
    case .size, .links, .sectors, .everything: break
    }
    guard let file = question.home.map({ Int(later.node(at: $0)) }), file >= 0 else { return }
    switch question {
    case .size: size(file)
    case .links: links(file)
    case .sectors(_, let first, let count):
      sectors(file, Int(first)..<Int(first + count), now: later.files[file].sectors)
    case .node, .names, .everything: break
    }
  }
}

/// Everything that lives have asked, in which order, and how they ended: as the engine is a function of its disk, the
/// same answers lead to the same next question, and in the end to the same behaviour.
///
/// A walk begins at the root, asks the question that stands there of a disk that has not been looked at, goes where the
/// answer leads, and so on. It ends at a behaviour, which is that of the disk, or where no life has come by yet. Places
/// are 64-bit hashes of the answers that lead there.
package struct ReadSetTree {
  /// A place's number is a hash already.
  private struct PlaceID: Hashable {
    var number: UInt64

    init(_ number: UInt64) { self.number = number }

    func _rawHashValue(seed: Int) -> Int { Int(truncatingIfNeeded: number) ^ seed }
  }

  private enum Place: Equatable {
    case question(DiskQuestion)
    case behaviour(UInt64)
  }

  private static let root: UInt64 = 0x510E_527F_ADE6_82D1
  private var places: [PlaceID: Place] = [:]
  /// Lives that asked other questions after the same answers, or behaved otherwise. Then the engine is no function of
  /// its disk, or something that it asked was not seen.
  private(set) var contradictions = 0

  private static func step(_ place: UInt64, _ answer: UInt64) -> UInt64 {
    mix64(place ^ answer) &+ 0x9E37_79B9_7F4A_7C15
  }

  /// What is known of a disk.
  package struct Found: Sendable {
    /// A hash of the transcript.
    package var behaviour: UInt64
    /// A name of the answers: equal for disks of which nobody who asks the same can tell one from the other.
    package var readSet: UInt64

    package init(behaviour: UInt64, readSet: UInt64) {
      self.behaviour = behaviour
      self.readSet = readSet
    }
  }

  /// - Returns: nil where it has to be found out.
  func find(_ answer: (DiskQuestion) -> UInt64) -> Found? {
    var place = Self.root
    while let found = places[PlaceID(place)] {
      switch found {
      case .behaviour(let behaviour): return Found(behaviour: behaviour, readSet: place)
      case .question(let question): place = Self.step(place, answer(question))
      }
    }
    return nil
  }

  /// Takes in a life, with the questions that it asked.
  mutating func add(
    _ questions: some Sequence<DiskQuestion>, _ answer: (DiskQuestion) -> UInt64, _ behaviour: UInt64
  ) -> Found {
    var place = Self.root
    for question in questions {
      take(.question(question), at: place)
      place = Self.step(place, answer(question))
    }
    take(.behaviour(behaviour), at: place)
    return Found(behaviour: behaviour, readSet: place)
  }

  /// What stands there already must be the same: two threads may find out the same at the same time.
  private mutating func take(_ new: Place, at place: UInt64) {
    guard let found = places[PlaceID(place)] else { return places[PlaceID(place)] = new }
    if found != new { contradictions += 1 }
  }
}
