import Glibc
import LogModel
import Storage

extension StateStorage {
  /// Changes of names and sizes in the order in which they were made. What a sync covers of it is a beginning.
  struct Journal {
    enum Entry {
      case name(path: Int, node: Int32)
      case truncation(file: Int, size: Int)
    }

    var entries: [Entry] = []
    /// So many are durable.
    var covered = 0
    /// For each directory the entries up to its last change.
    var directories: [Int: Int] = [:]

    mutating func clear() {
      entries.removeAll(keepingCapacity: true)
      covered = 0
      if !directories.isEmpty { directories.removeAll(keepingCapacity: true) }
    }
  }

  /// A path stands for something else from now on.
  @inline(__always)
  func name(_ place: Int, _ node: Int32) {
    visible[place] = node
    guard profile.syncReach == .journal else { return }
    journal.entries.append(.name(path: place, node: node))
    journal.directories[Int(table.parents[place])] = journal.entries.count
  }

  /// The file system has logged a change of a file.
  @inline(__always)
  func logged(_ f: Int, withData: Bool) {
    files[f].logged = journal.entries.count
    if withData { files[f].loggedData = journal.entries.count }
  }

  /// The first so many entries are durable.
  func cover(upTo count: Int) {
    guard count > journal.covered else { return }
    for entry in journal.entries[journal.covered..<count] {
      switch entry {
      case .name(let path, let node): durable[path] = node
      case .truncation(let f, let size):
        cutDurable(f, to: size)
        files[f].durableSize = size
      }
    }
    journal.covered = count
  }

  /// What fdatasync of a file covers beside the file.
  func coverNames(withData f: Int) {
    switch profile.syncReach {
    case .file: break
    case .ownNames:
      // A rename is one change: the name before it goes with it.
      for path in visible.indices where durable[path] == Int32(f) { durable[path] = visible[path] }
      for path in visible.indices where visible[path] == Int32(f) { makeDurable(path) }
    case .journal: cover(upTo: files[f].loggedData)
    }
  }

  /// A write changes the journal where it needs space, makes the file grow, or sets another time.
  func noteWrite(_ f: Int, upTo end: Int) {
    if end > files[f].size || files[f].durable.count * SectorStore.size < end {
      logged(f, withData: true)
    } else if files[f].stamped.map({ loop.now - $0 >= .milliseconds(10) }) ?? true {
      logged(f, withData: false)
    } else {
      return
    }
    files[f].stamped = loop.now
  }

  /// What is durable of a file ends here; of the last sector the rest is zeros.
  func cutDurable(_ f: Int, to size: Int) {
    let kept = (size + SectorStore.size - 1) / SectorStore.size
    if files[f].durable.count > kept { files[f].durable.removeSubrange(kept...) }
    files[f].durableSize = min(files[f].durableSize, size)
    files[f].cut = nil
    guard size % SectorStore.size != 0, kept <= files[f].durable.count,
      files[f].durable[kept - 1] != SectorStore.unreadable
    else { return }
    let last = newSector(files[f].durable[kept - 1], copying: true)
    memset(last.bytes + size % SectorStore.size, 0, SectorStore.size - size % SectorStore.size)
    files[f].durable[kept - 1] = last.id
  }

  /// The name of a path, and the directories that lead to it.
  func makeDurable(_ path: Int) {
    var path = path
    while path != Int(PathTable.root) {
      durable[path] = visible[path]
      path = Int(table.parents[path])
    }
  }
}
