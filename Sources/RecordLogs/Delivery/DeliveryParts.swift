import LogModel

/// The parts of a job's log and its sender that history got wrong, as values: a job log is made with them, and these
/// are the sound ones.
public struct DeliveryParts: Sendable {
  /// Which log the events of an execution go to.
  public var naming: any JobLogNaming = ALogForEachExecution()
  /// Which numbers new events get.
  public var numbering: any EventNumbering = NumbersUsedOnce()
  /// What is taken for the receiver's acceptance.
  public var acceptance: any AcceptanceReading = TheReceiversWord()
  /// How long a sender that is stopped goes on sending.
  public var flushing: any StopFlushing = FlushUntilTheLimit()

  public init() {}
}

/// The name of a job's log file, without its suffix.
public protocol JobLogNaming: Sendable {
  func name(of job: JobID) -> String
}

/// Two executions of a job never share a log (A8).
public struct ALogForEachExecution: JobLogNaming {
  public init() {}
  public func name(of job: JobID) -> String { "\(job)" }
}

/// The number of the first event that is appended after an opening; those behind it follow.
public protocol EventNumbering: Sendable {
  /// - Parameters:
  ///   - isNew: nothing was in the log, and nothing had been cut off.
  ///   - last: the largest number that was found; 0 where there was none.
  ///   - milliseconds: since 1970.
  func first(isNew: Bool, last: Int64, milliseconds: Int64) -> Int64
}

/// From 1 in a new log. Later openings begin with the time of day times 2^20: recovery may have cut off events that the
/// receiver has, and would take others with their numbers for known (A6).
public struct NumbersUsedOnce: EventNumbering {
  public init() {}
  public func first(isNew: Bool, last: Int64, milliseconds: Int64) -> Int64 {
    isNew ? 1 : max(last + 1, milliseconds << 20)
  }
}

/// What the sender makes of what became of a batch.
public protocol AcceptanceReading: Sendable {
  func meaning(of delivery: Delivery) -> Delivery
}

/// A batch has arrived when the receiver has said so, and not when it has been written to a connection (A9).
public struct TheReceiversWord: AcceptanceReading {
  public init() {}
  public func meaning(of delivery: Delivery) -> Delivery { delivery }
}

/// Until when a sender that is stopped sends what is pending.
public protocol StopFlushing: Sendable {
  func deadline(stoppedAt now: Instant, within limit: Duration) -> Instant
}

/// Nothing that the last events need is held by whoever stops the sender (A7).
public struct FlushUntilTheLimit: StopFlushing {
  public init() {}
  public func deadline(stoppedAt now: Instant, within limit: Duration) -> Instant { now + limit }
}
