import Defects
import Foundation
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Synchronization
import Trials
import Verification

/// What one strategy came to for one defect.
public struct DefectCell: Hashable, Sendable, Encodable {
  public var way: DetectionStrategy
  /// Nil where it was not caught: the check that the defect's scenario names, where that is among them, or the first.
  public var check: CheckName?
  /// What was violated, each check once; the first found first.
  public var findings: [DefectFinding]
  /// Trials, states, runs or schedules until it was caught, or all of them. A search is counted by its steps.
  public var trials: Int
  /// Of the machine's clock.
  public var seconds: Double
  /// Why there is less than there should be.
  public var remark: String?
  /// Of them without a verdict: their fault never fired, say.
  public var unknown: Int
  /// Why a cell in which nothing was found says nothing: a limit of the machine, or a signal from outside, has cut it
  /// short.
  public var undecided: String?
}

/// A check that was violated under a defect.
public struct DefectFinding: Hashable, Sendable, Codable {
  public var check: CheckName
  /// The command that shows it again.
  public var reproduce: String?
  /// What led to it, as whoever found it tells it; empty where it is told by shrinking.
  public var story: [String] = []
}

extension DefectCell {
  /// Every check that was violated.
  public var checks: [CheckName] { findings.map(\.check) }
  /// The finding of the check by which it was caught.
  public var catching: DefectFinding? { findings.first { $0.check == check } }
  /// The command that shows again what it was caught by.
  public var reproduce: String? { catching?.reproduce }

  fileprivate mutating func note(_ found: [DefectFinding]) {
    for finding in found where !checks.contains(finding.check) { findings.append(finding) }
  }
}

/// The keys of the JSON report.
extension DefectCell {
  private enum CodingKeys: String, CodingKey {
    case way, check, checks, trials, seconds, reproduce, remark, unknown, undecided
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(way, forKey: .way)
    try container.encodeIfPresent(check, forKey: .check)
    try container.encode(checks, forKey: .checks)
    try container.encode(trials, forKey: .trials)
    try container.encode(seconds, forKey: .seconds)
    try container.encodeIfPresent(reproduce, forKey: .reproduce)
    try container.encodeIfPresent(remark, forKey: .remark)
    try container.encode(unknown, forKey: .unknown)
    try container.encodeIfPresent(undecided, forKey: .undecided)
  }
}

extension ScenarioFormat.Cell {
  /// Whether it is one of the defect's own, or of one of its members.
  func isOf(_ defect: Defect?) -> Bool { self.defect.map { defect?.members.contains($0) ?? false } ?? (defect == nil) }
}

/// One defect in every way, several at once, or the sound engine.
public struct DefectRow: Sendable {
  /// Nil for the sound engine, which nothing may catch.
  public var defect: Defect?
  /// For each of its members those that the scenarios name; one of them must catch it.
  public var wanted: [[CheckName]]
  public var cells: [DefectCell]
  /// The smallest story, where it was asked for.
  public var story: [String] = []

  public var id: String { defect?.id ?? "none" }
  /// Those that the scenarios name; empty where none does.
  public var expected: [CheckName] { wanted.flatMap(\.self) }
  /// The first way that has caught it, by the check that was named where any has.
  public var catching: DefectCell? {
    cells.first { $0.check.map(expected.contains) ?? false } ?? cells.first { $0.check != nil }
  }
  /// Whether what must be caught was, by a check that was named for it, and nothing else.
  public var isExpected: Bool {
    guard defect != nil else { return cells.allSatisfy { $0.check == nil && $0.undecided == nil } }
    return !wanted.isEmpty && missing.isEmpty
  }

  /// Whether it is not as expected, and a cell of it was cut short: whether it would have been is not known.
  public var isUndecided: Bool {
    if defect == nil, cells.contains(where: { $0.check != nil }) { return false }
    return !isExpected && cells.contains { $0.undecided != nil }
  }

  /// The members that no check has caught that was named for them.
  public var missing: [(id: String, wanted: [CheckName])] {
    zip(defect?.members ?? [], wanted).filter { member in
      !cells.contains { cell in cell.checks.contains(where: member.1.contains) }
    }.map { ($0, $1) }
  }

  /// The checks that a cell names: of several defects at once the one for each of them.
  func named(_ cell: DefectCell) -> [CheckName] {
    guard wanted.count > 1 else { return cell.check.map { [$0] } ?? [] }
    let found = wanted.compactMap { names in cell.checks.first(where: names.contains) }
    return found.isEmpty ? cell.check.map { [$0] } ?? [] : found
  }
}

/// Looks for every defect in every way, each cell in worker processes of its own.
public final class DefectMatrix: @unchecked Sendable {
  // `shared` is the only thing that threads share.

