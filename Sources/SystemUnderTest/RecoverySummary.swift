import LogModel
import Verification

/// What opening a log came to.
public struct RecoverySummary: Hashable, Sendable, Codable {
  /// The acknowledged messages that the log reports as damaged or missing. A torn tail that was cut is not among them.
  public var damage: [RecoveryDamage] = []
  /// Bytes that were read to find out what is there.
  public var bytesScanned = 0
  /// Damaged or missing places that were skipped or cut.
  public var batchesSkipped = 0
  /// Batches, or records, that are valid.
  public var batchesRecovered = 0
  /// What the reader of a report should know beside the damage.
  public var notices: [String] = []

  public init() {}
}

/// One place where a recovery found acknowledged messages damaged or missing.
public struct RecoveryDamage: Hashable, Sendable, Codable {
  public var partition: TopicPartition
  /// Offsets that are not served; the end may lie beyond the log's end where that is unknown.
  public var offsets: OffsetRange
  /// The file, relative to the storage's root.
  public var path: String
  /// Where the damage begins and ends in that file.
  public var byteFrom: Int64
  public var byteTo: Int64
  /// Of the first batch or record in it whose checksum is wrong; nil where none could be checked.
  public var mismatch: ChecksumMismatch?

  public init(
    _ partition: TopicPartition, _ offsets: OffsetRange, path: String, byteFrom: Int64, byteTo: Int64,
    mismatch: ChecksumMismatch? = nil
  ) {
    (self.partition, self.offsets, self.path) = (partition, offsets, path)
    (self.byteFrom, self.byteTo, self.mismatch) = (byteFrom, byteTo, mismatch)
  }
}

extension ReportedDamage {
  /// The same for the oracle.
  /// - Parameter operationsBefore: that had been submitted when it was reported; nil for all.
  init(_ damage: RecoveryDamage, of slot: PartitionSlot, operationsBefore: Int?) {
    self.init(
      partition: slot, offsets: damage.offsets,
      reason: "\(damage.path), bytes \(damage.byteFrom) ..< \(damage.byteTo)"
        + (damage.mismatch.map { ", \($0)" } ?? ""),
      operationsBefore: operationsBefore, mismatch: damage.mismatch, path: damage.path,
      bytes: damage.byteFrom..<max(damage.byteFrom, damage.byteTo))
  }
}
