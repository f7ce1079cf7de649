import Foundation
import RecordLogs
import Synchronization

/// Batches by HTTP: `POST <base>/jobs/<job>/executions/<n>/events` with the body of `EventBatch.encoded`.
///
/// What an answer means:
///
/// | status | |
/// |---|---|
/// | 200, 201, 204 | accepted: the receiver has the events on its medium |
/// | 429, and 503 with Retry-After | a pause is asked for; Retry-After in seconds or as a date (RFC 9110, section 10.2.3) |
/// | 400, 409, 410, 411, 413, 414, 415, 422 | refused: sent again it would be refused again |
/// | all others | unavailable. Among them 202, which promises nothing (A9), 401, 403 and 404, which somebody will put right, and redirections, which are not followed: a POST becomes a GET there |
public final class HTTPTransport: Transport {
  private let base: URL
  private let timeout: Duration
  /// Connections that no request uses.
  private let idle = Mutex<[HTTPConnection]>([])

  /// - Parameters:
  ///   - base: `http://` or `https://`, with the path that stands before `/jobs`.
  ///   - timeout: after which a connection is given up. The sender's own limit ends its waiting, not the connection.
  public init(_ base: URL, timeout: Duration = .seconds(10)) {
    self.base = base
    self.timeout = timeout
  }

  public func deliver(_ batch: EventBatch) async -> Delivery {
    let place = base.appendingPathComponent("jobs/\(batch.job.job)/executions/\(batch.job.execution)/events")
    let body = batch.encoded()
    return await withCheckedContinuation { continuation in
      DispatchQueue.global().async { continuation.resume(returning: self.post(body, to: place)) }
    }
  }

  /// Waits for the answer.
  private func post(_ body: [UInt8], to place: URL) -> Delivery {
    do {
      let connection = try idle.withLock { $0.popLast() } ?? HTTPConnection()
      defer { idle.withLock { $0.append(connection) } }
      let answer = connection.post(body, to: place, within: timeout)
      if let error = answer.error {
        let why = "\(base.absoluteString): \(error)"
        return answer.isNotConnected ? .notConnected(why) : .unavailable(why)
      }
      return Self.meaning(of: answer.status, retryAfter: answer.retryAfter, now: Date())
    } catch {
      return .unavailable("\(error)")
    }
  }

  /// The table above.
  static func meaning(of status: Int, retryAfter: String?, now: Date) -> Delivery {
    let pause = retryAfter.flatMap { self.pause($0, now: now) }
    switch status {
    case 200, 201, 204: return .accepted
    case 429: return .tooManyRequests(retryAfter: pause)
    case 503 where pause != nil: return .tooManyRequests(retryAfter: pause)
    case 400, 409, 410, 411, 413, 414, 415, 422: return .refused(status: status)
    default: return .unavailable("the receiver answered \(status)")
    }
  }

  /// Nil where the value is neither a number of seconds nor a date.
  private static func pause(_ value: String, now: Date) -> Duration? {
    let text = value.trimmingCharacters(in: .whitespaces)
    if !text.isEmpty, text.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) {
      return .seconds(min(Int64(text) ?? .max, 86_400 * 365))
    }
    let format = DateFormatter()
    format.locale = Locale(identifier: "en_US_POSIX")
    format.timeZone = TimeZone(identifier: "GMT")
    format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    return format.date(from: text).map {
      .milliseconds(Int64(max(0, min($0.timeIntervalSince(now), 86_400 * 365)) * 1000))
    }
  }
}
