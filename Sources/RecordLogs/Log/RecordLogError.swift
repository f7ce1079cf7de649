import LogModel
import Storage

/// Why a log of single records refused or failed.
public enum RecordLogError: Error, Hashable, Sendable {
  /// The device failed. For an append: the record may or may not be there after a restart.
  case storage(StorageError)
  /// Nothing was appended.
  case recordTooLarge(bytes: Int, limit: Int)
  /// The log has been closed. Nothing was appended.
  case closed
  /// A sync failed earlier; nothing more can be made durable through this file. Nothing was appended.
  case poisoned(by: StorageError)
  /// A newer writer has taken the log over; the text says how that is known. What has been written may be there.
  case superseded(String)
  /// Somebody else has the log open.
  case inUse(path: String)
  /// The file has neither this format's head nor a record of it. It was left alone.
  case notALog(path: String)

  /// Whether the append certainly left nothing behind. Otherwise its outcome is indeterminate.
  public var isCertainFailure: Bool {
    switch self {
    case .recordTooLarge, .closed, .poisoned, .inUse, .notALog: true
    case .storage, .superseded: false
    }
  }
}

extension RecordLogError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .storage(let error): "\(error)"
    case .recordTooLarge(let bytes, let limit):
      "a record of \(bytes) bytes is over the limit of \(limit); send smaller ones"
    case .closed: "the log is closed"
    case .poisoned(let error): "the log takes no records after a failed sync; close it and open it again: \(error)"
    case .superseded(let how): "another writer has taken the log over (\(how)); close this one"
    case .inUse(let path): "\(path) is held by another writer; close that one first"
    case .notALog(let path): "\(path) is no log of this format, and was left alone; move it away or name another log"
    }
  }
}

/// Where a record stands: the file of the log, and its first byte in it.
public struct RecordPosition: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Files are numbered from 0 in the order in which they were begun.
  public var file: Int
  public var offset: Int64

  public init(file: Int, offset: Int64) {
    self.file = file
    self.offset = offset
  }

  public static func < (a: Self, b: Self) -> Bool { (a.file, a.offset) < (b.file, b.offset) }
  public var description: String { "\(file):\(offset)" }
}

/// Bytes of a file that are no record.
public struct DamagedBytes: Hashable, Sendable {
  /// Relative to the storage's root.
  public var path: String
  public var range: Range<Int64>
  /// Why the first record in it is none.
  public var fault: RecordFault

  package init(path: String, range: Range<Int64>, fault: RecordFault) {
    (self.path, self.range, self.fault) = (path, range, fault)
  }

  /// Nil where the first record in it is none for another reason.
  public var mismatch: ChecksumMismatch? {
    guard case .checksumMismatch(let stored, let computed) = fault else { return nil }
    return ChecksumMismatch(at: range.lowerBound, stored: stored, computed: computed)
  }
}

/// What the recovery of a log of single records came to.
public struct RecordRecoveryReport: Hashable, Sendable {
  public var files = 0
  public var records = 0
  public var bytesScanned: Int64 = 0
  /// Damage to what may have been acknowledged; the first `mostDamage` places of it.
  public var damage: [DamagedBytes] = []
  /// Places of damage, all counted.
  public var damageCount = 0
  /// What a crash has left of a commit that was never acknowledged, as far as the format allows that to be told: it was
  /// cut.
  public var tornTail: DamagedBytes?
  /// What stood behind the last record of the last file and has been cut off; zeros count. Nil where nothing did.
  public var cutTail: DamagedBytes?
  /// Files that hold what was taken out of the log.
  public var setAside: [String] = []
  /// Bytes that the device could not read.
  public var unreadableBytes: Int64 = 0

  /// A report does not grow with the damage.
  public static let mostDamage = 1000

  mutating func note(_ path: String, _ range: Range<Int64>, _ fault: RecordFault) {
    damageCount += 1
    if damage.count < Self.mostDamage { damage.append(DamagedBytes(path: path, range: range, fault: fault)) }
  }
}