  public struct Options: Sendable {
    /// Nil stands for the sound engine.
    public var defects: [Defect?] = [nil] + Defect.all.map(Optional.some)
    public var ways = DetectionStrategy.allCases
    public var effort = DefectEffort.usual
    public var seed = TrialPlanner.defaultSeed
    public var jobs = 2
    /// Parent of the folder of the trials.
    public var directory = "/tmp"
    public var executable = "/proc/self/exe"
    public var scenarios: [Scenario] = []

    public init() {}
  }

  private let options: Options
  private let progress: @Sendable (String) -> Void
  private let started = ContinuousClock.now

  private struct Shared {
    var next = 0
    var done = 0
    var cells: [DefectCell?]
    var failure: TrialError?
    var told = ContinuousClock.now
  }

  private let shared: Mutex<Shared>
  private let folders = Atomic<Int>(0)

  /// - Parameter progress: told a line of text now and then.
  public init(_ options: Options, progress: @escaping @Sendable (String) -> Void = { _ in }) {
    self.options = options
    self.progress = progress
    shared = Mutex(Shared(cells: Array(repeating: nil, count: options.defects.count * options.ways.count)))
  }

  /// - Returns: a row for each defect. Where a signal came first, rows lack the cells that were not looked at to their
  ///   end.
  /// - Throws: `TrialError` where the machine cannot run it.
  public func run() throws(TrialError) -> [DefectRow] {
    let workspace = try Workspace(in: options.directory)
    JobThread.run(max(1, options.jobs)) { [self] job in work(job, workspace) }
    try workspace.removeAll()
    let (cells, failure) = shared.withLock { ($0.cells, $0.failure) }
    // What a worker does that the same signal has ended is no failure.
    if let failure, !Interruption.isRequested { throw failure }
    return options.defects.enumerated().map { index, defect in
      let own = cells[index * options.ways.count..<(index + 1) * options.ways.count]
      return DefectRow(defect: defect, wanted: wanted(of: defect), cells: own.compactMap(\.self))
    }
  }

  private func work(_ job: Int, _ workspace: Workspace) {
    let trials = TrialRunner(executable: options.executable)
    let searches = SearchRunner(executable: options.executable)
    defer {
      trials.end()
      searches.end()
    }
    do throws(TrialError) {
      while let index = take() {
        let (defect, way) = (options.defects[index / options.ways.count], options.ways[index % options.ways.count])
        let start = ContinuousClock.now
        var cell = DefectCell(way: way, findings: [], trials: 0, seconds: 0, unknown: 0)
        let wanted = wanted(of: defect)
        do throws(TrialError) {
          if way.isTrials {
            try runTrials(of: defect, &cell, trials, workspace)
          }
          if cell.trials == 0 || wanted.count > 1 && !Self.isComplete(cell.checks, wanted),
            let search = search(for: defect, way)
          {
            try searches.run(search, &cell)
          }
        } catch {
          guard error.isShortage else { throw error }
          cell.undecided = cell.undecided ?? "\(error)"
        }
        cell.seconds = (ContinuousClock.now - start).inSeconds
        let expected = wanted.flatMap(\.self)
        cell.check = cell.checks.first(where: expected.contains) ?? cell.checks.first
        // Half a readback that has found nothing is none.
        let isOver = wanted.isEmpty ? cell.check != nil : Self.isComplete(cell.checks, wanted)
        if !isOver, Interruption.isRequested { return }
        finish(index, cell)
      }
    } catch {
      shared.withLock { $0.failure = $0.failure ?? error }
    }
  }

  private func take() -> Int? {
    shared.withLock { shared in
      guard shared.next < shared.cells.count, shared.failure == nil, !Interruption.isRequested else { return nil }
      shared.next += 1
      return shared.next - 1
    }
  }

  private func finish(_ index: Int, _ cell: DefectCell) {
    let text: String? = shared.withLock { shared in
      shared.cells[index] = cell
      shared.done += 1
      let now = ContinuousClock.now
      guard now - shared.told > .seconds(2) else { return nil }
      shared.told = now
      let gone = (now - started).inSeconds
      let left = gone / Double(shared.done) * Double(shared.cells.count - shared.done)
      return "\(shared.done) of \(shared.cells.count) cells done, about \(Int(left)) s left"
    }
    if let text { progress(text) }
  }

  /// Nil where the way is made of trials, and the defect's own scenario too.
  private func search(for defect: Defect?, _ way: DetectionStrategy) -> DefectSearch? {
    var search = DefectSearch(defect: defect?.id ?? "none", way: way, seed: options.seed, effort: options.effort)
    guard way.isTrials else { return search }
    guard way == .dedicatedScenario, let defect else { return nil }
    let own = options.scenarios.first { scenario in
      scenario.exploration != nil && scenario.cells().contains { $0.isOf(defect) && $0.expectation != .held }
    }
    search.file = own?.file
    return own == nil ? nil : search
  }

