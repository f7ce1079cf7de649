/// A part of a trial that one process runs.
public enum Phase: Hashable, Sendable, Codable {
  /// The whole trial in the model: every life of the machine, and the judgement.
  case model
  /// The first life: produce, read back, crash.
  case produce
  /// The second writer of the first life, while the first is at work.
  case secondWriter
  /// Life `restart` (1, 2): recover, read back; after the first restart append and crash again.
  case recover(restart: Int)
  /// The oracle, over the journal and the readbacks.
  case judge
}

extension Phase: CustomStringConvertible {
  public var description: String {
    switch self {
    case .model: "model"
    case .produce: "produce"
    case .secondWriter: "second writer"
    case .recover(let restart): "restart \(restart)"
    case .judge: "judge"
    }
  }
}
