import LogModel

/// Numbers for paths. 0 is the storage's root.
package struct PathTable: Sendable {
  package static let root: Int32 = 0

  package private(set) var paths = [""]
  private(set) var names = [""]
  package private(set) var parents: [Int32] = [-1]
  /// Of each directory, sorted by the bytes of their names.
  private(set) var children: [[Int32]] = [[]]
  private(set) var hashes: [UInt64] = [stableHash("")]
  private var numbers: [String: Int32] = ["": 0]

  package init() {}

  var count: Int { paths.count }

  /// Nil for a path that was never interned.
  package func find(_ path: String) -> Int32? { numbers[path] }

  package mutating func intern(_ path: String) -> Int32 {
    if let number = numbers[path] { return number }
    let cut = path.lastIndex(of: "/")
    let parent = cut.map { intern(String(path[..<$0])) } ?? Self.root
    let name = cut.map { String(path[path.index(after: $0)...]) } ?? path
    let number = Int32(paths.count)
    numbers[path] = number
    paths.append(path)
    names.append(name)
    parents.append(parent)
    children.append([])
    hashes.append(stableHash(path))
    let siblings = children[Int(parent)]
    let at = siblings.firstIndex { name.utf8.lexicographicallyPrecedes(names[Int($0)].utf8) } ?? siblings.count
    children[Int(parent)].insert(number, at: at)
    return number
  }
}

/// What a path stands for.
package enum PathNode: Hashable, Sendable {
  case directory
  /// A file, by its number in the recording.
  case file(Int32)
}

/// A disk at rest: what a machine finds when it starts.
package struct DiskImage: Sendable {
  package struct File: Sendable {
    var sectors: [SectorID] = []
    var size = 0
    /// Whether it was put in place.
    private(set) var isFilled = false

    init() {}

    /// A file with exactly the sectors of its size: what lies beyond is gone, and what is not there reads as zeros.
    init(filling found: [SectorID], size: Int) {
      let count = (size + SectorStore.size - 1) / SectorStore.size
      sectors = found
      if sectors.count > count { sectors.removeSubrange(count...) }
      for index in sectors.indices where sectors[index] == SectorStore.hole { sectors[index] = SectorStore.zero }
      if sectors.count < count {
        sectors.append(contentsOf: repeatElement(SectorStore.zero, count: count - sectors.count))
      }
      (self.size, isFilled) = (size, true)
    }
  }

  /// By file number; files without a name are empty.
  package var files: [File] = []
  /// By path number, parents before children.
  package var names: [(path: Int32, node: PathNode)] = []
}
