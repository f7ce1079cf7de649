import LogModel

/// One event on its way. The receiver knows it by its job (with the execution) and its sequence number.
public struct Event: Hashable, Sendable {
  public var sequence: Int64
  /// When it was appended, milliseconds since 1970.
  public var timestamp: Int64
  public var payload: [UInt8]

  public init(sequence: Int64, timestamp: Int64, payload: [UInt8]) {
    self.sequence = sequence
    self.timestamp = timestamp
    self.payload = payload
  }
}

/// Events of one job, in their order.
public struct EventBatch: Hashable, Sendable {
  public var job: JobID
  public var events: [Event]

  public init(job: JobID, events: [Event]) {
    self.job = job
    self.events = events
  }
}

/// What became of a batch.
public enum Delivery: Hashable, Sendable {
  /// The receiver has said that it has all of it, and will have it after a crash of its own. That the bytes were
  /// written to a connection is no acceptance (A9).
  case accepted
  /// HTTP 429, or 503 with Retry-After: the receiver asks for a pause. Nothing is known of the events.
  case tooManyRequests(retryAfter: Duration?)
  /// No connection came about: nothing was sent.
  case notConnected(String)
  /// No answer, or one that says nothing of the events: they may have been taken.
  case unavailable(String)
  /// The receiver will never take this batch: one of its events, at least.
  case refused(status: Int)
}

/// How batches get to the receiver. A delivery ends; how long it takes is limited by the sender, who then no longer
/// listens.
public protocol Transport: AnyObject, Sendable {
  func deliver(_ batch: EventBatch) async -> Delivery
}
