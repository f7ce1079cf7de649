import Glibc

/// A file system of this kernel, as it is made and mounted for an experiment.
public enum LoopFileSystem: String, Hashable, Sendable, CaseIterable {
  /// With data=ordered, the default.
  case ext4
  /// With data=writeback.
  case ext4Writeback = "ext4-writeback"
  case xfs
  case btrfs

  /// What `mount` calls it.
  public var type: String { self == .ext4Writeback ? "ext4" : rawValue }

  /// The Debian package that makes it.
  var package: String {
    switch self {
    case .ext4, .ext4Writeback: "e2fsprogs"
    case .xfs: "xfsprogs"
    case .btrfs: "btrfs-progs"
    }
  }

  var tool: String { "mkfs.\(type)" }

  var formatting: [String] {
    switch self {
    // Small images would get blocks of 1024 bytes, which no disk of a usual size has.
    case .ext4, .ext4Writeback: ["-q", "-F", "-m", "0", "-b", "4096"]
    case .xfs: ["-q", "-f"]
    case .btrfs: ["-q", "-f"]
    }
  }

  /// Bytes of the device. mkfs.xfs takes 300 MiB or more, mkfs.btrfs some 110; what is not written takes no room.
  var deviceBytes: Int {
    switch self {
    case .ext4, .ext4Writeback: 64 << 20
    case .xfs: 320 << 20
    case .btrfs: 256 << 20
    }
  }

  /// What the data argument of `mount(2)` says.
  ///
  /// - ext4, and xfs: a failed journal recovery is an error of the mount.
  /// - btrfs commits every second, and not every 30. A commit that is asked for while another one ends waits for the
  ///   next of these (transaction_kthread in fs/btrfs/disk-io.c may miss to be woken). When it commits is its own
  ///   affair.
  var options: String {
    switch self {
    case .ext4: "data=ordered,errors=remount-ro"
    case .ext4Writeback: "data=writeback,errors=remount-ro"
    case .xfs: ""
    case .btrfs: "commit=1"
    }
  }

  /// - Throws: `LoopDiskError.missingTool`.
  public func checkTool() throws(LoopDiskError) {
    guard Tool.find(tool) != nil else { throw .missingTool(tool, package: package) }
  }
}
