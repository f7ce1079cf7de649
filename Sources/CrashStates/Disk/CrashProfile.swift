import LogModel
import Storage

/// What a power cut may leave behind on one kind of storage: the freedom that exploration uses up, state by state.
///
/// `Storage.PersistenceProfile` resolves a crash of a running model by dice, with the freedom of POSIX. This one is a
/// set of rules from which *every* legal state follows. What holds in all profiles:
///
/// 1. A sector of 512 bytes is never torn.
/// 2. What a completed durable write, or a completed sync, covers is kept. A sync covers what had completed when it was
///    submitted (`man 2 fsync`); a durable write covers its own bytes and the size that makes them reachable
///    (`RWF_DSYNC`, `man 2 pwritev2`).
/// 3. An operation in flight has happened, or not, or in part: a write by `unit`; and each of several whatever became
///    of the others.
/// 4. Of several writes to one unit that are not covered, any may be the one that stands: submission is no order of
///    persistence (`man 2 io_uring_enter`).
/// 5. A rename is one change: both names or neither. Only POSIX lets one between directories come in halves.
/// 6. Bytes beyond the size that was kept are gone.
/// 7. Of a write whose buffer was changed while it was in flight, each sector is of the bytes at its submission, at its
///    completion, or at a moment between (`man 2 io_uring_enter`: until then the buffer belongs to the kernel).
/// 8. Only where the profile says so, sectors that were not synced may be unreadable: EIO, until they are written
///    again. In the profiles of `all` it is one sector at most of each power cut, the one under the head.
///
/// `explore disks` holds those of ext4, xfs and btrfs against the file systems themselves. `docs/crash-profiles.md` has
/// all rules of all profiles in tables.
public struct CrashProfile: Hashable, Sendable {
  /// How the size of a file that has grown by a write stands to the bytes that made it grow.
  public enum SizeRule: String, Hashable, Sendable {
    /// A new size is there when the operation has completed, whatever became of its data.
    case immediate
    /// A new size is there only with the data at its end, at least as new as they were when it became the size. What
    /// was written below them may be missing, and reads as zeros there: the size is set when a range has been written
    /// back, and nobody looks below it.
    case withItsEnd
    /// A new size is there once space for the data at its end has been given out. Data that are missing below it read
    /// as zeros.
    case withSpace
    /// A new size is there once any of the file's data has been written back. Data that are missing below it read as
    /// zeros.
    case withAnyData
    /// Size and data persist without regard to each other.
    case independent
  }

  /// How changes of metadata persist that no sync covers: names, attributes, truncations and what else empties a part
  /// of a file.
  public enum NameRule: String, Hashable, Sendable {
    /// There when the operation has completed.
    case immediate
    /// In the order in which they were made: one that is there has everything before it. Of two of which neither was
    /// over when the other began, either may be the first.
    case ordered
    /// Each name by itself, and each file's own changes in their order.
    case independent
  }

  /// What comes with the journal, and so with every change of metadata that was over before it was written.
  public enum JournalRule: String, Hashable, Sendable {
    /// Changes of metadata only, as `NameRule` says.
    case namesOnly
    /// Sizes that writes have made, too: they are logged when the data, or the space for it, is there, which is after
    /// the write.
    case sizes
    /// Everything that no sync of its own covers: a block that was copied is reached through the tree of a whole
    /// transaction.
    case sizesAndData
  }

  /// What a sync of a file makes durable beside the file.
  public enum SyncReach: String, Hashable, Sendable {
    /// Nothing: the directory entry needs a sync of its own.
    case file
    /// The file's own names, and those of the directories that lead to it.
    case ownNames
    /// Everything in the journal up to the file's last change there: fsync of a file that has not changed commits
    /// nothing. fdatasync looks at changes of size, space and existence only.
    case journal
  }

  /// What a sync of a directory makes durable.
  public enum DirectorySync: String, Hashable, Sendable {
    /// The entries in it.
    case entries
    /// Everything in the journal up to the directory's last change.
    case journal
    /// Everything in the journal.
    case everything
  }

  /// When the bytes of a block are zeroed that a truncation, or a hole, takes only a part of.
  public enum EdgeRule: String, Hashable, Sendable {
    /// With the change itself: the zeros are written before it is committed, and may be there before it.
    case withChange
    /// As data, when the change is made: nothing but a sync of the file keeps them.
    case asData
    /// As data, and not before the file grows again: until then the size hides what stands there.
    case atGrowth
  }

