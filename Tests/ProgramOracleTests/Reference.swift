import ProgramOracle

/// The states that a program may serve, found by trying everything: each order of the requests, each choice of those
/// without an answer, each loss. Written as plainly as can be, and for a handful of requests only.
struct Reference {
  /// What a program holds, as far as a reading tells.
  struct State: Hashable {
    var map: [String: String] = [:]
    var logs: [String: [String]] = [:]
  }

  /// A state in the middle of a life.
  private struct Moment: Hashable {
    var state = State()
    /// Items that a take without an answer has in hand: at the crash they are back, or were gone already.
    var inHand: Set<String> = []
    /// Items whose take was answered.
    var taken: Set<String> = []
    var done: Set<Int> = []
  }

  private struct Operation {
    var call: ProgramCall
    var taken: String?
    var submitted: Int
    var end: Int
    var mustHappen: Bool
    var mustSurvive: Bool
    var life: Int
  }

  private var operations: [Operation] = []
  private let lives: Int
  private let mayLoseLast: Bool
  private let mayComeAgain: Bool
  private let model: ProgramModel

  /// - Parameters:
  ///   - crashes: places of crashes before the cut, sorted; each with its time.
  init(
    _ requests: [ProgramRequest], crashes: [(place: Int, time: Int64)], cut: Int, time: Int64,
    _ contract: ProgramContract
  ) {
    let earlier = crashes.filter { $0.place < cut }
    let ends = earlier.map(\.place) + [cut]
    let times = earlier.map(\.time) + [time]
    lives = ends.count
    let mayLose: Set<ProgramAllowance> = [.suffixLoss, .holeLoss]
    let keepsAll = mayLose.isDisjoint(with: contract.allowances)
    mayLoseLast = contract.promise != .acknowledged || !mayLose.isDisjoint(with: contract.allowances)
    mayComeAgain = contract.allowances.contains(.redelivery)
    model = contract.model
    var flushes: [(life: Int, submitted: Int)] = []
    for request in requests where request.submitted < cut {
      let life = earlier.count { $0.place <= request.submitted }
      let isTold = request.answered != nil && request.answered! < cut
      if isTold, request.outcome == .failed { continue }
      var operation = Operation(
        call: request.call, taken: nil, submitted: request.submitted, end: ends[life] - 1, mustHappen: false,
        mustSurvive: false, life: life)
      if isTold, case .acknowledged(_, let taken) = request.outcome {
        operation.taken = taken
        operation.end = request.answered!
        operation.mustHappen = true
        if request.call == .flush { flushes.append((life, request.submitted)) }
      }
      if request.call != .flush { operations.append(operation) }
    }
    for index in operations.indices where operations[index].mustHappen {
      let operation = operations[index]
      let isFlushed = flushes.contains { $0.life == operation.life && operation.end < $0.submitted }
      let answeredTime = requests.first { $0.submitted == operation.submitted }!.answeredTime
      switch contract.promise {
      case .nothing: break
      case .flushed: operations[index].mustSurvive = isFlushed
      case .acknowledged: operations[index].mustSurvive = keepsAll || isFlushed
      case .interval(let duration):
        let age = Duration.nanoseconds(times[operation.life] - answeredTime)
        let isOld = age >= duration && keepsAll
        operations[index].mustSurvive = isFlushed || isOld
      }
      if contract.allowances.contains(.holeLoss), !operations[index].mustSurvive {
        if case .take = operation.call { continue }
        operations[index].mustHappen = false
      }
    }
  }

  /// Every state that may be served after the last crash.
  /// - Parameter read: what was served after the first crash; nil where nobody looked.
  func legal(read: State? = nil) -> Set<State> {
    var starts: Set<Moment> = [Moment()]
    for life in 0..<lives {
      var after: Set<Moment> = []
      for start in starts {
        for end in ends(of: life, from: start) where life > 0 || lives == 1 || read == nil || shown(end).contains(read!)
        {
          after.insert(end)
        }
      }
      // A crash that takes all of a life may take more of the life before.
      let mayLoseAll = life > 0 && mayLoseLast && !operations.contains { $0.life == life && $0.mustSurvive }
      starts = mayLoseAll ? after.union(starts) : after
    }
    return Set(starts.flatMap { shown($0) })
  }

