import Drivers
import Synchronization

/// How long a request is waited for. Who has let two of them run into the time limit learns nothing new from more: from
/// then on one waits far shorter, and what has not answered by then is left without a verdict.
final class Patience: Sendable {
  /// Nanoseconds that a request may take.
  let limit: UInt64

  private struct State {
    var hangs = 0
    var slowest: UInt64 = 0
  }

  private let state = Mutex(State())

  init(_ limit: UInt64) { self.limit = limit }

  /// Hangs that are waited for until the limit.
  private static let mostHangs = 2
  /// After them one waits so many times as long as the slowest answer took, and so many nanoseconds at least.
  private static let slack: UInt64 = 20
  private static let least: UInt64 = 1_000_000_000

  /// Nanoseconds to wait for a request now.
  var now: UInt64 {
    state.withLock { state in
      state.hangs < Self.mostHangs ? limit : min(limit, max(Self.least, state.slowest * Self.slack))
    }
  }

  /// - Parameter nanoseconds: an answer came after so long.
  func noteAnswer(after nanoseconds: UInt64) { state.withLock { $0.slowest = max($0.slowest, nanoseconds) } }

  /// - Parameter waited: nothing came in so many nanoseconds.
  /// - Returns: whether that was the whole limit: then it is a hang.
  func noteSilence(after waited: UInt64) -> Bool {
    guard waited >= limit else { return false }
    state.withLock { $0.hangs += 1 }
    return true
  }

  /// Why there is no verdict of what was not waited for.
  static let reason = "no answer, and the time limit was not waited for again: others had run into it"
}
