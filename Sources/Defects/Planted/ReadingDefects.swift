import LogModel
import PartitionEngine
import Synchronization
import WriteAheadLog

/// Bugs that only a consumer sees which reads while messages are sent: at rest everything is where it belongs.
extension Defect {
  static let reading: [Defect] = [
    Defect(
      "P42", origin: "planted", "The high watermark is published before the commit below it has been written.",
      showsWhen: "a consumer at the tail while messages are sent, and a crash before the commit is on the medium"
    ) { $0.log.advancing = WatermarkBeforeTheWrite() },
    Defect(
      "P43", origin: "planted",
      "A fetch at the tail goes on at the place among the newest batches where the tail was, though older batches have "
        + "left them "
        + "since and moved all places.",
      showsWhen: "a consumer at the tail while more batches are sent than are kept in memory"
    ) { $0.log.planner = PlaceOfTheTailRemembered() },
  ]
}

/// P42.
struct WatermarkBeforeTheWrite: WatermarkAdvancing {
  var showsWhatIsInFlight: Bool { true }
  func highWatermark(of source: TopicPartition, after end: Offset, wasRetried: Bool) -> Offset { end }
}

/// P43.
final class PlaceOfTheTailRemembered: FetchPlanning {
  private struct Tail {
    var offset: Offset
    /// The place of the batch that was to come next.
    var place: Int
  }

  /// Of each log, by what it keeps its newest batches in.
  private let tails = Mutex<[ObjectIdentifier: Tail]>([:])

  func plan(_ request: FetchRequest) -> FetchPlan {
    let recent = request.recent
    let log = ObjectIdentifier(recent)
    let remembered = tails.withLock { tails in
      let tail = tails[log]
      let next = recent.indexOfBatch(containing: request.highWatermark) ?? recent.count
      tails[log] = Tail(offset: request.highWatermark, place: next)
      return tail
    }
    if let remembered, remembered.offset == request.offset, remembered.place < recent.count {
      return .recent(batch: remembered.place)
    }
    return IndexedFetchPlanner().plan(request)
  }
}
