import Glibc

/// How a volume is to be.
package struct VolumeOptions: Sendable {
  /// Whether operations are recorded, with what they carry.
  package var records = true
  /// Whether reads, lookups, listings and questions for attributes are recorded too.
  package var recordsReads = false
  /// Bytes of plain memory for files and trace together; what is beyond goes to an unlinked file in `spillFolder`.
  package var memoryLimit = 1 << 30
  package var spillFolder = "/var/tmp"
  /// Whether the volume is emptied and filled again and again: then no payload stays where the kernel has put it, for
  /// that memory is not had back.
  package var isReused = false
  /// Bytes of that memory that are made ready at once, so that no operation has to wait for the machine to find some.
  package var preparedMemory = 0
  /// Whether the kernel keeps what it has cached of a file when that is opened anew. Without, each open reads again:
  /// so faults of reads are seen by whoever opens the file after the fault is set.
  package var keepsCache = true
  /// Whether opens and closes of files are asked for, and recorded. Without, the kernel answers them itself, which
  /// saves three requests of a file that is opened and closed. No fault can meet them. The cache stays, and O_TRUNC
  /// comes as a truncation.
  package var hearsOpens = true
  /// Threads that serve. More than one helps only where operations are delayed, which brings threads of their own.
  package var workers = 1

  package init() {}
}

/// How much a volume's files may take, and what the program is told when they would take more.
package struct VolumeLimit: Sendable, Equatable {
  /// Bytes, of which whole pages of 4096 count, as blocks of a disk do.
  package var bytes: UInt64
  /// ENOSPC or EDQUOT.
  package var error: Int32

  package init(bytes: UInt64, error: Int32 = ENOSPC) {
    self.bytes = bytes
    self.error = error
  }
}

/// What a volume takes at the moment, in bytes.
package struct VolumeUsage: Sendable, Equatable {
  /// Of files: pages with content, shared with the trace or not, and reserved ones.
  package var files: UInt64
  /// Of the trace: records, names, payloads. Pages that files share are counted here too.
  package var trace: Int
  /// Plain memory, and the file beyond it.
  package var resident: Int
  package var spilled: Int
  /// Files, directories and others that exist.
  package var inodes: Int
}

/// Files in memory, the order of everything that was done to them, and the faults that were let in.
///
/// One lock orders all operations: the trace is the order in which they took effect. A volume is served at a folder by
/// `VolumeMount`.
package final class Volume: @unchecked Sendable {
  package let options: VolumeOptions

  let lock = VolumeLock()
  let delays = Delays()
  let memory: VolumeMemory
  let pool: PagePool
  var store: TraceStore
  var inodes: ContiguousArray<Inode?>
  var inodeCount = 1
  /// One more than the sequence number of the last sync of everything; 0 is none.
  var lastSyncAll = 0
  /// Pages that files take, for the limit.
  var usedPages = 0
  var nextHandle: UInt64 = 1
  /// Inodes that are channels, and the descriptor that each goes on to.
  var channels: [UInt64: Int32] = [:]
  /// Before this one there are the root and channels only.
  var firstLiving = 2
  var decider: VolumeDecider?
  var occurrences = [Int](repeating: 0, count: 256)
  var storedLimit: VolumeLimit?
  var storedReadOnly = false
  /// Records that were not kept, because memory was not to be had.
  var lostRecords = 0
  /// Memory for requests that a thread has left.
  var landings: [UnsafeMutableRawBufferPointer] = []
  /// Tells the kernel to forget what it has cached of an inode; set while mounted.
  var forgetCache: ((UInt64) -> Void)?
  /// Tells the kernel to forget a name in a directory, and what it knows below; set while mounted.
  var forgetName: ((UInt64, [UInt8]) -> Void)?
  /// Has another thread serve while this one waits; set while mounted.
  var replaceWorker: (() -> Void)?

  package init(_ options: VolumeOptions = VolumeOptions()) {
    self.options = options
    memory = VolumeMemory(limit: options.memoryLimit, folder: options.spillFolder)
    memory.prepare(options.preparedMemory)
    pool = PagePool(memory)
    store = TraceStore(memory)
    let root = Inode(1, mode: S_IFDIR | 0o755, user: geteuid(), group: getegid(), pool: pool, parent: 1)
    root.links = 2
    inodes = [nil, root]
    inodes.reserveCapacity(4096)
  }

  // MARK: Switches

  /// Whether every change is refused with EROFS, as after a remount; reads go on.
  package var isReadOnly: Bool {
    get { lock.holding { storedReadOnly } }
    set { lock.holding { storedReadOnly = newValue } }
  }

  /// A size of the volume; nil is none. Removed and cut files give room back.
  package var limit: VolumeLimit? {
    get { lock.holding { storedLimit } }
    set { lock.holding { storedLimit = newValue } }
  }

  /// Has every operation asked about from now on, and its occurrences counted from 1; nil ends it.
  package func setDecider(_ decider: VolumeDecider?) {
    lock.holding {
      self.decider = decider
      for kind in occurrences.indices { occurrences[kind] = 0 }
    }
  }

  package var usage: VolumeUsage {
    lock.holding {
      VolumeUsage(
        files: UInt64(usedPages * PagePool.pageSize), trace: store.arena.used, resident: memory.resident,
        spilled: memory.spilled, inodes: inodeCount)
    }
  }

  /// Why the trace has gaps, or files were refused room, that no program caused; nil where all is well. What was
  /// observed then is the machine's doing.
  package var machineLimit: String? {
    lock.holding {
      guard memory.refusal != 0 else { return nil }
      return "no memory beyond \(memory.resident >> 20) MiB and no room for the spill file in \(options.spillFolder)"
        + " (\(String(cString: strerror(memory.refusal)))); \(lostRecords) operations were not recorded:"
        + " give the volume more memory, or another folder"
    }
  }

  // MARK: Inodes

  func inode(_ number: UInt64) throws(VolumeErrno) -> Inode {
    guard number < inodes.count, let found = inodes[Int(number)] else { throw VolumeErrno(ESTALE) }
    return found
  }

  func directory(_ number: UInt64) throws(VolumeErrno) -> (Inode, DirectoryContent) {
    let found = try inode(number)
    guard let directory = found.directory else { throw VolumeErrno(ENOTDIR) }
    return (found, directory)
  }

  /// A new inode without any name. The group and the set-group-ID bit come from the directory, where that has the bit
  /// (`man 7 inode`).
  func make(_ mode: UInt32, by caller: VolumeCaller, in parent: Inode) -> Inode {
    var mode = mode
    var group = caller.group
    if parent.mode & S_ISGID != 0 {
      group = parent.group
      if mode & S_IFMT == S_IFDIR { mode |= S_ISGID }
    }
    let made = Inode(
      UInt64(inodes.count), mode: mode, user: caller.user, group: group, pool: pool, parent: parent.number)
    inodes.append(made)
    inodeCount += 1
    return made
  }

  /// Ends an inode that nothing holds any more.
  func reap(_ inode: Inode) {
    guard inode.links == 0, inode.lookups == 0, inode.handles == 0, inodes[Int(inode.number)] != nil else { return }
    usedPages -= inode.content?.pages ?? 0
    inodeCount -= 1
    inodes[Int(inode.number)] = nil
  }

  /// Counts what `body` changes in the pages that a file takes.
  func charging<Result>(
    _ content: FileContent, _ body: () throws(VolumeErrno) -> Result
  ) throws(VolumeErrno) -> Result {
    let before = content.pages
    defer { usedPages += content.pages - before }
    return try body()
  }
}
