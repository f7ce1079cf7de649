import LogModel

/// A buffer of measurements as whoever filled it knows it: what was asked of it, and what was answered. By its user,
/// whom no other transaction of the history has.
public struct BufferedTransaction: Hashable, Sendable, Codable {
  /// What ends a transaction.
  public enum End: String, Hashable, Sendable, Codable {
    case commit, rollback
  }

  public var user: String
  /// Process, from 0, in which it began.
  public var process: Int
  public var start = Outcome.indeterminate
  /// The number that START_BUFFER was answered with.
  public var number: UInt64?
  /// Of each measurement, in the order in which they were asked for.
  public var measurements: [Outcome] = []
  /// Nil where nobody asked for one.
  public var end: (kind: End, outcome: Outcome)? {
    get { endKind.map { ($0, endOutcome) } }
    set { (endKind, endOutcome) = (newValue?.kind, newValue?.outcome ?? .indeterminate) }
  }
  private var endKind: End?
  private var endOutcome = Outcome.indeterminate

  public init(user: String, process: Int) {
    self.user = user
    self.process = process
  }
}

/// A transaction as a later process was given it, to be replayed.
public struct ReplayedTransaction: Hashable, Sendable, Codable {
  public var user: String
  public var number: UInt64
  public var process: Int
  /// Which of its user's measurements it brings, in their order; -1 for bytes that are none of them.
  public var measurements: [Int]
  /// Whether the process was told afterwards that the replay is committed, or rolled back.
  public var isSettled = false

  public init(user: String, number: UInt64, process: Int, measurements: [Int]) {
    (self.user, self.number, self.process, self.measurements) = (user, number, process, measurements)
  }
}

/// Judges what was replayed by what whoever filled the buffers had been told (replay-buffer plan). It asks the buffer
/// nothing.
///
/// What is owed, under acknowledgement after the sync:
/// - a transaction whose START was answered, and for whose end nobody asked, is given to the next process whose
///   recovery comes to its end, with every measurement that was answered, in their order (`no-acknowledged-loss`,
///   `no-reordering`);
/// - nobody is given one twice (`no-duplicates`);
/// - one whose COMMIT or ROLLBACK was answered is given to nobody (`no-duplicates`), and one whose replay was settled
///   to nobody after that;
/// - one whose end was asked for and not answered may be given or not;
/// - nothing else is given, and no number stands for two transactions (`no-phantoms`); what is given is what was added
///   (`content-intact`).
public enum TransactionOracle {
  /// - Parameter recovered: processes whose recovery came to its end.
  public static func judge(
    _ transactions: [BufferedTransaction], _ replays: [ReplayedTransaction], recovered: Set<Int>
  ) -> Judgement {
    var ledger = CheckAccumulator()
    let isExercised = !replays.isEmpty
    for check in [CheckName.noPhantoms, .contentIntact, .noReordering, .noDuplicates] {
      ledger.apply(check, exercised: isExercised)
    }
    ledger.apply(.noAcknowledgedLoss, exercised: transactions.contains { $0.start == .acknowledged && $0.end == nil })
    var places: [String: Int] = [:]
    for (place, transaction) in transactions.enumerated() { places[transaction.user] = place }
    judgeNumbers(transactions, replays, &ledger)
    for replay in replays {
      guard let place = places[replay.user], transactions[place].start != .failed,
        transactions[place].process < replay.process
      else {
        ledger.violate(.noPhantoms, slot: replay.process, at: nil) {
          "process \(replay.process) was given transaction \(replay.number) of \(replay.user), which nobody had begun"
        }
        continue
      }
      judge(replay, of: transactions[place], place, &ledger)
    }
    for (place, transaction) in transactions.enumerated() {
      judge(transaction, replays.filter { $0.user == transaction.user }, place, recovered, &ledger)
    }
    return Judgement(checks: ledger.results, counts: MessageCounts())
  }

