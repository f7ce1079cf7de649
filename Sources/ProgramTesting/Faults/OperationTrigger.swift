import Glibc
import Synchronization
import Volume

/// An operation of a program on its files: the so-many-th of its kind, or of all that change something.
package struct OperationPlace: Sendable, Hashable, CustomStringConvertible {
  /// Nil: any that changes something.
  package var kind: VolumeOperationKind?
  /// Only those on files of this kind (`FileKind`). Nil: any file.
  package var file: String?
  /// From 1, of those that `kind` and `file` let through.
  package var occurrence: Int

  package init(kind: VolumeOperationKind? = nil, file: String? = nil, occurrence: Int) {
    (self.kind, self.file, self.occurrence) = (kind, file, occurrence)
  }

  package var description: String {
    "\(kind?.text ?? "operation") \(occurrence)" + (file.map { " of \($0.isEmpty ? "the folder" : $0)" } ?? "")
  }
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
    /// Which it was of those that were counted, from 1.
    var occurrence: Int
  }

  private struct State {
    var count = 0
    /// Operations that were counted before `arm`; nil before it.
    var armedAt: Int?
    var met: Met?
    /// The trace's length at each counted operation.
    var sequences: [Int] = []
  }

  private let state: Mutex<State>

  /// - Parameter isRelative: the occurrence of the place counts from `arm` on.
  init(isRelative: Bool = false) { state = Mutex(State(armedAt: isRelative ? nil : 0)) }

  /// What it has met; nil where the operation did not come.
  var met: Met? { state.withLock { $0.met } }

  /// Counts from here on.
  func arm() { state.withLock { $0.armedAt = $0.count } }

  /// Operations that were counted before this place in the trace.
  func counted(before sequence: Int) -> Int { state.withLock { state in state.sequences.count { $0 < sequence } } }

  /// - Parameters:
  ///   - folder: operations elsewhere in the volume are not counted.
  ///   - decide: called for the operation.
  func decider(
    _ place: OperationPlace, _ volume: Volume, below folder: String,
    _ decide: @escaping @Sendable (VolumeRequest) -> VolumeDecision
  ) -> VolumeDecider {
    { [weak volume] request in
      guard request.kind.isChange || request.kind == place.kind, FileKind.isFile(request.path, below: folder),
        place.kind == nil || place.kind == request.kind,
        place.file.map({ $0 == FileKind.of(request.path, below: folder) }) ?? true
      else { return .proceed }
      let sequence = volume?.trace.count ?? 0
      let isIt = self.state.withLock { state in
        if state.met != nil { return false }
        state.count += 1
        state.sequences.append(sequence)
        guard let armedAt = state.armedAt, state.count - armedAt == place.occurrence else { return false }
        state.met = Met(
          path: request.path, kind: request.kind, inode: request.inode, offset: request.offset, length: request.length,
          sequence: sequence, occurrence: state.count)
        return true
      }
      return isIt ? decide(request) : .proceed
    }
  }
}

/// Counts the operations that an `OperationTrigger` may meet.
final class OperationCounter: Sendable {
  /// Operations of one kind on files of one kind.
  struct Group: Sendable, Hashable {
    var kind: VolumeOperationKind
    var file: String
  }

  private struct State {
    var counts: [VolumeOperationKind: Int] = [:]
    var groups: [Group: [Int]] = [:]
    var fileKinds: [String: String] = [:]
  }

  private let state = Mutex(State())

  /// Of each group which operations of its kind they are, from 1.
  var groups: [Group: [Int]] { state.withLock { $0.groups } }
  /// Operations that change something.
  var changes: Int { state.withLock { $0.counts.filter { $0.key.isChange }.values.reduce(0, +) } }

  func decider(below folder: String) -> VolumeDecider {
    { request in
      guard FileKind.isFile(request.path, below: folder) else { return .proceed }
      self.state.withLock { state in
        state.counts[request.kind, default: 0] += 1
        let file: String
        if let known = state.fileKinds[request.path] {
          file = known
        } else {
          file = FileKind.of(request.path, below: folder)
          state.fileKinds[request.path] = file
        }
        state.groups[Group(kind: request.kind, file: file), default: []].append(state.counts[request.kind]!)
      }
      return .proceed
    }
  }
}
