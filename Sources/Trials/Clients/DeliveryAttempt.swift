import Foundation
import Glibc
import LogModel
import RecordLogs
import Storage

/// One attempt of a sender, as the harness saw it pass.
struct DeliveryAttempt: Codable, Hashable {
  static let accepted = "accepted"
  /// By a receiver that will never take the batch as it is.
  static let refused = "refused with 422"

  /// Since the beginning of the trial's first life.
  var begun: Duration
  var events: Int
  /// Nil where it never ended: the answer did not come, or the sender died.
  var became: String?
}

/// Sees every attempt of a sender, and keeps it where a SIGKILL cannot take it, where there is a file for that.
final class WatchedTransport: Transport, @unchecked Sendable {
  // Owned by the loop of the sender.

  private let base: any Transport
  private let loop: EventLoop
  private let start: Instant
  private let journal: Journal
  private let keep: (DeliveryAttempt, _ index: Int) -> Void
  private var count = 0

  /// - Parameters:
  ///   - start: of the trial's first life.
  ///   - keep: is given each attempt when it begins, and once more when it ends.
  init(
    _ base: any Transport, _ loop: EventLoop, start: Instant, _ journal: Journal,
    keep: @escaping (DeliveryAttempt, _ index: Int) -> Void
  ) {
    self.base = base
    self.loop = loop
    self.start = start
    self.journal = journal
    self.keep = keep
  }

  func deliver(_ batch: EventBatch) async -> Delivery {
    var attempt = DeliveryAttempt(begun: loop.now - start, events: batch.events.count)
    let index = count
    count += 1
    keep(attempt, index)
    journal.progressed()
    let delivery = await base.deliver(batch)
    attempt.became = Self.words(delivery)
    keep(attempt, index)
    journal.progressed()
    return delivery
  }

  private static func words(_ delivery: Delivery) -> String {
    switch delivery {
    case .accepted: DeliveryAttempt.accepted
    case .tooManyRequests(let pause): "a pause was asked for\(pause.map { ": " + DurationText.render($0) } ?? "")"
    case .notConnected(let why): "no connection: \(why)"
    case .unavailable(let why): why
    case .refused(let status): "refused with \(status)"
    }
  }
}

/// Codable values in a file, a line each, appended one by one: a SIGKILL takes none of them.
struct LineFile<Value: Codable> {
  let path: String

  func append(_ value: Value) throws(TrialError) {
    let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .system("write", path, errno) }
    defer { close(descriptor) }
    let end = lseek(descriptor, 0, SEEK_END)
    let line: [UInt8]
    do {
      line = Array(try JSONEncoder().encode(value)) + [UInt8(ascii: "\n")]
    } catch {
      throw .notEncodable(path, reason: "\(error)")
    }
    var done = 0
    while done < line.count {
      let count = line[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        let code = count < 0 ? errno : EIO
        // Half a line would be none to whoever reads the file.
        if end >= 0 { ftruncate(descriptor, end) }
        throw .system("write", path, code)
      }
      done += count
    }
  }

  /// Empty where there is no such file.
  func read() throws(TrialError) -> [Value] {
    guard let data = FileManager.default.contents(atPath: path) else { return [] }
    do {
      return try data.split(separator: UInt8(ascii: "\n")).map { try JSONDecoder().decode(Value.self, from: Data($0)) }
    } catch {
      throw .damagedFile(path, FileDamage(error))
    }
  }
}
