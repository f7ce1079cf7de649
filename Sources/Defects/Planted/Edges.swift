import LogModel
import PartitionEngine
import RecordLogs
import Storage
import WriteAheadLog

/// What no workload showed that has ordinary messages only: keys, times, values of no bytes, the first and the last
/// byte that a checksum covers, deletions, leases that live, receivers that reject one event for good. And two of
/// recovery's scan that spare the metadata: what finds them is what the partition's own log has lost.
extension Defect {
  static let edges: [Defect] = [
    Defect(
      "P23", origin: "planted", "A key of no bytes is stored as no key.", showsWhen: "a message with an empty key"
    ) { $0.log.sealing = EmptyKeysDropped() },
    Defect(
      "P24", origin: "planted", "Keys are kept as C strings: what follows the first NUL is lost.",
      showsWhen: "a key with a NUL in it"
    ) { $0.log.sealing = KeysEndingAtNUL() },
    Defect(
      "P25", origin: "planted",
      "The time of a batch is kept in whole milliseconds: it lies before the request was sent.",
      showsWhen: "any batch, once its time is looked at"
    ) { $0.log.sealing = TimesInMilliseconds() },
    Defect(
      "P26", origin: "planted", "A value of no bytes is taken for a deletion, and readers are not shown it.",
      showsWhen: "a batch of one message without bytes"
    ) { $0.log.reading = EmptyValuesSkipped() },
    Defect(
      "P27", origin: "planted", "The checksum's loop ends one byte early: the last byte of a batch is not covered.",
      showsWhen: "a bit flip in the last byte of a batch whose records fill it"
    ) { ($0.log.sealing, $0.log.validator) = (LastByteUncovered(), LastByteUncovered()) },
    Defect(
      "P28", origin: "planted", "Header and records are summed apart, and the second sum begins one byte late.",
      showsWhen: "a bit flip in the first byte behind the header, where messages have keys"
    ) { ($0.log.sealing, $0.log.validator) = (FirstByteUncovered(), FirstByteUncovered()) },
    Defect(
      "P29", origin: "planted",
      "The log start offset is kept in memory only: after a restart a log begins with its first file.",
      showsWhen: "a deletion inside a segment, then a restart"
    ) { $0.deletions = DeletionsForgotten() },
    Defect(
      "P30", origin: "planted", "A deletion before an offset takes the message at that offset too, after a restart.",
      showsWhen: "a deletion, then a restart"
    ) { $0.deletions = DeletionsOneTooFar() },
    Defect(
      "P31", origin: "planted",
      "The renewal of a lease writes the term that it was claimed with: it never lasts longer than one term.",
      showsWhen: "a holder that lives for more than one term, and somebody who wants its lease",
      onlyLayer: { RenewalsWithoutEffect($0) }),
    Defect(
      ofDelivery: "P32", origin: "planted",
      "A batch of which the receiver rejects one event for good is recorded as sent.",
      showsWhen: "a receiver that answers 422"
    ) { $0.acceptance = RejectedTakenForSent() },
    Defect(
      "P33", origin: "planted",
      "Behind a batch the scan goes on a sector at a time: what begins in between is jumped over.",
      showsWhen: "a restart with two commits or more in a partition"
    ) { $0.log.resynchronizing = ASectorAtATime() },
    Defect(
      "P34", origin: "planted",
      "A read that ends at the end of a log is rounded down to whole pages: recovery cuts what stands in the last one.",
      showsWhen: "a restart with a log that is not filled up to a page, as under `never`",
      onlyLayer: { LastPageDropped($0) }),
  ]
}

/// Walks the records of a batch that is about to be sealed; BatchFormat.swift has their layout.
private func forEachRecord(
  of header: BatchHeader, at base: UnsafeMutableRawPointer,
  _ body: (_ record: UnsafeMutableRawPointer, _ key: Int) -> Void
) {
  var at = BatchHeader.size
  for _ in 0..<header.recordCount where at + 8 <= header.length {
    let key = Int(Int32(littleEndian: base.loadUnaligned(fromByteOffset: at, as: Int32.self)))
    let value = Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self)))
    guard at + 8 + max(0, key) + value <= header.length else { return }
    body(base + at, key)
    at += 8 + max(0, key) + value
  }
}

/// P23.
struct EmptyKeysDropped: BatchSealing {
  func seal(_ header: BatchHeader, at base: UnsafeMutableRawPointer, salt: UInt64) {
    forEachRecord(of: header, at: base) { record, key in
      if key == 0 { record.storeBytes(of: Int32(-1).littleEndian, as: Int32.self) }
    }
    header.seal(at: base, salt: salt)
  }
}

