import Glibc
import Storage

/// Records on their way into a log: one write, answered together. Used again and again.
final class RecordCommit {
  // Owned by its log's loop.

  struct Pending {
    var start: Int
    /// What `CommitNumbering` has given it.
    var number: Int64 = 0
    var waiter: UnsafeContinuation<AppendedRecord?, Never>
  }

  private(set) var buffer: IOBuffer
  private(set) var used = 0
  private(set) var pending: [Pending] = []
  /// Why it failed; its producers read it, so that one that failed is not used again.
  var failure: RecordLogError?

  init(_ storage: any Storage) { buffer = storage.makeBuffer(capacity: 64 << 10) }

  func hasRoom(for length: Int, limit: Int) -> Bool { used + length <= limit }

  /// The next `length` bytes; the buffer grows where they do not fit.
  func reserve(_ length: Int, _ storage: any Storage, limit: Int) -> (start: Int, target: UnsafeMutableRawPointer) {
    if used + length > buffer.capacity {
      let larger = storage.makeBuffer(capacity: min(limit, max(used + length, 2 * buffer.capacity)))
      memcpy(larger.base, buffer.base, used)
      buffer = larger
    }
    defer { used += length }
    return (used, buffer.base + used)
  }

  func add(_ start: Int, _ waiter: UnsafeContinuation<AppendedRecord?, Never>) {
    pending.append(Pending(start: start, waiter: waiter))
  }

  /// Has the appends numbered, in order; the first one's bytes will stand at `at`.
  func number(by numbering: any CommitNumbering, file: Int, at: Int64) {
    for index in pending.indices {
      let start = pending[index].start
      let end = index + 1 < pending.count ? pending[index + 1].start : used
      pending[index].number = numbering.number(
        buffer.mutableBytes(start..<end), at: RecordPosition(file: file, offset: at + Int64(start)))
    }
  }

  func succeed(file: Int, at offset: Int64) {
    for record in pending {
      let position = RecordPosition(file: file, offset: offset + Int64(record.start))
      record.waiter.resume(returning: AppendedRecord(position: position, number: record.number))
    }
    used = 0
    pending.removeAll(keepingCapacity: true)
  }

  func fail(_ error: RecordLogError) {
    failure = error
    for record in pending { record.waiter.resume(returning: nil) }
  }
}
