import LogModel
import ScenarioFormat
import Verification

/// What a phase that ran out of wall-clock time says of the engine: from what it got done, not from the time that it
/// took. A slow machine, a limit that is too small and a harness at work are no hang.
///
/// | the engine was at work, and for half of the limit              | verdict             |
/// |----------------------------------------------------------------|---------------------|
/// | completed no operation of its storage, and gave no answer      | `no-hang` violated  |
/// | gave no answer, and completed more operations than `allowance` | `no-hang` violated  |
/// | anything else, or the harness was at work                      | none: unknown       |
///
/// Time for which the worker was ready to run and got no processor is the machine's and not the engine's: it is taken
/// off, unless the worker has had enough of it all the same.
///
/// In the model a life that waits for ever, or for more than a day of virtual time, never gets here: the loop itself
/// says so. Here it is only whether an endless job keeps the loop to itself.
enum Timeout: Equatable {
  case hang(String)
  case noVerdict(String)

  /// Operations that are completed between two answers for each partition, however little there is to write: opening
  /// and rolling segments, directories, headers.
  static let operationsAPartition = 1000

  /// The most operations that an engine can need from one answer to the next, or to open: all that a trial can have
  /// written, read and written again twice over, a sector of 512 bytes at a time, and `operationsAPartition`. Engines
  /// move hundreds of sectors at a time, so the margin is wide; a loop that never ends passes it in seconds.
  static func allowance(_ spec: TrialSpec) -> Int {
    Int(Preflight.dataBytes(spec)) / 512 * 4 + (spec.partitions + 1) * operationsAPartition
  }

  /// - Parameters:
  ///   - journal: nil where the phase ended before there was one.
  ///   - limit: seconds, the one that has passed.
  ///   - use: what the worker has had of a processor in the last so many seconds.
  static func judge(
    _ phase: Phase, _ spec: TrialSpec, _ journal: Journal?, limit: Double,
    use: (Double) -> ProcessorUse = { _ in ProcessorUse() }
  ) -> Timeout {
    let time = DurationText.render(.milliseconds(Int64(limit * 1000)))
    if let journal, journal.stage.isEngine {
      let long = max(1, limit / 2)
      if let idle = journal.secondsWithoutProgress, use(idle).allows(long, of: idle) {
        return .hang("\(phase) (\(journal.stage)): no progress for the last \(Int(idle)) s of \(time)")
      }
      let (done, allowed) = (journal.operationsSinceAnswer, allowance(spec))
      if let silent = journal.secondsWithoutAnswer, use(silent).allows(long, of: silent), done > allowed {
        return .hang(
          "\(phase) (\(journal.stage)): no answer for the last \(Int(silent)) s of \(time), in which its storage "
            + "completed "
            + "\(done) operations; at most \(allowed) can be accounted for")
      }
    }
    let stage = journal.map { " while \($0.stage)" } ?? ""
    let starved = use(limit).starved
    let hunger = starved >= 1 ? ", \(Int(starved)) s of which it had no processor" : ""
    return .noVerdict(
      "the \(phase) phase ran out of time (\(time)\(hunger))\(stage); raise --timeout, or look at the machine")
  }
}

/// What a thread has had of a processor, in seconds.
struct ProcessorUse: Equatable {
  /// No engine takes as long for one operation, or between two answers.
  private static let enough = 5.0

  var ran = 0.0
  /// Ready to run, and kept waiting.
  var starved = 0.0

  /// Whether something could have been done for `needed` of `all` seconds.
  func allows(_ needed: Double, of all: Double) -> Bool {
    all >= needed && (all - starved >= needed || ran >= Self.enough)
  }
}
