import Glibc
import LogModel
import Storage

/// For logs of other formats: a response is filled message by message, and looks like any other then.
extension FetchResponse {
  package func begin(from first: Offset, below end: Offset) { reset(first: first, end: end) }

  /// Bytes that the messages take so far.
  package var usedBytes: Int { batches.last.map { $0.start + $0.header.length } ?? 0 }

  /// Adds a message. Offsets ascend; those that follow each other stand in one batch.
  package func add(_ offset: Offset, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer) {
    let size = RecordFormat.headerSize + (key?.count ?? 0) + value.count
    if batches.last?.header.nextOffset != offset { beginBatch(at: offset) }
    grow(to: usedBytes + size)
    var writer = RecordWriter(base: memory.base + usedBytes, capacity: size)
    writer.append(key: key, value: value)
    batches[batches.count - 1].header.length += size
    batches[batches.count - 1].header.recordCount += 1
  }

  private func beginBatch(at offset: Offset) {
    let start = usedBytes
    grow(to: start + BatchHeader.size)
    let header = BatchHeader(
      length: BatchHeader.size, baseOffset: offset, recordCount: 0, position: 0, epoch: Epoch(0),
      time: Instant(nanoseconds: 0), durableOffset: 0, bootID: 0, commitDelta: 0)
    batches.append(Batch(header: header, start: start))
  }

  private func grow(to bytes: Int) {
    guard memory.capacity < bytes else { return }
    let larger = IOBuffer(capacity: max(bytes, 2 * memory.capacity))
    memcpy(larger.base, memory.base, usedBytes)
    memory = larger
  }
}
