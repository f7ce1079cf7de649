import LogModel
import PartitionEngine
import Verification
import WriteAheadLog

/// Looks.
extension HistoryRecorder {
  /// Everything that a consumer can find out.
  func look(_ engine: PartitionEngine, _ recovery: EngineRecovery?) async -> Observation {
    recordTopic()
    var observer = Observer(history)
    observer.registered(
      engine.topics.flatMap { topic in (0..<topic.partitions).map { TopicPartition(topic.name, PartitionID($0)) } })
    for report in recovery?.partitions ?? [] {
      let slot = report.source.partition.index
      guard report.source.topic == workload.topic, history.creations.indices.contains(slot) else {
        if !report.damage.isEmpty { observer.reportedOfNobody(report.source) }
        continue
      }
      for range in report.damage {
        observer.reported(
          ReportedDamage(
            partition: PartitionSlot(slot), offsets: OffsetRange(from: range.from, to: range.to),
            reason: "\(range.path), bytes \(range.byteFrom) ..< \(range.byteTo)", path: range.path,
            bytes: range.byteFrom..<max(range.byteFrom, range.byteTo)))
      }
    }
    let response = FetchResponse(capacity: 64 << 10)
    for slot in history.creations.indices {
      if let marks = await consume(engine, slot, response, &observer) {
        await probe(engine, slot, marks, response, &observer)
      }
      for group in groups {
        var committed: Offset?
        do throws(EngineError) {
          committed = try engine.committedOffset(group: group, workload.topic, PartitionID(slot))
        } catch {}  // an error is no offset
        observer.committed(group: group, PartitionSlot(slot), committed)
      }
    }
    return observer.finish()
  }

  private func claims(_ engine: PartitionEngine, _ slot: Int) throws(EngineError) -> Verification.Watermarks {
    let marks = try engine.watermarks(workload.topic, PartitionID(slot))
    return Verification.Watermarks(
      logStartOffset: marks.logStartOffset, highWatermark: marks.highWatermark, logEndOffset: marks.logEndOffset)
  }

  /// - Returns: what the partition claimed last; nil where it claimed nothing.
  private func consume(
    _ engine: PartitionEngine, _ slot: Int, _ response: FetchResponse, _ observer: inout Observer
  ) async -> Verification.Watermarks? {
    var at: Offset = 0
    var claimed: Verification.Watermarks?
    // A topic that is not registered is judged by that; here it has nothing to be consumed.
    guard engine.topics.contains(where: { $0.name == workload.topic }) else { return nil }
    do throws(EngineError) {
      let marks = try claims(engine, slot)
      claimed = marks
      observer.claimedBefore(PartitionSlot(slot), marks)
      at = marks.logStartOffset
      var fruitless = 0
      while at < marks.highWatermark {
        observer.asked(PartitionSlot(slot), at)
        if let damaged = try await fetch(engine, slot, at, 16 << 10, response) {
          at = max(damaged.to, at + 1)
          continue
        }
        response.forEachRecord { observer.observe(PartitionSlot(slot), $0.offset, $0.value) }
        fruitless = response.nextOffset > at ? 0 : fruitless + 1
        if fruitless >= RecoveredIncarnation.patience {
          observer.ended(PartitionSlot(slot), .stuck(at: at, emptyAnswers: fruitless))
          return claimed
        }
        at = response.nextOffset
      }
      let after = try claims(engine, slot)
      claimed = after
      observer.claimedAfter(PartitionSlot(slot), after)
      observer.ended(PartitionSlot(slot), .reached)
    } catch {
      observer.ended(PartitionSlot(slot), .failed(at: at, "\(error)"))
    }
    return claimed
  }

  /// Fetches from every start offset, and from where nothing is.
  private func probe(
    _ engine: PartitionEngine, _ slot: Int, _ marks: Verification.Watermarks, _ response: FetchResponse,
    _ observer: inout Observer
  ) async {
    var start = marks.logStartOffset
    while start < marks.highWatermark {
      await ask(engine, slot, start, response, &observer)
      start = start + 1
    }
    for outside in StartOffsets.outside(from: marks.logStartOffset, to: marks.highWatermark) {
      await ask(engine, slot, outside, response, &observer)
    }
  }

  private func ask(
    _ engine: PartitionEngine, _ slot: Int, _ start: Offset, _ response: FetchResponse, _ observer: inout Observer
  ) async {
    do throws(EngineError) {
      guard try await fetch(engine, slot, start, 1, response) == nil else {
        return observer.probe(PartitionSlot(slot), start: start, first: nil)
      }
    } catch {
      return observer.probe(PartitionSlot(slot), start: start, first: nil)
    }
    var answer = ProbedAnswer(PartitionSlot(slot), start, observer)
    response.forEachRecord { answer.note($0.offset, $0.value, &observer) }
    answer.end(&observer)
  }

  /// - Returns: the damaged range where the engine says that the offset is in one.
  func fetch(
    _ engine: PartitionEngine, _ slot: Int, _ offset: Offset, _ maxBytes: Int, _ response: FetchResponse
  ) async throws(EngineError) -> DamagedRange? {
    do throws(EngineError) {
      try await engine.fetch(workload.topic, PartitionID(slot), from: offset, maxBytes: maxBytes, into: response)
      return nil
    } catch {
      if case .log(_, .damaged(let range)) = error { return range }
      throw error
    }
  }
}
