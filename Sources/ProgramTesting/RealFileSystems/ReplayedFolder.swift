import CLoopDisks
import Glibc
import LoopDisks
import Volume

/// Why a file system did not do what the volume had done.
struct ReplayRefusal: Error, CustomStringConvertible {
  var operation: VolumeOperation
  var errno: Int32

  var description: String {
    let names = [operation.nameText, operation.newNameText].filter { !$0.isEmpty }
    return "it refuses operation \(operation.sequence) of the recorded run, "
      + ([operation.kind.rawValueText] + names).joined(separator: " ") + ": \(String(cString: strerror(errno)))"
  }
}

extension VolumeOperationKind {
  fileprivate var rawValueText: String { "\(self)" }
}

/// A folder in which the operations of a volume's trace are done once more, with the same system calls, in their order.
///
/// Files are open here as long as they were open there: closing a file, and removing one that is open, do something of
/// their own in every file system.
final class ReplayedFolder {
  typealias Path = [UInt8]

  struct Node {
    /// In their order; a directory has one.
    var names: [(directory: UInt64, name: [UInt8])] = []
    var isDirectory = false
    /// -1 where it is not open.
    var descriptor: Int32 = -1
    var opens = 0
  }

  let trace: VolumeTrace
  private let root: UInt64
  private let folder: Int32
  private(set) var nodes: [UInt64: Node]

