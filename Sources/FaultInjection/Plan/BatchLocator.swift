import Storage

/// Knows where messages and batches stand, which the fault layer does not: it sees no engine and no format.
public protocol BatchLocator: AnyObject, Sendable {
  /// Whether a message stands in `place`, wholly or in part; what a write brings counts before it has been written.
  func holdsMessages(_ place: FileRange) -> Bool
  /// The messages that stand in `place`, as ranges of the file, cut to it.
  func messages(in place: FileRange) -> [Range<Int64>]
  /// Where `part` stands in `bytes`, which begin at `offset` of a file: of each batch that they hold, ascending.
  func places(of part: BatchPart, in bytes: UnsafeRawBufferPointer, at offset: Int64) -> [Range<Int>]
}

/// A part of a batch on its way or at rest.
public enum BatchPart: String, Hashable, Sendable, Codable, CaseIterable {
  /// All of it, from its header to its last byte.
  case batch
  case header = "batch-header"
  case checksum = "batch-checksum"
  case length = "batch-length"
  case offset = "batch-offset"
  /// Everything behind the header.
  case payload = "batch-payload"
  /// The records: what stands behind the header, without the zeros that make a batch's length a multiple of 8 bytes.
  case records = "batch-records"
  /// Those zeros, which the checksum covers too; a batch may have none.
  case alignment = "batch-alignment"
  /// What follows the last batch of a commit up to the end of its sector, and belongs to none.
  case padding
}

/// One byte of a part: where a loop over it begins, and where it ends.
public enum PartEdge: String, Hashable, Sendable, Codable, CaseIterable {
  case first, last

  /// That byte of a range that is not empty.
  public func of(_ range: Range<Int>) -> Range<Int> {
    switch self {
    case .first: range.lowerBound..<range.lowerBound + 1
    case .last: range.upperBound - 1..<range.upperBound
    }
  }
}

extension FaultyStorage {
  /// Of a pass that is aimed at batches, whether it carries any; of a flip that is aimed at a part of them, whether
  /// that part is there. What a read brings is not known before it has been read.
  func carriesItsAim(_ call: StorageCall, _ planned: PlannedFault) -> Bool {
    if planned.trigger.target == .batch, let batches {
      let range = call.offset..<call.offset + Int64(call.length)
      guard batches.holdsMessages(FileRange(call.path, range)) else { return false }
    }
    guard planned.fault.kind == .bitFlip, planned.fault.place.isPart, let content = call.content else { return true }
    return !candidates(planned.fault.place, content, at: call.offset, triggerByte: nil).isEmpty
  }

  /// The ranges of a pass that a fault may choose one from.
  func candidates(
    _ place: BytePlace, _ bytes: UnsafeRawBufferPointer, at offset: Int64, triggerByte: Int?
  ) -> [Range<Int>] {
    if case .part(let part) = place { return batches?.places(of: part, in: bytes, at: offset) ?? [] }
    if case .edge(let part, let edge) = place {
      return (batches?.places(of: part, in: bytes, at: offset) ?? []).map(edge.of)
    }
    return place.choose(in: bytes.count, triggerByte: triggerByte).map { [$0] } ?? []
  }

  /// How much of a write is not the padding behind its last batch; all of it, where the fault is not aimed at batches.
  func meantBytes(_ store: Store, _ planned: PlannedFault) -> Int {
    guard planned.trigger.target == .batch, let batches else { return store.payload.count }
    let bytes = UnsafeRawBufferPointer(store.payload.buffer[store.payload.range])
    return batches.places(of: .batch, in: bytes, at: store.offset).last?.upperBound ?? store.payload.count
  }
}

extension StorageFault {
  /// Where in a pass it hits.
  var place: BytePlace {
    switch self {
    case .bitFlip(_, let place), .latentSectorError(let place): place
    default: .anywhere
    }
  }
}

extension StorageCall {
  /// Whether it brings anything but zeros, with which files are filled ahead.
  var carriesData: Bool {
    guard kind == .write, let content else { return true }
    return content.contains { $0 != 0 }
  }
}
