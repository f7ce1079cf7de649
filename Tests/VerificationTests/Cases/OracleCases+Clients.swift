import LogModel
import Verification

/// What receivers, archives and replays have.
extension OracleCases {
  static let clients: [OracleCase] = transactions + deliveries

  private static func replayed(
    _ replays: [ReplayedTransaction], _ transactions: [BufferedTransaction] = [TransactionOracleTests.transaction("a")],
    recovered: Set<Int> = [1, 2]
  ) -> Judgement { TransactionOracle.judge(transactions, replays, recovered: recovered) }

  private static let transactions: [OracleCase] =
    [
      OracleCase("one recovery gives the same transaction twice", .exactly([.noDuplicates])) {
        replayed([TransactionOracleTests.replay("a"), TransactionOracleTests.replay("a")])
      },
      OracleCase("a transaction is replayed under another number", .exactly([.noPhantoms])) {
        replayed([TransactionOracleTests.replay("a")], [TransactionOracleTests.transaction("a") { $0.number = 5 }])
      },
      OracleCase("nobody ever recovered", .unknown(.noAcknowledgedLoss)) { replayed([], recovered: []) },
    ]
    + TransactionOracleTests.cases.map { one in
      OracleCase("transactions: \(one.description)", one.check.map { .violated([$0]) } ?? .exactly([])) {
        replayed(one.replays, one.transactions, recovered: one.recovered)
      }
    }

  private static func arrived(
    _ delivered: [Delivered], archives: [Delivered] = [], left: Int = 0, could: Bool = true, foreign: Int = 0
  ) -> Judgement {
    var h = History(seed: 15)
    let a = h.create(TopicPartition("job", 0), at: Instant(nanoseconds: 1))
    for i in 0..<3 {
      let number = h.submit(a, firstSequence: i, count: 1, at: Instant(nanoseconds: Int64(10 * i + 2)))
      h.acknowledge(number, baseOffset: Offset(Int64(i)), at: Instant(nanoseconds: Int64(10 * i + 5)))
    }
    h.fail(
      h.submit(a, firstSequence: 3, count: 1, at: Instant(nanoseconds: 50)), certainly: true,
      at: Instant(nanoseconds: 51))
    h.submit(a, producer: 1, firstSequence: 4, count: 1, at: Instant(nanoseconds: 60))
    return DeliveryOracle.judge(
      h, delivered, foreign: foreign, stops: [StoppedSender(life: 2, left: left, couldSend: could)], archives: archives)
  }

  private static func has(_ messages: [Int], _ numbers: [Int64]? = nil) -> Delivered {
    Delivered(slot: Story.slot, messages: messages, numbers: numbers ?? messages.map { Int64($0) })
  }

  private static let deliveries: [OracleCase] =
    [
      OracleCase("everything arrives", .held) { arrived([has([0, 1, 2])], archives: [has([0, 1, 2])]) },
      OracleCase("events arrive under other numbers than they were acknowledged with", .exactly([.offsetsStable])) {
        arrived([has([0, 1, 2], [5, 900, 901])])
      },
      OracleCase("a receiver has a job twice", .violated([.noDuplicates])) { arrived([has([0, 1, 2]), has([0])]) },
      OracleCase("a receiver has wrong bytes", .exactly([.contentIntact])) {
        arrived([has([0, 1, 2, -1], [0, 1, 2, 3])])
      },
      OracleCase("a receiver has what was refused", .exactly([.noPhantoms])) { arrived([has([0, 1, 2, 3])]) },
      OracleCase("events arrive behind later ones", .violated([.noReordering])) { arrived([has([1, 0, 2])]) },
      OracleCase("an event arrives behind one with a higher number", .exactly([.noReordering])) {
        arrived([has([0, 1, 2, 4], [0, 1, 2, 1])])
      },
      OracleCase("one producer's events change places", .violated([.noReordering])) {
        arrived([has([1, 0, 2], [0, 1, 2])])
      },
      OracleCase("an event is missing", .exactly([.noAcknowledgedLoss]), at: [.noAcknowledgedLoss: 1]) {
        arrived([has([0, 2])])
      },
      OracleCase("events of jobs that nobody runs", .exactly([.noPhantoms])) { arrived([has([0, 1, 2])], foreign: 2) },
      OracleCase("a sender leaves what it could have sent", .exactly([.deliveredAtStop])) {
        arrived([has([0, 1, 2])], left: 2)
      },
      OracleCase("a sender leaves what it could not send", .unknown(.deliveredAtStop)) {
        arrived([has([0, 1, 2])], left: 2, could: false)
      },
      OracleCase("no sender was stopped", .unknown(.deliveredAtStop)) {
        DeliveryOracle.judge(History(seed: 1), [], stops: [])
      },
    ]
    + [
      ([0, 1, 2, 2], "twice"), ([1, 0, 2], "out of order"), ([0, -1, 1, 2], "with other bytes"),
      ([0, 1, 2, 77], "of nobody"),
      ([0, 1, 2, 3], "that was refused"), ([0, 2], "missing"),
    ].map { messages, what in
      OracleCase("an archive holds an event \(what)", .exactly([.archiveKept])) {
        arrived([has([0, 1, 2])], archives: [has(messages)])
      }
    }
}
