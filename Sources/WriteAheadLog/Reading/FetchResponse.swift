import LogModel
import Storage

/// What a fetch returned: whole batches, and which of their records were asked for. Reusable: a fetch replaces what
/// was in it.
public final class FetchResponse: @unchecked Sendable {
  // Owned by the task that fetches with it.

  public struct Batch {
    public var header: BatchHeader
    var start: Int
  }

  public internal(set) var batches: [Batch] = []
  /// Records with `first <= offset < end` were asked for and may be seen.
  public internal(set) var first: Offset = 0
  public internal(set) var end: Offset = 0
  var memory: IOBuffer

  public init(capacity: Int = 64 << 10) {
    memory = IOBuffer(capacity: capacity)
  }

  /// With memory that somebody lends to it: a response that is needed once.
  public init(in memory: IOBuffer) { self.memory = memory }

  public var isEmpty: Bool { batches.isEmpty }

  /// The offset to ask for next.
  public var nextOffset: Offset {
    guard let last = batches.last else { return first }
    return max(first, min(last.header.nextOffset, end))
  }

  func reset(first: Offset, end: Offset) {
    batches.removeAll(keepingCapacity: true)
    self.first = first
    self.end = end
  }

  func reserve(_ bytes: Int) {
    if memory.capacity < bytes { memory = IOBuffer(capacity: bytes) }
  }

  public func bytes(of index: Int) -> UnsafeRawPointer { UnsafeRawPointer(memory.base) + batches[index].start }

  /// Calls `body` with the first record that was asked for, if there is one.
  public func withFirstRecord(_ body: (RecordView) -> Void) {
    for index in batches.indices {
      var cursor = RecordCursor(batch: bytes(of: index), header: batches[index].header)
      while let record = cursor.next() {
        if record.offset < first { continue }
        if record.offset < end { body(record) }
        return
      }
    }
  }

  /// Calls `body` with each record that was asked for, in order. The bytes are valid during the call.
  @inline(__always)
  public func forEachRecord(_ body: (RecordView) -> Void) {
    for index in batches.indices {
      var cursor = RecordCursor(batch: bytes(of: index), header: batches[index].header)
      while let record = cursor.next() {
        if record.offset < first { continue }
        if record.offset >= end { break }
        body(record)
      }
    }
  }
}
