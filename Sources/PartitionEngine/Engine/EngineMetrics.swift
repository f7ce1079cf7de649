import LogModel
import Metrics
import Storage
import WriteAheadLog

/// What an engine counts of its object store, under the names that the Streamhouse runbook index alerts on where it has
/// any.
///
/// | metric | |
/// |---|---|
/// | `circuit_breaker_state` | 0 closed; 1 open: several attempts in a row have failed, and nothing is asked of the store for now; 2 half open: the next one is on its way |
/// | `throttle_decisions_total{decision}` | appends to partitions that go to a store: `allowed` at once, `delayed` by back-pressure, `rate_limited`: refused |
/// | `checkpoint_pieces_total`, `checkpoint_failures_total` | pieces that were archived; attempts that failed |
/// | `checkpoint_waiting_bytes` | bytes of batches that are not archived, roughly |
public final class EngineMetrics: Sendable {
  public let breaker: Gauge
  public let allowed: Counter
  public let delayed: Counter
  public let limited: Counter
  public let pieces: Counter
  public let failures: Counter
  public let waitingBytes: Gauge
  public let lease: LeaseMetrics

  /// Failures in a row from which on the breaker counts as open. The engine has none in the sense of a part that
  /// somebody must reset: after each failure it pauses, twice as long as before and 30 s at the most, and the next
  /// attempt tells whether the store is back.
  public static let failuresToOpen = 3

  public enum Breaker: Int, Sendable { case closed, open, halfOpen }

  public init(in registry: MetricRegistry = MetricRegistry()) {
    func decision(_ word: String) -> Counter {
      registry.counter(
        MetricFamilyName("throttle_decisions"), help: "Appends by whether the store was too far behind for them.",
        labels: ["decision": word])
    }
    breaker = registry.gauge(
      MetricFamilyName("circuit_breaker_state"),
      help: "0: the object store is asked; 1: it is not, after failures; 2: it is tried.")
    (allowed, delayed, limited) = (decision("allowed"), decision("delayed"), decision("rate_limited"))
    pieces = registry.counter(
      MetricFamilyName("checkpoint_pieces"), help: "Pieces of logs that were archived in the object store.")
    failures = registry.counter(
      MetricFamilyName("checkpoint_failures"), help: "Attempts to archive a piece that failed.")
    waitingBytes = registry.gauge(
      MetricFamilyName("checkpoint_waiting_bytes", unit: "bytes"), help: "Batches that are not archived yet.")
    lease = LeaseMetrics(in: registry)
  }

  func set(_ state: Breaker) { breaker.set(state.rawValue) }
}

/// What is counted of the right to write.
///
/// | metric | |
/// |---|---|
/// | `lease_conflicts_total` | claims that were refused because another engine writes, and operations that were refused to a replaced one |
/// | `stale_epochs_refused_total` | of these the operations: commits, records of metadata, checkpoints |
/// | `lease_renewals_total{outcome}` | `renewed`, `failed` (tried again), `lost` (a later epoch has been given) |
public final class LeaseMetrics: Sendable {
  public let conflicts: Counter
  public let staleEpochs: Counter
  public let renewed: Counter
  public let renewalsFailed: Counter
  public let lost: Counter

  public init(in registry: MetricRegistry = MetricRegistry()) {
    func renewal(_ word: String) -> Counter {
      registry.counter(
        MetricFamilyName("lease_renewals"), help: "Attempts to renew a lease, by what came of them.",
        labels: ["outcome": word])
    }
    conflicts = registry.counter(
      MetricFamilyName("lease_conflicts"),
      help: "Claims refused to a second writer, and operations refused to a replaced one.")
    staleEpochs = registry.counter(
      MetricFamilyName("stale_epochs_refused"),
      help: "Operations that were refused because a later epoch had been given.")
    (renewed, renewalsFailed, lost) = (renewal("renewed"), renewal("failed"), renewal("lost"))
  }

  func noteStaleEpoch() {
    conflicts.add()
    staleEpochs.add()
  }
}

/// A claim whose refusals are counted.
final class CountedClaim: WriterClaim, @unchecked Sendable {
  // Owned by the loop of the claim.

  private let claim: any WriterClaim
  private let metrics: LeaseMetrics
  private var isReleased = false

  init(_ claim: any WriterClaim, _ metrics: LeaseMetrics) { (self.claim, self.metrics) = (claim, metrics) }

  var epoch: Epoch { claim.epoch }

  func isCurrent() async throws(StorageError) -> Bool {
    let isCurrent = try await claim.isCurrent()
    if !isCurrent, !isReleased { metrics.noteStaleEpoch() }
    return isCurrent
  }

  func release() async {
    isReleased = true
    await claim.release()
  }
}

extension WriterExclusion {
  /// As `claim`, counted where there is something to count in.
  func claim(
    _ storage: any Storage, above floor: Epoch, counting metrics: LeaseMetrics?
  ) async throws(EngineError) -> any WriterClaim {
    guard let metrics else { return try await claim(storage, above: floor) }
    do throws(EngineError) { return CountedClaim(try await claim(storage, above: floor), metrics) } catch {
      if case .inUse = error { metrics.conflicts.add() }
      throw error
    }
  }
}
