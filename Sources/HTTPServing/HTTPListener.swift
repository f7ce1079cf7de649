import CProcess
import Glibc
import LogModel
import Synchronization

/// Why a listener could not begin.
public enum HTTPListenerError: Error, Hashable, Sendable {
  case badAddress(String)
  case cannotListen(address: String, errno: Int32)
}

extension HTTPListenerError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .badAddress(let text): "\(text): an address to listen at is like 127.0.0.1:9464; port 0 takes one that is free"
    case .cannotListen(let address, let code):
      "cannot listen at \(address): \(String(cString: strerror(code))); choose another port"
    }
  }
}

/// An IPv4 address and a port.
public struct HTTPAddress: Hashable, Sendable, CustomStringConvertible {
  /// In host order.
  public var host: UInt32
  /// 0: any that is free.
  public var port: UInt16

  public static func loopback(port: UInt16 = 0) -> HTTPAddress { HTTPAddress(host: 0x7F00_0001, port: port) }

  public init(host: UInt32, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// `127.0.0.1:9464`
  /// - Throws: `badAddress`.
  public init(_ text: String) throws(HTTPListenerError) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    var address = in_addr()
    guard parts.count == 2, let port = UInt16(parts[1]), inet_pton(AF_INET, String(parts[0]), &address) == 1 else {
      throw .badAddress(text)
    }
    self.init(host: UInt32(bigEndian: address.s_addr), port: port)
  }

  public var description: String {
    "\(host >> 24).\(host >> 16 & 255).\(host >> 8 & 255).\(host & 255):\(port)"
  }
}

/// A small HTTP/1.1 server for a few clients on this machine: one request a connection, limits on its size and its
/// time, a thread a connection and only so many of them.
///
/// It can refuse connections for a while and take them again at the same port, which goes to nobody who wants any free
/// one.
public final class HTTPListener: Sendable {
  public typealias Handler = @Sendable (HTTPRequest) -> HTTPReply

  private struct State {
    var isRefusing = false
    var isStopped = false
    /// Connections that are being served.
    var open: Set<Int32> = []
    var threads: [pthread_t] = []
  }

  /// Where it listens; the port is never 0.
  public let address: HTTPAddress
  private let socket: Int32
  private let limits: HTTPLimits
  private let handler: Handler
  private let state = Mutex(State())

  /// Begins to serve. `stop` must be called: the threads keep it alive.
  /// - Throws: `cannotListen`.
  public init(
    _ address: HTTPAddress, _ limits: HTTPLimits = HTTPLimits(), handler: @escaping Handler
  ) throws(HTTPListenerError) {
    self.limits = limits
    self.handler = handler
    (socket, self.address) = try Self.bound(address)
    guard listen(socket, Self.backlog) == 0 else {
      let code = errno
      close(socket)
      throw .cannotListen(address: "\(address)", errno: code)
    }
    var threads: [pthread_t] = []
    for _ in 0..<limits.connections {
      var thread = pthread_t()
      let code = Self.start(self, &thread)
      if code == 0 { threads.append(thread) }
      // Where there can be no more threads, those that there are serve.
      if code != 0, threads.isEmpty {
        close(socket)
        throw .cannotListen(address: "\(address)", errno: code)
      }
    }
    state.withLock { [threads] in $0.threads = threads }
  }

  private static let backlog: Int32 = 64

  /// A port that the kernel has chosen it takes back when a socket stops listening, one that was asked for it does not:
  /// so a free one is found out first, and then asked for.
  private static func bound(_ address: HTTPAddress) throws(HTTPListenerError) -> (Int32, HTTPAddress) {
    for _ in 0..<16 {
      let (first, found) = try bind(address)
      if address.port != 0 { return (first, found) }
      close(first)
      do throws(HTTPListenerError) { return try bind(found) } catch { continue }
    }
    throw .cannotListen(address: "\(address)", errno: EADDRINUSE)
  }