  public var name: String
  /// The unit of atomic persistence in bytes.
  public var unit: Int
  /// The same in space that was never written: a block there is empty until all of it has been written.
  public var newUnit: Int?
  /// Whether space that was never made durable may show foreign bytes where its data was lost and its size was not.
  public var showsForeignBytes: Bool
  /// Sectors that were not synced, old space as new, of which so many may give EIO until they are written again: the
  /// drive was writing there when the power went, and the error-correcting code does not match.
  public var mostUnreadable = 0
  public var sizes: SizeRule
  public var names: NameRule
  public var journal = JournalRule.namesOnly
  public var syncReach: SyncReach
  public var directorySync = DirectorySync.entries
  public var edges = EdgeRule.withChange
  /// Whether fdatasync of a file covers what fsync does, but for times that a write has set.
  public var dataSyncSeesAttributes = false
  /// Whose word the rules are.
  public var source: String

  /// A drive without a file system's freedom: only the drive's volatile cache. 4096-byte physical sectors are written
  /// whole; the read-modify-write of a 512-byte emulation that spoils neighbours is a broken drive and is not modelled.
  public static let raw4k = CrashProfile(
    name: "raw-4k", unit: 4096, showsForeignBytes: false, sizes: .immediate, names: .immediate, syncReach: .file,
    source: "NVMe Base Specification 2.0, 6.4 (AWUPF: atomic write unit power fail); T13 ACS-4, FLUSH CACHE EXT")
  /// The same drive with 512-byte sectors.
  public static let raw512 = CrashProfile(
    name: "raw-512", unit: 512, showsForeignBytes: false, sizes: .immediate, names: .immediate, syncReach: .file,
    source: "T13 ACS-4, FLUSH CACHE EXT: only flushed sectors are promised, in no order")
  /// A drive that leaves the sector which it was writing unreadable: it has one head, and writes one sector at a time.
  /// Any that was not flushed may be the one: the drive writes its cache back in its own order. Sectors that were
  /// flushed are never hurt: that is a drive whose physical sectors are no larger than 512 bytes. (Flash writes to
  /// another place, and what it was told before stands until that has succeeded.)
  public static let raw512Unreadable = raw512.leavingUnreadable(
    1, "raw-512-eio",
    source:
      "SQLite, Powersafe Overwrite (sqlite.org/psow.html): an interrupted sector write is found out by the sector's "
      + "error-correcting code on the next read; NVMe Base Specification 2.0, 6.4: of a write larger than AWUPF "
      + "nothing is "
      + "promised of the data after a power fail; Bairavasundaram et al., An Analysis of Latent Sector Errors in Disk "
      + "Drives, "
      + "SIGMETRICS 2007 (unreadable until written again)")
  /// Copy on write: a block of 4096 bytes is the old or the new one, its checksum says which; metadata by transaction.
  /// A file's fsync writes the log tree: the inode and the names that point to it; a directory's, the names in it. That
  /// it does not reach those of another directory, `explore disks` has shown.
  public static let btrfs = CrashProfile(
    name: "btrfs", unit: 4096, showsForeignBytes: false, sizes: .withAnyData, names: .ordered,
    journal: .sizesAndData, syncReach: .ownNames, edges: .atGrowth,
    source: "kernel fs/btrfs/tree-log.c (btrfs_log_inode_parent, btrfs_log_new_name, btrfs_del_dir_entries_in_log), "
      + "fs/btrfs/file-item.c (btrfs_inode_safe_disk_i_size_write); Documentation/filesystems/btrfs")
  /// Metadata logged in order; the on-disk size grows when the data write has ended; fsync forces the log up to the
  /// inode's last change, and everything logged before.
  public static let xfs = CrashProfile(
    name: "xfs", unit: 512, newUnit: 4096, showsForeignBytes: false, sizes: .withItsEnd, names: .ordered,
    journal: .sizes, syncReach: .journal, directorySync: .journal, edges: .asData, dataSyncSeesAttributes: true,
    source: "kernel fs/xfs/xfs_aops.c (xfs_setfilesize), fs/xfs/xfs_file.c (xfs_file_fsync, xfs_fsync_seq), "
      + "Documentation/filesystems/xfs/xfs-delayed-logging-design.rst")
  /// data=ordered: "all data are forced directly out to the main file system prior to its metadata being committed to
  /// the journal"; fsync commits the running transaction. But blocks that delayed allocation gives out are *unwritten*
  /// at first (dioread_nolock, the default since Linux 5.6), the size grows when they are given out
  /// (mpage_map_and_submit_extent in fs/ext4/inode.c), and the journal does not wait for their data: until these have
  /// been written they read as zeros. `explore disks` has shown it.
  public static let ext4Ordered = CrashProfile(
    name: "ext4-ordered", unit: 512, newUnit: 4096, showsForeignBytes: false, sizes: .withSpace, names: .ordered,
    journal: .sizes, syncReach: .journal, directorySync: .everything,
    source: "kernel Documentation/admin-guide/ext4.rst, data=ordered; fs/ext4/fsync.c (ext4_fsync_journal), "
      + "fs/ext4/ext4_jbd2.h (ext4_update_inode_fsync_trans)")
  /// data=writeback: "data ordering is not preserved, data may be written into the main file system after its metadata
  /// has been committed to the journal": blocks show what stood there before.
  public static let ext4Writeback = CrashProfile(
    name: "ext4-writeback", unit: 512, showsForeignBytes: true, sizes: .independent, names: .ordered,
    syncReach: .journal, directorySync: .everything, source: "kernel Documentation/admin-guide/ext4.rst, data=writeback"
  )
  /// Everything that POSIX does not forbid, short of tearing a sector: the most freedom that there is here.
  public static let posixMinimal = CrashProfile(
    name: "posix-minimal", unit: 512, showsForeignBytes: true, sizes: .independent, names: .independent,
    syncReach: .file, edges: .asData,
    source: "POSIX.1-2024 fsync; man 2 fsync; Pillai et al., All File Systems Are Not Created Equal, OSDI 2014")

