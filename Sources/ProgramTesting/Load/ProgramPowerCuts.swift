import CrashStates
import Drivers
import Glibc
import LogModel
import ProgramOracle
import Verification
import Volume
import VolumeStates

/// What power cuts took from a program under load.
package struct ProgramLoss: Sendable {
  package struct Cut: Sendable {
    /// Acknowledged requests that were gone.
    package var requests: Int
    /// From the acknowledgement of the oldest of them to the cut.
    package var nanoseconds: Int64
    /// What was exposed at that moment, as the trace shows it.
    package var exposedRequests: Int
    package var exposedNanoseconds: Int64
    /// Whether it could be read afterwards. Otherwise all is lost.
    package var isReadable: Bool
  }

  package var cuts: [Cut] = []
  /// At moments spread over the run: requests acknowledged and not durable, and for how long.
  package var exposures: [(requests: Int, nanoseconds: Int64)] = []
  /// The longest, and the most, that was exposed.
  package var longestExposure: Int64 = 0
  package var mostExposed = 0
  /// Broken promises, one of each check.
  package var broken: [ProgramCheckResult] = []
  /// Why readings could not be judged, and how often.
  package var unknowns: [String: Int] = [:]
  /// Requests acknowledged.
  package var requests = 0
  /// Nanoseconds by which the machine was late at the most.
  package var delay: Int64 = 0
  /// Nanoseconds that each sync took at least.
  package var flush: Int64 = 0
  /// The first reason for which it could not be read.
  package var refusal: String?
}

