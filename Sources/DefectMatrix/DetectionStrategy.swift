import Trials

/// How a defect may be found: what is done to the engine, and how much of it.
public enum DetectionStrategy: String, Hashable, Sendable, Codable, CaseIterable {
  /// The scenario that was written for it.
  case dedicatedScenario = "own-scenario"
  /// The process is killed at rest, and started again, at volumes from 1 to 5000 messages.
  case plainRestart = "plain-restart"
  /// The process is killed at a moment of the seed's choice, or a second writer comes.
  case processKill = "process-kill"
  /// The power goes at a moment of the seed's choice.
  case powerLoss = "power-loss"
  /// One operation fails, or a file is damaged at rest, and the process is killed, the power goes, or neither.
  case oneFault = "one-fault"
  /// Every crash state of a small workload, up to a bound; crashes inside recoveries too.
  case crashStates = "crash-states"
  /// One operation after the other fails.
  case errorMatrix = "error-matrix"
  /// Orders of completions and tasks, a few pre-emptions each, with power cuts.
  case schedules

  /// As commands and pages name it. Version 1 of the JSON report keeps `own-scenario`, the raw value, for the first.
  public var name: String { self == .dedicatedScenario ? "dedicated-scenario" : rawValue }

  /// Whether it is made of trials, by the seed; the others are searches.
  var isTrials: Bool {
    switch self {
    case .dedicatedScenario, .plainRestart, .processKill, .powerLoss, .oneFault: true
    case .crashStates, .errorMatrix, .schedules: false
    }
  }
}

/// How far each defect is looked for in each way. A way ends with the first trial in which it is caught.
public struct DefectEffort: Hashable, Sendable, Codable {
  /// Of each way that is made of trials; 1 to 1000.
  public var trials: Int
  /// States that the exhaustive part of a search visits at one crash point, and those that are drawn beyond it.
  var statesPerPoint: Int
  var samples: Int
  /// Every so many-th case of a row of the error matrix, in so many of its scenarios.
  var stride: Int
  var errorScenarios: Int
  /// Of all scenarios together.
  var schedules: Int
  /// Trials of messages, lives and receivers out of the ordinary; beside `trials`, for each way that is made of them.
  var odd: Int
  /// Seconds that one trial, or one life of a search, may keep the processor: a hang after that.
  var patience: Double

  public static let usual = DefectEffort(
    trials: 100, statesPerPoint: 64, samples: 8, stride: 24, errorScenarios: 9, schedules: 1200, odd: 48, patience: 10)
  /// For a minute on two processors, all defects together.
  public static let smoke = DefectEffort(
    trials: 12, statesPerPoint: 2, samples: 0, stride: 60, errorScenarios: 1, schedules: 48, odd: 6, patience: 3)
}
