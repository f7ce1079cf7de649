import CrashStates
import LogModel
import Verification

/// What a reduced exploration of the second depth says of each state.
struct NestedReduction {
  /// Moments inside recoveries, and the number of the recovery that each is of.
  var points: [CrashPoint]
  var owners: [Int]
  var uniques: [ProfileRun.Inner]
  /// Contents and the recoveries they were met in.
  var pairs: [(content: Int, outer: Int)]
  /// Of each recovery the moments of the workload at which it is judged.
  var moments: [[Int]]
  /// Of each content.
  var groups: [Int]
  var transcripts: [Transcript]
}

extension ProfileRun {
  /// States inside the recoveries that were cut off, drawn by the seed: each with lives of its own.
  func calibrateInside(
    _ reduction: NestedReduction, _ judge: StateJudge, _ worker: @Sendable () -> RecoveredIncarnation
  ) -> Calibration.Comparison {
    let options = exploration.options
    var random = SeededGenerator(seed: options.seed, stream: "calibration inside recoveries")
    let pairs = reduction.pairs.filter { !reduction.moments[$0.outer].isEmpty }
    guard !pairs.isEmpty else { return Calibration.Comparison() }
    let drawn = (0..<options.calibration).map { _ in
      let pair = pairs[Int.random(in: pairs.indices, using: &random)]
      let moments = reduction.moments[pair.outer]
      return (content: pair.content, moment: moments[Int.random(in: moments.indices, using: &random)])
    }
    let (uniques, points) = (reduction.uniques, reduction.points)
    let unreduced = Parallel.map(drawn.count, jobs: options.jobs, chunk: 16, worker: worker) { worker, index in
      let state = uniques[drawn[index].content]
      let transcript = worker.run(points[state.point].image(state.choice), keeping: true)
      return (hash: transcript.hash, verdict: judge.judge(transcript, at: drawn[index].moment, interrupted: true))
    }
    var comparison = Calibration.Comparison(states: drawn.count)
    for (place, (hash, verdict)) in zip(drawn, unreduced) {
      let group = reduction.transcripts[reduction.groups[place.content]]
      let with = judge.judge(group, at: place.moment, interrupted: true)
      comparison.note(verdict, with: with, isStraying: hash != group.hash)
    }
    return comparison
  }

  /// Recoveries that were not cut off, since the state before them behaves as another whose recovery was: of those
  /// drawn by the seed each is recorded, cut off at a few of its moments, and judged.
  /// - Parameters:
  ///   - taken: contents whose recoveries were cut off.
  ///   - found: checks of which the reduced exploration has found a violation.
  func calibrateOthers(
    than taken: Set<UInt64>, _ all: [Unique], _ contents: [[Int32]], _ found: Set<CheckName>, _ judge: StateJudge
  ) -> Calibration.Comparison {
    var random = SeededGenerator(seed: exploration.options.seed, stream: "other recoveries")
    let others = all.indices.filter { !taken.contains(all[$0].hash) }.shuffled(using: &random)
    let examiner = StateExaminer(exploration, profile, judge)
    let limits = RecordedRecovery.limits(exploration.options)
    var comparison = Calibration.Comparison()
    // One after the other: what recovery writes is taken into the store, which workers share.
    for number in others.prefix(max(1, exploration.options.calibration / 16)) {
      guard let moment = moments(of: [number], contents)[0].randomElement(using: &random) else { continue }
      var scene = scene(all[number])
      let recovery = examiner.recovery(scene.point, scene.choice)
      for (event, point) in recovery.points.enumerated().shuffled(using: &random).prefix(4) {
        var choices: [[Alternative]] = []
        StateEnumeration(point, limits).forEach(seed: exploration.options.seed) { choice, _ in choices.append(choice) }
        for choice in choices.shuffled(using: &random).prefix(4) {
          scene.moment = moment
          scene.inner = CrashScene.RecoveryCut(recovery: recovery, event: event + 1, choice: choice)
          let verdict = examiner.judge(scene)
          comparison.states += 1
          guard verdict.verdict == .violated, let check = verdict.check else { continue }
          comparison.violated += 1
          if !found.contains(check.name) { comparison.missed += 1 }
        }
      }
    }
    return comparison
  }
}
