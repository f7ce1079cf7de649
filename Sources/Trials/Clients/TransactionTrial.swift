import ClientWorkloads
import Defects
import LogModel
import RecordLogs
import ScenarioFormat
import Storage
import Verification

/// A replay buffer over three lives (replay-buffer plan).
///
/// In the first, transactions of `batch` measurements are filled by several users at a time; of five, one is left
/// filling, one ended, one replaying, one is committed and one rolled back. The crash comes at the end, or when a share
/// of the measurements has been answered. The second life is given what was left, tries to clean up before and does so
/// after, begins a transaction that nobody ends, tries to clean up again six days later, and crashes. The third begins
/// two days after that: files that were compressed are eight days old.
final class TransactionTrial: @unchecked Sendable {
  // Touched by the tasks of one loop after another.

  private let spec: TrialSpec
  private let disk: MemoryDisk
  private let defect: Defect?
  private let book: TransactionWorkload
  private var measurements = 0
  private var crashed: Bool { book.isDead }
  private var account = ClientTrial.Account()

  private let between: StorageLayer

  /// - Parameter between: what stands between each life of the buffer and its disk: nothing, but in tests.
  init(_ spec: TrialSpec, between: @escaping StorageLayer = { $0 }) throws(TrialError) {
    self.spec = spec
    self.between = between
    disk = MemoryDisk(seed: spec.seed)
    book = TransactionWorkload(seed: spec.seed, measurementBytes: spec.messageSize)
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
      try await book.recover(buffer)
      await fill(buffer)
      account.crashMissed = spec.crash != .none && threshold != nil && !crashed
      if !crashed, spec.crash == .none { try await buffer.close() }
    }
    account.figures[.largestFile] = completedSizes().max().map(Double.init)
    end()
    book.process = 1
    now = try stage.live(from: now, between: between) { [self] storage in
      let (buffer, _) = try await open(storage)
      try await cleanUp(buffer, isDue: false)
      try await book.recover(buffer)
      account.figures[.replayed] = Double(book.replays.count)
      try await cleanUp(buffer, isDue: false)
      account.figures[.compressedFiles] = Double(files().count { $0.hasSuffix(".gz") })
      await begin(buffer, "last", fate: 0)
      await storage.loop.sleep(until: storage.loop.now + .seconds(6 * 86_400))
      try await cleanUp(buffer, isDue: false)
      if spec.crash == .none { try await buffer.close() }
    }
    end()
    book.process = 2
    try stage.live(from: now + .seconds(2 * 86_400), between: between) { [self] storage in
      let (buffer, report) = try await open(storage)
      account.figures[.entriesUnread] = Double(max(0, book.entries - report.recovery.records))
      try await cleanUp(buffer, isDue: false)
      try await book.recover(buffer)
      try await cleanUp(buffer, isDue: true)
      try await buffer.close()
    }
    account.checks += book.judge()
    return account
  }

  /// Ends a life by the trial's crash.
  private func end() {
    guard spec.crash != .none else { return }
    if !crashed { crash() }
    book.isDead = false
  }

  private func crash() {
    book.isDead = true
    let seed = mix64(spec.seed &+ UInt64(book.process))
    account.receipts.append(
      Receipt(
        spec.crash == .powerLoss
          ? disk.powerLoss(seed: seed, profile: spec.profile(life: book.process)) : disk.processKill(seed: seed)))
  }

  // MARK: Files

  private func files() -> [String] {
    disk.paths.filter { $0.hasPrefix(TransactionWorkload.directory + "/") && !$0.hasSuffix("lock") }
  }

  /// Of the files that the log has gone on from, as long as they are not compressed.
  private func completedSizes() -> [Int] {
    files().filter { !$0.hasSuffix(".gz") }.sorted().dropLast().map { disk.read($0)?.count ?? 0 }
  }

  /// Names without what compression adds.
  private func logFiles() -> Set<String> { Set(files().map { $0.hasSuffix(".gz") ? String($0.dropLast(3)) : $0 }) }

  /// - Parameter isDue: whether files may be removed by it.
  private func cleanUp(_ buffer: ReplayBuffer, isDue: Bool) async throws {
    let before = logFiles()
    try await book.cleanUp(buffer)
    let removed = Double(before.subtracting(logFiles()).count)
    account.figures[isDue ? .removedExpired : .removedEarly, default: 0] += removed
  }

  // MARK: Transactions

  private func open(_ storage: any Storage) async throws -> (buffer: ReplayBuffer, report: ReplayBufferReport) {
    // The document's 100 MB where there is so much; smaller files where there would be one only.
    let isSmall = spec.messages * spec.messageSize < 100 << 20
    return try await TransactionWorkload.open(
      on: storage, rotation: isSmall ? RecordLogPolicy.Rotation(bytes: 16 << 10) : nil,
      parts: defect?.replayParts() ?? ReplayParts())
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

  /// - Parameter fate: 0 filling, 1 ended, 2 replaying, 3 committed, 4 rolled back.
  private func begin(_ buffer: ReplayBuffer, _ user: String, fate: Int) async {
    let place = book.add(user: user)
    let isStarted = await isAnswered { () async throws(ReplayBufferError) in
      try await book.start(place, in: buffer)
    }
    guard isStarted else { return }
    for _ in 0..<spec.batch {
      // Whatever it is answered, the next measurement follows.
      _ = await isAnswered { () async throws(ReplayBufferError) in try await book.add(to: place, in: buffer) }
      if crashed { return }
      measurements += 1
      if book.process == 0, spec.crash != .none, let threshold, measurements >= threshold { return crash() }
    }
    _ = await isAnswered { () async throws(ReplayBufferError) in
      if fate >= 1 { try await book.end(place, in: buffer) }
      if fate >= 2, !crashed { try await book.checkpoint(place, in: buffer) }
      if fate >= 3, !crashed { try await book.finish(place, fate == 3 ? .commit : .rollback, in: buffer) }
    }
  }

  /// Whether the buffer has done what it was asked for, and somebody is there to hear it.
  private func isAnswered(_ body: () async throws(ReplayBufferError) -> Void) async -> Bool {
    do throws(ReplayBufferError) { try await body() } catch { return false }
    return !crashed
  }

  /// Measurements that the crash waits for; nil for all.
  private var threshold: Int? {
    switch spec.crashAt {
    case .end, .step: nil
    case .percent(let n): spec.messages * n / 100
    case .messages(let n): n
    }
  }
}
