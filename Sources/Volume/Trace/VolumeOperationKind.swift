/// What a record of the trace, and a question to a decider, is about.
package enum VolumeOperationKind: UInt8, Sendable, CaseIterable {
  /// open(2) with O_CREAT that made the file: `directory`, `name`, the new `inode`, `mode`.
  case create
  /// open(2) with O_TMPFILE: `directory` says where, the file has no name.
  case createUnnamed
  case makeDirectory
  /// mknod(2): a file, fifo, socket or device: `mode` has the type, `value` the device's number.
  case makeNode
  /// The target is the payload.
  case symlink
  /// `inode` gets the name `newName` in `newDirectory`.
  case link
  /// `inode` loses `name` in `directory`.
  case unlink
  case removeDirectory
  /// `inode` goes from `name` in `directory` to `newName` in `newDirectory`; `otherInode` is what had that name, or 0.
  case rename
  /// RENAME_EXCHANGE: `inode` and `otherInode` change places.
  case exchange
  /// Bytes at `offset`: the payload. `answered` bytes are what the program was told.
  case write
  /// The size becomes `length`: ftruncate(2), truncate(2), O_TRUNC (with the flag `opening`).
  case truncate
  /// fallocate(2), mode 0 or FALLOC_FL_KEEP_SIZE (which is in `mode`).
  case allocate
  case punchHole
  case zeroRange
  case setMode
  case setOwner
  /// `value` and `otherValue` are the new times of access and change, nanoseconds since 1970.
  case setTimes
  /// An extended attribute: `name`, and the value as payload.
  case setAttribute
  case removeAttribute
  /// fsync(2), or fdatasync(2) with the flag `dataOnly`: the whole file.
  case sync
  /// What the kernel sends after each write of a descriptor with O_SYNC or O_DSYNC (or RWF_SYNC, RWF_DSYNC): covers the
  /// bytes `offset` to `offset + length` and the size, and not the whole file. `value` is the sequence number of the
  /// first of the writes.
  case syncWritten
  case syncDirectory
  /// sync(2) or syncfs(2), which the kernel does not tell a volume of: whoever watches the program puts it here.
  case syncAll
  case open
  /// close(2) of a descriptor; several may share one `handle`.
  case flush
  /// The last descriptor of a handle is gone.
  case release
  /// A caller's own: the payload.
  case mark
  // What changes nothing; in the trace only where the volume records reads.
  case read
  case lookup
  case list
  case status
  case readLink
  case readAttribute
  /// lseek(2) with SEEK_DATA or SEEK_HOLE (3 and 4, in `mode`), which `answered` follows from.
  case seek
  /// statfs(2): what there is room for.
  case room

  /// Whether it leaves everything as it was.
  package var isRead: Bool { rawValue >= Self.read.rawValue }
}

/// What else is known of an operation.
package struct VolumeOperationFlags: OptionSet, Sendable, Hashable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// fdatasync(2) rather than fsync(2).
  package static let dataOnly = VolumeOperationFlags(rawValue: 1 << 0)
  /// The handle or the call asks for O_DSYNC.
  package static let dataSynchronous = VolumeOperationFlags(rawValue: 1 << 1)
  /// The handle or the call asks for O_SYNC.
  package static let synchronous = VolumeOperationFlags(rawValue: 1 << 2)
  /// O_DIRECT.
  package static let direct = VolumeOperationFlags(rawValue: 1 << 3)
  /// The kernel writes a mapped page back; nobody's call. `thread` and `process` are 0.
  package static let writeBack = VolumeOperationFlags(rawValue: 1 << 4)
  /// By copy_file_range(2).
  package static let copied = VolumeOperationFlags(rawValue: 1 << 5)
  /// The truncation of O_TRUNC.
  package static let opening = VolumeOperationFlags(rawValue: 1 << 6)
  /// A decider had its way: `VolumeTrace.decision(at:)` says what.
  package static let decided = VolumeOperationFlags(rawValue: 1 << 7)
  /// A sync that was answered with success and made nothing durable.
  package static let lying = VolumeOperationFlags(rawValue: 1 << 8)
  /// A failed sync that dropped what it should have stored.
  package static let dropped = VolumeOperationFlags(rawValue: 1 << 9)
  /// The error is that of an earlier sync, which was answered with success; its place in the trace is `otherValue`.
  package static let late = VolumeOperationFlags(rawValue: 1 << 11)
  /// A directory.
  package static let directory = VolumeOperationFlags(rawValue: 1 << 10)
}