  /// The states that a crash at the end of a life may leave.
  private func ends(of life: Int, from start: Moment) -> Set<Moment> {
    let own = operations.indices.filter { operations[$0].life == life }
    var found: Set<Moment> = []
    var failed: Set<Moment> = []
    var begin = start
    begin.done = []
    _ = run(own, begin, &found, &failed)
    return Set(
      found.map { end in
        var end = end
        (end.done, end.inHand) = ([], [])
        return end
      })
  }

  /// - Returns: whether everything that was acknowledged can still happen from here on.
  private func run(_ own: [Int], _ moment: Moment, _ found: inout Set<Moment>, _ failed: inout Set<Moment>) -> Bool {
    if found.contains(moment) { return true }
    if failed.contains(moment) { return false }
    let left = own.filter { !moment.done.contains($0) }
    var canEnd = !left.contains { operations[$0].mustHappen }
    var visited: [Moment] = []
    for index in left {
      // Nothing that is sure to happen may have ended before this was sent, and still be to come. Nor may this have
      // ended
      // before something was sent that is done.
      let operation = operations[index]
      if left.contains(where: { operations[$0].mustHappen && operations[$0].end < operation.submitted }) { continue }
      if moment.done.contains(where: { operation.end < operations[$0].submitted }) { continue }
      visited += step(operation, moment).map { next in
        var next = next
        next.done.insert(index)
        return next
      }
    }
    for next in visited { if run(own, next, &found, &failed) { canEnd = true } }
    guard canEnd else {
      failed.insert(moment)
      return false
    }
    let mustBeDone = own.filter { mayLoseLast ? operations[$0].mustSurvive : operations[$0].mustHappen }
    if mustBeDone.allSatisfy(moment.done.contains) { found.insert(moment) }
    return true
  }

  private func step(_ operation: Operation, _ moment: Moment) -> [Moment] {
    var next = moment
    switch operation.call {
    case .flush: return [next]
    case .write(let writes):
      for write in writes { next.state.map[write.key] = write.value }
      return [next]
    case .append(let log, let value):
      next.state.logs[log, default: []].append(value)
      return [next]
    case .take(let log):
      let items = next.state.logs[log] ?? []
      if operation.mustHappen {
        guard let taken = operation.taken else { return [next] }
        guard items.contains(taken), !next.inHand.contains(taken) else { return [] }
        next.state.logs[log] = items.filter { $0 != taken }
        next.taken.insert(taken)
        return [next]
      }
      guard let first = items.first(where: { !next.inHand.contains($0) }) else { return [next] }
      // It has it in hand and gives it back at the crash, or it is gone.
      var gone = next
      gone.state.logs[log] = items.filter { $0 != first }
      next.inHand.insert(first)
      return [next, gone]
    }
  }

  /// The readings of a state: what was taken may be there again, anywhere, where that is allowed.
  private func shown(_ moment: Moment) -> Set<State> {
    var states: Set<State> = [moment.state.tidy]
    guard mayComeAgain else { return states }
    for value in moment.taken {
      for state in states {
        for log in ["a", "b"] {
          guard operations.contains(where: { $0.call == .append(log: log, value: value) }) else { continue }
          let items = state.logs[log] ?? []
          for place in 0...items.count {
            var more = state
            more.logs[log] = items
            more.logs[log]!.insert(value, at: place)
            states.insert(more)
          }
        }
      }
    }
    return states
  }
}

extension Reference.State {
  /// Without logs that are empty.
  var tidy: Self {
    var state = self
    state.logs = logs.filter { !$0.value.isEmpty }
    return state
  }

  /// As the oracle is shown it.
  var readback: ProgramReadback {
    var readback = ProgramReadback()
    readback.map = map
    readback.logs = logs.mapValues { $0.map { ReadItem($0) } }
    return readback
  }
}
