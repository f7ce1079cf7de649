import Drivers
import LogModel
import ProgramOracle
import ProgramTesting
import Tuning

/// How long each part of a tuning run of a program takes.
package struct ProgramEffort: Sendable {
  package var disk: TuningEffort
  /// Of all rounds together.
  package var flatOut: Duration
  package var atRate: Duration
  package var warmUp: Duration
  package var rounds: Int
  /// The load whose power is cut, and how many intervals of the promise it has at least.
  package var recorded: Duration
  package var intervals: Int
  /// However long its interval.
  package var mostRecorded: Duration
  /// Power cuts of a configuration at the most, and the time in which they are made.
  package var cuts: Int
  package var cutTime: Duration

  package init(
    disk: TuningEffort, flatOut: Duration, atRate: Duration, warmUp: Duration, rounds: Int, recorded: Duration,
    intervals: Int, mostRecorded: Duration, cuts: Int, cutTime: Duration
  ) {
    (self.disk, self.flatOut, self.atRate, self.warmUp) = (disk, flatOut, atRate, warmUp)
    (self.rounds, self.recorded, self.intervals, self.mostRecorded) = (rounds, recorded, intervals, mostRecorded)
    (self.cuts, self.cutTime) = (cuts, cutTime)
  }

  /// About seven seconds for each configuration.
  package static let quick = ProgramEffort(
    disk: .quick, flatOut: .milliseconds(600), atRate: .milliseconds(1200), warmUp: .milliseconds(100), rounds: 2,
    recorded: .milliseconds(1500), intervals: 3, mostRecorded: .seconds(8), cuts: 200, cutTime: .seconds(3))
  /// A minute and more.
  package static let thorough = ProgramEffort(
    disk: .thorough, flatOut: .seconds(6), atRate: .seconds(15), warmUp: .milliseconds(300), rounds: 3,
    recorded: .seconds(10), intervals: 10, mostRecorded: .seconds(30), cuts: 1000, cutTime: .seconds(60))
}

