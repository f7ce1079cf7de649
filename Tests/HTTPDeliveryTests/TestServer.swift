import Glibc
import RecordLogs
import Synchronization

/// A receiver behind a real socket that can refuse, stall, cut and crash. It knows events by (job, sequence).
///
/// One thread, one connection at a time, one request a connection.
final class TestServer: Sendable {
  enum Mood: Hashable, Sendable {
    case accepts
    /// Reads the request and says nothing until it is told otherwise, or the client has gone.
    case stalls
    /// Takes the events and closes the connection in the middle of its answer.
    case cuts
    /// Reads the request, takes nothing, and closes the connection (A9: it had not been synced).
    case crashes
    case answers(String)
  }

  struct State {
    var mood = Mood.accepts
    /// What each event that arrived first was, in the order of arrival.
    var taken: [(job: String, event: Event)] = []
    var known: [String: SequenceRanges] = [:]
    var repeats = 0
    var requests = 0
    var damaged = 0
    var stops = false
  }

  let state: Mutex<State>
  let port: UInt16
  private let listener: Int32
  private let thread: Mutex<pthread_t?> = Mutex(nil)

  /// Listens on a port of loopback: one that is free, or that of `other`, which has been stopped; then it knows what that
  /// one knew.
  init(heirTo other: TestServer? = nil) {
    var state = other?.snapshot() ?? State()
    (state.mood, state.stops) = (.accepts, false)
    self.state = Mutex(state)
    let port = other?.port ?? 0
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var yes: Int32 = 1
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let (descriptor, length) = (listener, size)
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
    }
    precondition(bound == 0 && listen(listener, 16) == 0, "port \(port): errno \(errno)")
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &size) }
    }
    self.port = UInt16(bigEndian: address.sin_port)
    var identity = pthread_t()
    let me = Unmanaged.passRetained(self).toOpaque()
    pthread_create(&identity, nil, { me in
      let server = Unmanaged<TestServer>.fromOpaque(me!).takeRetainedValue()
      server.serve()
      return nil
    }, me)
    thread.withLock { $0 = identity }
  }

  func snapshot() -> State { state.withLock { $0 } }

  func set(_ mood: Mood) { state.withLock { $0.mood = mood } }

  /// Closes the port: from here on connections are refused.
  func stop() {
    state.withLock { $0.stops = true }
    shutdown(listener, Int32(SHUT_RDWR))
    if let thread = thread.withLock({ $0 }) { pthread_join(thread, nil) }
    close(listener)
  }

  private func serve() {
    while !state.withLock({ $0.stops }) {
      let connection = accept(listener, nil, nil)
      guard connection >= 0 else { continue }
      var limit = timeval(tv_sec: 5, tv_usec: 0)
      setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
      answer(connection)
      close(connection)
    }
  }

  private func answer(_ connection: Int32) {
    guard let (job, body) = readRequest(connection) else { return }
    let mood = state.withLock { state in
      state.requests += 1
      return state.mood
    }
    switch mood {
    case .accepts:
      let status = take(job, body) ? "204 No Content" : "400 Bad Request"
      write(connection, "HTTP/1.1 \(status)\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    case .stalls:
      // Until the mood changes; at most a minute.
      for _ in 0..<6000 where state.withLock({ $0.mood == .stalls && !$0.stops }) { usleep(10_000) }
    case .cuts:
      _ = take(job, body)
      write(connection, "HTTP/1.1 20")
    case .crashes: break
    case .answers(let head): write(connection, "HTTP/1.1 \(head)\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }
  }

  private func write(_ connection: Int32, _ text: String) {
    _ = Array(text.utf8).withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
  }

  /// - Returns: whether the body was whole.
  private func take(_ job: String, _ body: [UInt8]) -> Bool {
    state.withLock { state in
      guard let id = try? JobID("any"), let batch = try? EventBatch(job: id, decoding: body) else {
        state.damaged += 1
        return false
      }
      for event in batch.events {
        if state.known[job, default: SequenceRanges()].insert(event.sequence) {
          state.taken.append((job, event))
        } else {
          state.repeats += 1
        }
      }
      return true
    }
  }

  /// The path and the body; nil where the client goes away before.
  private func readRequest(_ connection: Int32) -> (path: String, body: [UInt8])? {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65536)
    var head: Int?
    var length = 0
    while head == nil || bytes.count < head! + length {
      let count = recv(connection, &piece, piece.count, 0)
      guard count > 0 else { return nil }
      bytes.append(contentsOf: piece[..<count])
      if head == nil, let end = Self.find([13, 10, 13, 10], in: bytes) {
        head = end + 4
        let text = String(decoding: bytes[..<end], as: UTF8.self)
        for line in text.split(separator: "\r\n") {
          if line.lowercased().hasPrefix("content-length:") { length = Int(line.dropFirst(15).filter(\.isNumber)) ?? 0 }
          if line.lowercased().hasPrefix("expect:") { write(connection, "HTTP/1.1 100 Continue\r\n\r\n") }
        }
      }
    }
    guard let head else { return nil }
    let first = String(decoding: bytes[..<head], as: UTF8.self).split(separator: "\r\n").first ?? ""
    let words = first.split(separator: " ")
    guard words.count == 3, words[0] == "POST" else {
      // As a web page would: whoever follows a redirection takes it for an acceptance.
      write(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
      return nil
    }
    return (String(words[1]), Array(bytes[head..<head + length]))
  }

  private static func find(_ pattern: [UInt8], in bytes: [UInt8]) -> Int? {
    guard bytes.count >= pattern.count else { return nil }
    return (0...bytes.count - pattern.count).first { bytes[$0..<$0 + pattern.count].elementsEqual(pattern) }
  }
}
