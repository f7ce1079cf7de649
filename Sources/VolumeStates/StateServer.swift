import CrashStates
import Glibc
import Volume

/// Serves crash states from memory: one at a time, each in a folder of its own, so that the kernel knows nothing of it
/// from before. What a program does to a state is recorded.
package final class StateServer {
  package let volume: Volume
  package let mount: VolumeMount
  private var number = 0
  /// By the inode that serves it, the path of a directory of the state, or the first path of a file.
  private(set) var places: [UInt64: Int32] = [:]
  private var folder: UInt64 = 0
  /// Operations of the volume that made the state that is served.
  package private(set) var prepared = 0

  /// - Parameters:
  ///   - path: the mount point, as for `VolumeMount`.
  ///   - memoryLimit: bytes of plain memory for a state and what is done to it.
  package init(at path: String, memoryLimit: Int = 1 << 30) throws(VolumeMountError) {
    var options = VolumeOptions()
    options.isReused = true
    options.recordsReads = true
    options.hearsOpens = false
    options.memoryLimit = memoryLimit
    volume = Volume(options)
    mount = try VolumeMount(volume, at: path, cutsConnection: true)
  }

  /// Puts a state in place of the one before it. No program may have anything open of that any more.
  /// - Returns: the folder that holds it.
  package func load(_ image: DiskImage, of recorded: VolumeRecording) throws(VolumeFolderError) -> String {
    volume.empty()
    number += 1
    let name = "\(number)"
    let (nodes, paths) = Self.nodes(image, recorded, in: Array(name.utf8))
    let made = try volume.put(nodes)
    folder = made[0]
    places.removeAll(keepingCapacity: true)
    for (inode, path) in zip(made, paths) where places[inode] == nil { places[inode] = path }
    prepared = volume.trace.count
    return mount.folder + "/" + name
  }

  /// What has been done to the state so far. What it was made of is durable.
  /// - Parameters:
  ///   - sharing: holds most of its sectors already.
  ///   - end: what was done from this place in the trace on is left out; nil takes all.
  package func recording(sharing store: SectorStore, end: Int? = nil) -> VolumeRecording {
    VolumeRecording(volume.trace, root: folder, durableUntil: prepared, end: end, store: store)
  }

  /// The files of a state, for the root of a volume.
  package static func rootNodes(_ image: DiskImage, _ recorded: VolumeRecording) -> [VolumeNode] {
    var nodes = nodes(image, recorded, in: []).nodes
    nodes.removeFirst()
    for place in nodes.indices {
      nodes[place].parent -= 1
      if let same = nodes[place].sameFile { nodes[place].sameFile = same - 1 }
    }
    return nodes
  }

  /// The files of a state, below a folder of this name, and the path of each.
  private static func nodes(
    _ image: DiskImage, _ recorded: VolumeRecording, in folder: [UInt8]
  ) -> (nodes: [VolumeNode], paths: [Int32]) {
    let (table, store) = (recorded.recording.table, recorded.recording.store)
    var nodes = [VolumeNode(parent: -1, name: folder, mode: directoryType | 0o777)]
    var paths = [PathTable.root]
    if let root = recorded.owners[InodeTable.root] { nodes[0].take(root) }
    let directoryOwners = recorded.directoryOwners
    var places: [Int32: Int] = [PathTable.root: 0]
    var files: [Int32: Int] = [:]
    let kinds = recorded.recording.inodes.kinds
    for (path, node) in image.names {
      guard let parent = places[table.parents[Int(path)]] else { continue }
      let text = table.paths[Int(path)]
      let name = text.utf8.lastIndex(of: 0x2F).map { Array(text.utf8[text.utf8.index(after: $0)...]) }
      var made = VolumeNode(parent: parent, name: name ?? Array(text.utf8), mode: fileType | 0o644)
      switch node {
      case .directory:
        places[path] = nodes.count
        made.mode = directoryType | 0o755
        if let owner = directoryOwners[path] { made.take(owner) }
      case .file(let file):
        if let owner = recorded.owners[file] { made.take(owner) }
        if case .symbolicLink(let target) = kinds[Int(file)] { made.target = Array(target.utf8) }
        made.sameFile = files[file]
        if made.sameFile == nil { files[file] = nodes.count }
        made.size = UInt64(image.size(of: file))
        made.fill = { offset, page in image.fill(page, from: Int(offset), of: file, store) }
      }
      nodes.append(made)
      paths.append(path)
    }
    return (nodes, paths)
  }
}

extension Volume {
  /// Puts the files of a state in place of everything that is there. They are durable then.
  package func replaceAll(by image: DiskImage, of recorded: VolumeRecording) throws(VolumeFolderError) {
    let nodes = StateServer.rootNodes(image, recorded)
    empty()
    try put(nodes)
    noteSyncAll()
  }
}

private let fileType: UInt32 = 0o100000
private let directoryType: UInt32 = 0o040000

extension VolumeNode {
  fileprivate mutating func take(_ owner: VolumeOwner) { (mode, user, group) = (owner.mode, owner.user, owner.group) }
}
