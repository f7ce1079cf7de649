import Drivers

/// A request as its caller knows it. Moments are places in the trace of the volume.
package struct RequestRecord: Sendable {
  package enum Outcome: Sendable, Hashable {
    case done(position: Int?, value: String??)
    case failed(String)
    case unknown(String)
  }

  package var request: DriverRequest
  /// Nothing that the program did before this place was for it.
  package var submitted: Int
  /// The reply stands at this place; nil where none came.
  package var answered: Int?
  /// CLOCK_MONOTONIC, nanoseconds, of the answer.
  package var answeredTime: Int64 = 0
  package var outcome: Outcome
}

/// What happened in a run, in order, as the oracle is told it.
enum CallerEvent: Sendable {
  case request(RequestRecord)
  /// The program was killed, or the power went, at this place of the trace.
  case crash(at: Int)
  /// Everything that the program served, at this place.
  case read(StateReading, at: Int)
}
