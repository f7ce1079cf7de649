/// What the file of a journal holds: a head, then rows.
extension Journal {
  enum Kind: UInt32 {
    case unused = 0
    case create, produce, commit, opened, crash, close, archived, flush, trim, slow, read, served
  }

  struct Row {
    var kind: UInt32 = 0
    /// 0: no answer yet; else 1 + `Outcome.rawValue`.
    var outcome: UInt32 = 0
    var partition: Int32 = 0
    var producer: Int32 = 0
    var count: Int64 = 0
    /// First sequence of a produce, offset of a commit, end of what is archived, `CrashKind` of a crash.
    var value: Int64 = 0
    var baseOffset: Int64 = 0
    var submittedAt: Int64 = 0
    var answeredAt: Int64 = 0
  }

  struct Head {
    var rows: Int64 = 0
    var capacity: Int64 = 0
    /// Operations in flight at the storage interface, kept up to date here: after a kill it says how many it cut off.
    var inFlight: Int64 = 0
    /// Of these, those that the device has ended and the storage interface holds back from the engine; see `AimedKill`.
    var held: Int64 = 0
    /// What the worker was doing, for the case that it dies on its own; see `Stage`.
    var stage: Int64 = 0
    /// The longest that the device kept one operation of this life from completing, in nanoseconds; see
    /// `InFlightMonitor`.
    var deviceDelay: Int64 = 0
    /// When the engine last answered, or its storage last completed an operation; nanoseconds on the machine's
    /// monotonic clock.
    var progressAt: UInt64 = 0
    /// When the engine last answered or opened, on the same clock.
    var answerAt: UInt64 = 0
    /// Operations of its storage that completed since it last answered or opened.
    var operationsSinceAnswer: Int64 = 0
    /// When the process was killed, on the loop's clock; 0: not known.
    var killedAt: Int64 = 0
    /// The operations of this life that the device kept longest, in two banks, of which the other one is written: a
    /// kill finds one of them whole. In each their number, and of each when it ended and how long it took, in
    /// nanoseconds.
    var slow = InlineArray<34, Int64>(repeating: 0)
    /// The bank that counts.
    var slowBank: Int64 = 0
    /// The errno of the first line of the trace that could not be written; 0: all were.
    var traceFailure: Int64 = 0
    /// The first failure that was the machine's own; see `Journal.DeviceFailure`. 0: there was none.
    var failureCode: Int64 = 0
    var failureOperation: Int64 = 0
    var failureIsShortage: Int64 = 0
    /// The process that `stage` is of.
    var owner: Int64 = 0
    /// Bytes of the files of the metadata log's larger copy, at the most, in all lives.
    var metadataPeak: Int64 = 0
    /// Bytes that the files of its copies have become longer by, in all lives.
    var metadataGrown = InlineArray<2, Int64>(repeating: 0)
  }

  /// Who is at work: decides whose fault a death is.
  enum Stage: Int64 {
    case idle, opening, producing, consuming, closing, judging
    /// The harness itself, in the course of a life: it applies faults, keeps its books, makes a crash.
    case harness

    var isEngine: Bool {
      switch self {
      case .opening, .producing, .consuming, .closing: true
      case .idle, .judging, .harness: false
      }
    }
  }
}
