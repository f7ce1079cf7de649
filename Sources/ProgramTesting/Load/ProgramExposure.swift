import Volume

/// What was acknowledged and not durable, at each moment of a recorded run, as the trace of the volume shows it.
///
/// A request is exposed from its answer until everything that was written before the answer, and after the one before
/// it, has been synced. Bytes that recovery does not need count too: it is exposed for so long at the most.
struct ProgramExposure {
  private struct Answer {
    /// When it came, and when it was durable; nanoseconds.
    var time: UInt64
    var durable: UInt64
  }

  /// In order.
  private let answers: [Answer]

  /// - Parameters:
  ///   - events: of the run.
  ///   - opened: where the answer to the first `open` stands in the trace.
  init(_ trace: VolumeTrace, root: UInt64, _ events: [CallerEvent], opened: Int) {
    let audit = TraceAudit(trace, root: root, prepared: opened)
    var places: [Int] = []
    for case .request(let record) in events {
      if case .done = record.outcome, let answered = record.answered, record.request.call != nil {
        places.append(answered)
      }
    }
    var before = opened
    answers = places.sorted().map { place in
      let time = trace[place].time
      let length = audit.exposure(
        of: place, time: time, after: before, countsNames: false, countsWriteBacks: false)
      before = place
      return Answer(time: time, durable: length.map { time + $0 } ?? .max)
    }
  }

  /// - Parameter time: CLOCK_MONOTONIC, nanoseconds.
  /// - Returns: requests, and for how long the oldest of them has been exposed.
  func at(_ time: UInt64) -> (requests: Int, nanoseconds: UInt64) {
    var (requests, oldest) = (0, time)
    for answer in answers where answer.time <= time && time < answer.durable {
      requests += 1
      oldest = min(oldest, answer.time)
    }
    return (requests, time - oldest)
  }

  /// The most requests that were exposed at one time, and for how long one was at the most.
  /// - Parameter end: nothing later counts.
  func most(until end: UInt64) -> (requests: Int, nanoseconds: UInt64) {
    var changes: [(time: UInt64, by: Int)] = []
    var longest: UInt64 = 0
    for answer in answers where answer.time < end && answer.durable > answer.time {
      longest = max(longest, min(answer.durable, end) - answer.time)
      changes += [(answer.time, 1), (answer.durable, -1)]
    }
    // What becomes durable at the same moment goes first.
    changes.sort { ($0.time, $0.by) < ($1.time, $1.by) }
    var (now, most) = (0, 0)
    for change in changes {
      now += change.by
      most = max(most, now)
    }
    return (most, longest)
  }
}
