import Defects
import LogModel
import RecordLogs
import Storage
import Verification

/// A program with a replay buffer. A session cleans up, recovers, and fills buffers of two users at a time: some are committed,
/// some rolled back, some left as they are; then it cleans up again, a week later too, and closes. The clean-up before the
/// recovery is what a timer does that knows nothing of recoveries: it must be refused (R3).
final class TransactionWorkload: ClientWorkload, @unchecked Sendable {
  // Owned by the loop of the life that runs.

  /// Longer than the retention: what a recovery leaves to the next one is old by then.
  static let pause = Duration.seconds(8 * 86_400)
  static let limit = Duration.seconds(120 * 86_400)
  private static let messageSize = 96

  private let messages: Int
  private let seed: UInt64
  private let defect: Defect?
  private var transactions: [BufferedTransaction] = []
  private var replays: [ReplayedTransaction] = []
  /// Sessions, from 0, and those whose recovery came to its end.
  private var process = -1
  private var recovered: Set<Int> = []
  private var checks: [CheckResult] = []
  private var isHindered = false
  private(set) var version = 0
  var onAnswer: ((String) -> Void)?

  init(messages: Int, seed: UInt64, _ defect: Defect?) {
    (self.messages, self.seed, self.defect) = (messages, seed, defect)
  }

  func copy() -> any ClientWorkload {
    let other = TransactionWorkload(messages: messages, seed: seed, defect)
    (other.transactions, other.replays, other.process) = (transactions, replays, process)
    (other.recovered, other.checks, other.version) = (recovered, checks, version)
    return other
  }

  private func answer(_ text: @autoclosure () -> String) {
    version += 1
    onAnswer?(text())
  }

  func crash(at time: Instant) { version += 1 }

  func hang(_ detail: String) { checks.append(CheckResult(.noHang, .violated, detail)) }

  func judge() -> StateJudgement {
    (checks + TransactionOracle.judge(transactions, replays, recovered: recovered).checks).stateJudgement()
  }

  // MARK: Lives

  func live(_ life: ClientIncarnation, on storage: any Storage) async {
    switch life {
    case .work:
      await session(on: storage, isHindered: true)
      await storage.loop.sleep(until: storage.loop.now + Self.pause)
      await session(on: storage, isHindered: true)
    case .check: await session(on: storage, isHindered: false)
    }
  }

  private var policy: RecordLogPolicy {
    var policy = RecordLogPolicy.replayBuffer
    policy.rotation = RecordLogPolicy.Rotation(bytes: 1 << 10)
    return policy
  }

  private func open(_ storage: any Storage) async throws(ReplayBufferError) -> ReplayBuffer {
    do throws(StorageError) { try await DurableDirectories(storage).make("wal") } catch { throw .log(.storage(error)) }
    return try await ReplayBuffer.open(
      in: "wal", of: storage, policy: policy, clock: .following(storage.loop), parts: defect?.replayParts() ?? ReplayParts()
    ).buffer
  }

  /// Whoever is refused tries once more.
  private func session(on storage: any Storage, isHindered: Bool) async {
    process += 1
    version += 1
    var failure: ReplayBufferError?
    for _ in 0..<(isHindered ? 2 : 1) {
      do throws(ReplayBufferError) {
        let buffer = try await open(storage)
        do throws(ReplayBufferError) {
          try await work(buffer, storage, isHindered: isHindered)
          try await buffer.close()
          return
        } catch { failure = error }
        // What it says now nobody hears: the session has failed.
        do throws(ReplayBufferError) { try await buffer.close() } catch {}
        break
      } catch { failure = error }
    }
    guard !isHindered, let failure else { return }
    let check: CheckName = recovered.contains(process) ? .appendAfterRecovery : .recoveryCompletes
    checks.append(CheckResult(check, .violated, "process \(process) must open, recover and work, found: \(failure)"))
  }

  private func work(_ buffer: ReplayBuffer, _ storage: any Storage, isHindered: Bool) async throws(ReplayBufferError) {
    self.isHindered = isHindered
    try await tolerating { () async throws(ReplayBufferError) in try await cleanUp(buffer) }
    try await tolerating { () async throws(ReplayBufferError) in try await recover(buffer) }
    for round in 0..<(isHindered ? 2 : 1) { try await fill(buffer, round: round) }
    try await tolerating { () async throws(ReplayBufferError) in try await cleanUp(buffer) }
    await storage.loop.sleep(until: storage.loop.now + Self.pause)
    try await tolerating { () async throws(ReplayBufferError) in try await cleanUp(buffer) }
  }

