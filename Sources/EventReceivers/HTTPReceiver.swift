import HTTPServing
import RecordLogs
import Synchronization

/// A receiver behind a real socket: `POST <base>/jobs/<job>/executions/<n>/events`, as `HTTPTransport` sends it.
public final class HTTPReceiver: Sendable {
  private struct State {
    var behavior = ReceiverBehavior.accepts
    var received = ReceivedEvents()
  }

  /// The listener's handler begins before there is a receiver.
  private final class Shared: Sendable {
    let state = Mutex(State())

    func handle(_ request: HTTPRequest) -> HTTPReply {
      let behavior = state.withLock { state in
        state.received.attempts += 1
        return state.behavior
      }
      // As a web page would: whoever follows a redirection takes it for an acceptance.
      guard request.method == "POST", let job = Self.job(of: request.path) else { return .answer(HTTPAnswer("200 OK")) }
      guard let batch = try? EventBatch(job: job, decoding: request.body) else {
        state.withLock { $0.received.damaged += 1 }
        return .answer(HTTPAnswer("400 Bad Request"))
      }
      switch behavior {
      case .accepts, .refuses:
        take(batch)
        return .answer(HTTPAnswer("204 No Content"))
      case .stalls:
        take(batch)
        return .hold { [self] in state.withLock { $0.behavior == .stalls } }
      case .cuts:
        take(batch)
        return .cut(Array("HTTP/1.1 20".utf8))
      case .crashes: return .cut([])
      case .asksForAPause(let pause):
        let seconds = pause.map { ($0.components.seconds, $0.components.attoseconds > 0) }
        let headers = seconds.map { [(name: "Retry-After", value: "\($0.0 + ($0.1 ? 1 : 0))")] } ?? []
        return .answer(HTTPAnswer("429 Too Many Requests", headers: headers))
      case .rejects(let sequence):
        if batch.events.contains(where: { $0.sequence == sequence }) {
          return .answer(HTTPAnswer("422 Unprocessable Content"))
        }
        take(batch)
        return .answer(HTTPAnswer("204 No Content"))
      case .answers(let head): return .answer(HTTPAnswer(head))
      }
    }

    private func take(_ batch: EventBatch) { state.withLock { $0.received.take(batch) } }

    private static func job(of path: String) -> JobID? {
      let parts = path.split(separator: "/")
      guard parts.count == 5, parts[0] == "jobs", parts[2] == "executions", parts[4] == "events",
        let execution = Int(parts[3])
      else { return nil }
      return try? JobID(String(parts[1]), execution: execution)
    }
  }

  private let shared = Shared()
  private let listener: HTTPListener

  /// Listens on a free port of loopback. `stop` must be called.
  /// - Throws: `cannotListen`.
  public init() throws(HTTPListenerError) {
    let shared = shared
    listener = try HTTPListener(.loopback()) { shared.handle($0) }
  }

  public var address: HTTPAddress { listener.address }

  public var received: ReceivedEvents { shared.state.withLock(\.received) }

  /// - Throws: `cannotListen`, where it is to listen again and cannot.
  public func set(_ behavior: ReceiverBehavior) throws(HTTPListenerError) {
    shared.state.withLock { $0.behavior = behavior }
    if behavior == .refuses { listener.refuse() } else { try listener.resume() }
  }

  /// Closes the port, for good.
  public func stop() { listener.stop() }
}
