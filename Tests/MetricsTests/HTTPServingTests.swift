import Foundation
import Glibc
import Metrics
import Testing

@testable import HTTPServing

@Suite(.serialized) struct HTTPServingTests {
  /// Sends bytes as they are, piece by piece, and reads until the other side closes.
  struct Client {
    let descriptor: Int32

    /// Nil where the connection is refused.
    init?(_ address: HTTPAddress) {
      descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      var limit = timeval(tv_sec: 10, tv_usec: 0)
      setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
      var name = sockaddr_in()
      name.sin_family = sa_family_t(AF_INET)
      name.sin_port = address.port.bigEndian
      name.sin_addr.s_addr = address.host.bigEndian
      let descriptor = descriptor
      let result = withUnsafePointer(to: &name) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      if result != 0 {
        close(descriptor)
        return nil
      }
    }

    func write(_ text: String) {
      _ = Array(text.utf8).withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    func readAll() -> String {
      var bytes: [UInt8] = []
      var piece = [UInt8](repeating: 0, count: 4096)
      while case let count = recv(descriptor, &piece, piece.count, 0), count > 0 {
        bytes.append(contentsOf: piece[..<count])
      }
      close(descriptor)
      return String(decoding: bytes, as: UTF8.self)
    }
  }

  static func ask(_ address: HTTPAddress, _ pieces: String...) -> String {
    guard let client = Client(address) else { return "refused" }
    for piece in pieces { client.write(piece) }
    return client.readAll()
  }

  static func head(_ answer: String) -> Substring { answer.prefix { $0 != "\r\n" } }

  @Test func metricsAreServedInOpenMetricsText() throws {
    let registry = MetricRegistry()
    registry.counter(MetricFamilyName("wal_retries"), help: "h").add(3)
    let endpoint = try MetricsEndpoint(registry, at: .loopback())
    defer { endpoint.stop() }
    let answer = Self.ask(endpoint.address, "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(Self.head(answer) == "HTTP/1.1 200 OK")
    #expect(answer.contains("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"))
    let body = try #require(answer.range(of: "\r\n\r\n")).upperBound
    #expect(try OpenMetricsParser.parse(String(answer[body...]))["wal_retries"]?.samples.first?.value == 3)
    #expect(answer.contains("Content-Length: \(answer[body...].utf8.count)\r\n"))
    let headOnly = Self.ask(endpoint.address, "HEAD /metrics HTTP/1.1\r\n\r\n")
    #expect(headOnly.hasSuffix("\r\n\r\n") && headOnly.contains("Content-Length: \(answer[body...].utf8.count)\r\n"))
    #expect(Self.head(Self.ask(endpoint.address, "GET / HTTP/1.1\r\n\r\n")) == "HTTP/1.1 404 Not Found")
    #expect(
      Self.head(Self.ask(endpoint.address, "DELETE /metrics HTTP/1.1\r\n\r\n")) == "HTTP/1.1 405 Method Not Allowed")
  }

  static let limits = HTTPLimits(head: 512, body: 1000, time: .milliseconds(400), connections: 2)

  static func echo(_ address: HTTPAddress = .loopback()) throws -> HTTPListener {
    try HTTPListener(address, limits) { .answer(HTTPAnswer("200 OK", body: $0.body)) }
  }

  @Test func aRequestInPiecesIsWhole() throws {
    let listener = try Self.echo()
    defer { listener.stop() }
    let answer = Self.ask(listener.address, "POST /a HTTP/1.1\r\nContent-Le", "ngth: 5\r\n", "\r", "\nhe", "llo")
    #expect(Self.head(answer) == "HTTP/1.1 200 OK" && answer.hasSuffix("\r\n\r\nhello"))
  }

  @Test(arguments: [
    ("POST /a HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", "413 Content Too Large"),
    ("POST /a HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "413 Content Too Large"),
    ("GET /" + String(repeating: "a", count: 600) + " HTTP/1.1\r\n\r\n", "431 Request Header Fields Too Large"),
    ("POST /a HTTP/1.1\r\n\r\n", "411 Length Required"),
    ("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "501 Not Implemented"),
    ("POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400 Bad Request"),
    ("POST /a HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400 Bad Request"), ("GET /a\r\n\r\n", "400 Bad Request"),
    ("GET /a HTTP/1.1\r\nBad Name: x\r\n\r\n", "400 Bad Request"), ("nonsense\r\n\r\n", "400 Bad Request"),
  ])
  func whatItDoesNotTake(_ request: String, _ status: String) throws {
    let listener = try Self.echo()
    defer { listener.stop() }
    #expect(Self.head(Self.ask(listener.address, request)) == "HTTP/1.1 \(status)")
  }

  /// A client that says nothing, or a byte now and then, gets its time and no more; others are served meanwhile.
  @Test func aSlowClientIsGivenUp() throws {
    let listener = try Self.echo()
    defer { listener.stop() }
    let silent = try #require(Client(listener.address))
    silent.write("GET /")
    #expect(Self.head(Self.ask(listener.address, "GET /b HTTP/1.1\r\n\r\n")) == "HTTP/1.1 200 OK")
    let begun = ContinuousClock.now
    for _ in 0..<8 {
      silent.write("a")
      usleep(100_000)
    }
    #expect(Self.head(silent.readAll()) == "HTTP/1.1 408 Request Timeout")
    #expect(ContinuousClock.now - begun < .seconds(5))
  }

  @Test func aPortThatIsTakenIsSaidSo() throws {
    let listener = try Self.echo()
    defer { listener.stop() }
    #expect(throws: HTTPListenerError.cannotListen(address: "\(listener.address)", errno: EADDRINUSE)) {
      try Self.echo(listener.address).stop()
    }
  }

  @Test func itRefusesAndComesBackAtTheSamePort() throws {
    let listener = try Self.echo()
    for _ in 0..<3 {
      #expect(Self.head(Self.ask(listener.address, "GET /b HTTP/1.1\r\n\r\n")) == "HTTP/1.1 200 OK")
      listener.refuse()
      #expect(Client(listener.address) == nil)
      // Whoever wants a free port meanwhile gets another.
      for _ in 0..<20 {
        let other = try Self.echo()
        #expect(other.address != listener.address)
        other.stop()
      }
      try listener.resume()
    }
    listener.stop()
    #expect(Client(listener.address) == nil)
  }

  @Test func aHeldRequestEndsWithItsConditionAndACutOneInTheMiddle() throws {
    let listener = try HTTPListener(.loopback()) { request in
      let due = Date().addingTimeInterval(0.1)
      return request.path == "/hold" ? .hold { Date() < due } : .cut(Array("HTTP/1.1 20".utf8))
    }
    defer { listener.stop() }
    #expect(Self.ask(listener.address, "GET /hold HTTP/1.1\r\n\r\n") == "")
    #expect(Self.ask(listener.address, "GET /cut HTTP/1.1\r\n\r\n") == "HTTP/1.1 20")
  }

  @Test func addresses() throws {
    #expect(try HTTPAddress("127.0.0.1:9464") == HTTPAddress.loopback(port: 9464))
    #expect("\(HTTPAddress(host: 0x0A01_0203, port: 80))" == "10.1.2.3:80")
    for text in ["", "9464", "localhost:1", "127.0.0.1:", "127.0.0.1:70000", "1.2.3:4", "1.2.3.4:5:6"] {
      #expect(throws: HTTPListenerError.badAddress(text)) { try HTTPAddress(text) }
    }
  }
}
