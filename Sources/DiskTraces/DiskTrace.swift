import CrashStates
import LogModel

/// A short sequence of file operations, what the kernel may do by itself meanwhile, and what is known of the states
/// that a power cut leaves.
///
/// Files of `Examples/traces` are of this form; `docs/crash-profiles.md` explains it.
package struct DiskTrace: Sendable {
  /// Something that the kernel does of its own accord.
  package enum Provocation: Hashable, Sendable {
    /// Pages of a file are written back.
    case writeBack(path: String, offset: Int, length: Int)
    /// The file system commits its journal, or its transaction.
    case commit
  }

  /// A state with the file systems that it is said of.
  package struct Claim: Sendable {
    /// Steps that have completed.
    package var after: Int
    package var on: [TracedFileSystem]
    package var state: MountedImage
    /// Who says so; `seen` was found on a real file system.
    package var source: String
  }

  package var name: String
  package var about: String
  package var setup: [TraceOperation]
  package var steps: [TraceOperation]
  package var provocations: [(after: Int, what: Provocation)]
  /// States that cannot be left from that step on.
  package var forbidden: [Claim]
  /// States that can be left right after that step.
  package var possible: [Claim]
}

/// What a claim of a trace is made of.
package enum TracedFileSystem: String, CaseIterable, Sendable {
  case ext4, xfs, btrfs
  /// What POSIX promises, which binds all of them.
  case posix

  /// The profile that speaks of it.
  package var profile: CrashProfile {
    switch self {
    case .ext4: .ext4Ordered
    case .xfs: .xfs
    case .btrfs: .btrfs
    case .posix: .posixMinimal
    }
  }
}

/// One operation of a trace. Files stay open from their first use on: a sync is of the inode, whatever its name is by
/// then.
package enum TraceOperation: Hashable, Sendable {
  case create(String)
  case makeDirectory(String)
  case write(String, offset: Int, length: Int, letter: UInt8, durable: Bool)
  case truncate(String, Int)
  case allocate(String, offset: Int, length: Int, keepsSize: Bool)
  /// Bytes become a hole; or zeros that keep their space.
  case punch(String, offset: Int, length: Int)
  case zero(String, offset: Int, length: Int)
  case rename(String, String)
  case exchange(String, String)
  case link(String, String)
  case symbolicLink(target: String, String)
  case unlink(String)
  case removeDirectory(String)
  case sync(String, isFull: Bool)
  case syncDirectory(String)
  case changeMode(String, Int)
  case changeTimes(String)
  case setAttribute(String, name: String, value: String)
  case syncFileSystem
}
