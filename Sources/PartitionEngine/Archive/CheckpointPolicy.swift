import LogModel
import Storage
import WriteAheadLog

/// When a partition's log goes to the object store, and what happens while that does not take it. Byte counts are in
/// bytes.
public struct CheckpointPolicy: Hashable, Sendable {
  /// What is durable goes there at the latest this long after it was acknowledged. Closed segments go at once.
  public var interval: Duration
  /// And when so many bytes wait.
  public var bytes: Int64
  /// Bytes of batches in one object; more only where a single batch is larger.
  public var objectBytes: Int
  /// How long the store has for one answer.
  public var timeout: Duration
  /// Between attempts: this long after the first failure, twice as long after each further one, up to the longest.
  public var firstPause: Duration
  public var longestPause: Duration
  /// Files that stay though the store has them.
  public var retention: LocalRetention?
  /// How many bytes of a partition may wait for the store. Beyond that appends wait, up to `patience`, and are refused
  /// then. Nil for as many as the disk holds.
  public var mostWaiting: Int64?
  public var patience: Duration

  /// The defaults for when are those of the Streamhouse runbook: every 60 seconds or 10 MB.
  public init(
    interval: Duration = .seconds(60), bytes: Int64 = 10 << 20, objectBytes: Int = 8 << 20,
    timeout: Duration = .seconds(30),
    firstPause: Duration = .milliseconds(100), longestPause: Duration = .seconds(30), retention: LocalRetention? = nil,
    mostWaiting: Int64? = 1 << 30, patience: Duration = .seconds(10)
  ) {
    precondition((1...48 << 20) ~= objectBytes, "an object has 1 byte to 48 MiB of batches")
    precondition(interval > .zero && timeout > .zero && firstPause > .zero && longestPause >= firstPause)
    self.interval = interval
    self.bytes = bytes
    self.objectBytes = objectBytes
    self.timeout = timeout
    self.firstPause = firstPause
    self.longestPause = longestPause
    self.retention = retention
    self.mostWaiting = mostWaiting
    self.patience = patience
  }
}

/// The parts of a checkpoint that history got wrong, replaceable by construction. The defaults are the sound ones.
public struct CheckpointParts: Sendable {
  public var failedUploads: any FailedUploadHandling
  public var bounding: any ArchiveBounding
  public var leftovers: any ArchivedLeftoverHandling

  public init(
    failedUploads: any FailedUploadHandling = UploadAgain(),
    bounding: any ArchiveBounding = ArchivedIsWhatWasUploaded(),
    leftovers: any ArchivedLeftoverHandling = IgnoreArchivedLeftovers()
  ) {
    self.failedUploads = failedUploads
    self.bounding = bounding
    self.leftovers = leftovers
  }
}

/// Decides what becomes of messages whose upload has failed.
public protocol FailedUploadHandling: Sendable {
  /// Whether the next attempt begins where this one did.
  var triesAgain: Bool { get }
}

public struct UploadAgain: FailedUploadHandling {
  public init() {}
  public var triesAgain: Bool { true }
}

/// Decides how far the log may be cut after an upload.
public protocol ArchiveBounding: Sendable {
  /// - Parameters:
  ///   - uploaded: the offset after the last message that the store holds durably.
  ///   - acknowledged: the high watermark by now.
  /// - Returns: everything before it counts as archived.
  func archivedEnd(uploaded: Offset, acknowledged: Offset) -> Offset
}

public struct ArchivedIsWhatWasUploaded: ArchiveBounding {
  public init() {}
  public func archivedEnd(uploaded: Offset, acknowledged: Offset) -> Offset { uploaded }
}

/// Decides what an opening does with files whose contents the store has: a crash came before they were removed.
public protocol ArchivedLeftoverHandling: Sendable {
  /// Whether their messages are taken for new ones, and appended.
  var replays: Bool { get }
}

public struct IgnoreArchivedLeftovers: ArchivedLeftoverHandling {
  public init() {}
  public var replays: Bool { false }
}
