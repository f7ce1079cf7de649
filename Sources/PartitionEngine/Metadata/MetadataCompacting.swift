/// Decides when the metadata log is compacted while the engine runs.
public protocol MetadataCompacting: Sendable {
  /// The size of a copy in bytes from which on it is compacted.
  /// - Parameter live: bytes that it takes to say anew what the log says.
  func limit(live: Int64) -> Int64
}

/// No copy takes more than four times what it takes to say the same anew, and 4 MiB, on the disk. That is more than the
/// limit, for while a snapshot is made the disk holds what it is to replace as well: the last batch, the zero-fill
/// ahead of it, the snapshot and the zero-fill behind that; and what a crash has left of the snapshot before.
///
/// A compaction costs some twenty operations. Between two of them are 4096 commits or more of one offset each on a disk
/// with blocks of 512 bytes, and 512 where a block has 4 KiB.
public struct CompactWhenLarge: MetadataCompacting {
  public init() {}
  public func limit(live: Int64) -> Int64 { 2 * live + (2 << 20) }
}
