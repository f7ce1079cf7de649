import Glibc
import Storage

/// Records on their way into a log: one write, answered together. Used again and again.
final class RecordCommit {
  // Owned by its log's loop.

  struct Pending {
    var start: Int
    var waiter: UnsafeContinuation<RecordPosition?, Never>
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

  func add(_ start: Int, _ waiter: UnsafeContinuation<RecordPosition?, Never>) {
    pending.append(Pending(start: start, waiter: waiter))
  }

  func succeed(file: Int, at offset: Int64) {
    for record in pending { record.waiter.resume(returning: RecordPosition(file: file, offset: offset + Int64(record.start))) }
    used = 0
    pending.removeAll(keepingCapacity: true)
  }

  func fail(_ error: RecordLogError) {
    failure = error
    for record in pending { record.waiter.resume(returning: nil) }
  }
}
