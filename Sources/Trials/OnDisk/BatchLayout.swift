import FaultInjection
import WriteAheadLog

/// Where batches, and their parts, stand in bytes of a segment file, by rules 1 to 4 of BatchFormat.swift: what faults
/// are aimed at. No verdict depends on it; what a fault has touched is told by message content.
enum BatchLayout {
  /// Commits are padded to a sector at least.
  static let sector = 512

  /// - Parameter offset: of the first byte in the file.
  static func batches(in bytes: UnsafeRawBufferPointer, at offset: Int64) -> [Range<Int>] {
    guard let base = bytes.baseAddress else { return [] }
    let alignment = Int64(BatchHeader.alignment)
    var found: [Range<Int>] = []
    var at = Int((alignment - offset % alignment) % alignment)
    while at + BatchHeader.size <= bytes.count {
      let header = BatchHeader(at: base + at, position: offset + Int64(at), available: bytes.count - at)
      let length = header?.length ?? BatchHeader.alignment
      if header != nil { found.append(at..<min(at + length, bytes.count)) }
      at += length
    }
    return found
  }

  static func places(of part: BatchPart, in bytes: UnsafeRawBufferPointer, at offset: Int64) -> [Range<Int>] {
    let batches = batches(in: bytes, at: offset)
    if part == .records || part == .alignment {
      return batches.map { batch in
        let end = endOfRecords(bytes, batch)
        return part == .records ? batch.lowerBound + min(BatchHeader.size, batch.count)..<end : end..<batch.upperBound
      }.filter { !$0.isEmpty }
    }
    guard part == .padding else { return batches.map { place(of: part, in: $0) }.filter { !$0.isEmpty } }
    return batches.indices.map { index in
      let end = batches[index].upperBound
      let position = Int64(end) + offset
      let block = end + Int((Int64(sector) - position % Int64(sector)) % Int64(sector))
      let next = index + 1 < batches.count ? batches[index + 1].lowerBound : bytes.count
      return end..<max(end, min(block, next))
    }.filter { !$0.isEmpty }
  }

  /// Where the records of a batch end: a record is its key's length (-1: none), its value's, then both; see
  /// BatchFormat.swift.
  private static func endOfRecords(_ bytes: UnsafeRawBufferPointer, _ batch: Range<Int>) -> Int {
    func word(_ at: Int) -> UInt32 { UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)) }
    var at = batch.lowerBound + BatchHeader.size
    guard at <= batch.upperBound else { return batch.upperBound }
    for _ in 0..<word(batch.lowerBound + 24) where at + 8 <= batch.upperBound {
      at = min(batch.upperBound, at + 8 + max(0, Int(Int32(bitPattern: word(at)))) + Int(word(at + 4)))
    }
    return at
  }

  /// Of a part within its batch, of which the records are not known; byte ranges of the header are those of
  /// BatchFormat.swift.
  static func place(of part: BatchPart, in batch: Range<Int>) -> Range<Int> {
    let bytes: Range<Int> =
      switch part {
      case .batch: 0..<batch.count
      case .header: 0..<BatchHeader.size
      case .checksum: 4..<8
      case .length: 8..<12
      case .offset: 16..<24
      case .payload, .records: min(BatchHeader.size, batch.count)..<batch.count
      case .alignment: batch.count..<batch.count
      case .padding: batch.count..<batch.count
      }
    return (batch.lowerBound + bytes.lowerBound..<batch.lowerBound + bytes.upperBound).clamped(to: batch)
  }
}
