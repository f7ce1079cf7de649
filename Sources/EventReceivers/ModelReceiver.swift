import LogModel
import RecordLogs
import Storage

/// A receiver in virtual time.
public final class ModelReceiver: Transport, @unchecked Sendable {
  // Touched on one loop at a time.

  public typealias Behavior = ReceiverBehavior

  public struct Attempt: Hashable, Sendable {
    public var at: Instant
    public var sequences: [Int64]
    public var behavior: Behavior
  }

  /// Of the machine that sends now; nil while none runs.
  public var loop: EventLoop?
  /// What it is in for now, by the moment and the attempts so far.
  public var behavior: (Instant, Int) -> Behavior = { _, _ in .accepts }
  public private(set) var attempts: [Attempt] = []
  public private(set) var received = ReceivedEvents()

  /// - Parameter received: what it has already.
  public init(having received: ReceivedEvents = ReceivedEvents()) { self.received = received }

  /// What it has taken, once each, in the order of arrival.
  public var taken: [JobID: [Event]] { received.taken }
  /// Events that came again.
  public var repeats: Int { received.repeats }

  public func deliver(_ batch: EventBatch) async -> Delivery {
    guard let loop else { return .notConnected("nobody is there") }
    let behavior = behavior(loop.now, attempts.count)
    attempts.append(Attempt(at: loop.now, sequences: batch.events.map(\.sequence), behavior: behavior))
    received.attempts += 1
    await loop.sleep(until: loop.now + .milliseconds(2))
    switch behavior {
    case .accepts:
      received.take(batch)
      await loop.sleep(until: loop.now + .milliseconds(2))
      return .accepted
    case .refuses: return .notConnected("connection refused")
    case .stalls:
      received.take(batch)
      await loop.sleep(until: loop.now + .seconds(3600))
      return .accepted
    case .cuts:
      received.take(batch)
      return .unavailable("connection reset")
    case .crashes: return .unavailable("connection reset")
    case .asksForAPause(let pause): return .tooManyRequests(retryAfter: pause)
    case .rejects(let sequence):
      if batch.events.contains(where: { $0.sequence == sequence }) { return .refused(status: 422) }
      received.take(batch)
      return .accepted
    case .answers(let head): return .unavailable("the receiver answered \(head)")
    }
  }
}