/// Finds a configuration of a program for a disk, a load and a limit of loss.
package struct ProgramTuning {
  package struct Candidate: Sendable {
    package var setting: ProgramSetting
    package var spec: ProgramSpec

    package init(_ setting: ProgramSetting, _ spec: ProgramSpec) { (self.setting, self.spec) = (setting, spec) }
  }

  private let candidates: [Candidate]
  /// On the disk that is measured.
  private let directory: String
  /// How the program is named beside the disk.
  private let program: String
  private let requirements: Requirements
  private let effort: ProgramEffort
  package var jobs = 2
  package var onProgress: (TuningProgress) -> Void = { _ in }
  package var isCancelled: @Sendable () -> Bool = { false }

  package init(
    _ candidates: [Candidate], program: String, in directory: String, _ requirements: Requirements,
    _ effort: ProgramEffort
  ) {
    (self.directory, self.program, self.requirements, self.effort) = (directory, program, requirements, effort)
    var candidates = candidates
    // What promises most is what the others are compared with.
    if let first = candidates.firstIndex(where: { $0.setting.promisedLoss == .zero }) {
      candidates[first].setting.isReference = true
    }
    self.candidates = candidates
  }

  /// What there is of one candidate so far.
  private struct Measured {
    var load = LoadSums()
    var loss: ProgramLoss?
    var failure: ProgramTestError?
  }

  /// - Throws: `TuningError` of the disk; `ProgramTestError` where no volume can be mounted, or no candidate could be
  ///   measured. An interruption is no error: the result says so.
  package func run() throws -> ProgramTuningResult {
    let began = Stopwatch()
    var result = ProgramTuningResult(requirements, isThorough: effort.disk.isThorough)
    var measured = [Measured](repeating: Measured(), count: candidates.count)
    do {
      tell("the disk", began)
      result.disk = try DiskProbe.figures(
        of: directory, messageSize: requirements.workload.messageSize, effort.disk, storage: program,
        isCancelled: isCancelled)
      try measureLoads(&measured, began)
      try measureLosses(&measured, flush: result.disk?.flush?.p50 ?? 0, began)
    } catch TuningError.interrupted {
      result.interrupt()
    }
    for (candidate, own) in zip(candidates, measured) {
      if let failure = own.failure {
        result.addNote("\(candidate.setting.name) was not measured: \(failure)")
      } else if own.load.hasSample {
        result.points.append(point(candidate.setting, own, before: result.points))
        result.addNotes(of: own.loss, candidate.setting)
      }
    }
    if result.points.isEmpty, let failure = measured.lazy.compactMap(\.failure).first { throw failure }
    if !result.isInterrupted { result.choose() }
    result.seconds = began.seconds
    return result
  }

  // MARK: Measuring

  private func recordedLength(_ setting: ProgramSetting) -> Duration {
    let interval = setting.promisedLoss ?? .zero
    return min(effort.mostRecorded, max(effort.recorded, interval * effort.intervals))
  }

  /// Seconds of the whole run, about.
  private var estimate: Double {
    let probe = Double(FlushWay.all.count) * effort.disk.probe.inSeconds + effort.disk.strip.inSeconds + 0.5
    // Starting and creating, once for each load and once for the recording.
    let opening = 0.3
    return candidates.reduce(probe) { sum, candidate in
      let loads = effort.flatOut + effort.atRate + effort.warmUp * 2 * effort.rounds
      let lost = recordedLength(candidate.setting) + effort.cutTime / 2
      return sum + (loads + lost).inSeconds + Double(2 * effort.rounds + 1) * opening
    }
  }

  private func tell(_ title: String, _ began: Stopwatch) {
    let (done, all) = (began.seconds, estimate)
    onProgress(
      TuningProgress(title: title, share: min(0.99, done / all), secondsLeft: max(1, all - done)))
  }

  /// Whether it says nothing about the other configurations.
  private func isOwn(_ error: ProgramTestError) -> Bool {
    switch error {
    case .mount, .machine, .disk, .driver(.system(_, _)): false
    case .driver, .failsWithoutFault, .failsToRestart, .missing, .noModel: true
    }
  }

  /// Round by round, so that a disturbance of the machine meets them all alike.
  private func measureLoads(_ measured: inout [Measured], _ began: Stopwatch) throws {
    for round in 0..<effort.rounds {
      for (index, candidate) in candidates.enumerated() where measured[index].failure == nil {
        tell("\(candidate.setting.name), round \(round + 1)", began)
        let load = ProgramLoad(
          candidate.spec, size: requirements.workload.messageSize, isCancelled: isCancelled)
        func run(_ pace: LoadPace, _ length: Duration) throws -> ProgramLoadSample {
          let folder = try TuningFolder(in: directory)
          guard
            let sample = try load.run(
              pace, warmUp: UInt64(effort.warmUp.nanoseconds), length: UInt64((length / effort.rounds).nanoseconds),
              in: try folder.open(to: "data"))
          else { throw TuningError.interrupted }
          return sample
        }
        do {
          let capacity = try run(.flatOut, effort.flatOut)
          let sample = try run(.rate(requirements.workload.rate), effort.atRate)
          measured[index].load.add(capacity: capacity, sample)
        } catch let error as ProgramTestError where isOwn(error) {
          measured[index].failure = error
        }
      }
    }
  }

  /// - Parameter flush: nanoseconds of one on the disk.
  private func measureLosses(_ measured: inout [Measured], flush: Int64, _ began: Stopwatch) throws {
    for (index, candidate) in candidates.enumerated() where measured[index].failure == nil {
      tell("\(candidate.setting.name): power cuts", began)
      var cuts = ProgramPowerCuts(
        candidate.spec, size: requirements.workload.messageSize, pace: .rate(requirements.workload.rate),
        length: UInt64(recordedLength(candidate.setting).nanoseconds), flush: UInt64(flush), most: effort.cuts,
        limit: UInt64(effort.cutTime.nanoseconds), isCancelled: isCancelled)
      cuts.jobs = jobs
      do {
        guard let loss = try cuts.run() else { throw TuningError.interrupted }
        measured[index].loss = loss
      } catch let error as ProgramTestError where isOwn(error) {
        measured[index].failure = error
      }
    }
  }

  private func point(
    _ setting: ProgramSetting, _ own: Measured, before points: [ProgramTuningPoint]
  ) -> ProgramTuningPoint {
    let capacity = own.load.capacity
    let reference = points.first { $0.setting.isReference }
    var point = ProgramTuningPoint(
      setting: setting, capacity: capacity,
      timesAlways: reference.map { $0.capacity > 0 ? capacity / $0.capacity : 0 },
      atRate: own.load.figures(exposed: own.loss), rounds: own.load.rounds, loss: nil)
    guard let loss = own.loss else { return point }
    if !loss.cuts.isEmpty { point.loss = LossFigures(loss, promise: setting.promisedLoss) }
    if !loss.broken.isEmpty { point.broken = loss.broken.map { "\($0.check.rawValue): \($0.detail)" } }
    return point
  }
}
