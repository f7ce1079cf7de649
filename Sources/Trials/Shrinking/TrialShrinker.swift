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
      "nothing to shrink: the trial is \(verdict.rawValue)\(notices.isEmpty ? "" : ": " + notices.joined(separator: "; "))"
    case .failsOtherwise(let wanted, let violated):
      "the trial does not violate \(wanted.rawValue), but \(violated.map(\.rawValue).joined(separator: ", "))"
    case .interrupted: "interrupted"
    }
  }
}

/// Makes a trial that violates a check smaller: workload, faults, crash and storage, as long as the same check is violated.
///
/// One part after the other, each from the smallest value up, until nothing can be made smaller (delta debugging). A
/// candidate whose fault never fires is `unknown`, and so none. The model is tried first: there a trial is a function of
/// its seed, and what fails once fails always; on real files a candidate counts where it fails in each of three runs.
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
    _ spec: TrialSpec, keeping wanted: CheckName? = nil, run: @escaping (TrialSpec) throws -> TrialResult, shouldStop: @escaping () -> Bool = { false },
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
        var smaller = part.smaller(spec)
        while let candidate = smaller.first, !isStopped {
          let later = TrialPart.all[(number + 1)...].reduce(0) { $0 + $1.smaller(spec).count }
          smaller.removeFirst()
          guard try attempt(candidate, "\(part.name) \(part.text(candidate))", left: smaller.count + 1 + later) else { continue }
          isReduced = true
          // Faults go one by one; of numbers the smallest that fails is taken.
          smaller = part.goesOn ? part.smaller(spec) : []
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
      guard result.verdict == .violated, result.checks.contains(where: { $0.name == check && $0.verdict == .violated }) else {
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
  /// Whether what is left may be made smaller in the same way at once.
  var goesOn = false

  static let all: [TrialPart] = [
    TrialPart(name: "storage", text: { $0.storage.rawValue }) { spec in
      spec.storage == .memory || spec.writers == .secondProcess || spec.endsOutOfMemory ? [] : [spec.with { $0.storage = .memory }]
    },
    TrialPart(
      name: "faults", text: { "\($0.faults.count)" },
      smaller: { spec in spec.faults.indices.map { index in spec.with { $0.faults.remove(at: index) } } }, goesOn: true),
    TrialPart(name: "topics", text: { "\($0.topics.count)" }) { spec in
      spec.otherTopics.isEmpty ? [] : [spec.with { $0.otherTopics = [] }]
    },
    TrialPart(name: "partitions", text: { "\($0.partitions)" }) { spec in
      [1, 2, 3, 6].filter { spec.topics.count..<max(spec.partitions, spec.topics.count) ~= $0 }.map { n in spec.with { $0.partitions = n } }
    },
    number("producers", \.producers, [1, 2, 4, 8]),
    number("messages", \.messages, [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 101, 128, 200, 256, 303, 512, 1000, 1001, 2000, 5000, 10_000]),
    number("messages a batch", \.batch, [1, 2, 3, 4, 5, 8, 10, 100]),
    number("bytes a message", \.messageSize, [MessageContent.minimumSize, 100, 300, 1000]),
    number("messages between the restarts", \.appendBetween, [0, 1]), number("committers", \.committers, [0, 1]),
    number("readers", \.readers, [0, 1]),
    TrialPart(name: "checkpoint", text: { $0.checkpoint.rawValue }) { spec in
      CheckpointSetup.allCases.prefix { $0 != spec.checkpoint }.map { setup in spec.with { $0.checkpoint = setup } }
    },
    TrialPart(name: "second crash", text: { _ in "as the first" }) { spec in
      spec.secondCrash == nil ? [] : [spec.with { $0.secondCrash = nil }]
    },
    TrialPart(name: "later sync policy", text: { _ in "as the first" }) { spec in
      spec.laterSync == nil ? [] : [spec.with { $0.laterSync = nil }]
    },
    TrialPart(name: "pace", text: { _ in "none" }) { spec in spec.pace == .zero ? [] : [spec.with { $0.pace = .zero }] },
    TrialPart(name: "first offset", text: { "\($0.firstOffset)" }) { spec in
      spec.firstOffset == 0 ? [] : [spec.with { $0.firstOffset = 0 }]
    },
    TrialPart(name: "preallocation", text: { "\($0.preallocation)" }) { spec in
      spec.preallocation == Axis.usualPreallocation ? [] : [spec.with { $0.preallocation = Axis.usualPreallocation }]
    },
    TrialPart(name: "keys", text: { $0.keys.rawValue }) { spec in
      MessageKeys.allCases.prefix { $0 != spec.keys }.map { keys in spec.with { $0.keys = keys } }
    },
    TrialPart(name: "deletion", text: { $0.deletion.rawValue }) { spec in
      DeletionSetup.allCases.prefix { $0 != spec.deletion }.map { deletion in spec.with { $0.deletion = deletion } }
    },
    TrialPart(name: "crash", text: { $0.crash.rawValue }) { spec in
      spec.crash == .none ? [] : [spec.with { $0.crash = .none; $0.crashAt = .end }]
    },
    TrialPart(name: "crash at", text: { _ in "end" }) { spec in spec.crashAt == .end ? [] : [spec.with { $0.crashAt = .end }] },
  ]

  private static func number(
    _ name: String, _ path: any WritableKeyPath<TrialSpec, Int> & Sendable, _ steps: [Int]
  ) -> TrialPart {
    TrialPart(name: name, text: { "\($0[keyPath: path])" }) { spec in
      steps.filter { $0 < spec[keyPath: path] }.map { n in spec.with { $0[keyPath: path] = n } }
    }
  }

  init(
    name: String, text: @escaping @Sendable (TrialSpec) -> String, smaller: @escaping @Sendable (TrialSpec) -> [TrialSpec],
    goesOn: Bool
  ) {
    self.name = name
    self.text = text
    self.smaller = smaller
    self.goesOn = goesOn
  }

  private init(
    name: String, text: @escaping @Sendable (TrialSpec) -> String, _ smaller: @escaping @Sendable (TrialSpec) -> [TrialSpec]
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
