import CrashStates
import Defects
import LogClients
import LogModel
import Verification

/// What came of one crash state that was built again.
public struct StateReplay: Sendable {
  public var state: CrashState
  public var verdict: Verdict
  /// Of a violation the first check that was violated; of `unknown` the doubt.
  public var check: CheckResult?
  /// At most ten lines; empty where nothing was violated.
  public var story: [String]
  public var storyOperations: Int
  public var storyIsWhole: Bool
  /// Every operation and every acknowledgement before the power cut, what it took, and what the recovery did until it
  /// was cut off itself.
  public var timeline: [String]

  /// Records the workload again, builds the state, recovers and judges.
  /// - Parameter watch: ends a command whose engine keeps the processor to itself.
  /// - Throws: `ExplorationError`; `stateDoesNotFit` where the recording has no such state any more.
  public init(_ state: CrashState, watch: HangWatch? = nil) throws(ExplorationError) {
    var options = ExplorationOptions(state)
    options.watch = watch
    let exploration = try Exploration(options)
    let examiner = StateExaminer(exploration, state.profile)
    let scene = try examiner.scene(of: state)
    let judgement = examiner.judge(scene)
    self.state = state
    verdict = judgement.verdict
    check = judgement.check
    timeline = scene.timeline
    guard verdict == .violated, let check else {
      (story, storyOperations, storyIsWhole) = ([], 0, true)
      return
    }
    let told = FindingNarrative(scene, check)
    (story, storyOperations, storyIsWhole) = (told.lines, told.operations, told.leftOut == 0)
  }
}

extension StateReplay {
  /// The report of an exploration of this state and no other.
  public var report: ExplorationReport {
    var result = ProfileResult(profile: state.profile)
    (result.crashPoints, result.visited, result.unique, result.judged, result.groups) = (1, 1, 1, 1, 1)
    result.oracleJudgements = 1
    result.bound = 0
    if verdict == .unknown { result.unknown = 1 }
    if verdict == .violated, let check {
      result.violatedStates = 1
      result.violations = [
        StateViolation(
          check: check.name, detail: check.detail, divergence: check.divergence, states: 1, moment: state.cut.event,
          story: story, storyOperations: storyOperations, storyIsWhole: storyIsWhole, state: state,
          reproduce: "tornlog reproduce \(CrashStateToken.encode(state))")
      ]
    }
    return ExplorationReport(profiles: [result], depth: state.depth)
  }
}

extension ExplorationOptions {
  /// As far as the state decides them.
  public init(_ state: CrashState) {
    self.init()
    workload = state.workload
    profiles = [state.profile]
    seed = state.workload.seed
    depth = state.depth
    defect = state.defect.flatMap { Defect(id: $0) }
    jobs = 1
  }
}

extension CrashScene {
  /// One line an event; what the power cut took, with stars around it.
  fileprivate var timeline: [String] {
    var lines = recording.timeline(upTo: moment)
    lines.append("power cut after event \(moment)")
    lines += point.losses(choice, recording, limit: .max)
    guard let inner else { return lines }
    lines.append("recovery")
    lines += inner.recovery.recording.timeline(upTo: inner.event)
    lines.append("power cut inside the recovery, after its event \(inner.event)")
    return lines + inner.point.losses(inner.choice, inner.recovery.recording, limit: .max)
  }
}

extension Recording {
  fileprivate func timeline(upTo end: Int) -> [String] {
    let requests = requests
    return events[..<end].enumerated().map { number, event in
      let text: String =
        switch event.what {
        case .changed(let n, _): "~ #\(n) its buffer has been changed"
        case .submitted(let n): "> #\(n) \(self.text(operations[n]))"
        case .completed(let n, let succeeded, let taken): "< #\(n)\(ending(of: n, succeeded, taken))"
        case .fact: event.fact.map { self.text($0, requests) } ?? ""
        }
      return "\(number + 1) \(event.time.nanoseconds) \(text)"
    }
  }

  private func text(_ fact: RecordedFact, _ requests: [ProduceRequest]) -> String {
    switch fact {
    case .opened: "-- the engine is open"
    case .said(let text): text
    case .topicRequested: "-- create the topic"
    case .topicAnswered(let outcome): "-- the topic: \(outcome)"
    case .requested(let n, let request):
      "-- produce request \(n): partition \(request.partition), messages \(request.first) ..< "
        + "\(request.first + request.count)"
    case .answered(let n, .acknowledged, let base):
      "ACK request \(n): partition \(requests[n].partition), offsets \(base) ..< \(base + requests[n].count)"
    case .answered(let n, let outcome, _): "-- request \(n): \(outcome)"
    case .commitRequested(_, let commit): "-- commit offset \(commit.offset) of partition \(commit.partition)"
    case .read(_, let answer):
      "ACK consumer \(answer.reader) of partition \(answer.partition): asked for offset \(answer.asked), served "
        + "\(answer.runs.map { "\($0.offset) ..< \($0.offset + $0.count)" }.joined(separator: ", ")), "
        + "high watermark \(answer.highWatermark)"
    case .archived(let partition, let end):
      "ACK partition \(partition): everything before offset \(end) is in the object store"
    case .commitAnswered(let n, let outcome): "\(outcome == .acknowledged ? "ACK" : "--") commit \(n): \(outcome)"
    }
  }
}
