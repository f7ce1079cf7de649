import Glibc
import Synchronization
import Volume

/// An operation of a program on its files: the so-many-th of its kind, or of all that change something.
package struct OperationPlace: Sendable, Hashable, CustomStringConvertible {
  /// Nil: any that changes something.
  package var kind: VolumeOperationKind?
  /// From 1.
  package var occurrence: Int

  package init(kind: VolumeOperationKind? = nil, occurrence: Int) {
    self.kind = kind
    self.occurrence = occurrence
  }

  package var description: String { "\(kind?.text ?? "operation") \(occurrence)" }
}

extension VolumeOperationKind {
  /// As a system call is called.
  package var text: String {
    switch self {
    case .create: "create"
    case .createUnnamed: "create of an unnamed file"
    case .makeDirectory: "mkdir"
    case .makeNode: "mknod"
    case .symlink: "symlink"
    case .link: "link"
    case .unlink: "unlink"
    case .removeDirectory: "rmdir"
    case .rename: "rename"
    case .exchange: "renameat2 EXCHANGE"
    case .write: "write"
    case .truncate: "truncate"
    case .allocate: "fallocate"
    case .punchHole: "fallocate PUNCH_HOLE"
    case .zeroRange: "fallocate ZERO_RANGE"
    case .setMode: "chmod"
    case .setOwner: "chown"
    case .setTimes: "utimensat"
    case .setAttribute: "setxattr"
    case .removeAttribute: "removexattr"
    case .sync: "fsync"
    case .syncWritten: "sync of a synchronous write"
    case .syncDirectory: "fsync of a directory"
    case .syncAll: "sync"
    case .open: "open"
    case .flush: "close"
    case .release: "release"
    case .mark: "mark"
    case .read: "read"
    case .lookup: "lookup"
    case .list: "readdir"
    case .status: "stat"
    case .readLink: "readlink"
    case .readAttribute: "getxattr"
    case .seek: "lseek"
    case .room: "statfs"
    }
  }

  /// Whether it changes files, or makes changes durable.
  package var isChange: Bool { rawValue < Self.open.rawValue }
}

/// Meets one operation of a program, and remembers that it did.
final class OperationTrigger: Sendable {
  struct Met: Sendable {
    var path: String
    var kind: VolumeOperationKind
    var inode: UInt64
    /// Bytes.
    var offset: UInt64
    var length: UInt64
    /// Where it stands in the trace.
    var sequence: Int
  }

  private let state = Mutex<(count: Int, met: Met?)>((0, nil))

  /// What it has met; nil where the operation did not come.
  var met: Met? { state.withLock { $0.met } }

  /// - Parameters:
  ///   - folder: operations elsewhere in the volume are not counted.
  ///   - decide: called for the operation.
  func decider(
    _ place: OperationPlace, _ volume: Volume, below folder: String,
    _ decide: @escaping @Sendable (VolumeRequest) -> VolumeDecision
  ) -> VolumeDecider {
    { [weak volume] request in
      guard request.kind.isChange || request.kind == place.kind,
        request.path == folder || request.path.hasPrefix(folder + "/"),
        place.kind == nil || place.kind == request.kind
      else { return .proceed }
      let sequence = volume?.trace.count ?? 0
      let isIt = self.state.withLock { state in
        state.count += 1
        guard state.count == place.occurrence else { return false }
        state.met = Met(
          path: request.path, kind: request.kind, inode: request.inode, offset: request.offset, length: request.length,
          sequence: sequence)
        return true
      }
      return isIt ? decide(request) : .proceed
    }
  }
}

/// Counts the operations that an `OperationTrigger` may meet.
final class OperationCounter: Sendable {
  private let state = Mutex<[VolumeOperationKind: Int]>([:])

  var counts: [VolumeOperationKind: Int] { state.withLock { $0 } }
  /// Operations that change something.
  var changes: Int { counts.filter { $0.key.isChange }.values.reduce(0, +) }

  func decider(below folder: String) -> VolumeDecider {
    { request in
      if request.path == folder || request.path.hasPrefix(folder + "/") {
        self.state.withLock { $0[request.kind, default: 0] += 1 }
      }
      return .proceed
    }
  }
}
