import Drivers
import Glibc

/// The steps of a load, each when it is due. Whoever asks for the next one waits for it.
final class PacedSteps: Sequence, IteratorProtocol {
  private let requests: LoadRequests
  private let pace: LoadPace
  private let start: UInt64
  private let end: UInt64
  /// Steps that were taken.
  private(set) var count = 0
  /// Nanoseconds by which a sleep has lasted too long at the most: the machine's doing, and not the program's.
  private(set) var delay: UInt64 = 0

  /// - Parameter length: nanoseconds.
  init(_ requests: LoadRequests, _ pace: LoadPace, length: UInt64) {
    (self.requests, self.pace, start) = (requests, pace, DriverProcess.now)
    end = start + length
  }

  func next() -> WorkloadStep? {
    let now = DriverProcess.now
    let due = pace.due(count, from: start) ?? now
    if due >= end || now >= end { return nil }
    if due > now {
      // A signal may end a sleep: it is gone back to.
      while DriverProcess.now < due {
        let left = due - Swift.min(due, DriverProcess.now)
        var rest = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
        nanosleep(&rest, nil)
      }
      delay = Swift.max(delay, DriverProcess.now - due)
    }
    defer { count += 1 }
    return .request(requests.request(count))
  }
}
