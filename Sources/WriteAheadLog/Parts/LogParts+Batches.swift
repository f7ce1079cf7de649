import LogModel

// How batches are sealed, found and taken.

/// Writes the header of a batch.
public protocol BatchSealing: Sendable {
  /// Writes `header` in front of records that are in place, and the checksum.
  /// - Parameter base: `header.length` bytes.
  func seal(_ header: BatchHeader, at base: UnsafeMutableRawPointer, salt: UInt64)
}

public struct ChecksumSealing: BatchSealing {
  public init() {}

  public func seal(_ header: BatchHeader, at base: UnsafeMutableRawPointer, salt: UInt64) {
    header.seal(at: base, salt: salt)
  }
}

/// Decides what a valid batch is taken for.
public protocol BatchReading: Sendable {
  /// Of a batch that recovery's scan has come to.
  /// - Parameter expected: the offset that is due.
  /// - Returns: the offset of its first message.
  func baseOffset(ofScanned header: BatchHeader, expected: Offset, salt: UInt64) -> Offset
  /// The same of a batch that a fetch has come to.
  /// - Parameter base: `header.length` bytes, beginning with the header.
  /// - Returns: nil where the fetch goes on without it.
  func baseOffset(ofFetched header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Offset?
}

/// A batch has the offset that it was written with, and every valid one is somebody's.
public struct BatchesAsWritten: BatchReading {
  public init() {}
  public func baseOffset(ofScanned header: BatchHeader, expected: Offset, salt: UInt64) -> Offset { header.baseOffset }

  public func baseOffset(ofFetched header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Offset? {
    header.baseOffset
  }
}

/// Decides in which order recovery reads what it finds in the directory of a log.
public protocol SegmentOrdering: Sendable {
  /// - Parameter names: in the order in which the storage has listed them.
  func order(_ names: [String]) -> [String]
}

/// Names sort as base offsets do, and those of one base offset as the epochs of their writers.
public struct OldestFirst: SegmentOrdering {
  public init() {}
  public func order(_ names: [String]) -> [String] { names.sorted() }
}

/// Finds where a fetch begins to read in a segment.
public protocol IndexLookup: Sendable {
  /// - Returns: an entry of `index`; nil to begin at the first batch.
  func entry(for offset: Offset, in index: SparseIndex) -> Int?
}

public struct LastEntryBefore: IndexLookup {
  public init() {}
  public func entry(for offset: Offset, in index: SparseIndex) -> Int? { index.lastEntry(atOrBefore: offset) }
}
