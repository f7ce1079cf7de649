import Foundation
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Verification

/// Why a trial cannot be made smaller.
public enum TrialShrinkError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The trial violates nothing, or leaves no verdict.
  case doesNotFail(Verdict, [String])
  /// It violates checks, but not the one that is to be kept.
  case failsOtherwise(CheckName, violated: [CheckName])
  case interrupted

  public var description: String {
    switch self {
    case .doesNotFail(let verdict, let notices):
      "nothing to shrink: the trial is "
        + "\(verdict.rawValue)\(notices.isEmpty ? "" : ": " + notices.joined(separator: "; "))"
    case .failsOtherwise(let wanted, let violated):
      "the trial does not violate \(wanted.rawValue), but \(violated.map(\.rawValue).joined(separator: ", "))"
    case .interrupted: "interrupted"
    }
  }
}

/// Makes a trial that violates a check smaller: workload, faults, crash and storage, as long as the same check is
/// violated.
///
/// One part after the other, each from the smallest value up, until nothing can be made smaller (delta debugging). A
/// candidate whose fault never fires is `unknown`, and so none. The model is tried first: there a trial is a function
/// of its seed, and what fails once fails always; on real files a candidate counts where it fails in each of three
/// runs.
public struct TrialShrinker {
  public struct Result: Sendable {
    public var spec: TrialSpec
    public var trial: TrialResult
    public var check: CheckResult
    public var runs: Int
    /// False where it was stopped before nothing smaller was left to try.
    public var isSmallest: Bool
    /// Of the smallest trial with the defect switched off; nil where there is none.
    public var soundVerdict: Verdict?
  }

  /// Runs of a candidate on real files that must all fail.
  static let realRuns = 3

  private let run: (TrialSpec) throws -> TrialResult
  private let shouldStop: () -> Bool
  private let progress: (String) -> Void
  private let check: CheckName
  private var spec: TrialSpec
  private var trial: TrialResult
  private var runs = 1
  private var isStopped = false

  /// - Parameters:
  ///   - wanted: the check that every candidate must violate; nil for the first one that the trial violates.
  ///   - run: runs one trial.
  ///   - shouldStop: asked before each candidate.
  /// - Throws: `TrialShrinkError`, and what `run` throws.
  public static func shrink(
    _ spec: TrialSpec, keeping wanted: CheckName? = nil, run: @escaping (TrialSpec) throws -> TrialResult,
    shouldStop: @escaping () -> Bool = { false },
    progress: @escaping (String) -> Void = { _ in }
  ) throws -> Result {
    let first = try run(spec)
    let violated = first.checks.filter { $0.verdict == .violated }
    guard first.verdict == .violated, !violated.isEmpty else {
      throw TrialShrinkError.doesNotFail(first.verdict, first.notices)
    }
    guard let check = wanted.map({ name in violated.first { $0.name == name } }) ?? violated[0] else {
      throw TrialShrinkError.failsOtherwise(wanted ?? violated[0].name, violated: violated.map(\.name))
    }
    var shrinker = TrialShrinker(
      run: run, shouldStop: shouldStop, progress: progress, check: check.name, spec: spec, trial: first)
    try shrinker.reduceAll()
    return Result(
      spec: shrinker.spec, trial: shrinker.trial,
      check: shrinker.trial.checks.first { $0.name == check.name && $0.verdict == .violated } ?? check,
      runs: shrinker.runs, isSmallest: !shrinker.isStopped, soundVerdict: try shrinker.soundVerdict())
  }

  private init(
    run: @escaping (TrialSpec) throws -> TrialResult, shouldStop: @escaping () -> Bool,
    progress: @escaping (String) -> Void, check: CheckName, spec: TrialSpec, trial: TrialResult
  ) {
    self.run = run
    self.shouldStop = shouldStop
    self.progress = progress
    self.check = check
    self.spec = spec
    self.trial = trial
  }

  private mutating func reduceAll() throws {
    var isReduced = true
    while isReduced, !isStopped {
      isReduced = false
      for (number, part) in TrialPart.all.enumerated() {
        var smaller = part.possible(spec)
        while let candidate = smaller.first, !isStopped {
          let later = TrialPart.all[(number + 1)...].reduce(0) { $0 + $1.possible(spec).count }
          smaller.removeFirst()
          guard try attempt(candidate, "\(part.name) \(part.text(candidate))", left: smaller.count + 1 + later) else {
            continue
          }
          isReduced = true
          // Faults go one by one; of numbers the smallest that fails is taken.
          smaller = part.goesOn ? part.possible(spec) : []
        }
      }
    }
  }

