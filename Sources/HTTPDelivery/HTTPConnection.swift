import CCurl
import Foundation

/// libcurl's handle of one connection, kept from one request to the next. One thread uses it at a time: `HTTPTransport`
/// hands it to one request after the other.
final class HTTPConnection: @unchecked Sendable {
  struct Answer {
    var status: Int
    /// The header's value.
    var retryAfter: String?
    /// Why no answer came.
    var error: String?
    /// Whether nothing was sent.
    var isNotConnected: Bool
  }

  /// libcurl is missing, or does not start.
  struct Unavailable: Error, CustomStringConvertible { let description: String }

  private let handle: OpaquePointer

  /// - Throws: `Unavailable`.
  init() throws(Unavailable) {
    var error = [CChar](repeating: 0, count: 512)
    guard let handle = tl_http_begin(&error, error.count) else { throw Unavailable(description: Self.text(error)) }
    self.handle = handle
  }

  deinit { tl_http_end(handle) }

  /// Sends a body, and waits for the answer.
  func post(_ body: [UInt8], to place: URL, within timeout: Duration) -> Answer {
    let milliseconds = max(
      1, timeout.components.seconds * 1000 + timeout.components.attoseconds / 1_000_000_000_000_000)
    var answer = tl_http_answer()
    tl_http_post(handle, place.absoluteString, body, body.count, Int(milliseconds), &answer)
    let retryAfter = withUnsafeBytes(of: answer.retry_after) { Self.text($0.bindMemory(to: CChar.self)) }
    let error = withUnsafeBytes(of: answer.error) { Self.text($0.bindMemory(to: CChar.self)) }
    return Answer(
      status: answer.status, retryAfter: retryAfter.isEmpty ? nil : retryAfter, error: error.isEmpty ? nil : error,
      isNotConnected: answer.not_connected != 0)
  }

  private static func text(_ characters: some Sequence<CChar>) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
