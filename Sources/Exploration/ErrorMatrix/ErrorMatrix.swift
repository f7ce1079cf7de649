import Defects
import FaultInjection
import Foundation
import LogModel
import PartitionEngine
import Storage
import Synchronization
import Verification

/// What the matrix is to cover.
public struct ErrorMatrixOptions: Sendable {
  public var scenarios = ErrorScenario.all
  public var cells = ErrorCell.all
  public var defect: Defect?
  public var jobs = 2
  /// Of the cells' cases each so many-th is run; 1 for all. Those that lead to second errors are always all run.
  public var stride = 1
  /// Whether the call sites that errors hit are noted, and those followed that only errors lead to.
  public var findsCallSites = true
  /// No new cell is begun after it; what was left out makes the verdict unknown.
  public var deadline: Date?
  /// The user has had enough: as the deadline.
  public var isCancelled: @Sendable () -> Bool = { false }
  /// Ends a command whose engine keeps the processor to itself; nil for none.
  public var watch: HangWatch?

  public init() {}
}

/// Fails the Nth operation, for N = 1, 2, 3 ... until a run ends without the fault having fired: in every cell of kind,
/// error and duration, in every scenario. Then the operations that only an error leads to: for each call site that a
/// story has come to after its error, and that no fault has hit yet, the same story with a second error there.
public struct ErrorMatrix: Sendable {
  let options: ErrorMatrixOptions
  let stages: [any ErrorMatrixSubject]

  /// - Throws: `ExplorationError` where a scenario's disk cannot be made.
  public init(_ options: ErrorMatrixOptions) throws(ExplorationError) {
    self.options = options
    let defect = options.defect
    let subject = EngineUnderTest(
      ExplorationWorkload(), parts: { defect?.parts() ?? EngineParts() }, layer: { defect?.layer(on: $0) ?? $0 })
    var stages: [any ErrorMatrixSubject] = []
    for scenario in options.scenarios {
      let work = "explore errors, the lives before scenario \(scenario.name),"
      let made = try options.watch.during(work) { () throws(ExplorationError) -> any ErrorMatrixSubject in
        if let client = scenario.client { return try ClientMatrixSubject(client, scenario, defect) }
        return try ErrorFixture(scenario, subject)
      }
      stages.append(made)
    }
    self.stages = stages
  }

  /// One case again.
  /// - Parameter name: as the report prints it.
  /// - Throws: `ExplorationError.unknownCase`.
  public func run(case name: String) throws(ExplorationError) -> ErrorMatrixReport {
    guard let found = ErrorCase(name), let stage = stages.first(where: { $0.scenario.name == found.scenario }) else {
      throw .unknownCase(name)
    }
    var row = ErrorRow(scenario: found.scenario, cell: found.cells[0].cell)
    row.note(found, run(found, stage, FaultHitRecorder(notesSites: options.findsCallSites)))
    return ErrorMatrixReport(rows: [row], sites: [], impossible: [], isWhole: true)
  }

  /// - Parameter progress: told a line of text now and then.
  public func run(progress: @escaping @Sendable (String) -> Void = { _ in }) -> ErrorMatrixReport {
    let cells = options.cells.filter { $0.impossible == nil }
    let count = stages.count * cells.count
    let meter = MatrixProgress(count, progress)
    var rows = Parallel.map(count, jobs: options.jobs, chunk: 1, worker: {}) { _, index in
      let row = runCell(stages[index / cells.count], cells[index % cells.count])
      meter.done(row)
      return row
    }
    let second = runSecondErrors(&rows, meter)
    var report = ErrorMatrixReport(
      rows: rows + second, sites: options.findsCallSites ? EngineCallSite.all : [],
      impossible: options.cells.filter { $0.impossible != nil },
      isWhole: options.stride == 1 && options.scenarios.count == ErrorScenario.all.count
        && options.cells.count == ErrorCell.all.count)
    if report.isCutOff { report.stoppedBy = options.isCancelled() ? .signal : .deadline }
    return report
  }

  private var isLate: Bool { options.isCancelled() || options.deadline.map { Date() > $0 } ?? false }

  private static let leading = [
    ErrorCell(kind: nil, error: .eio, lasting: .once), ErrorCell(kind: .write, error: .enospc, lasting: .once),
    ErrorCell(kind: .open, error: .eioAfterwards, lasting: .once),
  ]

