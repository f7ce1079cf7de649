import CrashStates
import LogModel
import Verification

/// What the reductions cost: states drawn by the seed are run once more without any, each with both lives, a fetch from
/// every start offset and an oracle of its own, and the verdicts are compared.
public struct Calibration: Hashable, Sendable {
  public struct Comparison: Hashable, Sendable {
    /// States that were run again.
    public var states = 0
    /// Violated without reduction.
    public var violated = 0
    /// Violated without reduction, and not found with it.
    public var missed = 0
    /// Another verdict, or another check.
    public var differing = 0
    /// Other transcripts than the state's group.
    public var straying = 0

    var isClean: Bool { differing == 0 && straying == 0 }

    /// - Parameter with: what the reduced exploration says.
    mutating func note(_ verdict: StateJudgement, with: StateJudgement?, isStraying: Bool) {
      if verdict.verdict == .violated { violated += 1 }
      if verdict.verdict == .violated, with?.verdict != .violated { missed += 1 }
      if verdict.verdict != with?.verdict || verdict.check?.name != with?.check?.name { differing += 1 }
      if isStraying { straying += 1 }
    }
  }

  /// Of all states at all moments.
  public var all = Comparison()
  /// Of the states that were counted off by their read set and nothing else; nil where that is not done.
  public var readAlike: Comparison?

  var isClean: Bool { all.isClean && readAlike?.isClean ?? true }

  func text(_ profile: String) -> [String] {
    guard let readAlike else { return [Self.line(profile, "states", all)] }
    let alike =
      readAlike.states == 0
      ? "\(profile), calibration: no state was counted off by its read set: nothing to compare"
      : Self.line(profile, "states counted off by their read set", readAlike)
    return [Self.line(profile, "states", all), alike]
  }

  static func line(_ profile: String, _ states: String, _ c: Comparison) -> String {
    "\(profile), calibration: \(c.states) \(states) without reduction, \(c.violated) violated, \(c.missed) of them "
      + "missed "
      + "with it, \(c.differing) verdicts differ, \(c.straying) do not behave as their group"
  }
}

/// A state at one moment of the recording.
struct StatePlace: Sendable {
  var moment: Int
  /// As it was enumerated: before anything has been taken for equal to anything.
  var choice: [Alternative]
}

/// What a reduced exploration says of each state.
struct Reduction {
  /// Contents by their hash.
  var numbers: [UInt64: Int32]
  /// Of each content.
  var groups: [Int32]
  /// Of each group the hash of its transcript.
  var behaviours: [UInt64]
  var verdicts: ProfileRun.Verdicts
}

extension ProfileRun {
  /// - Parameter alike: the states that were counted off by their read set; nil where that is not done.
  func calibrate(_ reduction: Reduction, alike: [Unique]?, _ judge: StateJudge) -> Calibration {
    var random = SeededGenerator(seed: exploration.options.seed, stream: "calibration")
    let count = exploration.options.calibration
    let walker = walker()
    let moments = (0..<count).map { _ in Int.random(in: pointOfMoment.indices, using: &random) }.sorted()
    let drawn = moments.map { moment in
      StatePlace(moment: moment, choice: drawChoice(at: walker.point(at: events[pointOfMoment[moment]]), &random))
    }
    var calibration = Calibration(all: compare(drawn, reduction, judge))
    if let alike {
      let chosen = alike.shuffled(using: &random).prefix(count).sorted { $0.point < $1.point }
      let places = chosen.map { unique in
        StatePlace(
          moment: pointOfMoment.firstIndex(of: unique.point) ?? 0,
          choice: choice(unique, at: walker.point(at: events[unique.point])))
      }
      calibration.readAlike = compare(places, reduction, judge)
    }
    return calibration
  }

  /// One of the choices that are visited at a crash point, each as likely.
  private func drawChoice(at point: CrashPoint, _ random: inout SeededGenerator) -> [Alternative] {
    var drawn = point.nothing
    var met = 0
    StateEnumeration(point, limits).forEach(seed: exploration.options.seed) { choice, _ in
      met += 1
      if Int.random(in: 0..<met, using: &random) == 0 { drawn = choice }
    }
    return drawn
  }

  private func compare(_ places: [StatePlace], _ reduction: Reduction, _ judge: StateJudge) -> Calibration.Comparison {
    let exploration = exploration
    let unreduced = Parallel.map(
      places.count, jobs: exploration.options.jobs, chunk: 16, worker: { (exploration.worker(profile), walker()) }
    ) { [self] own, index in
      let place = places[index]
      let point = own.1.point(at: events[pointOfMoment[place.moment]])
      let scene = CrashScene(
        recording: exploration.recording, seed: options.workload.seed, moment: place.moment, point: point,
        choice: place.choice)
      let transcript = exploration.watching(profile, order: index, { scene }) {
        own.0.run(point.image(place.choice), keeping: true)
      }
      return (
        hash: transcript.hash, verdict: judge.judge(transcript, at: place.moment),
        content: point.contentHash(place.choice)
      )
    }
    var comparison = Calibration.Comparison(states: places.count)
    for (place, (hash, verdict, content)) in zip(places, unreduced) {
      // By the hash of its content, as the reduction finds it.
      guard let number = reduction.numbers[content] else {
        comparison.note(verdict, with: nil, isStraying: true)
        continue
      }
      let group = reduction.groups[Int(number)]
      let with = reduction.verdicts[CaseKey(moment: place.moment, group: group)]
      comparison.note(verdict, with: with, isStraying: hash != reduction.behaviours[Int(group)])
    }
    return comparison
  }
}
