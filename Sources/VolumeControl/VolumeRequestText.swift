import Glibc
import Volume

/// An operation that is to fail, as it is said on the command line.
package struct VolumeFault: Sendable, Hashable {
  package var kind: VolumeOperationKind
  /// A path from the volume's root, with `*` and `?`; nil is any.
  package var pattern: String?
  package var error: Int32
  /// The first that fails of those that match, from 1.
  package var first: Int
  /// How many fail; nil is all from there on.
  package var count: Int?

  package static let kinds: [String: VolumeOperationKind] = [
    "write": .write, "fsync": .sync, "fsyncdir": .syncDirectory, "create": .create, "open": .open, "read": .read,
    "rename": .rename, "unlink": .unlink, "mkdir": .makeDirectory, "rmdir": .removeDirectory, "truncate": .truncate,
    "fallocate": .allocate, "link": .link, "symlink": .symlink,
  ]
  package static let errors: [String: Int32] = [
    "EIO": EIO, "ENOSPC": ENOSPC, "EDQUOT": EDQUOT, "EROFS": EROFS, "EMFILE": EMFILE, "ENOMEM": ENOMEM,
  ]

  package init(
    kind: VolumeOperationKind, pattern: String? = nil, error: Int32 = EIO, first: Int = 1, count: Int? = nil
  ) {
    (self.kind, self.pattern, self.error, self.first, self.count) = (kind, pattern, error, first, count)
  }

  func matches(_ request: VolumeRequest) -> Bool {
    guard request.kind == kind else { return false }
    guard let pattern else { return true }
    return fnmatch(pattern.hasPrefix("/") ? pattern : "/" + pattern, request.path, 0) == 0
  }
}
