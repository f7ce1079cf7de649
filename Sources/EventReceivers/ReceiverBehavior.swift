/// What a receiver does with what comes to it.
public enum ReceiverBehavior: Hashable, Sendable {
  case accepts
  /// No connection: nothing arrives.
  case refuses
  /// Has taken the batch, and never answers.
  case stalls
  /// Takes the batch; its answer is lost.
  case cuts
  /// Takes the batch, says nothing, and loses it in a crash before it has synced it (A9).
  case crashes
  /// Answers 429, with Retry-After where a time is given.
  case asksForAPause(Duration?)
  /// Finds the event of this number unacceptable, and with it the batch: 422.
  case rejects(Int64)
  /// Answers with this status line, and headers behind it, and takes nothing.
  case answers(String)
}
