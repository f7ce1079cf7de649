import EventReceivers
import Foundation
import LogModel
import Metrics
import RecordLogs
import Storage
import Testing

@testable import HTTPDelivery

/// A job's log on a real disk, sent over real sockets.
@Suite(.serialized) struct HTTPDeliveryTests {
  struct Hung: Error { var ending: EventLoop.Ending }

  /// A folder of its own with `wal` in it, gone afterwards.
  static func withLoop<Value: Sendable>(
    _ choice: StorageChoice, _ body: @escaping @Sendable (any Storage) async throws -> Value
  ) throws -> Value {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("tornlog-http-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: root + "/wal", withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: root) }
    let loop = EventLoop()
    let storage = try choice.openFiles(root: root, loop: loop)
    let result = loop.run(limit: .seconds(120)) { () async -> Result<Value, any Error> in
      do { return .success(try await body(storage)) } catch { return .failure(error) }
    }
    guard result.ending == .finished, let value = result.value else { throw Hung(ending: result.ending) }
    return try value.get()
  }

  static let policy = SenderPolicy(
    firstBackOff: .milliseconds(50), longestBackOff: .milliseconds(400), timeout: .milliseconds(700), batchEvents: 20)

  static func payload(_ n: Int64) -> [UInt8] { Array("event \(n)".utf8) }

  static func check(_ received: ReceivedEvents, _ count: Int64) throws {
    let taken = received.taken[try JobID("build-17"), default: []]
    #expect(taken.map(\.sequence) == Array(1...count), "\(taken.count) events")
    #expect(taken.allSatisfy { $0.payload == payload($0.sequence) })
    #expect(received.taken.count == 1 && received.damaged == 0)
  }

  /// The connection is refused, stalls, is cut, the receiver crashes, asks for a pause, errs; then all is well. Each
  /// event is there once, in order.
  @Test(arguments: [StorageChoice.auto, .posix])
  func everyEventArrivesOnceWhateverTheReceiverDoes(_ choice: StorageChoice) throws {
    let receiver = try HTTPReceiver()
    defer { receiver.stop() }
    let metrics = DeliveryMetrics()
    let unsent = try Self.withLoop(choice) { storage in
      let loop = storage.loop
      let (log, _) = try await JobLog.open(try JobID("build-17"), in: "wal", of: storage, metrics: metrics)
      let sender = Sender(log, over: HTTPTransport(URL(string: "http://\(receiver.address)")!), Self.policy, seed: 1)
      sender.start()
      var n: Int64 = 0
      for behavior in [
        ReceiverBehavior.accepts, .cuts, .crashes, .answers("500 Internal Server Error"), .stalls,
        .answers("202 Accepted"),
        .answers("302 Found\r\nLocation: /elsewhere"), .asksForAPause(.seconds(1)), .accepts,
      ] {
        try receiver.set(behavior)
        for _ in 0..<30 {
          n += 1
          try await log.append(Self.payload(n))
          await loop.sleep(until: loop.now + .milliseconds(20))
        }
      }
      // Nobody listens for two seconds.
      try receiver.set(.refuses)
      for _ in 0..<30 {
        n += 1
        try await log.append(Self.payload(n))
      }
      let before = metrics.retries.value
      await loop.sleep(until: loop.now + .seconds(2))
      #expect(metrics.retries.value > before + 2, "the connection was not refused")
      try receiver.set(.accepts)
      let unsent = await sender.stop(within: .seconds(30))
      #expect(sender.failure == nil)
      try await log.close()
      return unsent
    }
    #expect(unsent == 0)
    try Self.check(receiver.received, 300)
    #expect(receiver.received.repeats > 0, "nothing came twice: the answers were not cut")
  }

  /// What answers mean, and Retry-After in both its forms.
  @Test func statuses() {
    let now = Date(timeIntervalSince1970: 1_445_412_450)
    func meaning(_ status: Int, _ retryAfter: String? = nil) -> Delivery {
      HTTPTransport.meaning(of: status, retryAfter: retryAfter, now: now)
    }
    for status in [200, 201, 204] { #expect(meaning(status) == .accepted) }
    for status in [400, 413, 422] { #expect(meaning(status) == .refused(status: status)) }
    for status in [202, 301, 302, 401, 403, 404, 408, 500, 502, 503, 504] {
      guard case .unavailable = meaning(status) else {
        Issue.record("\(status)")
        continue
      }
    }
    #expect(meaning(429) == .tooManyRequests(retryAfter: nil))
    #expect(meaning(429, "120") == .tooManyRequests(retryAfter: .seconds(120)))
    #expect(meaning(503, " 7 ") == .tooManyRequests(retryAfter: .seconds(7)))
    // RFC 9110, section 10.2.3, 30 s after `now`; and one that is past.
    #expect(meaning(429, "Wed, 21 Oct 2015 07:28:00 GMT") == .tooManyRequests(retryAfter: .seconds(30)))
    #expect(meaning(429, "Wed, 21 Oct 2015 07:27:00 GMT") == .tooManyRequests(retryAfter: .zero))
    #expect(meaning(429, "soon") == .tooManyRequests(retryAfter: nil))
    #expect(meaning(429, "99999999999999999999") == .tooManyRequests(retryAfter: .seconds(86_400 * 365)))
  }

  @Test func aBatchOnTheWireIsReadBackAndDamageIsRefused() throws {
    let job = try JobID("build-17")
    let events = (1...5).map { Event(sequence: $0, timestamp: 1000 + $0, payload: Self.payload($0)) }
    let batch = EventBatch(job: job, events: events)
    let bytes = batch.encoded()
    #expect(try EventBatch(job: job, decoding: bytes) == batch)
    for bit in 0..<bytes.count * 8 {
      var damaged = bytes
      damaged[bit / 8] ^= 1 << (bit % 8)
      #expect((try? EventBatch(job: job, decoding: damaged)) == nil, "bit \(bit)")
    }
  }
}
