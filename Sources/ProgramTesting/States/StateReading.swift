import Drivers
import LogModel
import ProgramOracle

/// What a program serves of a state of its files.
struct StateReading: Sendable, Hashable {
  /// Why not everything was read.
  enum Failure: Sendable, Hashable {
    /// `open` failed, with the program's own words.
    case refused(String)
    /// It ended, or was killed by a signal of its own doing, while it carried out a request.
    case died(String, request: String)
    case hung(request: String)
    /// It opened, and fails to read.
    case unreadable(String, request: String)
    /// It says nothing about the program.
    case driver(String)
  }

  var failure: Failure?
  /// By log or queue.
  var logs: [String: [DriverItem]] = [:]
  /// Queues were read by taking: they are empty now.
  var isDrained = false
  var map: [String: String] = [:]
  /// The program's own check: nil where it was not asked, an empty text where all is well.
  var check: String?
  /// The last lines of the driver's standard error, where it failed.
  var log: [String] = []
  /// The request that was not answered, where the time limit was not waited for.
  private(set) var silent: String?

  /// Whether nothing is known of it, for the time limit was not waited for.
  var isGivenUp: Bool { silent != nil }

  /// Leaves it without a verdict.
  mutating func giveUp(_ request: String) {
    silent = request
    failure = .driver(Patience.reason)
  }

  init(failure: Failure? = nil, log: [String] = []) { (self.failure, self.log) = (failure, log) }

  /// Whether the same files bring the same reading: not where time ran out, or the driver failed.
  var followsFromFiles: Bool {
    switch failure {
    case nil, .refused, .died, .unreadable: true
    case .hung, .driver: false
    }
  }

  /// Equal for readings of which the oracle cannot tell one from the other.
  var hash: UInt64 {
    var hash: UInt64 = 0
    func take(_ text: String) { hash = mix64(hash ^ stableHash(text)) }
    for (log, items) in logs.sorted(by: { $0.key < $1.key }) {
      take(log)
      for item in items { take("\(item.place)=\(item.value)") }
    }
    for (key, value) in map.sorted(by: { $0.key < $1.key }) { take("\(key)=\(value)") }
    take(check ?? "-")
    switch failure {
    case nil: break
    case .refused(let words): take("refused " + words)
    case .died(let how, let request): take("died \(how) \(request)")
    case .hung(let request): take("hung " + request)
    case .unreadable(let words, let request): take("unreadable \(words) \(request)")
    case .driver(let words): take("driver " + words)
    }
    return hash
  }

  /// Opens a folder and reads all of it.
  static func take(opening folder: String, _ config: String, _ session: DriverSession, _ workload: ProgramWorkload)
    -> StateReading
  {
    var reading = StateReading()
    if case .failure(let failure) = outcome(session, .open(folder: folder, create: false, config: config)) {
      reading.fail(failure, session)
      return reading
    }
    reading.read(session, workload)
    return reading
  }

  private mutating func fail(_ failure: Failure, _ session: DriverSession) {
    self.failure = failure
    log = session.process.lastWords(4)
  }

  /// Reads everything of a program that is open, and has it check itself.
  mutating func read(_ session: DriverSession, _ workload: ProgramWorkload) {
    do throws(Stop) {
      switch workload.model {
      case .log: for log in workload.logs { logs[log] = try items(session, .scan(log: log)) }
      case .queue:
        isDrained = !session.can("scan")
        for log in workload.logs {
          logs[log] = session.can("scan") ? try items(session, .scan(log: log)) : try drained(session, log)
        }
      case .map, .transactions:
        if session.can("scan") {
          for item in try items(session, .scan(log: nil)) {
            if case .key(let key) = item.place { map[key] = item.value }
          }
        } else {
          for key in workload.keys {
            if let value = try done(session, .get(key: key)).value ?? nil { map[key] = value }
          }
        }
      }
      if session.can("check") {
        switch session.ask(.check) {
        case .done: check = ""
        case .failed(.driver, let error): throw Stop(.driver(error))
        case .failed(_, let error): check = error
        case let other: throw Stop(Self.failure(of: other, .check))
        }
      }
    } catch { fail(error.failure, session) }
  }

  private struct Stop: Error {
    var failure: Failure
    init(_ failure: Failure) { self.failure = failure }
  }

  private func items(_ session: DriverSession, _ request: DriverRequest) throws(Stop) -> [DriverItem] {
    try done(session, request).items ?? []
  }

  private func drained(_ session: DriverSession, _ log: String) throws(Stop) -> [DriverItem] {
    var items: [DriverItem] = []
    while let value = try done(session, .take(log: log)).value ?? nil {
      items.append(DriverItem(place: .position(items.count), value: value))
      // A queue that never gets empty.
      if items.count > 1_000_000 { throw Stop(.hung(request: "take")) }
    }
    return items
  }

  private func done(_ session: DriverSession, _ request: DriverRequest) throws(Stop) -> DriverReply {
    switch Self.outcome(session, request) {
    case .success(let reply): return reply
    case .failure(let failure): throw Stop(failure)
    }
  }

  /// The outcome of a request that has to succeed.
  static func outcome(_ session: DriverSession, _ request: DriverRequest) -> Result<DriverReply, Failure> {
    switch session.ask(request) {
    case .done(let reply): .success(reply)
    case let other: .failure(failure(of: other, request))
    }
  }

  private static func failure(of answer: DriverAnswer, _ request: DriverRequest) -> Failure {
    switch answer {
    case .failed(.driver, let error): .driver(error)
    case .failed(_, let error):
      if case .open = request { .refused(error) } else { .unreadable(error, request: request.name) }
    case .died(let how): .died(how, request: request.name)
    case .silent: .hung(request: request.name)
    case .garbled(let complaint): .driver(complaint)
    case .done: .driver("a request failed without a failure")
    }
  }
}

extension StateReading.Failure: Error {}
