/// A record of a log, or an item of a queue, as it was read.
package struct ReadItem: Sendable, Hashable {
  /// Nil where the program has no positions.
  package var position: Int?
  package var value: String

  package init(position: Int? = nil, _ value: String) { (self.position, self.value) = (position, value) }
}

/// What a program served after a start.
package struct ProgramReadback: Sendable, Hashable {
  /// Why not everything was read.
  package enum Failure: Sendable, Hashable {
    /// It refuses to open, in its own words.
    case refused(String)
    /// It ended, or was killed by a signal of its own doing.
    case died(String, request: String)
    /// No answer within the time limit.
    case hung(request: String)
    /// It has opened, and fails to read.
    case unreadable(String, request: String)
    /// The driver's own failure: nothing is known of the program.
    case driver(String)
  }

  package var failure: Failure?
  /// By log or queue.
  package var logs: [String: [ReadItem]] = [:]
  /// The items of queues were taken and confirmed, to read them.
  package var isDrained = false
  package var map: [String: String] = [:]
  /// The complaint of the program's own check; empty where it has none, nil where it was not asked.
  package var check: String?

  package init() {}
}
