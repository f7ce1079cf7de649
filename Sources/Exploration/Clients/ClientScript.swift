import Defects
import LogModel
import Storage
import Verification

/// A program that keeps logs of its own beside the partition engine, and is put to the test in the same ways.
public enum LogClient: String, Hashable, Sendable, CaseIterable {
  /// Job logs with their senders, the archive, and a receiver that refuses, cuts and repeats (airunner runbook).
  case delivery
  /// The transactions of a replay buffer, their recovery and the clean-up of its files (replay-buffer plan).
  case transactions

  /// Events of each execution, or measurements of each session, where nothing else is said.
  static let usualMessages = 12

  /// - Parameter messages: events of each execution of all jobs together, or measurements of each session; 4 to 1000.
  func begin(messages: Int, seed: UInt64, _ defect: Defect?) -> any ClientScript {
    switch self {
    case .delivery: DeliveryScript(messages: messages, seed: seed, defect)
    case .transactions: TransactionScript(messages: messages, seed: seed, defect)
    }
  }
}

/// What a life of a client is for.
enum ClientIncarnation: Sendable {
  /// Two sessions, with an orderly end of the first; errors are answers.
  case work
  /// One session that nothing hinders: it must open, and come to its end.
  case check
}

/// What a client does in each of several lives on one disk, and the account so far: what it was asked for, what it has
/// answered, and what the world outside its machine has seen of it. What the disk holds is not in it.
protocol ClientScript: AnyObject, Sendable {
  /// The same with the same account, to go on from here.
  func copy() -> any ClientScript
  /// Grows with whatever the world learns.
  var version: Int { get }
  /// Told each answer, in a few words.
  var onAnswer: ((String) -> Void)? { get set }
  /// Virtual time from the end of one life to the next.
  static var pause: Duration { get }
  /// Virtual time that a life may take.
  static var limit: Duration { get }
  func live(_ life: ClientIncarnation, on storage: any Storage) async
  /// The machine is dead.
  func crash(at time: Instant)
  /// A life that was to end and did not.
  func hang(_ detail: String)
  func judge() -> StateJudgement
}

extension [CheckResult] {
  /// The verdict, and the first check that decided it.
  /// - Parameter leading: comes before all others, which follow from it.
  func stateJudgement(leading: CheckName? = nil) -> StateJudgement {
    let order = (leading.map { [$0] } ?? []) + CheckName.allCases
    let violated = filter { $0.verdict == .violated }.min {
      (order.firstIndex(of: $0.name) ?? 0) < (order.firstIndex(of: $1.name) ?? 0)
    }
    if let violated { return StateJudgement(verdict: .violated, check: violated) }
    if let doubt = first(where: { $0.verdict == .unknown }) { return StateJudgement(verdict: .unknown, check: doubt) }
    return StateJudgement(verdict: .held, check: nil)
  }
}
