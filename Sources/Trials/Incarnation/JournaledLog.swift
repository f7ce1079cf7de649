import EngineAdapter
import LogModel
import SystemUnderTest
import Verification

/// A trial's log as its consumer reads it back: the journal is told who is at work, the log or the harness, and a
/// question that a fault has cut off is asked again.
final class JournaledLog: ReadableLog {
  /// Empty answers, or answers that a fault cuts off, one after the other, before a consumer gives up.
  static let maxAttempts = 1000

  private let log: TestedLog
  private let journal: Journal
  private let faults: StorageFaultSetup
  private let firstFetches: FirstFetches

  init(_ log: TestedLog, _ journal: Journal, _ faults: StorageFaultSetup, _ firstFetches: FirstFetches) {
    (self.log, self.journal, self.faults, self.firstFetches) = (log, journal, faults, firstFetches)
  }

  var partitions: [TopicPartition] { asking { log.partitions } }

  func newAnswer(capacity: Int) -> JournaledAnswer { JournaledAnswer(log.newAnswer(capacity: capacity), journal) }

  func watermarks(_ partition: TopicPartition) throws(LogFailure) -> Watermarks {
    try asking { () throws(LogFailure) in try log.watermarks(partition) }
  }

  func committedOffset(group: String, _ partition: TopicPartition) throws(LogFailure) -> Offset? {
    try asking { () throws(LogFailure) in try log.committedOffset(group: group, partition) }
  }

  func segmentBases(_ partition: TopicPartition) throws(LogFailure) -> [Offset] {
    try asking { () throws(LogFailure) in try log.segmentBases(partition) }
  }

  /// A consumer asks again where a fault has cut its question off; an error without a fault is an answer.
  func fetch(
    _ partition: TopicPartition, from offset: Offset, maxBytes: Int, into answer: JournaledAnswer
  ) async throws(LogFailure) {
    journal.stage = .consuming
    defer {
      journal.answered()
      journal.stage = .harness
    }
    for attempt in 1... {
      let (fired, slow) = (faults.firings, faults.slowStoreCalls)
      do throws(LogFailure) {
        let start = ContinuousClock.now
        try await log.fetch(partition, from: offset, maxBytes: maxBytes, into: answer.base)
        return firstFetches.note(partition, ContinuousClock.now - start)
      } catch {
        switch error.kind {
        // Answers, whatever hangs beside them: a consumer asks outside the log, too.
        case .damaged, .offsetOutOfRange: throw error
        case .topicExists, .inUse, .other: break
        }
        // The machine may be too slow for the time-out of the object store: a consumer asks again then, too.
        if faults.firings == fired, faults.slowStoreCalls > slow, attempt < Incarnation.slowAttempts { continue }
        guard faults.stoodInTheWay(since: fired), faults.firings < Self.maxAttempts, attempt < Self.maxAttempts else {
          throw error
        }
        // Only calls to a store that never answers stand in the way: they are cut off.
        if faults.firings == fired { faults.lift() }
      }
    }
    preconditionFailure("an endless loop has ended")
  }

  /// A question that the log answers at once.
  private func asking<Value, Failure: Error>(_ question: () throws(Failure) -> Value) throws(Failure) -> Value {
    journal.stage = .consuming
    defer { journal.stage = .harness }
    return try question()
  }
}

/// An answer whose bytes the log reads: what it is shown to is the harness.
final class JournaledAnswer: FetchedMessages {
  let base: TestedLog.Answer
  private let journal: Journal

  init(_ base: TestedLog.Answer, _ journal: Journal) { (self.base, self.journal) = (base, journal) }

  var nextOffset: Offset { base.nextOffset }

  @inline(__always)
  func forEachMessage(_ body: (FetchedMessage) -> Void) {
    journal.stage = .consuming
    base.forEachMessage { message in journal.harness { body(message) } }
    journal.stage = .harness
  }

  func withFirstMessage(_ body: (FetchedMessage) -> Void) {
    journal.stage = .consuming
    base.withFirstMessage { message in journal.harness { body(message) } }
    journal.stage = .harness
  }

  func forEachBatchTime(_ body: (_ base: Offset, _ time: Instant) -> Void) { base.forEachBatchTime(body) }
}

/// What the first fetch of each partition that was answered without an error took in a life, on the machine's clock.
final class FirstFetches: @unchecked Sendable {
  // Owned by the loop of the trial's storage.

  private var durations: [TopicPartition: Duration] = [:]

  /// Of all partitions, one after the other. 0 where there was nothing to fetch.
  var seconds: Double { durations.values.reduce(.zero, +).inSeconds }

  func note(_ partition: TopicPartition, _ duration: Duration) {
    if durations[partition] == nil { durations[partition] = duration }
  }
}
