import CrashStates
import Drivers
import ProgramOracle
import Storage
import Volume
import VolumeStates

/// What one run of the workload left to explore.
struct RecordedProgram: Sendable {
  package var hello: DriverHello
  package var workload: ProgramWorkload
  /// Which steps of the spec's workload were carried out; nil for all.
  var stepNumbers: [Int]?
  var seed: UInt64
  package var recorded: VolumeRecording
  package var events: [CallerEvent]
  /// Events of the recording when the first `open` was answered: no moment before it is tried.
  package var begin: Int
  /// Where the program's folder is.
  package var folder: String
  /// The program's volume: it stays mounted as long as drivers are to find their states at its place.
  var mount: VolumeMount
  /// Moments, as places in the trace, in readings that took what they read: nothing is known of them.
  var readings: [Range<Int>] = []
  /// The inode of the folder on that volume.
  var root: UInt64 = 0

  package var recording: Recording { recorded.recording }
  package var end: Int { recording.events.count }

  /// The moments at which a kill is tried: all. Where the program writes through a shared mapping, only those after the
  /// last write-back: the trace does not say when a store was made, and a kill keeps every one.
  var kills: [Int] {
    let first = max(begin, recorded.lastWriteBack.map { recorded.event(at: $0) + 1 } ?? 0)
    return first > end ? [] : Array(first...end)
  }

  /// The moments at which a power cut is tried: just before something becomes durable, just before the callers learn or
  /// ask for something, and at the end. A state of any other moment is one of the next of these too: what had not
  /// happened yet may be lost there. A request counts, for it may be what has removed a record.
  func powerCuts(_ profile: CrashProfile) -> [Int] {
    var known: Set<Int> = []
    for event in events {
      switch event {
      case .request(let record): known.insert(recorded.event(at: record.submitted))
      case .crash(let place), .read(_, let place): known.insert(recorded.event(at: place))
      }
    }
    return (begin...max(begin, end)).filter { event in
      event == end || known.contains(event) || Self.isLastMoment(event, of: recording, profile)
    }
  }

  /// Whether a moment is the last of its states, but for what callers send: with the event that comes next something
  /// becomes durable, or a caller learns something.
  static func isLastMoment(_ event: Int, of recording: Recording, _ profile: CrashProfile) -> Bool {
    // Under these a name or a size is there as soon as the operation is over.
    let isImmediate = profile.names == .immediate || profile.sizes == .immediate
    switch recording.events[event].what {
    case .submitted: return false
    case .changed: return isImmediate
    case .fact(let fact): return (fact as? VolumeMark)?.channel != 0
    case .completed(let number, _, _):
      switch recording.operations[number] {
      case .sync, .syncDirectory, .syncAll, .write(_, _, _, durable: true): return true
      default: return isImmediate
      }
    }
  }

  /// What callers were told after a place in the trace, before the first crash; nil where that was nothing.
  func acknowledged(after place: Int) -> String? {
    var count = 0
    for event in events {
      if case .crash(let end) = event, end > place { break }
      if case .request(let record) = event, let answered = record.answered, answered > place,
        case .done = record.outcome, record.request.call != nil
      {
        count += 1
      }
    }
    return count == 0 ? nil : "... \(count) more requests are acknowledged"
  }

  /// Whether callers had been told of anything that was done before a place in the trace.
  func hasAcknowledged(before place: Int) -> Bool {
    events.contains { event in
      guard case .request(let record) = event, let answered = record.answered, answered < place else { return false }
      if case .done = record.outcome { return record.request.call != nil }
      return false
    }
  }

  /// How far the trace of the volume has come when so many events of the recording have happened.
  func moment(at event: Int) -> Int { event == 0 ? 0 : recorded.sequences[event - 1] + 1 }
}
