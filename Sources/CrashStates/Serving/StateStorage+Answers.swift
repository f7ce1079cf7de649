import LogModel

extension StateStorage {
  /// What `disk` says to a life that begins on it, in 64 bits.
  package func answer(_ question: DiskQuestion, of disk: ReadSet) -> UInt64 {
    let file = question.home.flatMap { disk.file(at: $0) }
    switch question {
    case .node(let path):
      let node = disk.node(at: path)
      return node < 0 ? UInt64(UInt32(bitPattern: node)) : 1 << 32 | UInt64(disk.files[Int(node)].home)
    case .names(let path):
      var hash: UInt64 = 0
      for child in table.children[Int(path)] where disk.node(at: child) != Self.absent {
        hash = mix64(hash ^ UInt64(child) << 1 ^ (disk.node(at: child) == Self.isDirectory ? 1 : 0))
      }
      return hash
    case .size: return file.map { UInt64($0.size) } ?? .max
    case .links: return file.map { UInt64($0.links) } ?? .max
    case .everything: return .max
    case .sectors(_, let first, let count):
      guard let sectors = file?.sectors else { return .max }
      var hash: UInt64 = 0
      for sector in Int(first)..<Int(first + count) {
        hash = mix64(hash ^ (sector < sectors.count ? hashOf(sectors[sector]) : 0)) &+ 1
      }
      return hash
    }
  }
}
