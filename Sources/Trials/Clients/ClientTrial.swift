import LogModel
import Reporting
import ScenarioFormat
import Storage
import Verification

/// A trial of a program that keeps a log of its own, in the model, by `TrialClient`.
struct ClientTrial {
  let client: TrialClient
  let spec: TrialSpec
  let folder: String

  /// - Parameter folder: for files of tools.
  init(_ client: TrialClient, _ spec: TrialSpec, folder: String = AlertRules.folder) {
    (self.client, self.spec, self.folder) = (client, spec, folder)
  }

  /// What a client's run came to, for its claims and its verdict.
  struct Account {
    var figures: [ClaimFigure: Double] = [:]
    var checks: [CheckResult] = []
    var receipts: [Receipt] = []
    var notices: [String] = []
    /// The crash point was never reached.
    var crashMissed = false

    /// Whatever was answered must have come to where it belongs.
    mutating func owe(_ answered: Int, found: Int, _ what: String) {
      let detail =
        answered == 0
        ? "no \(what) were answered: there is nothing to judge"
        : found == answered ? "" : "\(answered) \(what) were answered and must be there, found \(found)"
      checks.append(
        CheckResult(.noAcknowledgedLoss, answered == 0 ? .unknown : found == answered ? .held : .violated, detail))
    }
  }

  func run() throws(TrialError) -> PhaseReply {
    let account =
      switch client {
      case .transactions: try TransactionTrial(spec).run()
      case .backOff: try SenderTrial(spec).run()
      case .archives: try ArchiveTrial(spec).run()
      case .circuitBreaker, .diskSpaceLow, .pendingEvents, .retryRate, .failedEvents, .archiveFull:
        try AlertTrial(client, spec, folder: folder).run()
      }
    var reply = PhaseReply(storageName: "memory")
    reply.judgement = Judgement(checks: account.checks)
    reply.observed = Dictionary(uniqueKeysWithValues: account.figures.map { ($0.key.rawValue, $0.value) })
    (reply.receipts, reply.notices, reply.crashMissed) = (account.receipts, account.notices, account.crashMissed)
    return reply
  }
}

/// One life of a client on a disk of the model.
struct ClientMatrixSubject: Sendable {
  let disk: MemoryDisk
  let seed: UInt64

  /// Touched on one loop at a time.
  private final class Failure: @unchecked Sendable {
    var text: String?
  }

  /// Runs `body` in virtual time from `start` on, until it has returned.
  /// - Returns: when it had.
  /// - Throws: `TrialError` where it did not come to its end, or failed.
  @discardableResult
  func live(
    from start: Instant = Instant(nanoseconds: 0), between: StorageLayer = { $0 },
    _ body: @escaping @Sendable (any Storage) async throws -> Void
  ) throws(TrialError) -> Instant {
    let loop = EventLoop(simulatedWithSeed: seed, startingAt: start)
    let storage = between(MemoryStorage(disk: disk, loop: loop, latency: .disk))
    let failure = Failure()
    let result = loop.run(limit: .seconds(200 * 86_400)) {
      do { try await body(storage) } catch { failure.text = "\(error)" }
    }
    let end = loop.now
    guard result.ending == .finished else { throw .clientFailed(reason: "it came to no end: \(result.ending)") }
    if let text = failure.text { throw .clientFailed(reason: text) }
    loop.drain()
    return end
  }
}
