import EngineAdapter
import LogModel
import ScenarioFormat
import Storage
import SystemUnderTest
import Verification

/// How a life ends: closed in order, or by a crash, and when.
extension Incarnation {
  /// Ends the life in order. One whose engine does not close ends like a killed process: nothing that would follow from
  /// an orderly close is owed.
  /// - Returns: what the reader should know of a close that failed.
  func end(_ log: TestedLog) async -> [String] {
    let failures = await closeInOrder(log)
    journal.crash(failures.isEmpty ? .none : .processKill, at: loop.now)
    return failures
  }

  /// Has the engine closed, and its answer written down; what ends the life then is the caller's business.
  /// - Returns: what the reader should know of a close that failed.
  func closeInOrder(_ log: TestedLog) async -> [String] {
    let row = journal.close(at: loop.now)
    let failures = await close(log)
    journal.answer(row, failures.isEmpty ? .acknowledged : .indeterminate, at: loop.now)
    return failures
  }

  /// - Returns: what the reader should know of a close that failed.
  func close(_ log: TestedLog) async -> [String] {
    begin("close")
    journal.stage = .closing
    defer { journal.stage = .harness }
    do throws(LogFailure) {
      try await log.close()
      return []
    } catch {
      return ["close: \(error)"]
    }
  }

  /// How this life ends.
  var ending: CrashKind { spec.ending(of: number) }

  /// How long after the answer that it waits for a crash comes: of a load with pauses a power loss comes at any moment.
  /// A kill must find operations in flight, and comes at once.
  var crashDelay: Duration {
    guard spec.pace > .zero, ending.losesPower else { return .zero }
    var random = SeededGenerator(seed: spec.seed, stream: "crash-delay")
    return .nanoseconds(Int64.random(in: 0...spec.pace.nanoseconds, using: &random))
  }

  /// The number of answered messages at which the crash comes; nil for the end of the workload.
  var crashThreshold: Int? {
    switch spec.crashAt {
    case .end, .step: nil
    case .percent(let percent): spec.messages * percent / 100
    case .messages(let n): n
    }
  }
}
