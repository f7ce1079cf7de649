import Glibc
import LogModel
import Storage

/// The kinds of faults at the seam, as words.
public enum FaultKind: String, Hashable, Sendable, Codable, CaseIterable {
  case tornWrite = "torn-write"
  case bitFlip = "bit-flip"
  case shortWrite = "short-write"
  case interrupted
  case tryAgain = "try-again"
  case ioError = "io-error"
  case permissionDenied = "permission-denied"
  case noSpace = "no-space"
  case silentNoSpace = "silent-no-space"
  case quotaExceeded = "quota-exceeded"
  case syncFailure = "sync-failure"
  case lostWrite = "lost-write"
  case misdirectedWrite = "misdirected-write"
  case staleRead = "stale-read"
  case latentSectorError = "latent-sector-error"
  case stall
  case readOnly = "read-only"
  case crash
}

/// One edit of what passes the seam.
///
/// Sources: `man 2 write`, `man 2 fsync`, `man 2 open` (the errors and what they leave behind); Bairavasundaram et al.,
/// "An Analysis of Latent Sector Errors in Disk Drives", SIGMETRICS 2007, and "An Analysis of Data Corruption in the
/// Storage Stack", FAST 2008 (torn, lost and misdirected writes, bit corruption); Rebello et al., ATC 2020 (failed syncs).
public enum StorageFault: Hashable, Sendable, Codable {
  /// A part of a write reaches the medium.
  case tornWrite(TornWrite)
  /// So many different bits turn over on their way, from 1: of what a write carries, or of what a read brings.
  case bitFlip(bits: Int, BytePlace = .anywhere)
  /// A write takes this many bytes, at least 1 and fewer than asked (rounded down to blocks for direct I/O), and says so;
  /// nil: the seed chooses. `man 2 write`.
  case shortWrite(taking: Int?)
  /// EINTR, and nothing has happened.
  case interrupted
  /// EAGAIN, and nothing has happened.
  case tryAgain
  /// EIO; nothing has happened, or, at the moment of completion, it has.
  case ioError
  /// EACCES.
  case permissionDenied
  /// ENOSPC. A write that has room for its first bytes is short, and what follows it is refused. `man 2 write`.
  case noSpace
  /// A full disk that reports success and stores what there is room for.
  case silentNoSpace
  /// EDQUOT, as `noSpace`.
  case quotaExceeded
  case syncFailure(SyncFailure)
  /// Reports success and stores nothing.
  case lostWrite
  /// Reports success and stores the bytes elsewhere.
  case misdirectedWrite(Misdirection)
  /// A read brings what was there before the last write of each byte, as far as this storage has seen it written: zeros
  /// where the file ended.
  case staleRead
  /// A sector of the pass (see `BytePlace`) can no longer be read: EIO for every read that touches it, until a write
  /// covers it whole, or a truncation takes it away.
  case latentSectorError(BytePlace = .anywhere)
  /// The operation takes this much longer: before it is passed on, or before its end is told, by the trigger's moment.
  /// Nil: it never ends.
  case stall(Duration?)
  /// EROFS for this and every later change, as after a remount; reads go on. `man 2 open`, `man 2 write`.
  case readOnly
  /// The storage's crash handler is called at the trigger's moment, and nothing passes any more.
  case crash
}

/// Where in a pass.
public enum BytePlace: Hashable, Sendable, Codable {
  /// The seed chooses.
  case anywhere
  /// Bytes from the start of the pass; a pass that has none of them is not hit.
  case range(Range<Int>)
  /// The byte that the trigger's condition `bytes` counts; elsewhere the first.
  case atTriggerByte
  /// This part of one of the pass's batches, of the seed's choice; a write that has none is not hit.
  case part(BatchPart)
  /// The first or the last byte of such a part.
  case edge(BatchPart, PartEdge)

  /// Whether it is one of a batch.
  var isPart: Bool {
    switch self {
    case .part, .edge: true
    case .anywhere, .range, .atTriggerByte: false
    }
  }
}

/// Boundaries are those of the file, in bytes: 1, 512, 4096.
public enum TearUnit: Int, Hashable, Sendable, Codable, CaseIterable {
  case byte = 1
  case sector = 512
  case page = 4096
}

/// What is kept of a torn write, what stands in place of the rest, and what the caller is told.
public struct TornWrite: Hashable, Sendable, Codable {
  /// At least one byte is always lost: where everything would be kept, the last part is not.
  public enum Kept: Hashable, Sendable, Codable {
    /// So many bytes from the start.
    case prefix(Int)
    /// So many bytes before the end.
    case suffix(Int)
    /// These of the write's sectors of 512 bytes, from 0.
    case sectors([Int])
    /// A prefix that ends at a boundary of the seed's choice.
    case prefixTo(TearUnit)
    /// A suffix that starts at a boundary of the seed's choice.
    case suffixFrom(TearUnit)
    /// Any set of parts, of the seed's choice.
    case anyOf(TearUnit)
    /// What comes before the byte that the trigger's condition `bytes` counts.
    case upToTriggerByte
  }

  public enum Rest: String, Hashable, Sendable, Codable, CaseIterable {
    /// What was there; beyond the end of the file, nothing.
    case old
    case zero
    /// Bytes of the seed's choice.
    case garbage
  }

  public enum Answer: String, Hashable, Sendable, Codable, CaseIterable {
    /// A device that lies.
    case success
    /// EIO.
    case error
    /// None: the crash handler is called when the kept parts are on the medium (durable, whatever was asked).
    case crash
  }

  public var kept: Kept
  public var rest: Rest
  public var answer: Answer

