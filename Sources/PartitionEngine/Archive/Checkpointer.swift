import LogModel
import Metrics
import ObjectStore
import Storage
import WriteAheadLog

/// What the checkpoints of an engine have come to, since it was opened.
public struct CheckpointStatus: Hashable, Sendable {
  /// Pieces that were archived.
  public var pieces = 0
  /// Failures in a row, and the last one.
  public var failures = 0
  public var lastFailure: EngineError?
  /// The engine has been replaced: nothing goes to the store any more.
  public var isStopped = false
}

/// Brings the partitions' logs to the object store, one piece at a time: the memory that it takes is that of one
/// object, whatever the number of partitions, and however long the store fails.
final class Checkpointer: @unchecked Sendable {
  // Owned by the loop of its engine.

  private let loop: EventLoop
  private let policy: CheckpointPolicy
  private let metrics: EngineMetrics?
  private let alarm: CheckpointTimer
  private var archives: [PartitionArchive] = []
  private(set) var status = CheckpointStatus()
  /// After a failure nothing is tried before.
  private var pausedUntil = Instant(nanoseconds: .min)
  /// Failures in a row that were not those of a partition's own log.
  private var storeFailures = 0
  private var isFailing: Bool { storeFailures >= EngineMetrics.failuresToOpen }
  private var isStopping = false
  /// Shut while it runs.
  private let ended = AsyncEvent(isOpen: true)
  /// Shut while a piece is on its way.
  private let idle = AsyncEvent(isOpen: true)

  init(_ loop: EventLoop, _ policy: CheckpointPolicy, _ metrics: EngineMetrics?, _ alarm: CheckpointTimer) {
    (self.loop, self.policy, self.metrics, self.alarm) = (loop, policy, metrics, alarm)
  }

  func start() {
    ended.shut()
    loop.spawn { await self.run() }
  }

  func add(_ archive: PartitionArchive) {
    archives.append(archive)
    alarm.ring(at: archive.due)
  }

  /// Ends once the piece that is on its way has got there, or its time is over.
  func stop() async {
    isStopping = true
    alarm.ring(at: loop.now)
    await ended.wait()
  }

  private func run() async {
    while !isStopping && !status.isStopped {
      var next: Instant?
      var hasWorked = false
      for archive in archives where !isStopping && !status.isStopped {
        guard let due = archive.due.map({ max($0, pausedUntil) }) else { continue }
        if due <= loop.now {
          hasWorked = true
          await work(on: archive)
        } else {
          next = min(next ?? due, due)
        }
      }
      if !hasWorked, !isStopping { await alarm.sleep(until: next) }
    }
    ended.open()
  }

  /// What is due, in the background. A failure is in the status, and everything that is not archived is in the log.
  private func work(on archive: PartitionArchive) async {
    do throws(EngineError) {
      if let rotation = archive.log.rotationDue, rotation <= loop.now { archive.log.rotate() }
      if try await !archivePiece(of: archive) {
        // It is not durable yet, or there was a file to close or to remove.
        archive.notBefore = loop.now + min(policy.interval, .milliseconds(20))
      }
    } catch {}
  }

  /// Archives everything that can be, now, of every partition.
  /// - Throws: the first failure, after all partitions have been tried.
  func checkpoint() async throws(EngineError) {
    var failure: EngineError?
    for archive in archives {
      do throws(EngineError) {
        if case .interval = archive.log.configuration.syncPolicy { await archive.log.sync() }
        while try await archivePiece(of: archive) {}
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }

  private func archivePiece(of archive: PartitionArchive) async throws(EngineError) -> Bool {
    while !idle.isOpen { await idle.wait() }
    idle.shut()
    metrics?.set(isFailing ? .halfOpen : .closed)
    defer {
      metrics?.set(isFailing && !status.isStopped ? .open : .closed)
      idle.open()
    }
    do throws(EngineError) {
      let isArchived = try await archive.checkpointNextPiece()
      if isArchived {
        status.pieces += 1
        status.failures = 0
        storeFailures = 0
        metrics?.pieces.add()
      }
      try await archive.clean()
      return isArchived
    } catch {
      note(error, of: archive)
      throw error
    }
  }

  private func note(_ failure: EngineError, of archive: PartitionArchive) {
    status.failures += 1
    status.lastFailure = failure
    status.isStopped = failure.isReplaced
    metrics?.failures.add()
    if case .store(.superseded) = failure { metrics?.lease.noteStaleEpoch() }
    if case .log(_, .storage) = failure {
      // Its own log's trouble: the others go on.
      archive.notBefore = loop.now + policy.longestPause
      return
    }
    storeFailures += 1
    var pause = policy.firstPause
    for _ in 1..<min(status.failures, 32) where pause < policy.longestPause { pause = pause * 2 }
    pausedUntil = loop.now + min(pause, policy.longestPause)
  }
}

extension EngineError {
  /// Whether a newer writer is the reason: there is no point in trying again.
  fileprivate var isReplaced: Bool {
    switch self {
    case .log(_, .fenced), .log(_, .fencedInCommit), .store(.superseded): true
    default: false
    }
  }
}

/// Wakes the checkpointer when the next piece is due.
final class CheckpointTimer: @unchecked Sendable {
  // Owned by `loop`.

  private let loop: EventLoop
  private let gate = AsyncEvent()
  /// When the sleeper is woken; nil while nobody sleeps, or for ever.
  private var wakesAt: Instant?
  private var isAsleep = false

  init(_ loop: EventLoop) { self.loop = loop }

  func sleep(until due: Instant?) async {
    gate.shut()
    isAsleep = true
    wakesAt = nil
    set(due)
    await gate.wait()
    isAsleep = false
  }

  /// Something is due at that time, or was before.
  func ring(at due: Instant?) {
    guard isAsleep, let due, wakesAt.map({ due < $0 }) ?? true else { return }
    set(due)
  }

  private func set(_ due: Instant?) {
    guard let due else { return }
    wakesAt = due
    guard due > loop.now else { return gate.open() }
    loop.spawn { [self] in
      await loop.sleep(until: due)
      if isAsleep, wakesAt == due { gate.open() }
    }
  }
}
