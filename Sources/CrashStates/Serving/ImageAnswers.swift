import LogModel

/// What a state of a recording answers to a program that is served it by a file system: 64 bits for each
/// `DiskQuestion`.
///
/// A look-up of a name brings all attributes of what it leads to. So `node` has all of them here: kind, size, links,
/// space, owner, and the target of a symbolic link; of a directory how many directories are in it. Times are those at
/// which a state was put in place, whatever the state.
package struct ImageAnswers {
  private let image: DiskImage
  private let recording: Recording
  private let owner: (PathNode, Int32) -> UInt64
  private var nodes: [Int32: PathNode] = [:]
  /// By file: its first name, and how many it has.
  private var homes: [Int32: (path: Int32, links: Int)] = [:]
  private var children: [Int32: [Int32]] = [:]

  /// - Parameter owner: a number for mode and owner of what is at a path.
  package init(_ image: DiskImage, _ recording: Recording, owner: @escaping (PathNode, Int32) -> UInt64) {
    (self.image, self.recording, self.owner) = (image, recording, owner)
    for (path, node) in image.names {
      // What has no directory is not served.
      let parent = recording.table.parents[Int(path)]
      guard parent == PathTable.root || nodes[parent] == .directory else { continue }
      nodes[path] = node
      children[parent, default: []].append(path)
      if case .file(let file) = node { homes[file] = (homes[file]?.path ?? path, (homes[file]?.links ?? 0) + 1) }
    }
  }

  /// The files of a state, by their first paths.
  package func home(of file: Int32) -> Int32? { homes[file]?.path }

  /// With the question in it: programs may ask in another order each time, and no answer may pass for that to another
  /// question.
  package func answer(_ question: DiskQuestion) -> UInt64 {
    mix64(plain(question) ^ UInt64(bitPattern: Int64(question.hashValue)))
  }

  private func plain(_ question: DiskQuestion) -> UInt64 {
    switch question {
    case .node(let path): return node(path)
    case .names(let path):
      // What is listed comes with its attributes.
      return (children[path] ?? []).reduce(0x6C) { mix64($0 ^ mix64(UInt64($1)) &+ node($1)) }
    case .size(let home), .links(let home): return node(home)
    case .sectors(let home, let first, let count):
      guard case .file(let file)? = nodes[home] else { return .max }
      let sectors = image.files[Int(file)].sectors
      // A file may be read behind its end.
      let (begin, end) = (min(Int(first), sectors.count), min(Int(first) + Int(count), sectors.count))
      return sectors[begin..<end].reduce(UInt64(end)) { mix64($0 ^ recording.store.hash(of: $1)) &+ 1 }
    case .everything:
      var hash = node(PathTable.root)
      for (path, node) in image.names {
        hash = mix64(hash ^ mix64(UInt64(path)) &+ self.node(path))
        if case .file(let file) = node {
          hash = mix64(hash ^ plain(.sectors(path, first: 0, count: Int32(image.files[Int(file)].sectors.count))))
        }
      }
      return hash
    }
  }

  private func node(_ path: Int32) -> UInt64 {
    let node = path == PathTable.root ? .directory : nodes[path]
    switch node {
    case nil: return 0
    case .directory:
      let directories = (children[path] ?? []).count { nodes[$0] == .directory }
      return mix64(1 << 60 | UInt64(directories)) ^ owner(.directory, path)
    case .file(let file):
      let content = image.files[Int(file)]
      let (home, links) = homes[file]!
      var hash = mix64(2 << 60 | UInt64(home)) ^ owner(.file(file), path)
      hash = mix64(hash ^ mix64(UInt64(links)) ^ UInt64(content.size))
      if case .symbolicLink(let target) = recording.inodes.kinds[Int(file)] { hash = mix64(hash ^ stableHash(target)) }
      return mix64(hash ^ UInt64(space(of: content)))
    }
  }

  /// Pages of 4096 bytes that hold something: the rest takes no space.
  private func space(of file: DiskImage.File) -> Int {
    let perPage = 4096 / SectorStore.size
    return stride(from: 0, to: file.sectors.count, by: perPage).count { start in
      file.sectors[start..<min(file.sectors.count, start + perPage)].contains {
        $0 != SectorStore.zero && $0 != SectorStore.hole && $0 != SectorStore.unreadable
      }
    }
  }
}