  /// SO_REUSEADDR: connections of before that are fading away keep nobody from listening (`man 7 ip`).
  private static func bind(_ address: HTTPAddress) throws(HTTPListenerError) -> (Int32, HTTPAddress) {
    let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw .cannotListen(address: "\(address)", errno: errno) }
    var yes: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = address.port.bigEndian
    name.sin_addr.s_addr = address.host.bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { name -> Int32 in
        guard Glibc.bind(descriptor, name, size) == 0, getsockname(descriptor, name, &size) == 0 else { return errno }
        return 0
      }
    }
    guard code == 0 else {
      close(descriptor)
      throw .cannotListen(address: "\(address)", errno: code)
    }
    return (descriptor, HTTPAddress(host: address.host, port: UInt16(bigEndian: name.sin_port)))
  }

  /// - Returns: 0, or the errno of `pthread_create`.
  private static func start(_ listener: HTTPListener, _ thread: inout pthread_t) -> Int32 {
    let context = Unmanaged.passRetained(listener)
    let code = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<HTTPListener>.fromOpaque(context).takeRetainedValue().serve()
        return nil
      }, context.toOpaque())
    if code != 0 { context.release() }
    return code
  }

  // MARK: From outside

  /// From here on connections are refused, and those that are being served are cut.
  public func refuse() {
    state.withLock {
      guard !$0.isRefusing, !$0.isStopped else { return }
      $0.isRefusing = true
      // A listening socket goes back to what it was before `listen`: its port answers with a reset.
      shutdown(socket, Int32(SHUT_RD))
      for connection in $0.open { shutdown(connection, Int32(SHUT_RDWR)) }
    }
  }

  /// Takes connections again, at the same port.
  /// - Throws: `cannotListen`.
  public func resume() throws(HTTPListenerError) {
    let code = state.withLock { state -> Int32 in
      guard state.isRefusing, !state.isStopped else { return 0 }
      guard listen(socket, Self.backlog) == 0 else { return errno }
      state.isRefusing = false
      return 0
    }
    guard code == 0 else { throw .cannotListen(address: "\(address)", errno: code) }
  }

  /// Ends all connections and threads. Call it once, and from no handler.
  public func stop() {
    let threads = state.withLock { state -> [pthread_t] in
      state.isStopped = true
      shutdown(socket, Int32(SHUT_RDWR))
      for connection in state.open { shutdown(connection, Int32(SHUT_RDWR)) }
      defer { state.threads = [] }
      return state.threads
    }
    for thread in threads { pthread_join(thread, nil) }
    close(socket)
  }

  // MARK: A thread

  private var isStopped: Bool { state.withLock { $0.isStopped } }

  private func serve() {
    while !isStopped {
      let connection = tl_accept(socket)
      guard connection >= 0 else {
        // It refuses for now, or descriptors have run out: neither passes by asking again at once.
        usleep(5000)
        continue
      }
      let isWanted = state.withLock { state -> Bool in
        guard !state.isStopped, !state.isRefusing else { return false }
        state.open.insert(connection)
        return true
      }
      if isWanted { answer(connection) }
      state.withLock { _ = $0.open.remove(connection) }
      close(connection)
    }
  }

  private func answer(_ connection: Int32) {
    guard let request = read(connection) else { return }
    switch handler(request) {
    case .answer(let answer): finish(connection, answer.encoded(withBody: request.method != "HEAD"))
    case .cut(let bytes): send(connection, bytes, by: Self.now + limits.time.nanoseconds)
    case .hold(let holds): while holds(), !isStopped, isThere(connection) { usleep(10_000) }
    }
  }

  /// Whether the client has not gone.
  private func isThere(_ connection: Int32) -> Bool {
    var byte: UInt8 = 0
    let count = recv(connection, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
    return count > 0 || count < 0 && errno == EAGAIN
  }

  /// Nil where it was refused, or has not come in time.
  private func read(_ connection: Int32) -> HTTPRequest? {
    var reader = HTTPRequestReader(limits)
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    let deadline = Self.now + limits.time.nanoseconds
    while true {
      guard wait(connection, POLLIN, until: deadline) else {
        finish(connection, HTTPAnswer("408 Request Timeout").encoded(withBody: true))
        return nil
      }
      let count = recv(connection, &piece, piece.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return nil }
      switch reader.take(piece[..<count]) {
      case .more: continue
      case .expectsContinue: send(connection, Array("HTTP/1.1 100 Continue\r\n\r\n".utf8), by: deadline)
      case .request(let request): return request
      case .refused(let answer):
        finish(connection, answer.encoded(withBody: true))
        return nil
      }
    }
  }

  /// Sends the answer, then waits until the client has gone: what it had still sent would otherwise make the kernel
  /// reset the connection, and the client would never read the answer (RFC 9112, section 9.6).
  private func finish(_ connection: Int32, _ bytes: [UInt8]) {
    let deadline = Self.now + limits.time.nanoseconds
    send(connection, bytes, by: deadline)
    shutdown(connection, Int32(SHUT_WR))
    var rest = [UInt8](repeating: 0, count: 16 << 10)
    while wait(connection, POLLIN, until: min(deadline, Self.now + 500_000_000)),
      recv(connection, &rest, rest.count, 0) > 0
    {}
  }

  private func send(_ connection: Int32, _ bytes: [UInt8], by deadline: Int64) {
    var sent = 0
    while sent < bytes.count, wait(connection, POLLOUT, until: deadline) {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      guard count > 0 else { return }
      sent += count
    }
  }

  private func wait(_ connection: Int32, _ events: Int32, until deadline: Int64) -> Bool {
    while true {
      let left = deadline - Self.now
      guard left > 0 else { return false }
      var polled = pollfd(fd: connection, events: Int16(events), revents: 0)
      let count = poll(&polled, 1, Int32(min(left / 1_000_000 + 1, 1000)))
      if count > 0 { return true }
      if count < 0, errno != EINTR { return false }
    }
  }

  private static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
