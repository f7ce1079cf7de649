import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// Streamhouse's flushes: those that nobody waits for.
extension Defect {
  static let streamhouseFlushes: [Defect] = [
    Defect(
      "H6", origin: "Streamhouse",
      "A failed flush has already taken the buffer; the error of a timed flush is dropped.",
      showsWhen: "EIO or ENOSPC on a timed flush", onlyLayer: { TimedFlushesUnheard($0) }),
    Defect(
      "H12", origin: "Streamhouse", "`Interval` sync is looked at only in append: an idle tail is never synced.",
      showsWhen: "stop appending, wait, power loss"
    ) { $0.log.timing = SyncLookedAtInAppend() },
    Defect(
      "H13", origin: "Streamhouse", "An append returns before the write when batching is on.",
      showsWhen: "a process kill right after the acknowledgement", onlyLayer: { WritesBatchedInTheProcess($0) }),
  ]
}

/// H6. What a policy lets wait, writes and syncs under `interval`, is flushed by a timer there; here the write of a
/// commit stands for that flush. Its bytes have left the buffer, and whatever it comes to, all is well.
private final class TimedFlushesUnheard: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    do throws(StorageError) { return try await super.write(file, at: offset, from: buffer, range, durability) } catch {
      guard durability == .volatile, offset > 0, SegmentPath(paths[file]) != nil, !error.isPowerLost else {
        throw error
      }
      return range.count
    }
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    do throws(StorageError) { try await super.sync(file, scope) } catch {
      guard scope == .data, SegmentPath(paths[file]) != nil, !error.isPowerLost else { throw error }
    }
  }
}

/// H12.
struct SyncLookedAtInAppend: SyncTiming {
  func isDue(_ deadline: Instant, lastCommit: Instant, now: Instant) -> Bool { lastCommit >= deadline }
}

/// H13. Writes that need not be durable gather in the process until its next flush; whoever reads or syncs a file finds
/// them there, and whoever comes after the process does not.
private final class WritesBatchedInTheProcess: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private static let window = Duration.milliseconds(5)

  private struct Pending {
    var offset: Int64
    var buffer: IOBuffer
    var count: Int
  }

  private var pending: [FileID: [Pending]] = [:]
  private var isFlushing = false
  private let idle = AsyncEvent(isOpen: true)

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    guard durability == .volatile, offset > 0, SegmentPath(paths[file]) != nil else {
      return try await super.write(file, at: offset, from: buffer, range, durability)
    }
    let copy = makeBuffer(capacity: range.count)
    copy.mutableBytes(0..<range.count).copyMemory(from: buffer[range])
    pending[file, default: []].append(Pending(offset: offset, buffer: copy, count: range.count))
    if !isFlushing {
      isFlushing = true
      loop.spawn { await self.flushLater() }
    }
    return range.count
  }

  private func flushLater() async {
    await loop.sleep(until: loop.now + Self.window)
    isFlushing = false
    await flush()
  }

  private func flush() async {
    while !idle.isOpen { await idle.wait() }
    if pending.isEmpty { return }
    idle.shut()
    let batch = pending
    pending.removeAll()
    for (file, writes) in batch.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      for write in writes {
        // Who was to hear of it has been told already.
        do throws(StorageError) {
          _ = try await super.write(file, at: write.offset, from: write.buffer, 0..<write.count, .volatile)
        } catch {}
      }
    }
    idle.open()
  }

  override func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    await flush()
    return try await super.read(file, at: offset, into: buffer, range)
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    await flush()
    try await super.sync(file, scope)
  }

  override func size(of file: FileID) async throws(StorageError) -> Int64 {
    await flush()
    return try await super.size(of: file)
  }

  override func close(_ file: FileID) async {
    await flush()
    await super.close(file)
  }
}
