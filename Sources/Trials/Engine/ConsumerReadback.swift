import LogModel
import PartitionEngine
import Storage
import Verification
import WriteAheadLog

/// A look: everything that a consumer can find out, written down for the oracle. Asks only what any client may ask.
struct ConsumerReadback {
  /// Empty answers below the high watermark, one after the other, before consumption counts as stuck.
  static let patience = 1000
  private static let consumeBytes = 256 << 10
  private static let probeBytes = 1

  let engine: PartitionEngine
  let group: String
  /// Told who is at work: the engine, asked something, or this look's own bookkeeping.
  let journal: Journal
  let faults: StorageFaultSetup
  let firstFetches: FirstFetches
  let random: SeededGenerator
  /// Whether the engine's batches carry times; formats of other systems answer none.
  var readsTimes = false
  /// Of requests that are several operations of the history, one in so many begins a request.
  var operationsARequest = 1

  /// - Parameter operationsBefore: that had been submitted when `recovery` was reported; nil for all.
  func take(_ history: History, recovery: EngineRecovery?, operationsBefore: Int? = nil) async -> Observation {
    journal.stage = .harness
    var observer = Observer(history)
    let topics = asking { engine.topics }
    observer.registered(
      topics.flatMap { topic in
        (0..<topic.partitions).map { TopicPartition(topic.name, PartitionID($0)) }
      })
    for report in recovery?.partitions ?? [] {
      guard let slot = history.creations.firstIndex(where: { $0.partition == report.source }) else {
        if !report.damage.isEmpty { observer.reportedOfNobody(report.source) }
        continue
      }
      for range in report.damage {
        observer.reported(
          ReportedDamage(
            partition: PartitionSlot(slot), offsets: OffsetRange(from: range.from, to: range.to),
            reason: "\(range.path), bytes \(range.byteFrom) ..< \(range.byteTo)" + (range.mismatch.map { ", \($0)" } ?? ""),
            operationsBefore: operationsBefore, mismatch: range.mismatch, path: range.path,
            bytes: range.byteFrom..<max(range.byteFrom, range.byteTo)))
      }
    }
    var edges = history.creations.map { _ in [Offset]() }
    for operation in history.operations {
      guard operation.firstSequence % operationsARequest == 0 else { continue }
      if let base = operation.baseOffset { edges[operation.partition.index].append(base) }
    }
    let response = FetchResponse(capacity: 512 << 10)
    var groups = [group]
    for commit in history.commits where !groups.contains(commit.group) { groups.append(commit.group) }
    var random = random
    for slot in history.creations.indices {
      let partition = history.creations[slot].partition
      let marks = await consume(partition, PartitionSlot(slot), response, &observer)
      if let marks { await probe(partition, PartitionSlot(slot), marks, edges[slot], response, &observer, &random) }
      for group in groups { observer.committed(group: group, PartitionSlot(slot), committedOffset(group, partition)) }
    }
    return observer.finish()
  }

  /// - Returns: what the partition claimed last; nil where it claimed nothing.
  private func consume(
    _ partition: TopicPartition, _ slot: PartitionSlot, _ response: FetchResponse, _ observer: inout Observer
  ) async -> Verification.Watermarks? {
    var at: Offset = 0
    var claimed: Verification.Watermarks?
    do throws(EngineError) {
      var marks = try claims(partition)
      claimed = marks
      observer.claimedBefore(slot, marks)
      at = marks.logStartOffset
      var fruitless = 0
      while at < marks.highWatermark {
        observer.asked(slot, at)
        if let damaged = try await fetch(partition, at, Self.consumeBytes, response) {
          at = max(damaged.to, at + 1)  // told that these are damaged: a consumer goes on after them
          continue
        }
        asking {
          response.forEachRecord { record in
            journal.harness { observer.observe(slot, record.offset, record.value, key: record.key) }
          }
        }
        if readsTimes { for batch in response.batches { observer.timed(slot, batch.header.baseOffset, batch.header.time) } }
        if response.nextOffset > at {
          at = response.nextOffset
          fruitless = 0
        } else {
          fruitless += 1
          if fruitless >= Self.patience {
            observer.ended(slot, .stuck(at: at, emptyAnswers: fruitless))
            return marks
          }
        }
        marks = try claims(partition)
      }
      marks = try claims(partition)
      claimed = marks
      observer.claimedAfter(slot, marks)
      observer.ended(slot, .reached)
    } catch {
      observer.ended(slot, .failed(at: at, "\(error)"))
    }
    return claimed
  }

