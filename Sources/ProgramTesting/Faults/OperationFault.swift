import Glibc
import Volume

/// What goes wrong with an operation, or from it on.
package enum OperationFault: String, Sendable, Hashable, CaseIterable {
  case inputOutputError = "EIO"
  case noSpace = "ENOSPC"
  case quota = "EDQUOT"
  case tooManyFiles = "EMFILE"
  case shortWrite = "short write"
  /// A sync fails, and its pages count as clean. They can be read still, and no later sync stores them: ext4, xfs
  /// (Rebello et al., ATC 2020).
  case pagesDropped = "EIO, pages dropped"
  /// A sync fails, and what is read again is as before its pages: btrfs.
  case pagesReverted = "EIO, pages reverted"
  /// A sync fails, and its pages stay dirty.
  case pagesKept = "EIO, pages kept"
  /// The operation takes a second.
  case stall
  /// The disk is full from the operation on; what is removed gives room back.
  case full = "disk full"
  /// The file system is read-only from the operation on, as after `errors=remount-ro` (man 5 ext4).
  case readOnly = "read-only"

  // Damage: the disk says that all is well.

  /// A write is not stored.
  case lostWrite = "lost write"
  /// Of a write only the first half is stored, to a sector.
  case tornWrite = "torn write"
  /// A write lands 4096 bytes behind its place.
  case misdirectedWrite = "misdirected write"
  /// A bit of a write turns over on its way to the disk.
  case flippedWrite = "bit flip in flight"
  /// A bit of what was written turns over later, while nobody has it open.
  case flippedAtRest = "bit flip at rest"
  /// The sectors of a write cannot be read any more, from the next start on.
  case unreadable = "unreadable sector"
  /// A read brings less than was asked for and than there is.
  case shortRead = "short read"
  /// A sync is answered with success, and its pages are dropped; the next sync of the file says EIO. Then the power
  /// goes.
  case reportedLate = "failed sync, reported late"
  /// Syncs make nothing durable, from the operation on; then the power goes.
  case lyingSync = "lying sync"

  /// Whether the disk forgets, mixes up or damages what it had been given.
  package var isDamage: Bool {
    switch self {
    case .lostWrite, .tornWrite, .misdirectedWrite, .flippedWrite, .flippedAtRest, .unreadable, .shortRead, .lyingSync,
      .reportedLate:
      true
    default: false
    }
  }

  /// Those of a plain test.
  package static let usual = allCases.filter { !$0.isDamage && $0 != .quota }

  /// What becomes of the operation.
  /// - Parameter volume: is changed by what lasts.
  func decision(_ request: VolumeRequest, _ volume: Volume) -> VolumeDecision {
    let length = Int(request.reach)
    switch self {
    case .inputOutputError: return .fail(EIO)
    case .noSpace: return .fail(ENOSPC)
    case .quota: return .fail(EDQUOT)
    case .tooManyFiles: return .fail(EMFILE)
    case .shortWrite, .shortRead: return .short(length / 2)
    case .pagesDropped: return .syncFails(EIO, .dropped)
    case .pagesReverted: return .syncFails(EIO, .evicted)
    case .reportedLate: return .syncFailsLate(EIO, .sync)
    case .pagesKept: return .syncFails(EIO, .kept)
    case .stall: return .delayed(nanoseconds: 1_000_000_000, then: .proceed)
    case .full:
      volume.limit = VolumeLimit(bytes: volume.usage.files)
      return .proceed
    case .readOnly:
      volume.isReadOnly = true
      return .proceed
    case .lostWrite: return .lost
    case .tornWrite: return .torn(kept: [0..<tornLength(request)], error: 0)
    case .misdirectedWrite: return .misdirected(to: request.offset + 4096)
    case .flippedWrite: return .flipped(bits: [Int(request.offset &* 31 % max(1, request.length * 8))])
    case .lyingSync: return .syncLies
    case .flippedAtRest, .unreadable: return .proceed
    }
  }

  /// Half of a write, up to the end of a sector of 512 bytes where it has one inside.
  private func tornLength(_ request: VolumeRequest) -> Int {
    let middle = request.offset + request.length / 2
    let sector = middle / 512 * 512
    return Int((sector > request.offset ? sector : middle) - request.offset)
  }

  /// Those that an operation of this kind can meet.
  static func possible(_ kind: VolumeOperationKind) -> [OperationFault] {
    switch kind {
    case .write:
      [
        .inputOutputError, .noSpace, .shortWrite, .full, .readOnly, .quota, .lostWrite, .tornWrite, .misdirectedWrite,
        .flippedWrite, .flippedAtRest, .unreadable,
      ]
    case .sync: [.pagesDropped, .pagesReverted, .pagesKept, .stall, .lyingSync, .reportedLate]
    case .syncDirectory, .syncWritten: [.pagesKept]
    case .create, .makeDirectory, .createUnnamed: [.noSpace, .inputOutputError, .quota]
    case .allocate: [.noSpace, .quota]
    case .rename, .unlink, .truncate, .link, .symlink, .punchHole, .zeroRange, .removeDirectory, .exchange:
      [.inputOutputError]
    case .open: [.tooManyFiles]
    case .read: [.inputOutputError, .shortRead]
    default: []
    }
  }
}