  /// The freedom of `posix-minimal` on such a drive: POSIX says nothing of what reading gives that was not synced.
  public static let posixMinimalUnreadable = posixMinimal.leavingUnreadable(
    1, "posix-minimal-eio", source: "as posix-minimal and raw-512-eio")
  /// A drive that leaves any number of sectors unreadable. No contract covers it here: a segment of which nothing but
  /// the head can be read might hold acknowledged batches, as far as recovery can know, and it refuses to open. To see
  /// that, and what else becomes of it, the profile is there for whoever asks for it by name.
  public static let raw512AllUnreadable = raw512.leavingUnreadable(
    .max, "raw-512-eio-any", source: "no drive that we know of; the worst that `man 2 read`, EIO, leaves room for")

  private func leavingUnreadable(_ count: Int, _ name: String, source: String) -> CrashProfile {
    var other = self
    (other.name, other.mostUnreadable, other.source) = (name, count, source)
    return other
  }

  /// What the lives after a crash, in which nothing is ever in flight, can tell of the profile.
  package var promises: UInt64 { stableHash("\(names) \(syncReach) \(directorySync) \(sizes == .immediate)") }

  /// From the least freedom to the most: a finding is named after the first that permits it, which no user of that
  /// storage can explain away.
  public static let all: [CrashProfile] = [
    raw4k, raw512, raw512Unreadable, btrfs, xfs, ext4Ordered, ext4Writeback, posixMinimal, posixMinimalUnreadable,
  ]

  /// Those that the engine's contract does not cover: they are not among all, and found by their names only.
  public static let uncovered: [CrashProfile] = [raw512AllUnreadable]

  /// Those under which logs of records are covered: job logs, the replay buffer, the other systems' formats. None of
  /// these carries a salt, so that what somebody else had left in space that was not written yet passes for records of
  /// the log. And their records follow each other byte by byte: appending writes the sector of the last acknowledged
  /// one again, and a drive that leaves this sector unreadable takes it along.
  public static let ofRecordLogs: [CrashProfile] = all.filter { !$0.showsForeignBytes && $0.mostUnreadable == 0 }

  public static let known = all + uncovered

  /// Nil for a name that there is not.
  public static func named(_ name: String) -> CrashProfile? { known.first { $0.name == name } }
}
