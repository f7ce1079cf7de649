import LogModel

/// A number for a file or a directory of the recorded disk, whatever names it has. 0 is the root directory.
package typealias InodeNumber = Int32

/// A number for an entry: a name in a directory.
package typealias EntryNumber = Int32

/// What a name stands for.
package enum InodeKind: Hashable, Sendable {
  case directory
  case file
  case symbolicLink(target: String)

  /// Of a symbolic link.
  var target: String? { if case .symbolicLink(let target) = self { target } else { nil } }
}

/// The files and directories of a recording, and every name that any of them ever had.
///
/// Names belong to directories and not to paths: a directory that is renamed keeps what is in it.
package struct InodeTable: Sendable {
  package static let root: InodeNumber = 0

  package struct Entry: Hashable, Sendable {
    package var directory: InodeNumber
    package var name: String
  }

  package private(set) var kinds: [InodeKind] = [.directory]
  /// The path that each inode was made under, by number of the recording's `PathTable`.
  package private(set) var homes: [Int32] = [PathTable.root]
  package private(set) var entries: [Entry] = []
  /// The path that each entry was first met under.
  package private(set) var entryPaths: [Int32] = []
  private var numbers: [Entry: EntryNumber] = [:]
  /// Of each directory that was renamed the paths that it has had.
  fileprivate(set) var directoryPaths: [InodeNumber: [String]] = [:]

  package init() {}

  package var count: Int { kinds.count }

  package mutating func add(_ kind: InodeKind, home: Int32) -> InodeNumber {
    kinds.append(kind)
    homes.append(home)
    return InodeNumber(kinds.count - 1)
  }

  /// - Parameter path: of the entry, by number, as it is now.
  package mutating func entry(_ name: String, in directory: InodeNumber, path: Int32) -> EntryNumber {
    let entry = Entry(directory: directory, name: name)
    if let number = numbers[entry] { return number }
    let number = EntryNumber(entries.count)
    numbers[entry] = number
    entries.append(entry)
    entryPaths.append(path)
    return number
  }

  /// Nil for a name that no entry of the directory ever had.
  package func find(_ name: String, in directory: InodeNumber) -> EntryNumber? {
    numbers[Entry(directory: directory, name: name)]
  }

  /// Where a directory stands; nil where it has no name.
  func place(of directory: InodeNumber, _ names: NameSpace) -> Entry? {
    // A directory has one name at most, and mostly the first that was given.
    names.firstIndex { $0 == directory }.map { entries[$0] }
  }

  /// Everything but directories.
  package var files: [InodeNumber] { kinds.indices.filter { kinds[$0] != .directory }.map { InodeNumber($0) } }

  func isDirectory(_ inode: InodeNumber) -> Bool { kinds[Int(inode)] == .directory }
}

/// The names of a disk: what each entry stands for, by its number; nil where it is not there.
package typealias NameSpace = [InodeNumber?]

extension InodeTable {
  /// What can be reached from the root, directories before what is in them. An entry of a directory that cannot be
  /// reached is not seen.
  func reachable(_ names: NameSpace) -> [(entry: EntryNumber, inode: InodeNumber)] {
    var isReached = [Bool](repeating: false, count: kinds.count)
    isReached[Int(Self.root)] = true
    var found: [(entry: EntryNumber, inode: InodeNumber)] = []
    var waiting: [(entry: EntryNumber, inode: InodeNumber)] = []
    func take(_ entry: EntryNumber, _ inode: InodeNumber) {
      found.append((entry, inode))
      if isDirectory(inode) { isReached[Int(inode)] = true }
    }
    for (number, inode) in names.enumerated() {
      guard let inode else { continue }
      let entry = EntryNumber(number)
      if isReached[Int(entries[number].directory)] { take(entry, inode) } else { waiting.append((entry, inode)) }
    }
    // Directories are made before what is in them, unless one was renamed.
    while !waiting.isEmpty {
      let before = waiting.count
      waiting.removeAll { place in
        guard isReached[Int(entries[Int(place.entry)].directory)] else { return false }
        take(place.entry, place.inode)
        return true
      }
      if waiting.count == before { break }
    }
    return found
  }

  /// The path of each of these entries, in the same order.
  /// - Parameter table: knows every path that any of them ever had.
  func paths(of reached: [(entry: EntryNumber, inode: InodeNumber)], _ table: PathTable) -> [Int32] {
    // Of each directory that is not where it was made; most are.
    var moved: [InodeNumber: Int32] = [:]
    return reached.map { entry, inode in
      let (place, usual) = (entries[Int(entry)], entryPaths[Int(entry)])
      let parent = moved[place.directory] ?? homes[Int(place.directory)]
      var path = usual
      if table.parents[Int(usual)] != parent {
        let text = parent == PathTable.root ? place.name : "\(table.paths[Int(parent)])/\(place.name)"
        path = table.find(text) ?? usual
      }
      if isDirectory(inode), path != homes[Int(inode)] { moved[inode] = path }
      return path
    }
  }
}

extension Recording {
  /// An entry, which is known under every path that its directory has had from now on.
  /// - Parameter path: of the entry, as it is now.
  package mutating func entry(_ name: String, in directory: InodeNumber, path: String) -> EntryNumber {
    if let known = inodes.find(name, in: directory) { return known }
    for place in inodes.directoryPaths[directory] ?? [] { _ = table.intern("\(place)/\(name)") }
    return inodes.entry(name, in: directory, path: table.intern(path))
  }

  /// What a directory holds has other paths once the directory has been renamed.
  /// - Parameter names: all names before.
  mutating func noteMove(of directory: InodeNumber, to path: String, _ names: NameSpace) {
    guard inodes.isDirectory(directory) else { return }
    let home = table.paths[Int(inodes.homes[Int(directory)])]
    var paths = inodes.directoryPaths[directory] ?? [home]
    if !paths.contains(path) { paths.append(path) }
    inodes.directoryPaths[directory] = paths
    _ = table.intern(path)
    for (number, entry) in inodes.entries.enumerated() where entry.directory == directory {
      let inner = "\(path)/\(entry.name)"
      _ = table.intern(inner)
      if number < names.count, let inode = names[number] { noteMove(of: inode, to: inner, names) }
    }
  }
}
