import LogModel
import PartitionEngine
import Storage
import Verification
import WriteAheadLog

/// A look: everything that a consumer can find out, written down for the oracle. Asks only what any client may ask.
struct Look {
  /// Empty answers below the high watermark, one after the other, before consumption counts as stuck.
  static let patience = 1000
  private static let consumeBytes = 256 << 10
  private static let probeBytes = 1

  let engine: PartitionEngine
  let topic: String
  let group: String
  let random: SeededGenerator

  func take(_ history: History, recovery: EngineRecovery?) async -> Observation {
    var observer = Observer(history)
    observer.registered(
      engine.topics.flatMap { topic in
        (0..<topic.partitions).map { TopicPartition(topic.name, PartitionID($0)) }
      })
    for report in recovery?.partitions ?? [] where report.source.topic == topic {
      for range in report.damage {
        observer.reported(
          ReportedDamage(
            partition: PartitionSlot(report.source.partition.index), offsets: OffsetRange(from: range.from, to: range.to),
            reason: "\(range.path), bytes \(range.byteFrom) ..< \(range.byteTo)"))
      }
    }
    var edges = history.creations.map { _ in [Offset]() }
    for operation in history.operations {
      if let base = operation.baseOffset { edges[operation.partition.index].append(base) }
    }
    let response = FetchResponse(capacity: 512 << 10)
    var random = random
    for slot in history.creations.indices {
      let partition = history.creations[slot].partition.partition
      await consume(partition, PartitionSlot(slot), response, &observer)
      await probe(partition, PartitionSlot(slot), edges[slot], response, &observer, &random)
      observer.committed(
        group: group, PartitionSlot(slot), (try? engine.committedOffset(group: group, topic, partition)) ?? nil)
    }
    return observer.finish()
  }

  private func consume(
    _ partition: PartitionID, _ slot: PartitionSlot, _ response: FetchResponse, _ observer: inout Observer
  ) async {
    var at: Offset = 0
    do throws(EngineError) {
      let marks = try claims(partition)
      observer.claimedBefore(slot, marks)
      at = marks.logStartOffset
      var end = marks.highWatermark
      var fruitless = 0
      while at < end {
        observer.asked(slot, at)
        if let damaged = try await fetch(partition, at, Self.consumeBytes, response) {
          at = max(damaged.to, at + 1)  // told that these are damaged: a consumer goes on after them
          continue
        }
        response.forEachRecord { observer.observe(slot, $0.offset, $0.value) }
        if response.nextOffset > at {
          at = response.nextOffset
          fruitless = 0
        } else {
          fruitless += 1
          if fruitless >= Self.patience { return observer.ended(slot, .stuck(at: at, emptyAnswers: fruitless)) }
        }
        end = try claims(partition).highWatermark
      }
      observer.claimedAfter(slot, try claims(partition))
      observer.ended(slot, .reached)
    } catch {
      observer.ended(slot, .failed(at: at, "\(error)"))
    }
  }

  private func probe(
    _ partition: PartitionID, _ slot: PartitionSlot, _ edges: [Offset], _ response: FetchResponse,
    _ observer: inout Observer, _ random: inout SeededGenerator
  ) async {
    guard let marks = try? claims(partition) else { return }
    let segments = (try? engine.segmentBases(topic, partition)) ?? []
    let starts = StartOffsets.sample(
      from: marks.logStartOffset, to: marks.highWatermark, batchEdges: edges, segmentEdges: segments, using: &random)
    for start in starts {
      do throws(EngineError) {
        if try await fetch(partition, start, Self.probeBytes, response) != nil { continue }
        var seen = false
        response.forEachRecord { record in
          if !seen { observer.probe(slot, start: start, first: (record.offset, record.value)) }
          seen = true
        }
        if !seen { observer.probe(slot, start: start, first: nil) }
      } catch {
        observer.probe(slot, start: start, first: nil)
      }
    }
  }

  /// - Returns: the damaged range where the engine says that the offset is in one.
  private func fetch(
    _ partition: PartitionID, _ offset: Offset, _ maxBytes: Int, _ response: FetchResponse
  ) async throws(EngineError) -> DamagedRange? {
    do throws(EngineError) {
      try await engine.fetch(topic, partition, from: offset, maxBytes: maxBytes, into: response)
      return nil
    } catch .log(_, .damaged(let range)) {
      return range
    } catch {
      throw error
    }
  }

  private func claims(_ partition: PartitionID) throws(EngineError) -> Verification.Watermarks {
    let marks = try engine.watermarks(topic, partition)
    return Verification.Watermarks(
      logStartOffset: marks.logStartOffset, highWatermark: marks.highWatermark, logEndOffset: marks.logEndOffset)
  }
}
