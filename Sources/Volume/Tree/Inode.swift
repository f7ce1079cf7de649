import Glibc

/// A file, directory, symbolic link, fifo, socket or device node. It lives while a name, the kernel's memory of a
/// lookup, or an open handle holds it.
final class Inode {
  let number: UInt64
  /// Type and permissions, as in `st_mode`.
  var mode: UInt32
  var user: UInt32
  var group: UInt32
  var device: UInt64 = 0
  /// Names; of a directory also its own "." and the ".." of the directories in it.
  var links: UInt32 = 0
  /// What the kernel remembers of it (`fuse_lowlevel.h`, forget).
  var lookups: UInt64 = 0
  var handles = 0
  var accessed: VolumeTime
  var modified: VolumeTime
  var changed: VolumeTime

  /// Of a regular file.
  var content: FileContent?
  /// Of a directory.
  let directory: DirectoryContent?
  /// Of a symbolic link.
  var target: [UInt8] = []
  /// Extended attributes.
  var attributes: [[UInt8]: [UInt8]] = [:]

  /// Where it has names: the directory's number, and the name. For paths; the first is the oldest.
  var names: [Place] = []
  /// Writes of synchronous handles whose sync has not come yet.
  var unsynced: [UnsyncedWrites] = []
  /// One more than the sequence number of the last sync of the whole file that succeeded; 0 is none.
  var lastSync = 0
  /// Sequence numbers between which a failed sync dropped what was written.
  var dropped: [Range<Int>] = []
  /// Of writes that were dropped, by sequence number, the pages that the cache has lost too: no later write to such a
  /// page brings them back.
  var lost: [Int: Set<Int>] = [:]
  /// What a sync has lost and not told; the next sync, or close, of whatever descriptor does.
  var late: LateError?

  struct LateError {
    var error: Int32
    var report: LateReport
    /// Sequence number of the sync that was answered with success.
    var sequence: Int
  }

  struct Place: Equatable {
    var directory: UInt64
    var name: [UInt8]
  }

  init(_ number: UInt64, mode: UInt32, user: UInt32, group: UInt32, pool: PagePool, parent: UInt64) {
    self.number = number
    self.mode = mode
    self.user = user
    self.group = group
    let now = VolumeTime.now
    (accessed, modified, changed) = (now, now, now)
    content = mode & S_IFMT == S_IFREG ? FileContent(pool) : nil
    directory = mode & S_IFMT == S_IFDIR ? DirectoryContent(parent: parent) : nil
  }

  var type: UInt32 { mode & S_IFMT }
  var isDirectory: Bool { type == S_IFDIR }

  /// What `man 7 inode` calls st_size.
  var size: UInt64 {
    if let content { return content.size }
    if directory != nil { return 4096 }
    return UInt64(target.count)
  }
}

/// Writes of one handle by one thread that the kernel follows with a sync of its own.
struct UnsyncedWrites {
  var handle: UInt64
  var thread: UInt32
  var lower: UInt64
  var upper: UInt64
  /// Sequence numbers of the records.
  var records: [Int]
  /// One of them was with O_DIRECT: then the next sync may be the program's own. For the kernel sends none after an
  /// asynchronous one that does not grow the file (`fuse_direct_write_iter`, measured: `docs/volume.md`).
  var isDirect: Bool
}

/// What the kernel calls so (`sys/stat.h`), as the numbers that modes are made of.
let S_IFMT: UInt32 = 0o170000
let S_IFREG: UInt32 = 0o100000
let S_IFDIR: UInt32 = 0o040000
let S_IFLNK: UInt32 = 0o120000
let S_ISUID: UInt32 = 0o4000
let S_ISGID: UInt32 = 0o2000
