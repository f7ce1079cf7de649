import LogModel

/// An operation that changes the disk or what is durable on it; reads are not recorded.
package enum DiskOperation: Sendable {
  /// A new file, directory or symbolic link gets its first name.
  case create(EntryNumber, InodeNumber)
  /// One more name of a file, `man 2 link`.
  case link(EntryNumber, InodeNumber)
  /// A name goes: of a file, or of an empty directory.
  case unlink(EntryNumber)
  case rename(from: EntryNumber, to: EntryNumber)
  /// Two names change places, `man 2 renameat2`, RENAME_EXCHANGE.
  case exchange(EntryNumber, EntryNumber)
  /// Mode, owner or extended attributes change; or only times do.
  case attributes(InodeNumber, onlyTimes: Bool)
  case write(file: InodeNumber, offset: Int, bytes: [UInt8], durable: Bool)
  case truncate(file: InodeNumber, size: Int)
  /// Space is allocated up to byte `end`, `man 2 fallocate`. The file grows to that size where it was smaller, and
  /// `keepsSize` is not set (FALLOC_FL_KEEP_SIZE).
  case allocate(file: InodeNumber, end: Int, keepsSize: Bool)
  /// Bytes become zeros, and the size stays, `man 2 fallocate`, FALLOC_FL_PUNCH_HOLE and FALLOC_FL_ZERO_RANGE.
  case zero(file: InodeNumber, range: Range<Int>)
  case sync(file: InodeNumber, isFull: Bool)
  case syncDirectory(InodeNumber)
  /// Everything of the file system, `man 2 syncfs`.
  case syncAll
}

/// Something between the program and its callers: what promises follow from. Only whoever wrote it down knows its
/// meaning.
package protocol CallerFact: Sendable {
  /// What the fingerprint of a crash state takes of it: the same for the same fact, at whatever time.
  var kind: UInt64 { get }
}

/// What a failed sync does to the pages that it was to store (Rebello et al., ATC 2020).
package enum FailedSync: Sendable {
  /// They stay dirty: a later sync stores them.
  case kept
  /// They count as clean, and the page cache still shows them. A later write to a page takes all of it up.
  case dropped
  /// The page cache shows what is on the disk: they are gone.
  case reverted
}

/// A moment of the recorded life, in the one order of everything that happened.
package struct RecordedEvent: Sendable {
  package enum What: Sendable {
    case submitted(Int)
    /// A write in flight is of other bytes by now: whoever started it has touched its buffer before it had completed.
    case changed(Int, bytes: [UInt8])
    /// - Parameter taken: bytes of a write; 0 where it failed, or changed nothing, -1 where nobody knows how many.
    case completed(Int, succeeded: Bool, taken: Int)
    /// Between two operations: a call, or an answer to one.
    case fact(any CallerFact)
  }

  package var time: Instant
  package var what: What
}

/// A life of a program as the disk and its callers saw it: operations with their content, in the order in which they
/// were submitted and completed, with acknowledgements in the same sequence.
package struct Recording: Sendable {
  /// Operations that a recording of the engine takes. Its histories cost their square.
  package static let mostOperations = 15_000

  package var store: SectorStore
  package var table: PathTable
  package var inodes = InodeTable()
  /// What the disk held before; by inode.
  package private(set) var initialFiles: [DiskImage.File] = []
  package private(set) var initialNames: NameSpace = []
  package var operations: [DiskOperation] = []
  package var events: [RecordedEvent] = []
  /// Whether writes go through the page cache, but for those in `directWrites`.
  package var isCached = false
  /// Numbers of writes that bypass the page cache, `man 2 open`, O_DIRECT.
  package var directWrites: Set<Int> = []
  /// What failed syncs have done to the pages that they were to store, by their numbers. Without an entry: `dropped`.
  package var failedSyncs: [Int: FailedSync] = [:]
  /// There were more operations than the recorder takes: those after them are not recorded.
  package var isCutShort = false

  package init(store: SectorStore = SectorStore(), table: PathTable = PathTable()) {
    self.store = store
    self.table = table
  }

  func bypassesCache(_ operation: Int) -> Bool { !isCached || directWrites.contains(operation) }

  /// Of a life that begins on this disk.
  package init(on image: DiskImage, store: SectorStore, table: PathTable) {
    self.init(store: store, table: table)
    initialFiles = [DiskImage.File()]
    var inodeOf: [Int32: InodeNumber] = [PathTable.root: InodeTable.root]
    var inodeOfFile: [Int32: InodeNumber] = [:]
    for (path, node) in image.names {
      guard let directory = inodeOf[table.parents[Int(path)]] else { continue }
      let inode: InodeNumber
      switch node {
      case .directory:
        inode = inodes.add(.directory, home: path)
        inodeOf[path] = inode
        initialFiles.append(DiskImage.File())
      case .file(let file):
        if let known = inodeOfFile[file] {
          inode = known
        } else {
          inode = inodes.add(.file, home: path)
          inodeOfFile[file] = inode
          initialFiles.append(image.files[Int(file)])
        }
      }
      let entry = inodes.entry(table.names[Int(path)], in: directory, path: path)
      while initialNames.count <= Int(entry) { initialNames.append(nil) }
      initialNames[Int(entry)] = inode
    }
  }
}