  /// Where a life may be hindered, an error is an answer.
  private func tolerating(_ body: () async throws(ReplayBufferError) -> Void) async throws(ReplayBufferError) {
    do throws(ReplayBufferError) { try await body() } catch { if !isHindered { throw error } }
  }

  private func cleanUp(_ buffer: ReplayBuffer) async throws(ReplayBufferError) {
    do throws(ReplayBufferError) { _ = try await buffer.maintain() } catch {
      guard case .recoveryPending = error else { throw error }
    }
  }

  private func recover(_ buffer: ReplayBuffer) async throws(ReplayBufferError) {
    let process = process
    try await buffer.recover { [self] transaction in
      settle(process)
      replays.append(
        ReplayedTransaction(
          user: transaction.user, number: transaction.number, process: process,
          measurements: transaction.measurements.map { number(of: $0, transaction.user) }))
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
    answer("replay of \(replays[last].user) settled")
  }

  // MARK: Transactions

  /// Two users' buffers, filled in turns; what becomes of them is another thing in each round.
  private func fill(_ buffer: ReplayBuffer, round: Int) async throws(ReplayBufferError) {
    var pair: [Int] = []
    for letter in ["a", "b"] { if let place = try await start(buffer, "u\(process).\(round)\(letter)") { pair.append(place) } }
    for _ in 0..<max(1, messages / 4) { for place in pair { try await add(buffer, to: place) } }
    guard let first = pair.first, let second = pair.last else { return }
    try await tolerating { () async throws(ReplayBufferError) in
      try await buffer.end(number(first))
      answer("ACK END_BUFFER \(transactions[first].user)")
      try await buffer.checkpoint(number(first))
      answer("ACK CHECKPOINT \(transactions[first].user)")
    }
    // In later rounds one is left replaying, the other one filling.
    guard round == 0 else { return }
    try await finish(buffer, first, .commit)
    if second != first { try await finish(buffer, second, .rollback) }
  }

  private func content(of user: String) -> MessageContent { MessageContent(seed: seed, topic: user, partition: 0) }

  private func content(_ number: Int, _ user: String) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.messageSize)
    bytes.withUnsafeMutableBytes { content(of: user).write(sequence: UInt64(number), into: $0) }
    return bytes
  }

  private func number(of bytes: [UInt8], _ user: String) -> Int {
    bytes.withUnsafeBytes { if case .intact(let number) = content(of: user).read($0) { Int(number) } else { -1 } }
  }

  private func outcome(_ error: ReplayBufferError) -> Outcome {
    if case .log(let error) = error, !error.isCertainFailure { return .indeterminate }
    return .failed
  }

  /// - Returns: nil where it cannot be begun.
  private func start(_ buffer: ReplayBuffer, _ user: String) async throws(ReplayBufferError) -> Int? {
    transactions.append(BufferedTransaction(user: user, process: process))
    let place = transactions.count - 1
    version += 1
    try await tolerating { () async throws(ReplayBufferError) in
      do throws(ReplayBufferError) {
        let number = try await buffer.start(user: user)
        (transactions[place].start, transactions[place].number) = (.acknowledged, number)
        answer("ACK START_BUFFER \(user) as \(number)")
      } catch {
        transactions[place].start = outcome(error)
        version += 1
        throw error
      }
    }
    return transactions[place].number == nil ? nil : place
  }

  private func number(_ place: Int) -> UInt64 { transactions[place].number ?? 0 }

  private func add(_ buffer: ReplayBuffer, to place: Int) async throws(ReplayBufferError) {
    let (n, user) = (transactions[place].measurements.count, transactions[place].user)
    transactions[place].measurements.append(.indeterminate)
    version += 1
    try await tolerating { () async throws(ReplayBufferError) in
      do throws(ReplayBufferError) {
        try await buffer.add(content(n, user), to: number(place))
        transactions[place].measurements[n] = .acknowledged
        answer("ACK measurement \(n) of \(user)")
      } catch {
        transactions[place].measurements[n] = outcome(error)
        version += 1
        throw error
      }
    }
  }

  private func finish(_ buffer: ReplayBuffer, _ place: Int, _ kind: BufferedTransaction.End) async throws(ReplayBufferError) {
    transactions[place].end = (kind, .indeterminate)
    version += 1
    try await tolerating { () async throws(ReplayBufferError) in
      do throws(ReplayBufferError) {
        if kind == .commit { try await buffer.commit(number(place)) } else { try await buffer.rollback(number(place)) }
        transactions[place].end = (kind, .acknowledged)
        answer("ACK \(kind.rawValue.uppercased()) \(transactions[place].user)")
      } catch {
        transactions[place].end = (kind, outcome(error))
        version += 1
        throw error
      }
    }
  }
}