  private func runCell(_ stage: any ErrorMatrixSubject, _ cell: ErrorCell) -> ErrorRow {
    var row = ErrorRow(scenario: stage.scenario.name, cell: cell)
    // Where an error, of a device that fails or is full, or of a creation that has happened all the same, is followed
    // by operations that nothing else leads to, they are noted here.
    let watches = Self.leading.contains(cell)
    let step = watches ? 1 : options.stride
    var n = 1
    while true {
      if isLate {
        row.isCutOff = true
        return row
      }
      let found = ErrorCase(scenario: stage.scenario.name, cells: [(cell, n)])
      let result = run(found, stage, FaultHitRecorder(notesSites: options.findsCallSites, notesLeads: watches))
      row.note(found, result)
      if !result.unfired.isEmpty { return row }
      n += step
    }
  }

  private func run(_ own: ErrorCase, _ stage: any ErrorMatrixSubject, _ watch: FaultHitRecorder) -> ErrorRunResult {
    options.watch.during("explore errors --case '\(own)'") { stage.tell(own.faults, watch) }
  }

  /// Errors behind errors, until no story comes to a call site that no fault has hit.
  private func runSecondErrors(_ rows: inout [ErrorRow], _ meter: MatrixProgress) -> [ErrorRow] {
    var visited = Set(rows.flatMap(\.sites))
    var leads: [ErrorLead] = rows.flatMap(\.leads)
    var found: [ErrorRow] = []
    let any = ErrorCell(kind: nil, error: .eio, lasting: .once)
    while let at = leads.firstIndex(where: { !visited.contains($0.site) }), !isLate {
      let lead = leads.remove(at: at)
      guard let stage = stages.first(where: { $0.scenario.name == lead.story.scenario }), lead.story.cells.count < 4
      else { continue }
      let deeper = ErrorCase(scenario: lead.story.scenario, cells: lead.story.cells + [(any, lead.number)])
      var row = ErrorRow(scenario: lead.story.scenario, cell: any)
      let result = run(deeper, stage, FaultHitRecorder(notesSites: options.findsCallSites, notesLeads: true))
      row.isSecond = true
      row.note(deeper, result)
      visited.formUnion(row.sites)
      leads += row.leads
      // A site that this has not hit after all is left to the next lead to it.
      found.append(row)
      meter.done(row)
    }
    if isLate, leads.contains(where: { !visited.contains($0.site) }), !rows.isEmpty {
      rows[rows.count - 1].isCutOff = true
    }
    return found
  }
}

/// A case of the matrix, as the report names it: `scenario/kind error lasting/N`, a second error behind `+`.
struct ErrorCase: Sendable, CustomStringConvertible {
  var scenario: String
  var cells: [(cell: ErrorCell, n: Int)]

  var faults: [PlannedFault] { cells.map { $0.cell.fault($0.n) } }

  var description: String { scenario + "/" + cells.map { "\($0.cell)/\($0.n)" }.joined(separator: "+") }

  init(scenario: String, cells: [(cell: ErrorCell, n: Int)]) {
    self.scenario = scenario
    self.cells = cells
  }

  /// Nil where the text is no case.
  init?(_ text: String) {
    guard let slash = text.firstIndex(of: "/") else { return nil }
    scenario = String(text[..<slash])
    cells = []
    for part in text[text.index(after: slash)...].split(separator: "+") {
      let halves = part.split(separator: "/")
      guard halves.count == 2, let n = Int(halves[1]), n > 0,
        let cell = ErrorCell.all.first(where: { "\($0)" == halves[0] && $0.impossible == nil })
      else { return nil }
      cells.append((cell, n))
    }
    if cells.isEmpty { return nil }
  }
}

/// A call site that a story has come to after its errors.
struct ErrorLead: Sendable {
  var story: ErrorCase
  var site: EngineCallSite
  /// Of the operation, among all of the life.
  var number: Int
}

/// Counts cells, and tells how long the rest will take.
final class MatrixProgress: Sendable {
  private let total: Int
  private let begun = Date()
  private let tell: @Sendable (String) -> Void
  private let state = Mutex<(done: Int, runs: Int, told: Date)>((0, 0, Date()))

  init(_ total: Int, _ tell: @escaping @Sendable (String) -> Void) {
    self.total = total
    self.tell = tell
  }

  func done(_ row: ErrorRow) { done(row.runs) }

  func done(_ runs: Int) {
    let text: String? = state.withLock { state in
      state.done += 1
      state.runs += runs
      guard Date().timeIntervalSince(state.told) > 2 else { return nil }
      state.told = Date()
      let seconds = Date().timeIntervalSince(begun)
      let left = max(0, seconds / Double(state.done) * Double(total - state.done))
      return "\(state.done) of \(total) done, \(state.runs) runs, about \(Int(left)) s left"
    }
    if let text { tell(text) }
  }
}
