import CrashStates
import Defects
import Exploration
import LogModel
import Reporting
import ScenarioFormat
import Trials
import Verification

/// A cell of a scenario as an exploration of crash states.
public struct PlannedExploration: Sendable {
  public var scenario: String
  public var file: String
  /// Those that decide the exploration.
  public var axes: Axes
  public var options: ExplorationOptions
  /// In place of the engine.
  public var client: LogClient?
  /// Nil: every state is visited.
  public var state: CrashState?
  public var expectation: Expectation
}

/// Why a cell is no exploration.
public enum ExplorationRefusal: Error, Hashable, Sendable, CustomStringConvertible {
  case faults
  case writers(WriterSetup)
  case recovery(RecoveryPolicy)
  case system(String)
  case flush
  case client(String)
  case limit(WorkloadLimit)
  case defect(DefectObstacle)

  public var description: String {
    switch self {
    case .faults: "faults of trials: the device of an exploration has `device-faults`"
    case .writers(let setup):
      "writers=\(setup.rawValue): an exploration has one writer, or with writers=\(WriterSetup.clockSkew.rawValue) "
        + "another that takes over"
    case .recovery(let policy):
      "recovery=\(policy.rawValue): an exploration damages nothing at rest, and runs skip-corrupted"
    case .system(let text): text
    case .client(let text): text
    case .flush: "checkpoint=flushed: an exploration has checkpoint=background, and asks for one now and then"
    case .limit(let limit): "\(limit)"
    case .defect(let obstacle): "\(obstacle)"
    }
  }
}

/// The explorations of scenarios.
public struct ExplorationPlan: Sendable {
  public var explorations: [PlannedExploration] = []
  /// Cells that are none, by reason, in the order in which they were met.
  public var refused: [(reason: ExplorationRefusal, cells: Int)] = []
  /// Axes whose values were not looked at.
  public var ignored: [AxisDescriptor] = []

  /// - Parameters:
  ///   - seed: of the command line; wins over the scenario's.
  ///   - profiles: of the command line; win over the scenario's. Nil for none.
  ///   - expectsSound: a defect that the user switched on is expected to be caught by nothing.
  /// - Throws: `TrialError` where the cell names a check or a profile that there is not.
  public init(
    _ cells: [ScenarioFormat.Cell], seed: UInt64?, profiles: [CrashProfile]?, expectsSound: Bool
  ) throws(TrialError) {
    for cell in cells {
      for setting in cell.axes where !setting.axis.isExplored && !ignored.contains(setting.axis) {
        ignored.append(setting.axis)
      }
      do throws(ExplorationRefusal) {
        try Self.check(cell)
        if let obstacle = Self.defectObstacle(in: cell, ignoringNeeds: !expectsSound) { throw .defect(obstacle) }
      } catch {
        if let place = refused.firstIndex(where: { $0.reason == error }) {
          refused[place].cells += 1
        } else {
          refused.append((error, 1))
        }
        continue
      }
      let planned = try Self.plan(cell, seed: seed, profiles: profiles, expectsSound: expectsSound)
      // Cells that differ in nothing that counts here are one.
      let isKnown = explorations.contains {
        $0.scenario == planned.scenario && $0.axes == planned.axes && $0.expectation == planned.expectation
      }
      if !isKnown { explorations.append(planned) }
    }
  }

  private static func check(_ cell: ScenarioFormat.Cell) throws(ExplorationRefusal) {
    guard cell.faults.isEmpty else { throw .faults }
    if cell.keys != .none {
      throw .system("keys=\(cell.keys.rawValue): messages of an exploration have no keys; leave them out")
    }
    if cell.deletion != .none {
      throw .system("deletion=\(cell.deletion.rawValue): an exploration deletes nothing; leave it out")
    }
    guard cell.writers == .one || (cell.writers == .clockSkew && cell.exploration?.client == nil) else {
      throw .writers(cell.writers)
    }
    if cell.writers == .clockSkew, cell.system != .tornlog {
      throw .system(
        "writers=\(cell.writers.rawValue): only the engine's own log has epochs, and system=\(cell.system.rawValue) "
          + "has another"
      )
    }
    if let client = cell.exploration?.client {
      let isUsual = cell.sync == .always && cell.system == .tornlog && cell.checkpoint == .none && cell.partitions == 1
      guard isUsual else {
        throw .client("client=\(client) syncs always, and has no partitions, system or checkpoints: leave them out")
      }
      guard 4...1000 ~= cell.messages else {
        throw .client("messages=\(cell.messages): client=\(client) takes 4 to 1000")
      }
      return
    }
    if cell.system != .tornlog, let defect = cell.defect {
      throw .system(
        "defect=\(defect): it is one of Tornlog's own format; the log here has the format of \(cell.system.rawValue)"
      )
    }
    if !cell.system.requestsAreAtomic, cell.batch > 1 {
      throw .system(
        "batch=\(cell.batch): requests of system=\(cell.system.rawValue) are not there as a whole; explore it with "
          + "batch: 1"
      )
    }
    if cell.system != .tornlog, cell.checkpoint != .none {
      throw .system(
        "checkpoint: only the engine's own log goes to an object store, and system=\(cell.system.rawValue) has another")
    }
    guard cell.recovery == .skipCorrupted || cell.system != .tornlog else { throw .recovery(cell.recovery) }
    guard cell.checkpoint != .flushed else { throw .flush }
    if let limit = workload(cell, seed: 1).exceeded { throw .limit(limit) }
  }