  public init(kept: Kept, rest: Rest = .old, answer: Answer) {
    self.kept = kept
    self.rest = rest
    self.answer = answer
  }
}

/// How a sync fails; of a durable write (`RWF_DSYNC`) the bytes are in the cache, and the sync within it fails.
public enum SyncFailure: String, Hashable, Sendable, Codable, CaseIterable {
  /// EIO; the pages stay dirty, a later sync makes them durable.
  case leavesDirty = "leaves-dirty"
  /// EIO; the pages count as clean: they stay readable, a later sync succeeds and does not make them durable
  /// ("fsyncgate"; Rebello et al.: file systems always mark them clean, ext4 and XFS keep the new content readable).
  case marksClean = "marks-clean"
  /// Success, although the pages are marked clean like that; the next sync of the file, or directory, says EIO and
  /// leaves its own pages dirty. Rebello et al.: when a failure is reported differs by file system and mode.
  case reportedLate = "reported-late"
}

/// Where a misdirected write lands.
public enum Misdirection: Hashable, Sendable, Codable {
  /// This many bytes away in the same file, not before its start.
  case sameFile(by: Int64)
  /// In another file, which exists, relative to the storage's root.
  case otherFile(String, at: Int64)
  /// In the same file, at a sector boundary of the seed's choice before the file's end; behind its end, where it is empty.
  case anywhere
}

extension StorageFault {
  public var kind: FaultKind {
    switch self {
    case .tornWrite: .tornWrite
    case .bitFlip: .bitFlip
    case .shortWrite: .shortWrite
    case .interrupted: .interrupted
    case .tryAgain: .tryAgain
    case .ioError: .ioError
    case .permissionDenied: .permissionDenied
    case .noSpace: .noSpace
    case .silentNoSpace: .silentNoSpace
    case .quotaExceeded: .quotaExceeded
    case .syncFailure: .syncFailure
    case .lostWrite: .lostWrite
    case .misdirectedWrite: .misdirectedWrite
    case .staleRead: .staleRead
    case .latentSectorError: .latentSectorError
    case .stall: .stall
    case .readOnly: .readOnly
    case .crash: .crash
    }
  }

  /// What it can hit; a trigger that names other kinds never fires.
  public var applicableKinds: Set<OperationKind> {
    switch self {
    case .tornWrite, .shortWrite, .silentNoSpace, .lostWrite, .misdirectedWrite: [.write]
    case .bitFlip, .latentSectorError: [.read, .write]
    // `man 2 fsync`: where blocks are allocated late, it is the sync that finds none.
    case .noSpace, .quotaExceeded: [.write, .open, .makeDirectory, .rename, .sync, .syncDirectory]
    case .syncFailure: [.sync, .syncDirectory, .write]
    case .staleRead: [.read]
    case .interrupted, .tryAgain, .ioError, .permissionDenied, .stall, .readOnly, .crash:
      Set(OperationKind.allCases).subtracting([.close])
    }
  }

  /// What it hits where the trigger names no kinds.
  public var defaultKinds: Set<OperationKind> {
    switch self {
    case .bitFlip, .noSpace, .quotaExceeded: [.write]
    case .syncFailure: [.sync]
    case .interrupted, .ioError: [.read, .write, .sync]
    case .tryAgain: [.read, .write]
    case .permissionDenied: [.open]
    case .readOnly: [.write, .truncate, .makeDirectory, .rename, .unlink]
    case .stall, .crash, .tornWrite, .shortWrite, .silentNoSpace, .lostWrite, .misdirectedWrite, .staleRead,
      .latentSectorError: applicableKinds
    }
  }

  /// Whether the pass has what it takes: a kind that can be hit, bytes enough.
  func applies(to call: StorageCall) -> Bool {
    guard applicableKinds.contains(call.kind) else { return false }
    let isWriting = OpenMode(rawValue: call.flags)
    switch self {
    case .tornWrite, .silentNoSpace, .lostWrite, .misdirectedWrite, .staleRead: return call.length > 0
    case .bitFlip(_, let place), .latentSectorError(let place): return place.choose(in: call.length) != nil
    case .shortWrite: return call.length > 1
    case .noSpace, .quotaExceeded:
      return call.kind == .open ? isWriting.contains(.create) : call.kind != .write || call.length > 0
    case .syncFailure: return call.kind != .write || call.flags == WriteDurability.durable.rawValue
    case .interrupted, .tryAgain, .ioError, .permissionDenied, .stall, .readOnly, .crash: return true
    }
  }

  /// The error that a refused operation ends with (`man 3 errno`); nil for faults that refuse nothing by themselves.
  var errno: Int32? {
    switch self {
    case .interrupted: EINTR
    case .tryAgain: EAGAIN
    case .ioError: EIO
    case .permissionDenied: EACCES
    case .noSpace: ENOSPC
    case .quotaExceeded: EDQUOT
    case .readOnly: EROFS
    default: nil
    }
  }

  /// Whether it decides how the operation ends: of these, one pass carries one.
  var decidesOutcome: Bool {
    switch self {
    case .bitFlip, .stall: false
    default: true
    }
  }
}

extension BytePlace {
  /// The bytes to choose from in a pass of `length` bytes, as far as its length tells; nil where there are none.
  func choose(in length: Int, triggerByte: Int? = nil) -> Range<Int>? {
    let all = 0..<length
    let chosen: Range<Int> =
      switch self {
      case .anywhere, .part, .edge: all
      case .range(let range): range.clamped(to: all)
      case .atTriggerByte: min(triggerByte ?? 0, max(length - 1, 0))..<min((triggerByte ?? 0) + 1, length)
      }
    return chosen.isEmpty ? nil : chosen
  }
}
