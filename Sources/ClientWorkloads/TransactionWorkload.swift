import LogModel
import RecordLogs
import Storage
import Verification

/// Transactions of a replay buffer as whoever fills it knows them: what was asked of it, and what it has answered, over
/// several processes. When something is asked is decided by whoever runs a workload.
public final class TransactionWorkload: @unchecked Sendable {
  // Owned by the loop of the life that runs.

  /// Where the buffer's files are, relative to the storage's root.
  public static let directory = "wal"

  private let seed: UInt64
  private let measurementBytes: Int
  public private(set) var transactions: [BufferedTransaction] = []
  public private(set) var replays: [ReplayedTransaction] = []
  /// Processes whose recovery came to its end.
  public private(set) var recovered: Set<Int> = []
  /// The one that runs, from 0.
  public var process: Int
  /// The machine is dead: nobody hears what is answered.
  public var isDead = false
  /// Entries that the log has answered.
  public private(set) var entries = 0
  /// Grows with whatever is asked and answered.
  public private(set) var version = 0
  /// Told each answer, in a few words.
  public var onAnswer: ((String) -> Void)?

  /// - Parameters:
  ///   - measurementBytes: of each measurement.
  ///   - process: the first one.
  public init(seed: UInt64, measurementBytes: Int, process: Int = 0) {
    (self.seed, self.measurementBytes, self.process) = (seed, measurementBytes, process)
  }

  /// The same so far, to be gone on with.
  public func copy() -> TransactionWorkload {
    let other = TransactionWorkload(seed: seed, measurementBytes: measurementBytes, process: process)
    (other.transactions, other.replays, other.recovered) = (transactions, replays, recovered)
    (other.isDead, other.entries, other.version) = (isDead, entries, version)
    return other
  }

  /// Something has happened that the world learns of.
  public func noteChange() { version += 1 }

  private func answer(_ text: @autoclosure () -> String) {
    version += 1
    onAnswer?(text())
  }

  /// What the oracle says of all that was replayed.
  public func judge() -> [CheckResult] { TransactionOracle.judge(transactions, replays, recovered: recovered).checks }

  // MARK: The buffer

  /// Opens the buffer in its directory, which is made where it is not there.
  /// - Parameter rotation: nil for the policy's own.
  public static func open(
    on storage: any Storage, rotation: RecordLogPolicy.Rotation?, parts: ReplayParts
  ) async throws(ReplayBufferError) -> (buffer: ReplayBuffer, report: ReplayBufferReport) {
    do throws(StorageError) {
      try await DurableDirectories(storage).make(directory)
    } catch {
      throw .log(.storage(error))
    }
    var policy = RecordLogPolicy.replayBuffer
    if let rotation { policy.rotation = rotation }
    return try await ReplayBuffer.open(
      in: directory, of: storage, policy: policy, clock: .following(storage.loop), parts: parts)
  }

  /// Has files removed and compressed that are old. Before the recovery the buffer must refuse it.
  public func cleanUp(_ buffer: ReplayBuffer) async throws(ReplayBufferError) {
    do throws(ReplayBufferError) { _ = try await buffer.maintain() } catch {
      guard case .recoveryPending = error else { throw error }
    }
  }

  /// Takes what earlier processes have left. Of three transactions one is rolled back, the others are committed.
  public func recover(_ buffer: ReplayBuffer) async throws(ReplayBufferError) {
    let process = process
    try await buffer.recover { [self] transaction in
      settle(process)
      let content = content(of: transaction.user)
      replays.append(
        ReplayedTransaction(
          user: transaction.user, number: transaction.number, process: process,
          measurements: transaction.measurements.map { bytes in
            bytes.withUnsafeBytes { if case .intact(let number) = content.read($0) { Int(number) } else { -1 } }
          }))
      answer("process \(process) is given \(transaction.user) with \(transaction.measurements.count) measurements")
      return transaction.number % 3 != 0
    }
    settle(process)
    recovered.insert(process)
    answer("process \(process) has recovered")
  }

