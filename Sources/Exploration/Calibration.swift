import LogModel
import Verification

/// What the reductions cost: states drawn by the seed are run once more without any, each with both lives, a fetch from
/// every start offset and an oracle of its own, and the verdicts are compared.
public struct Calibration: Hashable, Sendable {
  /// States that were run again.
  public var states = 0
  /// Violated without reduction.
  public var violated = 0
  /// Violated without reduction, and not found with it.
  public var missed = 0
  /// Another verdict, or another check.
  public var differing = 0
}

extension ProfileRun {
  /// - Parameters:
  ///   - choices: of each point the choices that lead to its contents.
  ///   - contents: of each point their numbers.
  ///   - groups: of each content.
  func calibrate(
    _ choices: [[[UInt8]]], _ contents: [[Int32]], _ groups: [Int32], _ reduced: Verdicts, _ judge: StateJudge
  ) -> Calibration {
    let exploration = exploration
    var random = SeededGenerator(seed: exploration.options.seed, stream: "calibration")
    let drawn = (0..<exploration.options.calibration).map { _ in
      let moment = Int.random(in: pointOfMoment.indices, using: &random)
      return (moment: moment, state: Int.random(in: contents[pointOfMoment[moment]].indices, using: &random))
    }
    let verdicts = Parallel.map(
      drawn.count, jobs: exploration.options.jobs, chunk: 16, worker: { exploration.worker(profile) }
    ) { [points, pointOfMoment] worker, index in
      let (moment, state) = drawn[index]
      let point = pointOfMoment[moment]
      return judge.judge(worker.run(points[point].image(choices[point][state]), keeping: true), at: moment)
    }
    var calibration = Calibration(states: drawn.count)
    for ((moment, state), verdict) in zip(drawn, verdicts) {
      let group = groups[Int(contents[pointOfMoment[moment]][state])]
      let with = reduced[CaseKey(moment: moment, group: group)]
      if verdict.verdict == .violated { calibration.violated += 1 }
      if verdict.verdict == .violated, with?.verdict != .violated { calibration.missed += 1 }
      if verdict.verdict != with?.verdict || verdict.check?.name != with?.check?.name { calibration.differing += 1 }
    }
    return calibration
  }
}
