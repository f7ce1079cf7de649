import LogModel
import Storage

/// Batches that have left the log's files: their bytes one behind the other, as a fetch returned them.
public enum ArchivedBatches {
  /// Appends the bytes of a response's batches from `offset` on, up to `limit` bytes, and at least one batch if the
  /// response has one.
  /// - Returns: how many batches, and the offset after the last one.
  public static func append(
    _ response: FetchResponse, below end: Offset, limit: Int, to bytes: inout [UInt8]
  ) -> (count: Int, next: Offset) {
    var count = 0
    var next = response.first
    for index in response.batches.indices {
      let header = response.batches[index].header
      guard header.nextOffset <= end, bytes.isEmpty || bytes.count + header.length <= limit else { break }
      bytes.append(contentsOf: UnsafeRawBufferPointer(start: response.bytes(of: index), count: header.length))
      count += 1
      next = header.nextOffset
    }
    return (count, next)
  }
}

extension FetchResponse {
  /// Takes batches from an archive: those from `offset` on, at least one, more up to `maxBytes`.
  ///
  /// - Parameters:
  ///   - bytes: whole batches. Whoever has them has checked that they are what was written: the salt that their own
  ///     checksums begin from went with the segment.
  ///   - end: records from it on are not shown.
  /// - Returns: false where no batch holds `offset`.
  public func take(archived bytes: UnsafeRawBufferPointer, from offset: Offset, below end: Offset, maxBytes: Int)
    -> Bool
  {
    reset(first: offset, end: end)
    guard let base = bytes.baseAddress else { return false }
    var at = 0
    var start: Int?
    var used = 0
    while let header = BatchHeader(archivedAt: base + at, available: bytes.count - at), header.baseOffset < end {
      if header.nextOffset > offset {
        if batches.isEmpty, header.baseOffset > offset { return false }
        if let last = batches.last {
          guard header.baseOffset == last.header.nextOffset, used + header.length <= maxBytes else { break }
        }
        if start == nil { start = at }
        batches.append(Batch(header: header, start: used))
        used += header.length
      }
      at += header.length
    }
    guard let start else { return false }
    reserve(used)
    memory.base.copyMemory(from: base + start, byteCount: used)
    return true
  }
}

extension BatchHeader {
  /// Of a batch that has left its segment: the position that it names is where it stood.
  init?(archivedAt base: UnsafeRawPointer, available: Int) {
    guard available >= Self.size else { return nil }
    let position = Int64(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 28, as: UInt32.self))) * 8
    self.init(at: base, position: position, available: available)
    if length > available { return nil }
  }
}
