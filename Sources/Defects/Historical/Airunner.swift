import LogModel
import PartitionEngine
import WriteAheadLog

/// airunner, a log for each job: seed document 001.
extension Defect {
  static let airunner: [Defect] = [
    Defect(
      "A2", origin: "airunner",
      "A failed write leaves partial bytes, later acknowledged records follow, and reopening truncates them all.",
      showsWhen: "ENOSPC or EIO in the middle of a record once, then success, then a restart"
    ) {
      $0.log.failedCommits = SegmentUsedAfterAFailedWrite()
      $0.log.resynchronizing = NothingBehindATear()
    },
    Defect(
      "A5", origin: "airunner",
      "A record over the size limit is accepted, and truncated, with all after it, on reopen.",
      showsWhen: "a record of 10 MiB + 1"
    ) {
      $0.log.validator = ValidatorWithALimit()
      $0.log.resynchronizing = NothingBehindATear()
    },
  ]
}

/// A2, A5. The log ends where the first record stands that is not right.
struct NothingBehindATear: BatchResynchronizing {
  func distance(past header: BatchHeader?) -> Int { header == nil ? BatchHeader.alignment : 1 << 40 }
}

/// A5. The limit that appends know is `LogConfiguration.largestBatch`, up to 16 MiB, and so does the sound recovery.
struct ValidatorWithALimit: BatchValidating {
  static let largestRecord = 10 << 20

  func isIntact(_ header: BatchHeader, at base: UnsafeRawPointer, salt: UInt64) -> Bool {
    header.length - BatchHeader.size <= Self.largestRecord && ChecksumValidator().isIntact(header, at: base, salt: salt)
  }
}