/// P24. The length was taken before; what is behind the NUL is whatever a copy of the string leaves there.
struct KeysEndingAtNUL: BatchSealing {
  func seal(_ header: BatchHeader, at base: UnsafeMutableRawPointer, salt: UInt64) {
    forEachRecord(of: header, at: base) { record, key in
      guard key > 0 else { return }
      let bytes = UnsafeMutableRawBufferPointer(start: record + 8, count: key)
      guard let end = bytes.firstIndex(of: 0) else { return }
      UnsafeMutableRawBufferPointer(rebasing: bytes[end...]).initializeMemory(as: UInt8.self, repeating: 0)
    }
    header.seal(at: base, salt: salt)
  }
}

/// P25.
struct TimesInMilliseconds: BatchSealing {
  func seal(_ header: BatchHeader, at base: UnsafeMutableRawPointer, salt: UInt64) {
    var header = header
    header.time = Instant(nanoseconds: header.time.nanoseconds / 1_000_000 * 1_000_000)
    header.seal(at: base, salt: salt)
  }
}

/// P26.
struct EmptyValuesSkipped: BatchReading {
  func baseOffset(ofScanned header: BatchHeader, expected: Offset, salt: UInt64) -> Offset { header.baseOffset }

  func baseOffset(ofFetched header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Offset? {
    let value = base.loadUnaligned(fromByteOffset: BatchHeader.size + 4, as: UInt32.self)
    return header.recordCount == 1 && value == 0 ? nil : header.baseOffset
  }
}

/// P27.
struct LastByteUncovered: BatchSealing, BatchValidating {
  private func checksum(_ header: BatchHeader, _ base: UnsafeRawPointer, _ salt: UInt64) -> UInt32 {
    BatchHeader.computeChecksum(at: base, length: header.length - 1, position: header.position, salt: salt)
  }

  func seal(_ header: BatchHeader, at base: UnsafeMutableRawPointer, salt: UInt64) {
    header.seal(at: base, salt: salt)
    base.storeBytes(of: checksum(header, base, salt).littleEndian, toByteOffset: 4, as: UInt32.self)
  }

  func isIntact(_ header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Bool {
    checksum(header, base, salt) == header.checksum
  }
}

/// P28.
struct FirstByteUncovered: BatchSealing, BatchValidating {
  private func checksum(_ header: BatchHeader, _ base: UnsafeRawPointer, _ salt: UInt64) -> UInt32 {
    // What it leaves out are the first 8 bytes of what it is given.
    let skipped = BatchHeader.size + 1 - 8
    return BatchHeader.computeChecksum(at: base, length: BatchHeader.size, position: header.position, salt: salt)
      ^ BatchHeader.computeChecksum(
        at: base + skipped, length: header.length - skipped, position: header.position, salt: salt)
  }

  func seal(_ header: BatchHeader, at base: UnsafeMutableRawPointer, salt: UInt64) {
    header.seal(at: base, salt: salt)
    base.storeBytes(of: checksum(header, base, salt).littleEndian, toByteOffset: 4, as: UInt32.self)
  }

  func isIntact(_ header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Bool {
    checksum(header, base, salt) == header.checksum
  }
}

/// P29.
struct DeletionsForgotten: DeletionKeeping {
  func logStart(_ recorded: Offset?) -> Offset? { nil }
}

/// P30.
struct DeletionsOneTooFar: DeletionKeeping {
  func logStart(_ recorded: Offset?) -> Offset? { recorded.map { $0 + 1 } }
}

/// P31. Only the holder's way of giving it back, a term of 0, is written.
private final class RenewalsWithoutEffect: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private var claimed: Set<String> = []

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    let path = paths[file]
    if path.hasPrefix("writers/"), buffer[range].first != UInt8(ascii: "0"), !claimed.insert(path).inserted {
      return range.count
    }
    return try await super.write(file, at: offset, from: buffer, range, durability)
  }
}

/// P32.
struct RejectedTakenForSent: AcceptanceReading {
  func meaning(of delivery: Delivery) -> Delivery {
    if case .refused = delivery { return .accepted }
    return delivery
  }
}

/// P33. Of the padding behind a commit, and of everything else that is no batch.
struct ASectorAtATime: BatchResynchronizing {
  func distance(past header: BatchHeader?) -> Int { 512 }
}

/// P34. The head of a segment is a page.
private final class LastPageDropped: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private static let page = 4096

  override func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    let got = try await super.read(file, at: offset, into: buffer, range)
    guard SegmentPath(paths[file]) != nil, offset + Int64(got) >= (try await super.size(of: file)) else { return got }
    let end = (offset + Int64(got)) / Int64(Self.page) * Int64(Self.page)
    return max(0, Int(end - offset))
  }
}
