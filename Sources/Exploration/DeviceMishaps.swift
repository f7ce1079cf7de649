import Glibc
import LogModel
import Storage

/// What a device may do to a workload that is still within its promises, and that an engine must cope with: short
/// writes (`man 2 pwrite`: fewer bytes than asked, without an error), and one `fsync` that fails with EIO, after which the
/// pages count as clean and no later sync writes them (Rebello et al., "Can Applications Recover from fsync Failures?",
/// USENIX ATC 2020).
///
/// Stands below the recorder: what is recorded is what the device did.
final class DeviceMishaps: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  /// Every so many writes of more than one sector the device takes all but the last sector.
  static let shortEvery = 5
  /// The full sync of a segment that fails, counted from 1.
  static let failingSync = 3

  private var writes = 0
  private var syncs = 0

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    var range = range
    if paths[file].hasPrefix("topics/"), range.count > SectorStore.size, range.count % SectorStore.size == 0 {
      writes += 1
      if writes % Self.shortEvery == 0 { range = range.lowerBound..<range.upperBound - SectorStore.size }
    }
    return try await super.write(file, at: offset, from: buffer, range, durability)
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    if scope == .all, paths[file].hasPrefix("topics/") {
      syncs += 1
      if syncs == Self.failingSync { throw StorageError(errno: EIO, .sync, paths[file]) }
    }
    try await super.sync(file, scope)
  }
}