  /// Call it on the thread that replays.
  /// - Parameters:
  ///   - root: the inode of the volume whose content the folder is to have.
  ///   - path: an empty folder.
  init(_ trace: VolumeTrace, root: UInt64, at path: String) throws(LoopDiskError) {
    (self.trace, self.root) = (trace, root)
    nodes = [root: Node(isDirectory: true)]
    folder = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw .refused("open", path, errno: errno) }
    let code = tl_no_umask()
    guard code == 0 else { throw .refused("unshare", "umask", errno: -code) }
  }

  deinit {
    for node in nodes.values where node.descriptor >= 0 { close(node.descriptor) }
    close(folder)
  }

  // MARK: Places

  /// The path of a name, from the folder on; nil where its directory is not in here.
  private func path(_ directory: UInt64, _ name: [UInt8]) -> Path? {
    guard let parent = path(of: directory) else { return nil }
    return parent.isEmpty ? name : parent + [0x2F] + name
  }

  /// The first path of an inode; empty for the folder itself, nil where it has no name.
  func path(of inode: UInt64) -> Path? {
    if inode == root { return [] }
    guard let place = nodes[inode]?.names.first else { return nil }
    return path(place.directory, place.name)
  }

  private func isHere(_ operation: VolumeOperation) -> Bool {
    switch operation.kind {
    case .create, .createUnnamed, .makeDirectory, .makeNode, .symlink: nodes[operation.directory] != nil
    default: nodes[operation.inode] != nil
    }
  }

  /// Has `body` work with a path that ends in a zero.
  func with(_ path: Path?, _ body: (UnsafePointer<CChar>) -> Int32) -> Int32 {
    guard var path else { return -ENOENT }
    if path.isEmpty { path = [0x2E] }
    return (path + [0]).withUnsafeBufferPointer { bytes in
      bytes.withMemoryRebound(to: CChar.self) { Self.code(body($0.baseAddress!)) }
    }
  }

  /// Of a call that answers -1 and `errno`.
  private static func code(_ result: Int32) -> Int32 { result == -1 ? -Glibc.errno : result }

  /// Has `body` work with an open descriptor of an inode.
  func withFile(_ inode: UInt64, _ body: (Int32) -> Int32) -> Int32 {
    guard let node = nodes[inode] else { return -ENOENT }
    if node.descriptor >= 0 { return Self.code(body(node.descriptor)) }
    let flags = (node.isDirectory ? O_RDONLY | O_DIRECTORY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW
    let opened = with(path(of: inode)) { openat(self.folder, $0, flags) }
    guard opened >= 0 else { return opened }
    defer { close(opened) }
    return Self.code(body(opened))
  }

  /// A path at which an inode is found, open or not, by whoever takes no descriptor.
  func place(of inode: UInt64) -> Path? {
    if let node = nodes[inode], node.descriptor >= 0 { return Path("/proc/self/fd/\(node.descriptor)".utf8) }
    return path(of: inode).map { Path("/proc/self/fd/\(folder)/".utf8) + $0 }
  }

  // MARK: Operations

  /// Does an operation once more. What failed there, and what is of other folders, is left out.
  func perform(_ operation: VolumeOperation) throws(ReplayRefusal) {
    guard operation.error == 0, isHere(operation) else { return }
    let code: Int32
    switch operation.kind {
    case .create, .createUnnamed, .makeDirectory, .makeNode, .symlink: code = make(operation)
    case .link, .unlink, .removeDirectory, .rename, .exchange: code = name(operation)
    case .write: code = write(operation)
    case .truncate, .allocate, .punchHole, .zeroRange: code = change(operation)
    case .sync:
      code = withFile(operation.inode) { operation.flags.contains(.dataOnly) ? fdatasync($0) : fsync($0) }
    case .syncDirectory:
      code = withFile(operation.inode) { operation.flags.contains(.dataOnly) ? fdatasync($0) : fsync($0) }
    case .setMode, .setOwner, .setTimes, .setAttribute, .removeAttribute: code = attribute(operation)
    case .open: code = open(operation)
    case .release: code = release(operation)
    // O_SYNC and O_DSYNC are a part of the write here.
    case .syncWritten, .syncAll, .flush, .mark, .read, .lookup, .list, .status, .readLink, .readAttribute, .seek, .room:
      code = operation.kind == .syncAll ? tl_commit(folder) : 0
    }
    if code < 0 { throw ReplayRefusal(operation: operation, errno: -code) }
  }

  /// Makes something as the user who made it there. Where the user may not, but did, because of a capability, it is
  /// given away.
  private func make(_ operation: VolumeOperation) -> Int32 {
    let isUnnamed = operation.kind == .createUnnamed
    let place = isUnnamed ? path(of: operation.directory) : path(operation.directory, operation.name)
    var node = Node(names: isUnnamed ? [] : [(operation.directory, operation.name)])
    node.isDirectory = operation.kind == .makeDirectory
    tl_make_files_as(operation.user, operation.group)
    var code = make(operation, at: place)
    tl_make_files_as(0, 0)
    if code == -EACCES || code == -EPERM {
      code = make(operation, at: place)
      if code > 0 {
        _ = fchown(code, operation.user, operation.group)
      } else if code == 0 {
        code = with(place) { fchownat(self.folder, $0, operation.user, operation.group, AT_SYMLINK_NOFOLLOW) }
      }
    }
    guard code >= 0 else { return code }
    if code > 0 {
      if operation.handle != 0 { (node.descriptor, node.opens) = (code, 1) } else { close(code) }
    }
    nodes[operation.inode] = node
    return 0
  }

  /// - Returns: a descriptor of a file; 0 for everything else.
  private func make(_ operation: VolumeOperation, at place: Path?) -> Int32 {
    let permissions = operation.mode & 0o7777
    switch operation.kind {
    case .create:
      return with(place) { openat(self.folder, $0, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, permissions) }
    case .createUnnamed:
      // O_TMPFILE, which Swift does not have: __O_TMPFILE | O_DIRECTORY (`man 2 open`).
      return with(place) { openat(self.folder, $0, O_RDWR | 0o20000000 | O_DIRECTORY | O_CLOEXEC, permissions) }
    case .makeDirectory: return with(place) { mkdirat(self.folder, $0, permissions) }
    case .makeNode: return with(place) { mknodat(self.folder, $0, operation.mode, UInt(operation.value)) }
    default:
      let target = trace.payload(of: operation.sequence) + [0]
      return with(place) { place in
        target.withUnsafeBufferPointer { bytes in
          bytes.withMemoryRebound(to: CChar.self) { symlinkat($0.baseAddress!, self.folder, place) }
        }
      }
    }
  }

  private func name(_ operation: VolumeOperation) -> Int32 {
    let (inode, old, new) = (
      operation.inode, path(operation.directory, operation.name), path(operation.newDirectory, operation.newName)
    )
    switch operation.kind {
    case .link:
      let from = path(of: inode).map { Path("/proc/self/fd/\(folder)/".utf8) + $0 } ?? place(of: inode)
      let flags = path(of: inode) == nil ? AT_SYMLINK_FOLLOW : 0
      let code = with(from) { from in with(new) { linkat(AT_FDCWD, from, self.folder, $0, flags) } }
      if code == 0 { nodes[inode]!.names.append((operation.newDirectory, operation.newName)) }
      return code
    case .unlink, .removeDirectory:
      let code = with(old) { unlinkat(self.folder, $0, operation.kind == .unlink ? 0 : AT_REMOVEDIR) }
      if code == 0 { unname(inode, operation.directory, operation.name) }
      return code
    default:
      let isExchange = operation.kind == .exchange
      let code = with(old) { old in with(new) { tl_rename_at(self.folder, old, $0, isExchange ? 1 : 0) } }
      guard code == 0 else { return code }
      // The new name first: what has none, and is not open, is forgotten.
      nodes[inode]!.names.append((operation.newDirectory, operation.newName))
      if isExchange { nodes[operation.otherInode]?.names.append((operation.directory, operation.name)) }
      unname(inode, operation.directory, operation.name)
      if operation.otherInode != 0 { unname(operation.otherInode, operation.newDirectory, operation.newName) }
      return 0
    }
  }

  private func unname(_ inode: UInt64, _ directory: UInt64, _ name: [UInt8]) {
    nodes[inode]?.names.removeAll { $0.directory == directory && $0.name == name }
    forget(inode)
  }

  /// What has neither a name nor anybody who has it open is gone.
  private func forget(_ inode: UInt64) {
    if let node = nodes[inode], node.names.isEmpty, node.opens == 0, inode != root { nodes[inode] = nil }
  }

  private func open(_ operation: VolumeOperation) -> Int32 {
    guard let node = nodes[operation.inode], !node.isDirectory, !operation.flags.contains(.directory) else { return 0 }
    if node.descriptor < 0 {
      let opened = with(path(of: operation.inode)) { openat(self.folder, $0, O_RDWR | O_CLOEXEC | O_NOFOLLOW) }
      guard opened >= 0 else { return opened }
      nodes[operation.inode]!.descriptor = opened
    }
    nodes[operation.inode]!.opens += 1
    return 0
  }

  private func release(_ operation: VolumeOperation) -> Int32 {
    guard var node = nodes[operation.inode], node.opens > 0 else { return 0 }
    node.opens -= 1
    if node.opens == 0 {
      close(node.descriptor)
      node.descriptor = -1
    }
    nodes[operation.inode] = node
    forget(operation.inode)
    return 0
  }
}