  private static func judgeNumbers(
    _ transactions: [BufferedTransaction], _ replays: [ReplayedTransaction], _ ledger: inout CheckAccumulator
  ) {
    var users: [UInt64: String] = [:]
    let known =
      transactions.compactMap { one in one.number.map { ($0, one.user) } } + replays.map { ($0.number, $0.user) }
    for (number, user) in known {
      if let other = users[number], other != user {
        ledger.violate(.noPhantoms, slot: 0, at: nil) {
          "number \(number) stands for a transaction of \(other) and for one of \(user)"
        }
      }
      users[number] = user
    }
  }

  private static func judge(
    _ replay: ReplayedTransaction, of transaction: BufferedTransaction, _ place: Int, _ ledger: inout CheckAccumulator
  ) {
    if let number = transaction.number, number != replay.number {
      ledger.violate(.noPhantoms, slot: place, at: nil) {
        "\(transaction.user): begun as transaction \(number), and given to process \(replay.process) as "
          + "\(replay.number)"
      }
    }
    if replay.measurements != replay.measurements.sorted()
      || Set(replay.measurements).count != replay.measurements.count
    {
      ledger.violate(.noReordering, slot: place, at: nil) {
        "\(transaction.user): process \(replay.process) was given measurements in the order \(replay.measurements)"
      }
    }
    for measurement in replay.measurements {
      if !transaction.measurements.indices.contains(measurement) {
        ledger.violate(.contentIntact, slot: place, at: nil) {
          "\(transaction.user): process \(replay.process) was given bytes that are no measurement of it"
        }
      } else if transaction.measurements[measurement] == .failed {
        ledger.violate(.noPhantoms, slot: place, at: nil) {
          "\(transaction.user): measurement \(measurement), which had failed for certain, was given to process "
            + "\(replay.process)"
        }
      }
    }
  }

  private static func judge(
    _ transaction: BufferedTransaction, _ replays: [ReplayedTransaction], _ place: Int, _ recovered: Set<Int>,
    _ ledger: inout CheckAccumulator
  ) {
    if let end = transaction.end, end.outcome == .acknowledged, let replay = replays.first {
      ledger.violate(.noDuplicates, slot: place, at: nil) {
        "\(transaction.user): its \(end.kind.rawValue) was answered, and process \(replay.process) was given it again"
      }
    }
    for (number, replay) in replays.enumerated() {
      guard replays[..<number].contains(where: { $0.process == replay.process }) else { continue }
      ledger.violate(.noDuplicates, slot: place, at: nil) {
        "\(transaction.user): process \(replay.process) was given it twice"
      }
    }
    for settled in replays where settled.isSettled {
      guard let again = replays.first(where: { $0.process > settled.process }) else { continue }
      ledger.violate(.noDuplicates, slot: place, at: nil) {
        "\(transaction.user): its replay by process \(settled.process) was settled, and process \(again.process) was "
          + "given it again"
      }
    }
    guard transaction.start == .acknowledged, transaction.end == nil || transaction.end?.outcome == .failed else {
      return
    }
    // The first process after it that has been given everything: a replay that was cut off before may come again.
    guard let next = recovered.filter({ $0 > transaction.process }).min() else {
      if recovered.isEmpty {
        ledger.doubt(.noAcknowledgedLoss, "\(transaction.user): nobody has recovered, and it is owed")
      }
      return
    }
    guard let replay = replays.last(where: { $0.process <= next }) else {
      ledger.violate(.noAcknowledgedLoss, slot: place, at: nil) {
        "\(transaction.user): its START_BUFFER was answered and nobody ended it; by process \(next) it must have been "
          + "replayed, and was given to nobody"
      }
      return
    }
    for (number, outcome) in transaction.measurements.enumerated()
    where outcome == .acknowledged && !replay.measurements.contains(number) {
      ledger.violate(.noAcknowledgedLoss, slot: place, at: nil) {
        "\(transaction.user): measurement \(number) was answered, and is not in what process \(replay.process) was "
          + "given"
      }
    }
  }
}