  // MARK: Trials

  /// For each member the checks by which scenarios want it caught; a trial's scenario before an exploration's.
  private func wanted(of defect: Defect?) -> [[CheckName]] {
    (defect?.members ?? []).map { id in
      var checks: [CheckName] = []
      for scenario in options.scenarios {
        for cell in scenario.cells() where cell.defect == id {
          guard case .caught(let name) = cell.expectation, let check = CheckName(named: name) else { continue }
          if !checks.contains(check) { checks.append(check) }
        }
      }
      return checks
    }
  }

  /// Whether each member has been caught.
  private static func isComplete(_ checks: [CheckName], _ wanted: [[CheckName]]) -> Bool {
    wanted.allSatisfy { checks.contains(where: $0.contains) }
  }

  /// The trials that one way makes for a defect.
  private func specs(_ way: DetectionStrategy, _ defect: Defect?) throws(TrialError) -> [TrialSpec] {
    guard way == .dedicatedScenario else {
      let drawn = RandomTrialGenerator(way: way, seed: options.seed, effort: options.effort)
      return drawn.all.map { trial in
        var spec = trial
        spec.defect = defect?.id ?? "none"
        return spec
      }
    }
    // Of the sound engine those of all defects.
    var specs: [TrialSpec] = []
    for cell in options.scenarios.flatMap({ $0.cells() }) where cell.exploration == nil && cell.isOf(defect) {
      if defect != nil, cell.expectation == .held { continue }
      var spec = try TrialPlanner.trial(cell, storage: .memory, seed: nil, phaseSeconds: nil, expectsSound: false).spec
      spec.defect = defect?.id ?? "none"
      specs.append(spec)
    }
    return specs
  }

  private func runTrials(
    of defect: Defect?, _ cell: inout DefectCell, _ runner: TrialRunner, _ workspace: Workspace
  ) throws(TrialError) {
    let wanted = wanted(of: defect)
    for spec in try specs(cell.way, defect) {
      if Interruption.isRequested { return }
      let number = folders.add(1, ordering: .relaxed).newValue
      try workspace.makeTrialFolder(number)
      let folder = workspace.trialFolder(number)
      let findings = try runner.run(spec, in: folder)
      let (judgement, verdict) = findings.judged()
      if verdict == .unknown { cell.undecided = cell.undecided ?? findings.hindrances.first }
      try Workspace.remove(folder)
      cell.trials += 1
      if verdict == .unknown { cell.unknown += 1 }
      guard verdict == .violated else { continue }
      let command = "tornlog reproduce \(Token.encode(spec))"
      cell.note(
        judgement.checks.filter { $0.verdict == .violated }.map { DefectFinding(check: $0.name, reproduce: command) })
      // Several defects at once are looked for until each has been caught.
      if wanted.count <= 1 || Self.isComplete(cell.checks, wanted) { return }
    }
  }
}

/// Has searches run in a process of their own, one after the other.
private final class SearchRunner {
  private let executable: String
  private var worker: WorkerProcess?
  /// Of one search, whatever it does: a life that hangs is told long before.
  private static let limit = 600.0

  init(executable: String) { self.executable = executable }

  func end() {
    worker?.end()
    worker = nil
  }

  func run(_ search: DefectSearch, _ cell: inout DefectCell) throws(TrialError) {
    let worker: WorkerProcess
    if let running = self.worker, running.isAlive {
      worker = running
    } else {
      worker = try WorkerProcess(executable: executable, arguments: [DefectSearch.argument])
      self.worker = worker
    }
    switch try worker.perform(search, replying: DefectSearch.Reply.self, seconds: Self.limit) {
    case .replied(let reply):
      cell.note(reply.findings)
      (cell.trials, cell.remark) = (cell.trials + reply.trials, reply.reason)
      // After a hang the process is ending, and takes no further request.
      if reply.checks == [.noHang] { end() }
    case .died(let signal, let status, let text):
      let death = WorkerDeath(signal: signal, status: status, errorOutput: text)
      cell.remark = "the process of the search ended (\(death.how))\(death.lastWords)"
      switch death.cause() {
      case .outside(let reason), .shortage(let reason): cell.undecided = reason
      case .own: cell.undecided = search.defect == "none" ? cell.remark : nil
      }
    case .timedOut:
      cell.remark = "stopped after \(Int(Self.limit)) s"
      cell.undecided = cell.remark
    case .interrupted: return
    }
  }
}
