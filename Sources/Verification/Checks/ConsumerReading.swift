import LogModel

/// One answer that a consumer was given while messages were sent.
///
/// Written down when it came: what somebody has read just before a crash is known after it.
public struct ConsumerReading: Hashable, Sendable, Codable {
  public var partition: PartitionSlot
  /// The consumer, from 0.
  public var reader: Int
  /// The offset that it asked for.
  public var asked: Offset
  /// What the partition claimed when the answer had come.
  public var logStartOffset: Offset
  public var highWatermark: Offset
  public var answeredAt: Instant
  public internal(set) var incarnation: Int
  /// Operations of the history that had been submitted by then.
  public internal(set) var operationsBefore: Int
  /// What the answer held, in its order; none where it was empty.
  var runs: [ServedRun] = []

  /// Messages in the answer.
  public var messages: Int { runs.reduce(0) { $0 + Int($1.count) } }
}

extension History {
  /// Records the answer to a consumer beside the producers, without its messages; see `readMessages`.
  public mutating func read(
    _ partition: PartitionSlot, by reader: Int, from asked: Offset, logStartOffset: Offset, highWatermark: Offset,
    at instant: Instant
  ) {
    precondition(partition.index < creations.count && reader >= 0)
    note(
      ConsumerReading(
        partition: partition, reader: reader, asked: asked, logStartOffset: logStartOffset,
        highWatermark: highWatermark,
        answeredAt: instant, incarnation: incarnation, operationsBefore: operations.count))
  }
}

/// A moment at which a consumer beside the producers was served an operation, or a part of it.
struct Sighting {
  /// The offset that its first message has then.
  var base: Int64
  var at: Instant
  var incarnation: Int
}

extension PartitionHistory {
  /// For each operation, by its place, the first sighting in each life.
  func sightings() -> [Int: [Sighting]] {
    var found: [Int: [Sighting]] = [:]
    for reading in readings {
      forEachPart(of: reading) { offset, sequence, _, place in
        guard let place else { return }
        let base = offset &- (sequence &- Int64(operations[place].firstSequence))
        if found[place]?.contains(where: { $0.incarnation == reading.incarnation }) ?? false { return }
        found[place, default: []].append(Sighting(base: base, at: reading.answeredAt, incarnation: reading.incarnation))
      }
    }
    return found
  }

  /// Calls `body` with each stretch of an answer that is of one operation, or of none.
  /// - Parameter body: given the offset and the sequence number of its first message, how many messages it has, and the
  ///   place of the operation in `operations`; nil for messages that had not been sent by then, and for one whose bytes
  ///   are wrong, of sequence -1.
  func forEachPart(
    of reading: ConsumerReading, _ body: (_ offset: Int64, _ sequence: Int64, _ count: Int64, _ place: Int?) -> Void
  ) {
    for run in reading.runs {
      guard run.sequence >= 0 else {
        body(run.offset, ServedRun.corrupt, Int64(run.count), nil)
        continue
      }
      var at: Int64 = 0
      while at < Int64(run.count) {
        let sequence = run.sequence &+ at
        let known = sequence < operationOfSequence.count ? Int(operationOfSequence[Int(sequence)]) : -1
        let place = known >= 0 && operations[known].number < reading.operationsBefore ? known : nil
        var count: Int64 = 1
        if let place {
          count = min(
            Int64(run.count) - at, Int64(operations[place].firstSequence + operations[place].count) - sequence)
        }
        body(run.offset &+ at, sequence, count, place)
        at += count
      }
    }
  }
}