  private mutating func attempt(_ candidate: TrialSpec, _ label: String, left: Int) throws -> Bool {
    if isStopped || shouldStop() {
      isStopped = true
      return false
    }
    progress("candidate after \(runs) trials, at most \(left) left in this pass: \(label)")
    var last: TrialResult?
    for _ in 0..<(candidate.storage == .memory ? 1 : Self.realRuns) {
      runs += 1
      let result = try run(candidate)
      guard result.verdict == .violated, result.checks.contains(where: { $0.name == check && $0.verdict == .violated })
      else {
        return false
      }
      last = result
    }
    guard let last else { return false }
    (spec, trial) = (candidate, last)
    return true
  }

  private mutating func soundVerdict() throws -> Verdict? {
    guard spec.defect != "none", !shouldStop() else { return nil }
    progress("the same trial with the defect switched off")
    var sound = spec
    sound.defect = "none"
    runs += 1
    return try run(sound).verdict
  }
}

/// A part of a trial that can be made smaller.
struct TrialPart: Sendable {
  var name: String
  var text: @Sendable (TrialSpec) -> String
  /// The smallest first.
  var smaller: @Sendable (TrialSpec) -> [TrialSpec]
  /// Those of them that are trials.
  func possible(_ spec: TrialSpec) -> [TrialSpec] { smaller(spec).filter { $0.problem == nil } }

  /// Whether what is left may be made smaller in the same way at once.
  var goesOn = false

  /// In this order; an axis that is not named here comes behind those that are.
  static let all: [TrialPart] = {
    let last: [AxisDescriptor] = [
      .checkpoint, .secondCrash, .laterSync, .pace, .commitWindow, .firstOffset, .preallocation, .keys, .deletion,
      .crashAt,
    ]
    let first: [AxisDescriptor] = [.partitions, .producers, .messages, .batch, .messageSize]
    let others = AxisDescriptor.all.filter { !(first + last + [.storage, .readers, .crash]).contains($0) }
    return [storage, faults, topics] + first.map(part)
      + [number("messages between the restarts", \.appendBetween), number("committers", \.committers), part(.readers)]
      + last.dropLast().map(part) + [crash, part(.crashAt)] + others.map(part)
  }()

  private static let storage = TrialPart(name: "storage", text: { $0.storage.rawValue }) { spec in
    spec.storage == .memory ? [] : [spec.with { $0.storage = .memory }]
  }

  /// Without a crash there is no moment for one.
  private static let crash = TrialPart(name: "crash", text: { $0.crash.rawValue }) { spec in
    spec.crash == .none
      ? []
      : [
        spec.with {
          $0.crash = .none
          $0.crashAt = .end
        }
      ]
  }

  private static let faults = TrialPart(
    name: "faults", text: { "\($0.faults.count)" },
    smaller: { spec in spec.faults.indices.map { index in spec.with { $0.faults.remove(at: index) } } }, goesOn: true)

  private static let topics = TrialPart(name: "topics", text: { "\($0.topics.count)" }) { spec in
    spec.otherTopics.isEmpty ? [] : [spec.with { $0.otherTopics = [] }]
  }

  /// An axis, by what its descriptor calls smaller.
  private static func part(_ axis: AxisDescriptor) -> TrialPart {
    TrialPart(name: axis.name, text: { "\(axis.value(in: $0.settings))" }) { spec in
      axis.smaller(spec.settings).map { settings in spec.with { $0.settings = settings } }
    }
  }

  private static func number(
    _ name: String, _ path: any WritableKeyPath<TrialSettings, Int> & Sendable
  ) -> TrialPart {
    TrialPart(name: name, text: { "\($0.settings[keyPath: path])" }) { spec in
      [0, 1].filter { $0 < spec.settings[keyPath: path] }.map { n in spec.with { $0.settings[keyPath: path] = n } }
    }
  }

  init(
    name: String, text: @escaping @Sendable (TrialSpec) -> String,
    smaller: @escaping @Sendable (TrialSpec) -> [TrialSpec],
    goesOn: Bool
  ) {
    self.name = name
    self.text = text
    self.smaller = smaller
    self.goesOn = goesOn
  }

  private init(
    name: String, text: @escaping @Sendable (TrialSpec) -> String,
    _ smaller: @escaping @Sendable (TrialSpec) -> [TrialSpec]
  ) {
    self.init(name: name, text: text, smaller: smaller, goesOn: false)
  }
}

extension TrialSpec {
  fileprivate func with(_ change: (inout Self) -> Void) -> Self {
    var other = self
    change(&other)
    return other
  }
}
