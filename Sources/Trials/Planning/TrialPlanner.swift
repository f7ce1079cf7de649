import CrashStates
import Defects
import FaultInjection
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Verification
import WriteAheadLog

/// From the cells of scenarios to trials.
public enum TrialPlanner {
  /// The words that scenarios may use.
  public static let vocabulary = Vocabulary(
    checks: CheckName.allCases.map(\.rawValue), formerChecks: CheckName.former.mapValues(\.rawValue),
    defects: Defect.all.map(\.id),
    faults: FaultDescriptor.all,
    profiles: CrashProfile.known.map(\.name), batchLimit: batchLimit,
    defectClash: { text in
      do throws(DefectClash) { _ = try Defect.named(text) } catch { return "\(error)" }
      return nil
    })

  /// The engine's own limit, for a log with the largest commits that there can be.
  package static let batchLimit = BatchLimit(
    bytes: LogConfiguration(commitBytes: LogConfiguration.largestCommit).largestBatch,
    // Padded to the alignment; a record has two lengths of four bytes before its value, see BatchFormat.swift.
    overhead: BatchHeader.size + BatchHeader.alignment, messageOverhead: 8)

  /// Bytes of the largest commit: a batch of the workload fits, and smaller ones share a commit.
  static func commitBytes(_ spec: TrialSpec) -> Int {
    let batch = batchLimit.size(messages: spec.batch, of: spec.messageSize + spec.keys.largest)
    return min(LogConfiguration.largestCommit, max(256 << 10, batch + 8192))
  }

  /// Whether the cell is a trial on its storage: a second process needs files that it can reach, and job logs lose
  /// power in the model.
  /// - Parameter storage: for cells that leave the storage to the command line.
  public static func isPossible(_ cell: Cell, on storage: StorageChoice) -> Bool {
    cell.settings.isPossible(on: storage)
  }

  /// - Parameters:
  ///   - storage: for cells that leave the storage to the command line.
  ///   - seed: of the command line; wins over the scenario's. Each repetition has the next one.
  ///   - phaseSeconds: of the command line; wins over the scenario's limit.
  ///   - expectsSound: a defect that the user switched on is expected to be caught by nothing: what it breaks is a
  ///     violation, and the exit code says so.
  public static func trial(
    _ cell: Cell, storage: StorageChoice, seed: UInt64?, phaseSeconds: Double?, expectsSound: Bool
  ) throws(TrialError) -> PlannedTrial {
    var expectation = Expectation.held
    if case .caught(let name) = cell.expectation, !expectsSound {
      guard let check = CheckName(named: name) else { throw .unknownCheck(name) }
      expectation = .caught(by: check)
    }
    var spec = TrialSpec(
      scenario: cell.scenario, file: cell.file, seed: seed ?? cell.seed ?? defaultSeed, storage: storage,
      settings: cell.settings, phaseSeconds: phaseSeconds ?? Double(cell.limits.trialSeconds))
    // Its faults are the trial's.
    spec.fault = nil
    if let problem = spec.problem { throw .notOfSystem("\(cell.description): \(problem)") }
    return PlannedTrial(spec: spec, expectation: expectation, axes: axes(of: cell), claims: cell.claims)
  }

  public static let defaultSeed: UInt64 = 42

  package static func axes(of cell: Cell) -> Axes {
    Axes(cell.axes.map { ($0.axis.name, Axes.Value($0.value)) })
  }
}

extension TrialSpec {
  /// What in it does not go together: it would test nothing. Nil where there is no such thing.
  package var problem: String? {
    if let problem = settings.firstProblem { return "\(problem)" }
    if !settings.isPossible(on: storage) { return "storage \(storage.rawValue) cannot do it; choose another one" }
    return RecoveryRunbook.problem(of: self) ?? defectProblem ?? foreignPartProblem
  }

  /// A fault that is aimed at a part of batches which the log of another system does not have.
  private var foreignPartProblem: String? {
    guard settings.setup.system != .tornlog else { return nil }
    for fault in settings.faults {
      guard let word = fault.parameters["target"], let part = BatchPart(rawValue: word),
        !FileLayout.foreignParts.contains(part)
      else { continue }
      let known = FileLayout.foreignParts.map(\.rawValue).sorted().joined(separator: ", ")
      return "\(fault.kind) of \(word) is a part of the engine's own batches; with system "
        + "\(settings.setup.system.rawValue) aim at \(known)"
    }
    return nil
  }
}
