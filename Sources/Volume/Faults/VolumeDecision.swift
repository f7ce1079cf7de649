/// What is to become of an operation. What does not apply to its kind is `proceed`.
package indirect enum VolumeDecision: Sendable, Hashable {
  /// As if nobody had been asked.
  case proceed
  /// This errno, and nothing has happened.
  case fail(Int32)
  /// It happens, and the answer is this errno: the error at the moment of completion.
  case failAfter(Int32)
  /// A write takes, or a read brings, this many bytes and says so (`man 2 write`); 0 to what was asked.
  case short(Int)
  /// A write is answered with success, and nothing is stored.
  case lost
  /// A write is answered with success, and its bytes are stored at this offset.
  case misdirected(to: UInt64)
  /// A write of which these ranges of its bytes are stored; the answer is success, or an errno.
  case torn(kept: [Range<Int>], error: Int32)
  /// These bits, counted from the first of the first byte, turn over: of a write in flight, or of the answer of a read.
  case flipped(bits: [Int])
  /// Nothing happens for this long, or until `Volume.endDelays`, and other operations go on; then what stands there.
  case delayed(nanoseconds: UInt64, then: VolumeDecision)
  /// A sync fails with this errno; of what was written since the last sync that succeeded is then stored what is said.
  case syncFails(Int32, FailedSyncPages)
  /// A sync is answered with success, and its pages are dropped. The next sync or close of the file, through whatever
  /// descriptor, is answered with this errno: once, and what that sync was to store stays dirty.
  case syncFailsLate(Int32, LateReport)
  /// A sync is answered with success and makes nothing durable.
  case syncLies
}

/// What a failed sync does to the pages that it was to store (Rebello et al., ATC 2020).
package enum FailedSyncPages: Sendable, Hashable {
  /// They stay dirty: a later sync stores them.
  case kept
  /// They count as clean, and are not on the disk. The cache still shows them until it forgets them. A later write to a
  /// page makes all of it dirty again: ext4, xfs.
  case dropped
  /// They are gone, and the kernel's cache shows what is stored: btrfs, or any file system after the pages were
  /// evicted.
  case evicted
}

/// Where a program hears of a sync that has failed before (Rebello et al., ATC 2020: it differs by file system).
package enum LateReport: Sendable, Hashable {
  /// By the next fsync(2) or fdatasync(2).
  case sync
  /// By the next close(2): network file systems (`man 2 close`).
  case close
}

/// An operation that is about to happen.
package struct VolumeRequest: Sendable {
  package var kind: VolumeOperationKind
  /// By the names of now, from the volume's root, beginning with a slash; "(unnamed)" of a file without a name.
  package var path: String
  /// The new name of a link, rename or exchange.
  package var newPath: String?
  package var inode: UInt64
  /// Bytes; of operations without, 0.
  package var offset: UInt64
  package var length: UInt64
  /// Of the file, as it is before the operation.
  package var fileSize: UInt64
  /// How many of this kind there have been since the decider was set, with this one: from 1.
  package var occurrence: Int
  package var flags: VolumeOperationFlags
  package var thread: UInt32
  package var user: UInt32
}

extension VolumeRequest {
  /// Bytes that a write would store, or a read would bring: the kernel asks for whole pages, also behind a file's end.
  package var reach: UInt64 { kind == .read ? min(offset + length, max(offset, fileSize)) - offset : length }
}

/// Asked before an operation takes effect, in the order of the trace, while no other operation happens. It may read
/// the trace and add marks; it must not touch the mounted folder, nor unmount it.
package typealias VolumeDecider = @Sendable (VolumeRequest) -> VolumeDecision
