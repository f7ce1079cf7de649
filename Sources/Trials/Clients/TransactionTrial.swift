import Defects
import LogModel
import RecordLogs
import ScenarioFormat
import Storage
import Verification

/// A replay buffer over three lives (replay-buffer plan).
///
/// In the first, transactions of `batch` measurements are filled by several users at a time; of five, one is left filling, one ended, one
/// replaying, one is committed and one rolled back. The crash comes at the end, or when a share of the measurements has been answered.
/// The second life is given what was left, tries to clean up before and does so after, begins a transaction that nobody ends, tries to
/// clean up again six days later, and crashes. The third begins two days after that: files that were compressed are eight days old.
final class TransactionTrial: @unchecked Sendable {
  // Touched by the tasks of one loop after another.

  private static let directory = "wal"

  private let spec: TrialSpec
  private let disk: MemoryDisk
  private let defect: Defect?
  private var transactions: [BufferedTransaction] = []
  private var replays: [ReplayedTransaction] = []
  private var recovered: Set<Int> = []
  private var process = 0
  /// Entries that the log has answered.
  private var entries = 0
  private var measurements = 0
  private var crashed = false
  private var account = ClientTrial.Account()

  private let between: StorageLayer

  /// - Parameter between: what stands between each life of the buffer and its disk: nothing, but in tests.
  init(_ spec: TrialSpec, between: @escaping StorageLayer = { $0 }) throws(TrialError) {
    self.spec = spec
    self.between = between
    disk = MemoryDisk(seed: spec.seed)
    if spec.defect == "none" {
      defect = nil
    } else {
      guard let found = Defect(id: spec.defect) else { throw .unknownDefect(spec.defect) }
      defect = found
    }
  }

  func run() throws(TrialError) -> ClientTrial.Account {
    let stage = ClientMatrixSubject(disk: disk, seed: spec.seed)
    var now = try stage.live(between: between) { [self] storage in
      let (buffer, _) = try await open(storage)
      try await recover(buffer)
      await fill(buffer)
      account.crashMissed = spec.crash != .none && threshold != nil && !crashed
      if !crashed, spec.crash == .none { try await buffer.close() }
    }
    account.figures[.largestFile] = completedSizes().max().map(Double.init)
    end()
    process = 1
    now = try stage.live(from: now, between: between) { [self] storage in
      let (buffer, _) = try await open(storage)
      try await cleanUp(buffer, isDue: false)
      try await recover(buffer)
      account.figures[.replayed] = Double(replays.count)
      try await cleanUp(buffer, isDue: false)
      account.figures[.compressedFiles] = Double(files().count { $0.hasSuffix(".gz") })
      await begin(buffer, "last", fate: 0)
      await storage.loop.sleep(until: storage.loop.now + .seconds(6 * 86_400))
      try await cleanUp(buffer, isDue: false)
      if spec.crash == .none { try await buffer.close() }
    }
    end()
    process = 2
    try stage.live(from: now + .seconds(2 * 86_400), between: between) { [self] storage in
      let (buffer, report) = try await open(storage)
      account.figures[.entriesUnread] = Double(max(0, entries - report.recovery.records))
      try await cleanUp(buffer, isDue: false)
      try await recover(buffer)
      try await cleanUp(buffer, isDue: true)
      try await buffer.close()
    }
    account.checks += TransactionOracle.judge(transactions, replays, recovered: recovered).checks
    return account
  }

  /// Ends a life by the trial's crash.
  private func end() {
    guard spec.crash != .none else { return }
    if !crashed { crash() }
    crashed = false
  }

  private func crash() {
    crashed = true
    let seed = mix64(spec.seed &+ UInt64(process))
    account.receipts.append(
      Receipt(spec.crash == .powerLoss ? disk.powerLoss(seed: seed, profile: spec.profile(life: process)) : disk.processKill(seed: seed)))
  }

  // MARK: Files

  private func files() -> [String] { disk.paths.filter { $0.hasPrefix(Self.directory + "/") && !$0.hasSuffix("lock") } }

  /// Of the files that the log has gone on from, as long as they are not compressed.
  private func completedSizes() -> [Int] { files().filter { !$0.hasSuffix(".gz") }.sorted().dropLast().map { disk.read($0)?.count ?? 0 } }

  /// Names without what compression adds.
  private func logFiles() -> Set<String> { Set(files().map { $0.hasSuffix(".gz") ? String($0.dropLast(3)) : $0 }) }

  /// - Parameter isDue: whether files may be removed by it.
  private func cleanUp(_ buffer: ReplayBuffer, isDue: Bool) async throws {
    let before = logFiles()
    do throws(ReplayBufferError) { _ = try await buffer.maintain() } catch {
      guard case .recoveryPending = error else { throw error }
    }
    let removed = Double(before.subtracting(logFiles()).count)
    account.figures[isDue ? .removedExpired : .removedEarly, default: 0] += removed
  }

