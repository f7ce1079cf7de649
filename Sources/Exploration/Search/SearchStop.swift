/// Why a search ended before it had done what it was asked for. By the names of `run`'s reports.
public enum SearchStop: String, Hashable, Sendable {
  case signal, deadline

  /// As the last lines of a report say it.
  var text: String {
    switch self {
    case .signal: "interrupted"
    case .deadline: "stopped at the deadline"
    }
  }
}
