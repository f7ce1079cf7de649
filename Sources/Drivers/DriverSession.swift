/// What a driver says of itself.
package struct DriverHello: Sendable, Hashable {
  package var name: String
  package var version: String
  package var operations: Set<String>
  /// One process takes one state after the other.
  package var reopens: Bool
  /// It forks a child for each state.
  package var forks: Bool
}

/// The answer to a request.
package enum DriverAnswer: Sendable {
  case done(DriverReply)
  /// The program refuses, and says why.
  case failed(DriverOutcome, error: String)
  /// The driver, or the child that it had forked, ended: how.
  case died(String)
  /// Nothing came in time: what the driver last said it was at.
  case silent(progress: String?)
  /// A line that is no reply, or a reply to nothing.
  case garbled(String)
}

/// What a program says of a request that failed.
package enum DriverOutcome: String, Sendable, Hashable {
  /// It did not happen, and never will.
  case failed
  /// It may have happened.
  case unknown
  /// The driver's own failure: it says nothing about the program.
  case driver
}

/// A conversation with a driver: requests, and the replies to them in any order.
package final class DriverSession {
  package let process: DriverProcess
  package let hello: DriverHello
  /// Nanoseconds that a request may take.
  package var limit: UInt64

  /// Lines of the driver so far.
  package private(set) var linesRead = 0
  private var lastID = 0
  /// Requests without a reply yet, and what has come of each so far.
  private var open: [Int: [DriverItem]] = [:]
  private var progress: String?

  /// Starts a driver and greets it.
  /// - Parameter limit: of each request, in nanoseconds.
  package init(_ command: DriverCommand, _ place: DriverPlace = DriverPlace(), limit: UInt64) throws(DriverError) {
    let process = try DriverProcess(command, place)
    self.process = process
    self.limit = limit
    process.send(DriverRequest.hello.line(id: 0))
    // Starting may take longer than a request: a virtual machine, a compiler.
    let deadline = DriverProcess.now + max(limit, 30_000_000_000)
    while true {
      switch process.next(until: deadline) {
      case .timeout:
        process.end()
        throw .silent("'hello'", log: process.lastWords())
      case .ended(let ending):
        throw .ended("\(ending) before it answered 'hello'", log: process.lastWords())
      case .line(let line):
        linesRead += 1
        let reply: DriverReply
        do throws(DriverLineError) { reply = try DriverReply(line: line) } catch {
          process.end()
          throw .protocolBroken("\(error)")
        }
        if reply.progress != nil { continue }
        guard reply.id == 0, reply.ok == true, let operations = reply.ops else {
          process.end()
          let problem = reply.error ?? "it has no \"ok\":true, or no \"ops\""
          throw .protocolBroken("the answer to 'hello' is no use: \(problem)")
        }
        hello = DriverHello(
          name: reply.name ?? "program", version: reply.version ?? "", operations: Set(operations),
          reopens: reply.reopens ?? false, forks: reply.forks ?? false)
        return
      }
    }
  }

  package func can(_ operation: String) -> Bool { hello.operations.contains(operation) }

  /// Sends a request.
  /// - Returns: its id, which `wait` gives back with the answer.
  package func send(_ request: DriverRequest) -> Int {
    lastID += 1
    open[lastID] = []
    process.send(request.line(id: lastID))
    return lastID
  }

  /// Sends a request and waits for its answer.
  package func ask(_ request: DriverRequest, limit: UInt64? = nil) -> DriverAnswer {
    let id = send(request)
    let (answered, answer) = wait(limit: limit)
    if let answered, answered != id { return .garbled("a reply to request \(answered), and not to \(id)") }
    return answer
  }

  /// Waits for the next answer.
  /// - Returns: the id of its request; nil where the driver died, is silent, or says what nobody asked for: then no
  ///   other answer comes.
  package func wait(limit: UInt64? = nil) -> (id: Int?, answer: DriverAnswer) {
    let deadline = DriverProcess.now + (limit ?? self.limit)
    while true {
      switch process.next(until: deadline) {
      case .timeout: return (nil, .silent(progress: progress))
      case .ended(let ending): return (nil, .died("the driver \(ending)"))
      case .line(let line):
        linesRead += 1
        let reply: DriverReply
        do throws(DriverLineError) { reply = try DriverReply(line: line) } catch {
          return (nil, .garbled("\(error)"))
        }
        if let word = reply.progress {
          progress = word
          continue
        }
        if let how = reply.died {
          open.removeAll()
          return (nil, .died("the child that the driver had forked ended: \(how)"))
        }
        guard let id = reply.id, open[id] != nil else {
          return (nil, .garbled("a reply to request \(reply.id.map { "\($0)" } ?? "without id"), which is not open"))
        }
        if let answer = take(reply, id) { return (id, answer) }
      }
    }
  }

  /// - Returns: nil where more of it is to come.
  private func take(_ reply: DriverReply, _ id: Int) -> DriverAnswer? {
    if let items = reply.items { open[id]! += items }
    guard let ok = reply.ok else {
      return reply.items == nil ? .garbled("a reply to request \(id) with neither \"ok\" nor \"items\"") : nil
    }
    var whole = reply
    whole.items = open.removeValue(forKey: id)
    progress = nil
    if ok { return .done(whole) }
    let outcome = reply.outcome.map { DriverOutcome(rawValue: $0) } ?? .unknown
    guard let outcome else {
      return .garbled("the outcome '\(reply.outcome!)' of request \(id): failed, unknown or driver")
    }
    return .failed(outcome, error: reply.error ?? "no reason given")
  }
}