  // MARK: Transactions

  private func open(_ storage: any Storage) async throws -> (buffer: ReplayBuffer, report: ReplayBufferReport) {
    try await DurableDirectories(storage).make(Self.directory)
    var policy = RecordLogPolicy.replayBuffer
    // The document's 100 MB where there is so much; smaller files where there would be one only.
    if spec.messages * spec.messageSize < 100 << 20 { policy.rotation = RecordLogPolicy.Rotation(bytes: 16 << 10) }
    return try await ReplayBuffer.open(
      in: Self.directory, of: storage, policy: policy, clock: .following(storage.loop), parts: defect?.replayParts() ?? ReplayParts())
  }

  private func recover(_ buffer: ReplayBuffer) async throws {
    let process = process
    try await buffer.recover { [self] transaction in
      settle()
      let content = content(of: transaction.user)
      replays.append(
        ReplayedTransaction(
          user: transaction.user, number: transaction.number, process: process,
          measurements: transaction.measurements.map { bytes in
            bytes.withUnsafeBytes { if case .intact(let n) = content.read($0) { Int(n) } else { -1 } }
          }))
      return transaction.number % 3 != 0
    }
    settle()
    recovered.insert(process)
  }

  /// Whoever is given the next one, or told that there is none, knows that the end of the last one is written.
  private func settle() {
    guard let last = replays.indices.last, replays[last].process == process, !replays[last].isSettled else { return }
    replays[last].isSettled = true
    entries += 2  // CHECKPOINT, and COMMIT or ROLLBACK
  }

  private func fill(_ buffer: ReplayBuffer) async {
    let count = max(5, spec.messages / max(1, spec.batch))
    let users = max(1, spec.producers)
    await withTaskGroup(of: Void.self) { group in
      for user in 0..<users {
        group.addTask { [self] in
          for k in stride(from: user, to: count, by: users) where !crashed { await begin(buffer, "u\(k)", fate: k % 5) }
        }
      }
    }
  }

  private func content(of user: String) -> MessageContent { MessageContent(seed: spec.seed, topic: user, partition: 0) }

  /// - Returns: what it was answered; nil where nobody hears the answer any more.
  private func answer(_ body: () async throws(ReplayBufferError) -> Void) async -> Verification.Outcome? {
    do throws(ReplayBufferError) {
      try await body()
      if crashed { return nil }
      entries += 1
      return .acknowledged
    } catch {
      if case .log(let error) = error, !error.isCertainFailure { return crashed ? nil : .indeterminate }
      return crashed ? nil : .failed
    }
  }

  /// - Parameter fate: 0 filling, 1 ended, 2 replaying, 3 committed, 4 rolled back.
  private func begin(_ buffer: ReplayBuffer, _ user: String, fate: Int) async {
    transactions.append(BufferedTransaction(user: user, process: process))
    let place = transactions.count - 1
    var number: UInt64 = 0
    let start = await answer { () async throws(ReplayBufferError) in number = try await buffer.start(user: user) }
    guard let start else { return }
    transactions[place].start = start
    guard start == .acknowledged else { return }
    transactions[place].number = number
    var bytes = [UInt8](repeating: 0, count: spec.messageSize)
    for n in 0..<spec.batch {
      bytes.withUnsafeMutableBytes { content(of: user).write(sequence: UInt64(n), into: $0) }
      transactions[place].measurements.append(.indeterminate)
      let (line, number) = (bytes, number)
      guard let outcome = await answer({ () async throws(ReplayBufferError) in try await buffer.add(line, to: number) }) else { return }
      transactions[place].measurements[n] = outcome
      measurements += 1
      if process == 0, spec.crash != .none, let threshold, measurements >= threshold { return crash() }
    }
    guard fate >= 1, await isAnswered({ () async throws(ReplayBufferError) in try await buffer.end(number) }) else { return }
    guard fate >= 2, await isAnswered({ () async throws(ReplayBufferError) in try await buffer.checkpoint(number) }) else { return }
    guard fate >= 3 else { return }
    let kind: BufferedTransaction.End = fate == 3 ? .commit : .rollback
    transactions[place].end = (kind, .indeterminate)
    let outcome = await answer { () async throws(ReplayBufferError) in
      if kind == .commit { try await buffer.commit(number) } else { try await buffer.rollback(number) }
    }
    if let outcome { transactions[place].end = (kind, outcome) }
  }

  private func isAnswered(_ body: () async throws(ReplayBufferError) -> Void) async -> Bool { await answer(body) == .acknowledged }

  /// Measurements that the crash waits for; nil for all.
  private var threshold: Int? {
    switch spec.crashAt {
    case .end: nil
    case .percent(let n): spec.messages * n / 100
    case .messages(let n): n
    }
  }
}