  /// Whoever is given the next one, or told that there is none, knows that the end of the last one is written.
  private func settle(_ process: Int) {
    guard let last = replays.indices.last, replays[last].process == process, !replays[last].isSettled else { return }
    replays[last].isSettled = true
    entries += 2  // CHECKPOINT, and COMMIT or ROLLBACK
    answer("replay of \(replays[last].user) settled")
  }

  // MARK: One transaction

  private func content(of user: String) -> MessageContent { MessageContent(seed: seed, topic: user, partition: 0) }

  /// The buffer's number of a transaction; 0 where it has none.
  private func number(_ place: Int) -> UInt64 { transactions[place].number ?? 0 }

  private func outcome(_ error: ReplayBufferError) -> Outcome {
    if case .log(let error) = error, !error.isCertainFailure { return .indeterminate }
    return .failed
  }

  /// Asks the buffer for something, and writes down what it has answered, unless nobody hears it.
  private func ask(
    _ text: @autoclosure () -> String, _ question: () async throws(ReplayBufferError) -> Void,
    _ note: (Outcome) -> Void = { _ in }
  ) async throws(ReplayBufferError) {
    do throws(ReplayBufferError) { try await question() } catch {
      if !isDead {
        note(outcome(error))
        version += 1
      }
      throw error
    }
    if isDead { return }
    note(.acknowledged)
    entries += 1
    answer(text())
  }

  /// Asks for a new transaction: its outcome is written down from now on.
  /// - Returns: its place in `transactions`.
  public func add(user: String) -> Int {
    transactions.append(BufferedTransaction(user: user, process: process))
    version += 1
    return transactions.count - 1
  }

  public func start(_ place: Int, in buffer: ReplayBuffer) async throws(ReplayBufferError) {
    let user = transactions[place].user
    var number: UInt64 = 0
    try await ask("ACK START_BUFFER \(user) as \(number)") { () async throws(ReplayBufferError) in
      number = try await buffer.start(user: user)
    } _: { outcome in
      transactions[place].start = outcome
      if outcome == .acknowledged { transactions[place].number = number }
    }
  }

  /// Adds one measurement to a transaction.
  public func add(to place: Int, in buffer: ReplayBuffer) async throws(ReplayBufferError) {
    let (index, user) = (transactions[place].measurements.count, transactions[place].user)
    transactions[place].measurements.append(.indeterminate)
    version += 1
    var bytes = [UInt8](repeating: 0, count: measurementBytes)
    bytes.withUnsafeMutableBytes { content(of: user).write(sequence: UInt64(index), into: $0) }
    let (measurement, number) = (bytes, number(place))
    try await ask("ACK measurement \(index) of \(user)") { () async throws(ReplayBufferError) in
      try await buffer.add(measurement, to: number)
    } _: {
      transactions[place].measurements[index] = $0
    }
  }

  /// No measurement follows.
  public func end(_ place: Int, in buffer: ReplayBuffer) async throws(ReplayBufferError) {
    let number = number(place)
    try await ask("ACK END_BUFFER \(transactions[place].user)") { () async throws(ReplayBufferError) in
      try await buffer.end(number)
    }
  }

  /// It is replayed from now on.
  public func checkpoint(_ place: Int, in buffer: ReplayBuffer) async throws(ReplayBufferError) {
    let number = number(place)
    try await ask("ACK CHECKPOINT \(transactions[place].user)") { () async throws(ReplayBufferError) in
      try await buffer.checkpoint(number)
    }
  }

  /// Commits it, or rolls it back.
  public func finish(
    _ place: Int, _ kind: BufferedTransaction.End, in buffer: ReplayBuffer
  ) async throws(ReplayBufferError) {
    transactions[place].end = (kind, .indeterminate)
    version += 1
    let (number, user) = (number(place), transactions[place].user)
    try await ask("ACK \(kind.rawValue.uppercased()) \(user)") { () async throws(ReplayBufferError) in
      if kind == .commit { try await buffer.commit(number) } else { try await buffer.rollback(number) }
    } _: {
      transactions[place].end = (kind, $0)
    }
  }
}