  /// Fetches from every start offset, or from a sample that holds every edge, and in ranges what lies between: each message
  /// passes once more by the index, in an answer that is compared with what consumption was served. Then from where nothing is.
  private func probe(
    _ partition: TopicPartition, _ slot: PartitionSlot, _ marks: Verification.Watermarks, _ edges: [Offset],
    _ response: FetchResponse, _ observer: inout Observer, _ random: inout SeededGenerator
  ) async {
    var segments: [Offset] = []
    do throws(EngineError) {
      segments = try asking { () throws(EngineError) in try engine.segmentBases(partition.topic, partition.partition) }
    } catch {}  // they are asked for too, as edges of batches or between them
    let starts = StartOffsets.thinned(
      StartOffsets.sample(
        from: marks.logStartOffset, to: marks.highWatermark, batchEdges: edges, segmentEdges: segments, using: &random),
      batchEdges: edges)
    var at = marks.logStartOffset
    for start in starts {
      while at < start, let next = await ask(partition, slot, at, Self.consumeBytes, response, &observer) { at = next }
      at = max(at, await ask(partition, slot, start, Self.probeBytes, response, &observer) ?? start)
    }
    while at < marks.highWatermark, let next = await ask(partition, slot, at, Self.consumeBytes, response, &observer) { at = next }
    for outside in StartOffsets.outside(from: marks.logStartOffset, to: marks.highWatermark) {
      _ = await ask(partition, slot, outside, Self.probeBytes, response, &observer)
    }
  }

  /// - Returns: where the next fetch may go on; nil where this one got nowhere.
  private func ask(
    _ partition: TopicPartition, _ slot: PartitionSlot, _ start: Offset, _ maxBytes: Int, _ response: FetchResponse,
    _ observer: inout Observer
  ) async -> Offset? {
    do throws(EngineError) {
      if let damaged = try await fetch(partition, start, maxBytes, response) {
        observer.probe(slot, start: start, first: nil)
        return max(damaged.to, start + 1)
      }
    } catch {
      observer.probe(slot, start: start, first: nil)
      return nil
    }
    var answer = ProbedAnswer(slot, start, observer)
    asking {
      if answer.isFirstEnough(response.nextOffset) {
        response.withFirstRecord { record in journal.harness { answer.note(record.offset, record.value, &observer) } }
      } else {
        response.forEachRecord { record in journal.harness { answer.note(record.offset, record.value, &observer) } }
      }
    }
    answer.end(&observer)
    return response.nextOffset > start ? response.nextOffset : nil
  }

  /// - Returns: the damaged range where the engine says that the offset is in one.
  private func fetch(
    _ partition: TopicPartition, _ offset: Offset, _ maxBytes: Int, _ response: FetchResponse
  ) async throws(EngineError) -> DamagedRange? {
    journal.stage = .consuming
    defer {
      journal.answered()
      journal.stage = .harness
    }
    // A consumer asks again where a fault has cut its question off; an error without a fault is an answer.
    for attempt in 1... {
      let (fired, slow) = (faults.firings, faults.slowStoreCalls)
      do throws(EngineError) {
        let start = ContinuousClock.now
        try await engine.fetch(partition.topic, partition.partition, from: offset, maxBytes: maxBytes, into: response)
        firstFetches.note(partition, ContinuousClock.now - start)
        return nil
      } catch .log(_, .damaged(let range)) {
        return range
      } catch .log(let partition, .offsetOutOfRange(let offset, let start, let end)) {
        // An answer, whatever hangs beside it: a look asks outside the log, too.
        throw .log(partition, .offsetOutOfRange(offset, start: start, end: end))
      } catch {
        // The machine may be too slow for the time-out of the object store: a consumer asks again then, too.
        if faults.firings == fired, faults.slowStoreCalls > slow, attempt < Incarnation.slowAttempts { continue }
        guard faults.stoodInTheWay(since: fired), faults.firings < Self.patience, attempt < Self.patience else { throw error }
        // Only calls to a store that never answers stand in the way: they are cut off.
        if faults.firings == fired { faults.lift() }
      }
    }
    preconditionFailure("an endless loop has ended")
  }

  /// Nil also where the engine answers with an error: a consumer that is told no offset begins anew, as with none.
  private func committedOffset(_ group: String, _ partition: TopicPartition) -> Offset? {
    do throws(EngineError) {
      return try asking { () throws(EngineError) in try engine.committedOffset(group: group, partition.topic, partition.partition) }
    } catch {
      return nil
    }
  }

  /// A question that the engine answers at once.
  private func asking<Value, Failure: Error>(_ question: () throws(Failure) -> Value) throws(Failure) -> Value {
    journal.stage = .consuming
    defer { journal.stage = .harness }
    return try question()
  }

  private func claims(_ partition: TopicPartition) throws(EngineError) -> Verification.Watermarks {
    let marks = try asking { () throws(EngineError) in try engine.watermarks(partition.topic, partition.partition) }
    return Verification.Watermarks(
      logStartOffset: marks.logStartOffset, highWatermark: marks.highWatermark, logEndOffset: marks.logEndOffset)
  }
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
