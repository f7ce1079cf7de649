import CrashStates
import Drivers
import LogModel
import ProgramOracle
import Verification

/// What the callers of a program know, as the oracle is asked about it.
struct CallerHistory {
  private let judge: ProgramJudge
  private var history = ProgramHistory()
  /// Nil where nothing was recorded as crash states need it.
  private let program: RecordedProgram?

  init(_ events: [CallerEvent], _ spec: ProgramSpec, _ workload: ProgramWorkload) {
    self.init(events, ProgramContract(workload.model, spec.promise, allowances: spec.allowances), nil)
  }

  init(_ events: [CallerEvent], _ spec: ProgramSpec, _ program: RecordedProgram) {
    self.init(events, ProgramContract(program.workload.model, spec.promise, allowances: spec.allowances), program)
  }

  private init(_ events: [CallerEvent], _ contract: ProgramContract, _ program: RecordedProgram?) {
    judge = ProgramJudge(contract)
    self.program = program
    for event in events {
      switch event {
      case .request(let record): add(record)
      case .crash(let place): history.crash(at: place)
      case .read(let reading, let place):
        history.settle(ProgramReadback(reading), at: place, inOrder: judge.contract.losesInOrder)
      }
    }
  }

  private mutating func add(_ record: RequestRecord) {
    guard let call = record.request.call else { return }
    let outcome: ProgramOutcome =
      switch record.outcome {
      case .done(let position, let value): .acknowledged(position: position, taken: value ?? nil)
      case .failed: .failed
      case .unknown: .unknown
      }
    history.add(
      ProgramRequest(
        call, submitted: record.submitted, answered: record.answered, answeredTime: record.answeredTime,
        outcome: outcome))
  }

  // MARK: Crash states of a recorded run

  /// Equal for moments at which the callers knew the same.
  func knowledge(at event: Int) -> UInt64 {
    history.knowledge(at: program!.moment(at: event), time: time(at: event), judge.contract.promise)
  }

  private func time(at event: Int) -> Int64 {
    event == 0 ? 0 : program!.recording.events[event - 1].time.nanoseconds
  }

  /// - Parameters:
  ///   - event: events of the recording before the crash.
  ///   - probe: was asked for after it, and may have happened.
  ///   - read: was read after it, before the probe, as far as that came.
  func judge(
    _ reading: StateReading, at event: Int, probe: DriverRequest? = nil, read: StateReading? = nil
  ) -> [ProgramCheckResult] {
    let moment = program!.moment(at: event)
    guard let call = probe?.call else {
      return judge.judge(ProgramReadback(reading), history.cut(at: moment, time: time(at: event)))
    }
    var own = known(at: moment)
    own.history.crash(at: moment, time: time(at: event))
    if let read, read.isDrained {
      for (log, items) in read.logs.sorted(by: { $0.key < $1.key }) {
        for _ in items {
          own.history.add(ProgramRequest(.take(log: log), submitted: moment, answered: nil, outcome: .unknown))
        }
      }
    }
    own.history.add(ProgramRequest(call, submitted: moment, answered: nil, outcome: .unknown))
    return judge.judge(ProgramReadback(reading), own.history.cut(at: moment + 1, time: time(at: event)))
  }

  /// What is known after a crash, when everything was read and `probe` was acknowledged.
  func after(_ event: Int, read: StateReading, probe: DriverRequest?) -> CallerHistory {
    let moment = program!.moment(at: event)
    var own = known(at: moment)
    own.history.crash(at: moment, time: time(at: event))
    own.history.settle(ProgramReadback(read), inOrder: judge.contract.losesInOrder)
    if let call = probe?.call {
      own.history.add(
        ProgramRequest(
          call, submitted: moment, answered: moment + 1, answeredTime: time(at: event), outcome: .acknowledged()))
    }
    return own
  }

  /// The same, up to a moment.
  private func known(at moment: Int) -> CallerHistory {
    var own = self
    own.history = history.before(moment)
    return own
  }

  /// Acknowledged requests that are gone after a crash.
  /// - Parameter event: events of the recording before the crash.
  /// - Returns: how many, and when the oldest of them was acknowledged: CLOCK_MONOTONIC, nanoseconds.
  func lost(_ reading: StateReading, at event: Int) -> (count: Int, oldest: Int64?) {
    let lost = history.lost(ProgramReadback(reading), at: program!.moment(at: event))
    return (lost.count, lost.map(\.answeredTime).min())
  }

  // MARK: All of it

  func judge(_ reading: StateReading) -> [ProgramCheckResult] {
    judge.judge(ProgramReadback(reading), history.cut(at: .max))
  }
}

extension DriverRequest {
  /// As the oracle knows it; nil for a question that changes nothing.
  var call: ProgramCall? {
    switch self {
    case .append(let log, let value): .append(log: log, value: value)
    case .take(let log): .take(log: log)
    case .put(let key, let value): .write([MapWrite(key, value)])
    case .delete(let key): .write([MapWrite(key, nil)])
    case .transaction(let changes):
      .write(
        changes.map { change in
          switch change {
          case .put(let key, let value): MapWrite(key, value)
          case .delete(let key): MapWrite(key, nil)
          }
        })
    case .flush: .flush
    case .hello, .open, .get, .scan, .check, .close: nil
    }
  }
}

extension ProgramReadback {
  init(_ reading: StateReading) {
    self.init()
    failure =
      switch reading.failure {
      case .refused(let words): .refused(words)
      case .died(let how, let request): .died(how, request: request)
      case .hung(let request): .hung(request: request)
      case .unreadable(let words, let request): .unreadable(words, request: request)
      case .driver(let words): .driver(words)
      case nil: nil
      }
    logs = reading.logs.mapValues { items in
      items.map { item in
        if case .position(let position) = item.place {
          ReadItem(position: position, item.value)
        } else {
          ReadItem(item.value)
        }
      }
    }
    (map, check, isDrained) = (reading.map, reading.check, reading.isDrained)
  }
}
