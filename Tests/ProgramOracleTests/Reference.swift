import ProgramOracle

/// What is legal, from the definition: every order of every choice of the calls that may have happened is carried out.
/// Slow, and nothing else than the definition.
struct Reference {
  /// A call as it is known at the crash.
  struct Step {
    var call: ProgramCall
    var submitted: Int
    var end: Int
    var isAcknowledged: Bool
    var isRequired: Bool
    var taken: String??
  }

  let steps: [Step]
  /// What is at the end of an order may be lost.
  let mayLoseLast: Bool
  /// Even what is required.
  let isForgiven: Bool

  init(_ requests: [ProgramRequest], at cut: Int, _ contract: ProgramContract) {
    var flushed = -1
    for request in requests where request.submitted < cut {
      if case .flush = request.call, case .acknowledged = request.outcome, request.answered! < cut {
        flushed = max(flushed, request.submitted)
      }
    }
    var steps: [Step] = []
    for request in requests where request.submitted < cut {
      let isTold = request.answered.map { $0 < cut } ?? false
      if isTold, request.outcome == .failed { continue }
      if case .flush = request.call { continue }
      var step = Step(
        call: request.call, submitted: request.submitted, end: cut, isAcknowledged: false, isRequired: false, taken: nil
      )
      if isTold, case .acknowledged(_, let taken) = request.outcome {
        (step.isAcknowledged, step.end) = (true, request.answered!)
        if case .take = request.call { step.taken = .some(taken) }
        switch contract.promise {
        case .acknowledged: step.isRequired = true
        case .flushed: step.isRequired = request.answered! < flushed
        case .interval, .nothing: break
        }
      }
      steps.append(step)
    }
    self.steps = steps
    isForgiven = contract.allowances.contains(.suffixLoss)
    mayLoseLast = contract.promise != .acknowledged || isForgiven
  }

  /// Calls `visit` with each order of calls that may stand behind what is there.
  func forEachOrder(_ visit: ([Step]) -> Void) {
    for choice in 0..<1 << steps.count {
      let chosen = steps.indices.filter { choice >> $0 & 1 == 1 }
      let left = steps.indices.filter { choice >> $0 & 1 == 0 }
      if left.contains(where: { steps[$0].isAcknowledged }) { continue }
      permute(chosen.map { steps[$0] }, []) { order in
        visit(order)
        guard mayLoseLast else { return }
        var shorter = order
        while let last = shorter.popLast() {
          if last.isRequired, !isForgiven { break }
          visit(shorter)
        }
      }
    }
  }

  private func permute(_ left: [Step], _ order: [Step], _ visit: ([Step]) -> Void) {
    if left.isEmpty { return visit(order) }
    for index in left.indices {
      // None that is left has ended before this one was sent.
      if left.indices.contains(where: { $0 != index && left[$0].end < left[index].submitted }) { continue }
      var rest = left
      let next = rest.remove(at: index)
      permute(rest, order + [next], visit)
    }
  }

  var maps: Set<[String: String]> {
    var maps: Set<[String: String]> = []
    forEachOrder { order in
      var map: [String: String] = [:]
      for step in order {
        if case .write(let writes) = step.call { for write in writes { map[write.key] = write.value } }
      }
      maps.insert(map)
    }
    return maps
  }

  var logs: Set<[String]> {
    var logs: Set<[String]> = []
    forEachOrder { order in
      logs.insert(order.compactMap { if case .append(_, let value) = $0.call { value } else { nil } })
    }
    return logs
  }

  /// Of a queue: orders in which each take that was answered took what it said.
  var queues: Set<[String]> {
    var queues: Set<[String]> = []
    forEachOrder { order in
      var queue: [String] = []
      for step in order {
        switch step.call {
        case .append(_, let value): queue.append(value)
        case .take:
          let head = queue.isEmpty ? nil : queue.removeFirst()
          if let told = step.taken, told != head { return }
        default: break
        }
      }
      queues.insert(queue)
    }
    return queues
  }
}
