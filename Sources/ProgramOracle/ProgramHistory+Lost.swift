extension ProgramHistory {
  /// What was acknowledged before a crash and is gone after it, in the order in which it was sent. Of a map a write is
  /// gone where a key holds what only an earlier one, or none, can have left there. An item that was taken is not gone;
  /// one that is back has lost its take.
  /// - Parameters:
  ///   - readback: after the crash. Where it failed all is gone.
  ///   - place: of the crash.
  package func lost(_ readback: ProgramReadback, at place: Int) -> [ProgramRequest] {
    let acknowledged = requests.filter { request in
      guard case .acknowledged = request.outcome, request.call != .flush else { return false }
      return (request.answered ?? .max) < place
    }
    if readback.failure != nil { return acknowledged }
    let there = readback.logs.mapValues { Set($0.map(\.value)) }
    let taken = Set(
      acknowledged.compactMap { if case .acknowledged(_, let value) = $0.outcome { value } else { nil } })
    let writers = writers()
    return acknowledged.filter { request in
      switch request.call {
      case .append(let log, let value): !there[log, default: []].contains(value) && !taken.contains(value)
      case .take(let log):
        if case .acknowledged(_, let value?) = request.outcome {
          there[log, default: []].contains(value)
        } else {
          false
        }
      case .write(let writes): writes.contains { isGone($0, of: request, readback.map, writers) }
      case .flush: false
      }
    }
  }
}
