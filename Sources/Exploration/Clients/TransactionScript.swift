import ClientWorkloads
import Defects
import LogModel
import RecordLogs
import Storage
import Verification

/// A program with a replay buffer. A session cleans up, recovers, and fills buffers of two users at a time: some are
/// committed, some rolled back, some left as they are; then it cleans up again, a week later too, and closes. The
/// clean-up before the recovery is what a timer does that knows nothing of recoveries: it must be refused (R3).
final class TransactionScript: ClientScript, @unchecked Sendable {
  // Owned by the loop of the life that runs.

  /// Longer than the retention: what a recovery leaves to the next one is old by then.
  static let pause = Duration.seconds(8 * 86_400)
  static let limit = Duration.seconds(120 * 86_400)

  private let messages: Int
  private let defect: Defect?
  private let book: TransactionWorkload
  private var checks: [CheckResult] = []
  private var isHindered = false
  var version: Int { book.version }
  var onAnswer: ((String) -> Void)? {
    get { book.onAnswer }
    set { book.onAnswer = newValue }
  }

  /// Sessions are numbered from 0.
  convenience init(messages: Int, seed: UInt64, _ defect: Defect?) {
    self.init(messages, defect, TransactionWorkload(seed: seed, measurementBytes: 96, process: -1))
  }

  private init(_ messages: Int, _ defect: Defect?, _ book: TransactionWorkload) {
    (self.messages, self.defect, self.book) = (messages, defect, book)
  }

  func copy() -> any ClientScript {
    let other = TransactionScript(messages, defect, book.copy())
    other.checks = checks
    return other
  }

  func crash(at time: Instant) { book.noteChange() }

  func hang(_ detail: String) { checks.append(CheckResult(.noHang, .violated, detail)) }

  func judge() -> StateJudgement { (checks + book.judge()).stateJudgement() }

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

  /// Whoever is refused tries once more.
  private func session(on storage: any Storage, isHindered: Bool) async {
    book.process += 1
    book.noteChange()
    var failure: ReplayBufferError?
    for _ in 0..<(isHindered ? 2 : 1) {
      do throws(ReplayBufferError) {
        let (buffer, _) = try await TransactionWorkload.open(
          on: storage, rotation: RecordLogPolicy.Rotation(bytes: 1 << 10),
          parts: defect?.replayParts() ?? ReplayParts())
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
    let process = book.process
    let check: CheckName = book.recovered.contains(process) ? .appendAfterRecovery : .recoveryCompletes
    checks.append(CheckResult(check, .violated, "process \(process) must open, recover and work, found: \(failure)"))
  }

  private func work(_ buffer: ReplayBuffer, _ storage: any Storage, isHindered: Bool) async throws(ReplayBufferError) {
    self.isHindered = isHindered
    try await tolerating { () async throws(ReplayBufferError) in try await book.cleanUp(buffer) }
    try await tolerating { () async throws(ReplayBufferError) in try await book.recover(buffer) }
    for round in 0..<(isHindered ? 2 : 1) { try await fill(buffer, round: round) }
    try await tolerating { () async throws(ReplayBufferError) in try await book.cleanUp(buffer) }
    await storage.loop.sleep(until: storage.loop.now + Self.pause)
    try await tolerating { () async throws(ReplayBufferError) in try await book.cleanUp(buffer) }
  }

  /// Where a life may be hindered, an error is an answer.
  private func tolerating(_ body: () async throws(ReplayBufferError) -> Void) async throws(ReplayBufferError) {
    do throws(ReplayBufferError) { try await body() } catch { if !isHindered { throw error } }
  }

  // MARK: Transactions

  /// Two users' buffers, filled in turns; what becomes of them is another thing in each round.
  private func fill(_ buffer: ReplayBuffer, round: Int) async throws(ReplayBufferError) {
    var pair: [Int] = []
    for letter in ["a", "b"] {
      let place = book.add(user: "u\(book.process).\(round)\(letter)")
      try await tolerating { () async throws(ReplayBufferError) in try await book.start(place, in: buffer) }
      if book.transactions[place].number != nil { pair.append(place) }
    }
    for _ in 0..<max(1, messages / 4) {
      for place in pair {
        try await tolerating { () async throws(ReplayBufferError) in try await book.add(to: place, in: buffer) }
      }
    }
    guard let first = pair.first, let second = pair.last else { return }
    try await tolerating { () async throws(ReplayBufferError) in
      try await book.end(first, in: buffer)
      try await book.checkpoint(first, in: buffer)
    }
    // In later rounds one is left replaying, the other one filling.
    guard round == 0 else { return }
    try await tolerating { () async throws(ReplayBufferError) in try await book.finish(first, .commit, in: buffer) }
    guard second != first else { return }
    try await tolerating { () async throws(ReplayBufferError) in try await book.finish(second, .rollback, in: buffer) }
  }
}
