import LogModel
import Testing
import Verification

@Suite struct TransactionOracleTests {
  typealias Transaction = BufferedTransaction

  static func transaction(_ user: String, process: Int = 0, _ change: (inout Transaction) -> Void = { _ in })
    -> Transaction
  {
    var transaction = Transaction(user: user, process: process)
    (transaction.start, transaction.number) = (.acknowledged, UInt64(user.utf8.last ?? 0))
    transaction.measurements = [.acknowledged, .acknowledged, .indeterminate]
    change(&transaction)
    return transaction
  }

  static func replay(_ user: String, process: Int = 1, _ measurements: [Int] = [0, 1]) -> ReplayedTransaction {
    var replay = ReplayedTransaction(
      user: user, number: UInt64(user.utf8.last ?? 0), process: process, measurements: measurements)
    replay.isSettled = true
    return replay
  }

  struct Case: Sendable, CustomStringConvertible {
    var description: String
    var transactions: [Transaction]
    var replays: [ReplayedTransaction]
    /// Nil: nothing is wrong.
    var check: CheckName?
    var recovered: Set<Int> = [1, 2]
  }

  static let cases: [Case] = [
    Case(description: "replayed once", transactions: [transaction("a")], replays: [replay("a")]),
    Case(
      description: "with the indeterminate measurement", transactions: [transaction("a")],
      replays: [replay("a", [0, 1, 2])]),
    Case(description: "dropped", transactions: [transaction("a")], replays: [], check: .noAcknowledgedLoss),
    Case(
      description: "dropped, and nobody has recovered", transactions: [transaction("a")], replays: [], recovered: []),
    Case(
      description: "START without an answer", transactions: [transaction("a") { $0.start = .indeterminate }],
      replays: []),
    Case(
      description: "a measurement dropped", transactions: [transaction("a")], replays: [replay("a", [0])],
      check: .noAcknowledgedLoss),
    Case(
      description: "replayed twice", transactions: [transaction("a")], replays: [replay("a"), replay("a", process: 2)],
      check: .noDuplicates),
    Case(
      description: "replayed again after one that was cut off", transactions: [transaction("a")],
      replays: [
        ReplayedTransaction(user: "a", number: 97, process: 1, measurements: [0, 1]), replay("a", process: 2),
      ], recovered: [2]),
    Case(
      description: "committed and replayed", transactions: [transaction("a") { $0.end = (.commit, .acknowledged) }],
      replays: [replay("a")], check: .noDuplicates),
    Case(
      description: "rolled back and replayed", transactions: [transaction("a") { $0.end = (.rollback, .acknowledged) }],
      replays: [replay("a")], check: .noDuplicates),
    Case(
      description: "a commit without an answer, replayed",
      transactions: [transaction("a") { $0.end = (.commit, .indeterminate) }],
      replays: [replay("a")]),
    Case(
      description: "a commit without an answer, gone",
      transactions: [transaction("a") { $0.end = (.commit, .indeterminate) }],
      replays: []),
    Case(
      description: "a commit that failed for certain, gone",
      transactions: [transaction("a") { $0.end = (.commit, .failed) }],
      replays: [], check: .noAcknowledgedLoss),
    Case(
      description: "a stranger", transactions: [transaction("a")], replays: [replay("a"), replay("b")],
      check: .noPhantoms),
    Case(
      description: "START failed for certain", transactions: [transaction("a") { $0.start = .failed }],
      replays: [replay("a")],
      check: .noPhantoms),
    Case(
      description: "other bytes", transactions: [transaction("a")], replays: [replay("a", [0, 1, -1])],
      check: .contentIntact),
    Case(
      description: "another order", transactions: [transaction("a")], replays: [replay("a", [1, 0])],
      check: .noReordering),
    Case(
      description: "a failed measurement", transactions: [transaction("a") { $0.measurements[2] = .failed }],
      replays: [replay("a", [0, 1, 2])], check: .noPhantoms),
    Case(
      description: "one number for two", transactions: [transaction("a"), transaction("b") { $0.number = 97 }],
      replays: [replay("a")], check: .noPhantoms, recovered: []),
  ]

  @Test(arguments: cases) func judges(_ c: Case) {
    let judgement = TransactionOracle.judge(c.transactions, c.replays, recovered: c.recovered)
    let violated = judgement.checks.filter { $0.verdict == .violated }.map(\.name)
    #expect(c.check.map { violated.contains($0) } ?? violated.isEmpty, "\(violated)")
  }
}