  static func workload(_ cell: ScenarioFormat.Cell, seed: UInt64) -> ExplorationWorkload {
    let settings = cell.exploration ?? ExplorationSettings()
    var workload = ExplorationWorkload()
    workload.messages = cell.messages
    workload.partitions = cell.partitions
    workload.messagesPerBatch = cell.batch
    workload.messageSize = cell.messageSize
    workload.producers = cell.producers
    workload.syncPolicy = cell.sync
    (workload.system, workload.recoveryPolicy) = (cell.system, cell.recovery)
    workload.segmentBytes = settings.segmentSize
    (workload.commitsOffsets, workload.committers) = (settings.commitsOffsets, settings.committers)
    workload.deviceFaults = DeviceFaultPlan(
      shortWriteEvery: settings.shortWrites, failingSync: settings.failingSync,
      failingWriteEvery: settings.failingWrites)
    workload.checkpoints = cell.checkpoint == .background
    workload.readers = cell.readers
    workload.isTakenOver = cell.writers == .clockSkew
    workload.seed = seed
    return workload
  }

  private static func plan(
    _ cell: ScenarioFormat.Cell, seed: UInt64?, profiles: [CrashProfile]?, expectsSound: Bool
  ) throws(TrialError) -> PlannedExploration {
    let settings = cell.exploration ?? ExplorationSettings()
    let seed = seed ?? cell.seed ?? TrialPlanner.defaultSeed
    var options = ExplorationOptions()
    options.workload = workload(cell, seed: seed)
    options.seed = seed
    options.defect = cell.defect.flatMap { Defect(id: $0) }
    (options.depth, options.bound, options.statesPerPoint) = (settings.depth, settings.bound, settings.statesPerPoint)
    options.samples = settings.samples
    let own = settings.profiles.compactMap(CrashProfile.named)
    options.profiles = profiles ?? (own.isEmpty ? CrashProfile.all : CrashProfile.known.filter(own.contains))
    var expectation = Expectation.held
    if case .caught(let name) = cell.expectation, !expectsSound {
      guard let check = CheckName(named: name) else { throw .unknownCheck(name) }
      expectation = .caught(by: check)
    }
    let axes = TrialPlanner.axes(of: cell).entries.filter { AxisDescriptor.named($0.name)?.isExplored == true }
    return PlannedExploration(
      scenario: cell.scenario, file: cell.file, axes: Axes(axes), options: options,
      client: cell.exploration?.client.flatMap { LogClient(rawValue: $0) },
      state: try state(cell, options, isReplaced: profiles != nil), expectation: expectation)
  }

  /// - Parameter isReplaced: whether other profiles than the state's were asked for: then every state is visited.
  private static func state(
    _ cell: ScenarioFormat.Cell, _ options: ExplorationOptions, isReplaced: Bool
  ) throws(TrialError) -> CrashState? {
    guard !isReplaced, let pinned = cell.exploration?.state, pinned.defect == cell.defect ?? "none" else { return nil }
    func cut(_ cut: ExplorationSettings.Cut) -> CrashState.Cut? {
      KeptPieces(cut.kept).map { CrashState.Cut(event: cut.event, kept: $0) }
    }
    guard let outer = cut(pinned.cut), let fingerprint = CrashStateToken.readFingerprint(pinned.fingerprint) else {
      throw .unreadableState(at: "\(pinned.position)")
    }
    return CrashState(
      workload: options.workload, defect: cell.defect, profile: options.profiles[0], cut: outer,
      recoveryCut: pinned.recoveryCut.flatMap(cut), fingerprint: fingerprint)
  }
}

extension PlannedExploration {
  /// What came of it.
  public struct Outcome: Sendable {
    public var report: ExplorationReport
    public var isExpected: Bool
  }

  /// Explores the cell, or judges its one state.
  /// - Throws: `ExplorationError`.
  /// - Parameter watch: ends a command whose engine keeps the processor to itself.
  public func run(jobs: Int, watch: HangWatch? = nil, progress: (String) -> Void) throws(ExplorationError) -> Outcome {
    if let state {
      let report = try StateReplay(state, watch: watch).report
      return Outcome(report: report, isExpected: isMet(by: report))
    }
    var options = options
    (options.jobs, options.watch) = (jobs, watch)
    if let client {
      let report = try ClientExploration(client, messages: options.workload.messages, options).run(progress: progress)
      return Outcome(report: report, isExpected: isMet(by: report))
    }
    let report = try Exploration(options).run(progress: progress)
    return Outcome(report: report, isExpected: isMet(by: report))
  }

  private func isMet(by report: ExplorationReport) -> Bool {
    let checks = report.findings.map { CheckResult($0.violation.check, .violated, $0.violation.detail) }
    return expectation.isMet(by: report.verdict, checks: checks)
  }
}
