import Glibc

/// A change of the name space.
enum NameChange: Hashable {
  case create(String)
  case makeDirectory(String)
  case rename(String, to: String)
  case unlink(String)

  var operation: OperationKind {
    switch self {
    case .create: .open
    case .makeDirectory: .makeDirectory
    case .rename: .rename
    case .unlink: .unlink
    }
  }

  var path: String {
    switch self {
    case .create(let path), .makeDirectory(let path), .unlink(let path), .rename(let path, to: _): path
    }
  }
}

extension MemoryDisk {
  func node(at path: String) -> MemoryNode? {
    var node = MemoryNode.directory(Self.root)
    for name in path.split(separator: "/") {
      guard case .directory(let i) = node, let next = directories[i]?.visible[String(name)] else { return nil }
      node = next
    }
    return node
  }

  /// The directory that holds `path`, and the last name. `man 7 path_resolution`.
  func place(
    of path: String, _ kind: OperationKind
  ) throws(StorageError) -> (directory: Int, name: String) {
    let names = path.split(separator: "/")
    guard let last = names.last else { throw StorageError(errno: EINVAL, kind, path) }
    var at = Self.root
    for name in names.dropLast() {
      switch directories[at]?.visible[String(name)] {
      case nil: throw StorageError(errno: ENOENT, kind, path)
      case .file: throw StorageError(errno: ENOTDIR, kind, path)
      case .directory(let i): at = i
      }
    }
    return (at, String(last))
  }

  func directory(at path: String, _ kind: OperationKind) throws(StorageError) -> Int {
    if path.isEmpty { return Self.root }
    let (parent, name) = try place(of: path, kind)
    switch directories[parent]?.visible[name] {
    case nil: throw StorageError(errno: ENOENT, kind, path)
    case .file: throw StorageError(errno: ENOTDIR, kind, path)
    case .directory(let i): return i
    }
  }

  /// Nil where there is no such file, so that it can be created. `man 2 open`.
  func file(at path: String, _ mode: OpenMode) throws(StorageError) -> Int? {
    if path.isEmpty { throw StorageError(errno: EISDIR, .open, path) }
    let (parent, name) = try place(of: path, .open)
    switch directories[parent]?.visible[name] {
    case nil where mode.contains(.create): return nil
    case nil: throw StorageError(errno: ENOENT, .open, path)
    case _ where mode.isSuperset(of: [.create, .exclusive]): throw StorageError(errno: EEXIST, .open, path)
    case .directory: throw StorageError(errno: EISDIR, .open, path)
    case .file(let i): return i
    }
  }

  func apply(_ change: NameChange) throws(StorageError) {
    switch change {
    case .create(let path): _ = try create(path)
    case .makeDirectory(let path): try makeDirectory(path)
    case .rename(let path, let newPath): try rename(path, to: newPath)
    case .unlink(let path): try unlink(path)
    }
  }

  func create(_ path: String) throws(StorageError) -> Int {
    let (parent, name) = try place(of: path, .open)
    if case .file(let i)? = directories[parent]?.visible[name] { return i }
    let file = MemoryFile()
    file.isLinked = true
    files.append(file)
    ownedDirectory(parent)?.set(name, to: .file(files.count - 1))
    return files.count - 1
  }

  private func makeDirectory(_ path: String) throws(StorageError) {
    var at = Self.root
    let names = path.split(separator: "/")
    for (k, name) in names.enumerated() {
      switch directories[at]?.visible[String(name)] {
      case .directory(let i): at = i
      case .file: throw StorageError(errno: k == names.count - 1 ? EEXIST : ENOTDIR, .makeDirectory, path)
      case nil:
        directories.append(MemoryDirectory())
        ownedDirectory(at)?.set(String(name), to: .directory(directories.count - 1))
        at = directories.count - 1
      }
    }
  }

  /// `man 2 rename`.
  private func rename(_ path: String, to newPath: String) throws(StorageError) {
    let from = try place(of: path, .rename)
    guard let node = directories[from.directory]?.visible[from.name] else {
      throw StorageError(errno: ENOENT, .rename, path)
    }
    let to = try place(of: newPath, .rename)
    let replaced = directories[to.directory]?.visible[to.name]
    if replaced == node { return }
    if node.isDirectory, (newPath + "/").hasPrefix(path + "/") { throw StorageError(errno: EINVAL, .rename, path) }
    switch (node, replaced) {
    case (.file, .directory): throw StorageError(errno: EISDIR, .rename, newPath)
    case (.directory, .file): throw StorageError(errno: ENOTDIR, .rename, newPath)
    case (.directory, .directory(let i)) where directories[i]?.visible.isEmpty == false:
      throw StorageError(errno: ENOTEMPTY, .rename, newPath)
    case (.file, .file(let i)): ownedFile(i)?.isLinked = false
    default: break
    }
    mayHaveGarbage = true
    ownedDirectory(from.directory)?.set(from.name, to: nil)
    ownedDirectory(to.directory)?.set(to.name, to: node)
  }

  /// `man 2 unlink`.
  private func unlink(_ path: String) throws(StorageError) {
    let (parent, name) = try place(of: path, .unlink)
    switch directories[parent]?.visible[name] {
    case nil: throw StorageError(errno: ENOENT, .unlink, path)
    case .directory: throw StorageError(errno: EISDIR, .unlink, path)
    case .file(let i):
      ownedFile(i)?.isLinked = false
      mayHaveGarbage = true
      ownedDirectory(parent)?.set(name, to: nil)
    }
  }

  // MARK: The tree

  /// Every directory that can be seen, parents first, names sorted.
  func visibleDirectories() -> [(path: String, index: Int)] {
    var found = [(path: "", index: Self.root)]
    var k = 0
    while k < found.count {
      let (path, index) = found[k]
      for (name, node) in (directories[index]?.visible ?? [:]).sortedByName {
        if case .directory(let i) = node { found.append((joined(path, name), i)) }
      }
      k += 1
    }
    return found
  }

  func visibleFiles() -> [(path: String, index: Int)] {
    var found: [(path: String, index: Int)] = []
    for (path, index) in visibleDirectories() {
      for (name, node) in directories[index]?.visible ?? [:] {
        if case .file(let i) = node { found.append((joined(path, name), i)) }
      }
    }
    return found.sorted { precedes($0.path, $1.path) }
  }

  /// Frees what no entry, seen or durable, and no handle refers to.
  func collectGarbage() {
    guard mayHaveGarbage else { return }
    mayHaveGarbage = false
    var liveFiles = [Bool](repeating: false, count: files.count)
    var liveDirectories = [Bool](repeating: false, count: directories.count)
    var open = [Self.root]
    liveDirectories[Self.root] = true
    func mark(_ node: MemoryNode?) {
      switch node {
      case .file(let i): liveFiles[i] = true
      case .directory(let i) where !liveDirectories[i]:
        liveDirectories[i] = true
        open.append(i)
      default: break
      }
    }
    for operation in pending {
      if case .syncDirectory(_, let capture) = operation.work { for change in capture.changes { mark(change.new) } }
    }
    while let i = open.popLast() {
      guard let directory = directories[i] else { continue }
      for node in directory.visible.values { mark(node) }
      for node in directory.durable.values { mark(node) }
    }
    for i in files.indices where !liveFiles[i] && (files[i]?.openCount ?? 0) == 0 { files[i] = nil }
    for i in directories.indices where !liveDirectories[i] { directories[i] = nil }
  }
}
