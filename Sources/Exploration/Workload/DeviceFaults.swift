import CrashStates
import Glibc
import LogModel
import Storage
import WriteAheadLog

/// What a device may do to a workload that is still within its promises, and that an engine must cope with: short
/// writes (`man 2 pwrite`: fewer bytes than asked, without an error), writes that give EIO, of which any part may be on
/// the medium (`man 2 write`: "the amount of data written is unspecified"), and one `fsync` that fails with EIO, after
/// which the pages count as clean and no later sync writes them (Rebello et al., "Can Applications Recover from fsync
/// Failures?", USENIX ATC 2020).
public struct DeviceFaultPlan: Hashable, Sendable, CustomStringConvertible {
  /// Every so many writes of more than one sector to a partition's log the device takes all but the last sector; 0:
  /// never.
  public var shortWriteEvery: Int
  /// The sync of a segment that fails, counted from 1 over all partitions; 0: none.
  public var failingSync: Int
  /// Every so many durable writes to a partition's log one fails, counted over all partitions; 0: none. One alone may
  /// be the last of its log: what an engine does with its successors would not be seen.
  public var failingWriteEvery: Int

  public init(shortWriteEvery: Int = 0, failingSync: Int = 0, failingWriteEvery: Int = 0) {
    self.shortWriteEvery = shortWriteEvery
    self.failingSync = failingSync
    self.failingWriteEvery = failingWriteEvery
  }

  public var description: String {
    let kinds = [
      shortWriteEvery > 0 ? "a short write every \(shortWriteEvery)" : nil,
      failingSync > 0 ? "sync \(failingSync) fails" : nil,
      failingWriteEvery > 0 ? "a durable write fails every \(failingWriteEvery)" : nil,
    ].compactMap { $0 }
    return kinds.isEmpty ? "none" : kinds.joined(separator: ", ")
  }

  public static let none = DeviceFaultPlan()
  /// What the reference workload is put to the test with. Writes are durable by themselves under `always` only.
  /// Every ninth in place of every seventh would, with every fifth short, only ever fail where C16 does no harm.
  public static func usual(_ policy: SyncPolicy) -> DeviceFaultPlan {
    DeviceFaultPlan(
      shortWriteEvery: 5, failingSync: policy == .never ? 0 : 3, failingWriteEvery: policy == .always ? 7 : 0)
  }
}

/// Does them. Stands below the recorder: what is recorded is what the device did.
final class DeviceFaults: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private let plan: DeviceFaultPlan
  private var writes = 0
  private var syncs = 0
  private var durableWrites = 0

  /// What of the plan has not happened; nil where all of it has. The engine may never do what the device was to fail.
  var unfired: String? {
    if plan.shortWriteEvery > writes { return "short write \(plan.shortWriteEvery) of \(writes)" }
    if plan.failingSync > syncs { return "failing sync \(plan.failingSync) of \(syncs)" }
    return plan.failingWriteEvery > durableWrites
      ? "failing durable write \(plan.failingWriteEvery) of \(durableWrites)" : nil
  }

  init(_ base: any Storage, _ plan: DeviceFaultPlan) {
    self.plan = plan
    super.init(base)
  }

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    var range = range
    if paths[file].hasPrefix("topics/"), range.count > SectorStore.size, range.count % SectorStore.size == 0 {
      writes += 1
      if plan.shortWriteEvery > 0, writes % plan.shortWriteEvery == 0 {
        range = range.lowerBound..<range.upperBound - SectorStore.size
      }
    }
    let taken = try await super.write(file, at: offset, from: buffer, range, durability)
    if durability == .durable, paths[file].hasPrefix("topics/") {
      durableWrites += 1
      if plan.failingWriteEvery > 0, durableWrites % plan.failingWriteEvery == 0 {
        throw StorageError(errno: EIO, .write, paths[file], offset: offset)
      }
    }
    return taken
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    if paths[file].hasPrefix("topics/") {
      syncs += 1
      if syncs == plan.failingSync { throw StorageError(errno: EIO, .sync, paths[file]) }
    }
    try await super.sync(file, scope)
  }
}
