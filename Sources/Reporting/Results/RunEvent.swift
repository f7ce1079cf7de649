import LogModel
import Verification

/// The one stream that all reports are made from.
public enum RunEvent: Sendable {
  case started(RunDescription)
  case trialStarted(index: Int, title: String)
  case trialFinished(index: Int, TrialResult)
  /// Something the user should know that belongs to no trial: a storage that fell back, for instance.
  case notice(String)
  /// Everything that a command without trials has found; the only event of its stream.
  case document(ReportDocument)
  case finished(RunSummary)
}

public struct RunDescription: Hashable, Sendable {
  public var seed: UInt64
  /// `io_uring`, `posix`, `memory`, or several joined by `+`.
  public var storage: String
  /// `ext4`, `tmpfs` ...; `memory` where nothing is on disk.
  public var filesystem: String
  public var trials: Int
  public var jobs: Int
  /// The scenarios that take part, in order.
  public var cases: [CaseDescription]

  public init(
    seed: UInt64, storage: String, filesystem: String, trials: Int, jobs: Int, cases: [CaseDescription] = []
  ) {
    self.seed = seed
    self.storage = storage
    self.filesystem = filesystem
    self.trials = trials
    self.jobs = jobs
    self.cases = cases
  }
}

public struct RunSummary: Hashable, Sendable {
  public var trials = 0
  public var held = 0
  public var violated = 0
  public var unknown = 0
  /// Trials that did not come out as their scenario expects.
  public var unexpected = 0
  public var seconds = 0.0
  /// What cut the run short, if anything did; what ran is reported.
  public var stoppedBy: Stop?

  public enum Stop: String, Hashable, Sendable {
    /// Ctrl-C and its like, or a reader that has gone away.
    case signal
    case deadline
    case failFast = "fail-fast"
    /// The machine, or a report that could not be written.
    case failure
  }

  /// Whether a signal cut it short.
  public var interrupted: Bool { stoppedBy == .signal }

  public init() {}

  /// Takes one more trial into account; `seconds` and `stoppedBy` are the runner's.
  public mutating func count(_ result: TrialResult) {
    trials += 1
    switch result.verdict {
    case .held: held += 1
    case .violated: violated += 1
    case .unknown: unknown += 1
    }
    if !result.isExpected { unexpected += 1 }
  }
}
