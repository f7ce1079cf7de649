/// One request, whole.
public struct HTTPRequest: Sendable {
  /// `GET`, `POST` ...
  public var method: String
  /// As it came, without what stands behind a question mark: `/metrics`.
  public var path: String
  /// Names in small letters.
  public var headers: [String: String]
  public var body: [UInt8]
}

/// What is done with a request.
public enum HTTPReply: Sendable {
  case answer(HTTPAnswer)
  /// Some bytes, which need be no whole answer, and the end of the connection.
  case cut([UInt8])
  /// Nothing is said until the condition, which is asked every 10 ms, holds no more, or the listener stops.
  case hold(@Sendable () -> Bool)
}

public struct HTTPAnswer: Sendable {
  /// `200 OK`
  public var status: String
  public var headers: [(name: String, value: String)]
  public var body: [UInt8]

  public init(_ status: String, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// RFC 9112: one answer a connection, so that its end needs no other sign. An answer to HEAD carries no body, but
  /// says how long it would be; one of 204 has neither.
  func encoded(withBody: Bool) -> [UInt8] {
    var head = "HTTP/1.1 \(status)\r\n"
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    if !status.hasPrefix("204") { head += "Content-Length: \(body.count)\r\n" }
    head += "Connection: close\r\n\r\n"
    return Array(head.utf8) + (withBody && !status.hasPrefix("204") ? body : [])
  }
}

/// What a request is not allowed to exceed.
public struct HTTPLimits: Hashable, Sendable {
  /// Bytes of the request line and all headers.
  public var head: Int
  public var body: Int
  /// From the connection to the last byte of the request, and again for the answer. Who sends a byte now and then gets
  /// no longer than who is silent.
  public var time: Duration
  /// Served at once; others wait in the queue of the kernel.
  public var connections: Int

  public init(head: Int = 16 << 10, body: Int = 16 << 20, time: Duration = .seconds(5), connections: Int = 4) {
    precondition(head >= 64 && body >= 0 && time > .zero && connections >= 1)
    self.head = head
    self.body = body
    self.time = time
    self.connections = connections
  }
}

/// Reads a request from the bytes that have come so far. RFC 9112, section 6: a body is as long as Content-Length says;
/// other codings are refused, and so is what could be read in two ways.
struct HTTPRequestReader {
  enum Step {
    case more
    /// The client waits to be told to send its body.
    case expectsContinue
    case request(HTTPRequest)
    case refused(HTTPAnswer)
  }

  private let limits: HTTPLimits
  private var bytes: [UInt8] = []
  private var head: (request: HTTPRequest, length: Int, end: Int)?

  init(_ limits: HTTPLimits) { self.limits = limits }

  mutating func take(_ piece: some Sequence<UInt8>) -> Step {
    bytes.append(contentsOf: piece)
    if head == nil {
      guard let end = headEnd else {
        return bytes.count > limits.head ? Self.refusal("431 Request Header Fields Too Large") : .more
      }
      guard end <= limits.head else { return Self.refusal("431 Request Header Fields Too Large") }
      switch Self.parse(bytes[..<end]) {
      case .failure(let why): return Self.refusal(why.status)
      case .success(let (request, length)):
        guard length <= limits.body else { return Self.refusal("413 Content Too Large") }
        head = (request, length, end)
        if request.headers["expect"]?.lowercased() == "100-continue", bytes.count < end + length {
          return .expectsContinue
        }
      }
    }
    guard let (request, length, end) = head, bytes.count >= end + length else { return .more }
    var whole = request
    whole.body = Array(bytes[end..<end + length])
    return .request(whole)
  }

  private static func refusal(_ status: String) -> Step { .refused(HTTPAnswer(status)) }

  /// Behind the empty line.
  private var headEnd: Int? {
    let limit = min(bytes.count, limits.head + 4)
    guard limit >= 4 else { return nil }
    return (3..<limit).first { bytes[$0] == 10 && bytes[$0 - 1] == 13 && bytes[$0 - 2] == 10 && bytes[$0 - 3] == 13 }
      .map { $0 + 1 }
  }

  private struct Malformed: Error { var status: String }

  private static func parse(_ head: ArraySlice<UInt8>) -> Result<(HTTPRequest, Int), Malformed> {
    guard let text = String(validating: head, as: UTF8.self) else {
      return .failure(Malformed(status: "400 Bad Request"))
    }
    let lines = text.split(separator: "\r\n", omittingEmptySubsequences: true)
    let words = (lines.first ?? "").split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, words[2] == "HTTP/1.1" || words[2] == "HTTP/1.0", words[1].hasPrefix("/") else {
      return .failure(Malformed(status: "400 Bad Request"))
    }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":"), colon > line.startIndex,
        !line[..<colon].contains(where: \.isWhitespace)
      else {
        return .failure(Malformed(status: "400 Bad Request"))
      }
      let name = line[..<colon].lowercased()
      let value = String(
        line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }
          .reversed())
      // Two lengths can be read in two ways.
      if name == "content-length", headers[name] != nil { return .failure(Malformed(status: "400 Bad Request")) }
      headers[name] = value
    }
    if headers["transfer-encoding"] != nil { return .failure(Malformed(status: "501 Not Implemented")) }
    var length = 0
    if let text = headers["content-length"] {
      guard !text.isEmpty, text.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
        return .failure(Malformed(status: "400 Bad Request"))
      }
      // More digits than a number has are too much for any limit.
      length = Int(text) ?? .max
    } else if words[0] == "POST" || words[0] == "PUT" {
      return .failure(Malformed(status: "411 Length Required"))
    }
    let path = words[1].prefix { $0 != "?" }
    return .success((HTTPRequest(method: String(words[0]), path: String(path), headers: headers, body: []), length))
  }
}
