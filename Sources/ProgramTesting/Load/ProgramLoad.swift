import Drivers
import Glibc
import ProgramOracle

/// What one run of a load came to.
package struct ProgramLoadSample: Sendable {
  /// Nanoseconds from the moment at which a request was due to its acknowledgement. One that could not be sent has
  /// waited until the end.
  package var latencies: [Int64] = []
  /// Requests acknowledged.
  package var count = 0
  package var seconds = 0.0
  /// Requests that were due before the end and have not been sent.
  package var unsent = 0
}

/// A program under load in a plain folder: nothing stands between it and the disk.
///
/// At a rate the load is an open loop: a request has a moment at which it is due, and its latency counts from there,
/// whether it could be sent then or not. The latency has the driver and two pipes in it.
package struct ProgramLoad: Sendable {
  private let spec: ProgramSpec
  /// Bytes of each value.
  private let size: Int
  private let isCancelled: @Sendable () -> Bool

  /// - Parameter spec: its `concurrency` is how many requests are in flight at the most.
  package init(_ spec: ProgramSpec, size: Int, isCancelled: @escaping @Sendable () -> Bool) {
    (self.spec, self.size, self.isCancelled) = (spec, size, isCancelled)
  }

  /// Opens the program in an empty folder, loads it, and closes it.
  /// - Parameters:
  ///   - warmUp: nanoseconds; what is due in it is sent, and not counted.
  ///   - length: nanoseconds after it.
  /// - Returns: nil where it was interrupted.
  package func run(
    _ pace: LoadPace, warmUp: UInt64, length: UInt64, in folder: String
  ) throws(ProgramTestError) -> ProgramLoadSample? {
    var place = DriverPlace()
    place.isIsolated = spec.isIsolated
    let session: DriverSession
    do throws(DriverError) { session = try DriverSession(spec.command, place, limit: spec.requestLimit) } catch {
      throw .driver(error)
    }
    defer { session.process.end() }
    let model = try ProgramModel.chosen(spec.model, offered: session.hello.operations)
    let requests = LoadRequests(model, size: size, can: session.hello.operations)
    // Making everything anew may take long: a database cluster, a schema.
    try succeed(
      session.ask(
        .open(folder: folder, create: true, config: spec.config), limit: max(spec.requestLimit, 60_000_000_000)),
      session)
    guard let sample = try load(session, requests, pace, warmUp, length) else { return nil }
    try succeed(session.ask(.close), session)
    return sample
  }

  /// - Throws: what keeps a program from doing what it is asked for, without any fault.
  private func succeed(_ answer: DriverAnswer, _ session: DriverSession) throws(ProgramTestError) {
    let reason: String
    switch answer {
    case .done: return
    case .failed(_, let error): reason = "a request failed: \(error)"
    case .died(let how): reason = how
    case .silent: reason = "a request was not answered in time"
    case .garbled(let complaint): reason = complaint
    }
    throw .failsWithoutFault(reason, log: session.process.lastWords())
  }

  private func load(
    _ session: DriverSession, _ requests: LoadRequests, _ pace: LoadPace, _ warmUp: UInt64, _ length: UInt64
  ) throws(ProgramTestError) -> ProgramLoadSample? {
    var sample = ProgramLoadSample()
    let start = DriverProcess.now
    let (measuredFrom, end) = (start + warmUp, start + warmUp + length)
    // Of those without an answer: when each was due, and when it was sent.
    var flying: [Int: (due: UInt64, sent: UInt64)] = [:]
    var number = 0
    while true {
      if isCancelled() { return nil }
      let now = DriverProcess.now
      let due = pace.due(number, from: start) ?? now
      let isMore = due < end && now < end
      if isMore, due <= now, flying.count < spec.concurrency {
        flying[session.send(requests.request(number))] = (due, now)
        number += 1
        continue
      }
      if !isMore, flying.isEmpty { break }
      let wait = isMore && flying.count < spec.concurrency ? due - now : Self.slice
      let (id, answer) = session.wait(limit: min(wait, Self.slice))
      if case .silent = answer, !flying.values.contains(where: { $0.sent + spec.requestLimit < DriverProcess.now }) {
        continue
      }
      try succeed(answer, session)
      guard let id, let moment = flying.removeValue(forKey: id)?.due, moment >= measuredFrom else { continue }
      sample.count += 1
      sample.latencies.append(Int64(DriverProcess.now - moment))
    }
    let now = DriverProcess.now
    sample.seconds = Double(max(length, now - measuredFrom)) / 1e9
    while let due = pace.due(number, from: start), due < end {
      if due >= measuredFrom {
        sample.unsent += 1
        sample.latencies.append(Int64(max(now, end) - due))
      }
      number += 1
    }
    return sample
  }

  /// Nanoseconds after which an interruption is looked for.
  private static let slice: UInt64 = 100_000_000
}
