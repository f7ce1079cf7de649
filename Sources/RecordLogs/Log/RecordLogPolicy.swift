import LogModel

/// What a log of single records does with them: when it syncs, when it begins a new file, what recovery does with
/// damage. A policy is a value; the format is the codec's.
public struct RecordLogPolicy: Hashable, Sendable {
  /// When a new file begins. Looked at before each commit.
  public struct Rotation: Hashable, Sendable {
    /// A file is closed before the commit that would take it past this size in bytes.
    public var bytes: Int64
    /// A file is closed so long after it was begun, or opened, by this process; nil: never.
    public var age: Duration?

    public init(bytes: Int64, age: Duration? = nil) {
      self.bytes = bytes
      self.age = age
    }
  }

  public var syncPolicy: SyncPolicy
  public var recoveryPolicy: RecoveryPolicy
  /// The most bytes that one record may have, everything counted; larger ones are refused.
  public var largestRecord: Int
  /// The most bytes that one commit carries; at least `largestRecord`.
  public var commitBytes: Int
  /// How long a commit waits for more records after its first, unless `lingerBytes` are there. Nobody is answered
  /// earlier.
  public var linger: Duration
  public var lingerBytes: Int
  /// Nil: one file for ever.
  public var rotation: Rotation?

  public init(
    syncPolicy: SyncPolicy = .always, recoveryPolicy: RecoveryPolicy = .skipCorrupted, largestRecord: Int = 1 << 20,
    commitBytes: Int = 1 << 20, linger: Duration = .zero, lingerBytes: Int = 1 << 20, rotation: Rotation? = nil
  ) {
    precondition(largestRecord >= 64 && commitBytes >= largestRecord, "a commit carries at least one record")
    precondition(rotation.map { $0.bytes >= 512 } ?? true, "a file has at least 512 bytes")
    self.syncPolicy = syncPolicy
    self.recoveryPolicy = recoveryPolicy
    self.largestRecord = largestRecord
    self.commitBytes = commitBytes
    self.linger = linger
    self.lingerBytes = lingerBytes
    self.rotation = rotation
  }

  /// Streamhouse runbook: interval(100ms) is the default, corrupt records are skipped, a file is rotated at 1 GB.
  public static let streamhouse = RecordLogPolicy(
    syncPolicy: .interval(.milliseconds(100)), recoveryPolicy: .skipCorrupted, rotation: Rotation(bytes: 1 << 30))
  /// Airunner runbook: each append is synced, a log ends at its first corruption; a record has at most 10 MiB.
  public static let airunner = RecordLogPolicy(
    syncPolicy: .always, recoveryPolicy: .truncateAtCorruption, largestRecord: 10 << 20, commitBytes: 10 << 20)
  /// Chronik investigation says nothing of sync or rotation: group commit with a sync each, files of 128 MiB, skipping,
  /// decided here.
  public static let chronik = RecordLogPolicy(
    syncPolicy: .always, recoveryPolicy: .skipCorrupted, rotation: Rotation(bytes: 128 << 20))
  /// Replay-buffer plan: a sync every 100 ms or 1 MB, the answer after it; corrupt entries are skipped; a file is
  /// rotated at 100 MB.
  public static let replayBuffer = RecordLogPolicy(
    syncPolicy: .always, recoveryPolicy: .skipCorrupted, commitBytes: 2 << 20, linger: .milliseconds(100),
    lingerBytes: 1 << 20, rotation: Rotation(bytes: 100 << 20))

  /// Written bytes that call for a sync before its time, under `interval`; appends wait for it.
  static var eagerBytes: Int { 8 << 20 }

  /// The most bytes at the end of a log that a crash may find not synced; nil where there is no such limit.
  var unsyncedLimit: Int64? {
    switch syncPolicy {
    case .always: Int64(commitBytes)
    case .interval: Int64(Self.eagerBytes + 2 * commitBytes)
    case .never: nil
    }
  }
}
