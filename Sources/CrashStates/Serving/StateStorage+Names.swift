import Glibc
import Storage

/// Operations on names.
extension StateStorage {
  @inline(__always)
  package func makeDirectory(_ path: String) async throws(StorageError) {
    try begin(.makeDirectory)
    try make(number(path), path)
  }

  private func make(_ place: Int, _ path: String) throws(StorageError) {
    reads.node(place)
    switch visible[place] {
    case Self.isDirectory: return
    case Self.absent: break
    default: throw StorageError(errno: EEXIST, .makeDirectory, path)
    }
    try make(Int(table.parents[place]), path)
    name(place, Self.isDirectory)
    if profile.syncReach == .journal { journal.directories[place] = journal.entries.count }
  }

  @inline(__always)
  package func syncDirectory(_ path: String) async throws(StorageError) {
    try begin(.syncDirectory)
    let place = number(path)
    reads.node(place)
    guard visible[place] == Self.isDirectory else { throw StorageError(errno: ENOENT, .syncDirectory, path) }
    switch profile.directorySync {
    case .everything: cover(upTo: journal.entries.count)
    case .journal: cover(upTo: journal.directories[place] ?? 0)
    case .entries where profile.syncReach == .ownNames && hasLostFile(place): durable = visible
    case .entries:
      for child in table.children[place] { durable[Int(child)] = visible[Int(child)] }
      if profile.syncReach == .ownNames { makeDurable(place) }
    }
  }

  /// Whether a file has left a directory for another one; btrfs commits everything then.
  private func hasLostFile(_ directory: Int) -> Bool {
    table.children[directory].contains { child in
      let file = durable[Int(child)]
      return file >= 0 && visible[Int(child)] != file && visible.contains(file)
    }
  }

  @inline(__always)
  package func rename(_ path: String, to newPath: String) async throws(StorageError) {
    try begin(.rename)
    let (from, to) = (number(path), number(newPath))
    try checkParent(from, .rename, path)
    try checkParent(to, .rename, newPath)
    reads.node(from)
    reads.node(to)
    guard visible[from] != Self.absent else { throw StorageError(errno: ENOENT, .rename, path) }
    if visible[from] == Self.isDirectory { return try renameDirectory(from, to, newPath) }
    guard visible[to] != Self.isDirectory else { throw StorageError(errno: EISDIR, .rename, newPath) }
    let file = Int(visible[from])
    if visible[to] >= 0 {
      files[Int(visible[to])].links -= 1
      logged(Int(visible[to]), withData: false)
    }
    name(to, visible[from])
    name(from, Self.absent)
    logged(file, withData: profile.dataSyncSeesAttributes)
    // Both directories have changed with both names.
    if profile.syncReach == .journal { journal.directories[Int(table.parents[to])] = journal.entries.count }
  }

  /// The engine renames no directory that holds something, but for one of which the device cannot read a part: it is
  /// set aside with everything in it, durably and at once, and nobody looks into it again.
  private func renameDirectory(_ from: Int, _ to: Int, _ newPath: String) throws(StorageError) {
    switch visible[to] {
    case Self.absent: break
    case Self.isDirectory: if !isEmpty(to) { throw StorageError(errno: ENOTEMPTY, .rename, newPath) }
    default: throw StorageError(errno: ENOTDIR, .rename, newPath)
    }
    _ = isEmpty(from)
    cover(upTo: journal.entries.count)
    for child in table.children[from] where visible[Int(child)] != Self.absent || durable[Int(child)] != Self.absent {
      let name = table.paths[Int(child)].split(separator: "/").last ?? ""
      move(Int(child), to: number("\(newPath)/\(name)"))
    }
    move(from, to: to)
  }

  private func move(_ from: Int, to: Int) {
    (visible[to], durable[to]) = (visible[from], durable[from])
    (visible[from], durable[from]) = (Self.absent, Self.absent)
  }

  private func isEmpty(_ directory: Int) -> Bool {
    reads.names(directory)
    return table.children[directory].allSatisfy { visible[Int($0)] == Self.absent }
  }

  @inline(__always)
  package func unlink(_ path: String) async throws(StorageError) {
    try begin(.unlink)
    let place = number(path)
    reads.node(place)
    guard visible[place] != Self.absent else { throw StorageError(errno: ENOENT, .unlink, path) }
    guard visible[place] >= 0 else { throw StorageError(errno: EISDIR, .unlink, path) }
    let file = Int(visible[place])
    files[file].links -= 1
    name(place, Self.absent)
    logged(file, withData: false)
  }

  @inline(__always)
  package func list(_ path: String) async throws(StorageError) -> [DirectoryEntry] {
    try begin(.list)
    let place = number(path)
    reads.node(place)
    switch visible[place] {
    case Self.isDirectory: break
    case Self.absent: throw StorageError(errno: ENOENT, .list, path)
    default: throw StorageError(errno: ENOTDIR, .list, path)
    }
    reads.names(place)
    var entries: [DirectoryEntry] = []
    entries.reserveCapacity(table.children[place].count)
    for child in table.children[place] where visible[Int(child)] != Self.absent {
      entries.append(
        DirectoryEntry(name: table.names[Int(child)], isDirectory: visible[Int(child)] == Self.isDirectory))
    }
    return entries
  }
}