/// Records a program under load on a volume, and takes the power at random moments of that run. What was not made
/// durable is gone then, and nothing else. The program is opened on what is left.
package struct ProgramPowerCuts: Sendable {
  package var spec: ProgramSpec
  /// Bytes of each value.
  package var size: Int
  package var pace: LoadPace
  /// Nanoseconds of the load.
  package var length: UInt64
  /// Nanoseconds that each sync takes at least: those of the disk that the volume stands for.
  package var flush: UInt64
  /// Power cuts at the most, and nanoseconds in which no more are begun.
  package var most: Int
  package var limit: UInt64
  package var jobs = 2
  package var isCancelled: @Sendable () -> Bool
  /// Is told how many cuts there are.
  package var note: @Sendable (Int) -> Void = { _ in }

  package init(
    _ spec: ProgramSpec, size: Int, pace: LoadPace, length: UInt64, flush: UInt64, most: Int, limit: UInt64,
    isCancelled: @escaping @Sendable () -> Bool
  ) {
    (self.spec, self.size, self.pace, self.length, self.flush) = (spec, size, pace, length, flush)
    (self.most, self.limit, self.isCancelled) = (most, limit, isCancelled)
  }

  /// The disk loses all that it may lose.
  private static let profile = CrashProfile.ext4Ordered
  /// Cuts between which the clock is looked at.
  private static let batch = 16
  /// Moments at which is looked what is exposed.
  private static let looks = 1000

  /// - Returns: nil where it was interrupted.
  package func run() throws(ProgramTestError) -> ProgramLoss? {
    let name = "tornlog-\(getpid())-\(UInt32.random(in: 0 ... .max))-load"
    let run = try WorkloadRun(spec, name: name)
    func complain(_ stop: WorkloadStop) throws(ProgramTestError) {
      throw .failsWithoutFault(stop.text, log: run.lastWords)
    }
    let hello = try run.start()
    let requests = LoadRequests(
      try ProgramModel.chosen(spec.model, offered: hello.operations), size: size, can: hello.operations)
    if let stop = run.open() { try complain(stop) }
    let flush = flush
    if flush > 0 {
      run.volume.setDecider { $0.kind.isSync ? .delayed(nanoseconds: flush, then: .proceed) : .proceed }
    }
    let steps = PacedSteps(requests, pace, length: length)
    if let stop = run.run(steps, isCancelled: isCancelled) {
      if stop == .interrupted { return nil }
      try complain(stop)
    }
    let end = DriverProcess.now
    if let stop = run.ask(.close) { try complain(stop) }
    run.end()
    if let limit = run.volume.machineLimit { throw .machine(limit) }
    guard let opened = run.firstOpen else { throw .failsWithoutFault("'open' was not answered", log: run.lastWords) }
    let program = run.recorded(requests.workload(steps.count), nil)
    let exposure = ProgramExposure(run.volume.trace, root: run.root, run.events, opened: opened)
    var loss = ProgramLoss()
    (loss.delay, loss.flush) = (Int64(steps.delay), Int64(flush))
    guard let begin = program.firstAnswer(after: opened) else { return loss }
    let (most, longest) = exposure.most(until: end)
    (loss.mostExposed, loss.longestExposure) = (most, Int64(longest))
    for look in 0..<Self.looks where end > begin {
      let found = exposure.at(begin + (end - begin) / UInt64(Self.looks) * UInt64(look))
      loss.exposures.append((found.requests, Int64(found.nanoseconds)))
    }
    try cut(program, exposure, begin..<max(begin + 1, end), name, &loss)
    return isCancelled() ? nil : loss
  }

  private func cut(
    _ program: RecordedProgram, _ exposure: ProgramExposure, _ times: Range<UInt64>, _ name: String,
    _ loss: inout ProgramLoss
  ) throws(ProgramTestError) {
    let pool = try StatePool(spec, program.workload, name: name + "-states", jobs: jobs)
    let history = CallerHistory(program.events, judged(loss.delay), program)
    let foreign = ForeignBytes(program.recording, seed: spec.seed)
    let began = DriverProcess.now
    var random = SeededGenerator(seed: spec.seed, stream: "power cuts")
    var readings: [UInt64: StateReading] = [:]
    var tried = 0
    while tried < most, !isCancelled() {
      if tried > 0, DriverProcess.now - began >= limit { return }
      let moments = (0..<min(Self.batch, most - tried)).map { _ in UInt64.random(in: times, using: &random) }.sorted()
      tried += moments.count
      var walk = CrashPointWalk(program.recording, Self.profile, foreign)
      var fresh: [(content: UInt64, image: DiskImage)] = []
      var cuts: [(time: UInt64, event: Int, content: UInt64)] = []
      for time in moments {
        let event = program.event(after: time)
        let point = walk.point(at: event)
        var resolver = StateResolver(point)
        let content = resolver.contentHash(point.nothing)
        cuts.append((time, event, content))
        if readings[content] == nil, !fresh.contains(where: { $0.content == content }) {
          fresh.append((content, resolver.image(point.nothing)))
        }
      }
      let opened = try pool.read(fresh.map(\.image), of: program, .second)
      // Only those of this batch are needed again: a reading may be large.
      readings = readings.filter { known in cuts.contains { $0.content == known.key } }
      for (state, reading) in zip(fresh, opened) { readings[state.content] = reading }
      for cut in cuts {
        take(readings[cut.content]!, cut.event, history, exposure.at(cut.time), cut.time, &loss)
      }
      note(loss.cuts.count)
    }
  }

  private func take(
    _ reading: StateReading, _ event: Int, _ history: CallerHistory, _ exposed: (requests: Int, nanoseconds: UInt64),
    _ time: UInt64, _ loss: inout ProgramLoss
  ) {
    if case .driver(let words) = reading.failure {
      loss.unknowns["the driver failed: \(words)", default: 0] += 1
      return
    }
    let (count, oldest) = history.lost(reading, at: event)
    loss.cuts.append(
      ProgramLoss.Cut(
        requests: count, nanoseconds: oldest.map { max(0, Int64(time) - $0) } ?? 0,
        exposedRequests: exposed.requests, exposedNanoseconds: Int64(exposed.nanoseconds),
        isReadable: reading.failure == nil))
    if let failure = reading.failure { loss.refusal = loss.refusal ?? "\(failure)" }
    for check in history.judge(reading, at: event) {
      switch check.verdict {
      case .held: break
      case .unknown: loss.unknowns[check.detail, default: 0] += 1
      case .violated: if !loss.broken.contains(where: { $0.check == check.check }) { loss.broken.append(check) }
      }
    }
  }

  /// What the program is held to: an interval can be kept no better than syncs and the machine allow.
  private func judged(_ delay: Int64) -> ProgramSpec {
    var spec = spec
    if case .interval(let limit) = spec.promise {
      spec.promise = .interval(limit + .nanoseconds(Int64(flush) * 2 + delay * 2))
    }
    return spec
  }
}

extension RecordedProgram {
  /// Events of the recording that had happened at a time: CLOCK_MONOTONIC, nanoseconds.
  fileprivate func event(after time: UInt64) -> Int {
    var (low, high) = (begin, end)
    while low < high {
      let middle = (low + high) / 2
      if recording.events[middle].time.nanoseconds <= Int64(time) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// When the first request after a place in the trace was answered.
  fileprivate func firstAnswer(after place: Int) -> UInt64? {
    var first: Int64?
    for case .request(let record) in events {
      if let answered = record.answered, answered > place, record.request.call != nil {
        first = min(first ?? .max, record.answeredTime)
      }
    }
    return first.map { UInt64($0) }
  }
}
