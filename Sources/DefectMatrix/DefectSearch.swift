import CProcess
import CrashStates
import Defects
import Exploration
import Foundation
import Glibc
import LogModel
import Reporting
import ScenarioExploration
import ScenarioFormat
import Storage
import Trials
import Verification

/// One search for one defect, in a process of its own: an engine that keeps the processor, or ends its process, costs
/// no other search.
public struct DefectSearch: Hashable, Sendable, Codable {
  /// The argument that makes `tornlog` a process for searches.
  public static let argument = "__defect-search"

  /// `none` for the sound engine.
  var defect: String
  var way: DetectionStrategy
  var seed: UInt64
  var effort: DefectEffort
  /// Of the defect's own scenario, where that is one of crash states.
  var file: String?

  /// What it came to.
  struct Reply: Hashable, Codable {
    /// Each check once; the first found first.
    var findings: [DefectFinding] = []
    /// States recovered from, runs or schedules.
    var trials = 0
    /// Why it came to nothing.
    var reason: String?

    var checks: [CheckName] { findings.map(\.check) }

    mutating func note(_ check: CheckName, _ reproduce: String?, story: [String] = []) {
      if checks.contains(check) { return }
      findings.append(DefectFinding(check: check, reproduce: reproduce, story: story))
    }
  }

  /// Reads one request a line, answers with one line.
  public static func main() -> Never {
    _ = tl_die_with_parent()
    tl_report_deaths()
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    while let line = readLine(strippingNewline: true) {
      do {
        let search = try JSONDecoder().decode(DefectSearch.self, from: Data(line.utf8))
        answer(search.run())
      } catch {
        answer(Reply(reason: "a request cannot be read: \(error)"))
      }
    }
    exit(0)
  }

  private static func answer(_ reply: Reply) {
    do {
      var data = try JSONEncoder().encode(reply)
      data.append(UInt8(ascii: "\n"))
      try FileHandle.standardOutput.write(contentsOf: data)
    } catch {
      exit(70)
    }
  }

  private func run() -> Reply {
    // Nothing gives a thread back that loops for ever: it is told, and the process ends.
    let watch = HangWatch(limit: .milliseconds(Int64(effort.patience * 1000))) { hang in
      let finding = DefectFinding(
        check: hang.check.name, reproduce: hang.finding?.reproduce, story: hang.finding?.story ?? [])
      Self.answer(Reply(findings: [finding], trials: 1, reason: hang.check.detail))
      exit(0)
    }
    var reply = Reply()
    do throws(ExplorationError) {
      switch way {
      case .crashStates: try exploreStates(&reply, watch)
      case .errorMatrix: try failOperations(&reply, watch)
      case .schedules: try runSchedules(&reply, watch)
      case .dedicatedScenario: try exploreOwn(&reply, watch)
      case .plainRestart, .processKill, .powerLoss, .oneFault: reply.reason = "\(way.rawValue) is no search"
      }
    } catch {
      if case .neverEnds = error { reply.findings = [DefectFinding(check: .noHang)] }
      reply.reason = "\(error)"
    }
    return reply
  }

  private var engine: Defect? { Defect(id: defect) }

  // MARK: Crash states

  private func exploreOwn(_ reply: inout Reply, _ watch: HangWatch) throws(ExplorationError) {
    let plan: ExplorationPlan
    do {
      let cells = try ScenarioFiles.load(file.map { [$0] } ?? [], vocabulary: TrialPlanner.vocabulary).flatMap {
        $0.cells()
      }
      plan = try ExplorationPlan(cells.filter { $0.isOf(engine) }, seed: nil, profiles: nil, expectsSound: false)
    } catch {
      reply.reason = "\(error)"
      return
    }
    for planned in plan.explorations {
      // The smallest part of it that shows the harm, and only at last the whole.
      let whole = (planned.options.statesPerPoint, planned.options.samples)
      for (number, (states, samples)) in (Self.firstLimits + [whole]).enumerated() {
        var part = planned
        // What is found first need not be what the scenario expects.
        (part.options.defect, part.options.stopsAtFirst) = (engine, number < Self.firstLimits.count)
        (part.options.statesPerPoint, part.options.samples) = (min(states, whole.0), min(samples, whole.1))
        let outcome = try part.run(jobs: 1, watch: watch) { _ in }
        note(outcome.report, &reply)
        if outcome.isExpected { break }
      }
    }
  }

  /// States of the exhaustive part at each crash point, and samples.
  private static let firstLimits = [(2, 0), (2, 2)]

  private func note(_ report: ExplorationReport, _ reply: inout Reply) {
    reply.trials += report.judged
    for violation in report.findings.map(\.violation) {
      reply.note(violation.check, violation.reproduce, story: violation.story)
    }
  }

  /// Of a defect of a client its client, of all others the engine.
  private var client: LogClient? {
    switch engine?.subject {
    case .delivery: .delivery
    case .transactions: .transactions
    case .engine, nil: nil
    }
  }

  private func exploreClient(_ client: LogClient, _ reply: inout Reply, _ watch: HangWatch) throws(ExplorationError) {
    for (profile, depth) in [(CrashProfile.raw512, 1), (.posixMinimal, 1), (.raw512, 2)] {
      var options = ExplorationOptions()
      (options.bound, options.statesPerPoint, options.samples) = (2, effort.statesPerPoint, effort.samples)
      (options.seed, options.jobs, options.depth) = (seed, 1, depth)
      (options.defect, options.watch, options.profiles, options.stopsAtFirst) = (engine, watch, [profile], true)
      note(try ClientExploration(client, options).run(), &reply)
      if !reply.findings.isEmpty { return }
    }
  }

  private struct Step {
    var workload = ExplorationWorkload()
    var depth: Int
    var profiles: [CrashProfile]

    init(
      messages: Int, depth: Int = 1, _ profiles: CrashProfile..., change: (inout ExplorationWorkload) -> Void = { _ in }
    ) {
      (self.depth, self.profiles, workload.messages) = (depth, profiles, messages)
      change(&workload)
    }
  }

  private static let steps = [
    Step(messages: 18, .raw512, .posixMinimal),
    // Consumers read beside the producers.
    Step(messages: 60, .raw512) { $0.readers = 2 },
    Step(messages: 18, .raw512) { $0.syncPolicy = .interval(.milliseconds(1)) },
    // Batches are written while a sync is in flight, for longer than any sync takes; a commit of an offset would wait
    // for it.
    Step(messages: 36, .raw512) {
      ($0.syncPolicy, $0.partitions, $0.producers, $0.messagesPerBatch) = (.interval(.microseconds(100)), 1, 3, 1)
      $0.commitsOffsets = false
    },
    Step(messages: 60, .ext4Writeback), Step(messages: 18, depth: 2, .raw512),
    Step(messages: 36, .raw512) { $0.checkpoints = true },
    Step(messages: 24, .raw512) { $0.isTakenOver = true },
    // Several groups commit at once; then a sync under their commits fails.
    Step(messages: 36, .raw512) {
      ($0.syncPolicy, $0.partitions, $0.messagesPerBatch, $0.committers) = (.interval(.milliseconds(4)), 1, 1, 3)
    },
    Step(messages: 24, .raw512) {
      ($0.syncPolicy, $0.partitions, $0.messagesPerBatch, $0.committers) = (.interval(.milliseconds(4)), 1, 1, 2)
      // The first makes the head of the first segment durable.
      $0.deviceFaults = DeviceFaultPlan(failingSync: 2)
    },
  ]

  /// Small workloads, each on the storages that show the most with the least, until one shows something.
  private func exploreStates(_ reply: inout Reply, _ watch: HangWatch) throws(ExplorationError) {
    if let client { return try exploreClient(client, &reply, watch) }
    for step in Self.steps {
      var options = ExplorationOptions()
      options.workload = step.workload
      (options.bound, options.statesPerPoint, options.samples) = (2, effort.statesPerPoint, effort.samples)
      (options.seed, options.jobs, options.depth) = (seed, 1, step.depth)
      (options.defect, options.watch, options.profiles) = (engine, watch, step.profiles)
      note(try Exploration(options).run(), &reply)
      if !reply.findings.isEmpty { return }
    }
  }

  // MARK: Errors

  /// Errors that history has seen most, at every so many-th operation.
  private static let errors: [ErrorCell] = ErrorCell.all.filter { cell in
    guard let kind = cell.kind, cell.impossible == nil, cell.lasting == .once else { return false }
    switch cell.error {
    case .eio, .short: return true
    case .eioPartly, .eioAfterwards, .eintr: return kind == .write
    // ENOSPC of a write leads to second errors, which are another search's.
    case .enospc, .edquot, .eagain, .stall: return false
    }
  }

  /// A device that answers nothing but errors for a while: what it interrupts is not taken back either.
  private static let outage = ErrorCell.all.filter { $0.kind == nil && $0.error == .eio && $0.lasting == .sticky }

  private static let situations = [
    "produce", "interval-commit", "interval-then-always", "recover", "interval", "close", "skip-damage",
    "metadata-damage", "checkpoint",
  ]

  private func failOperations(_ reply: inout Reply, _ watch: HangWatch) throws(ExplorationError) {
    let situations = client.map { [$0.rawValue, "\($0.rawValue)-recover"] } ?? Self.situations
    for name in situations.prefix(effort.errorScenarios) {
      // An outage does more harm than one error, at fewer moments: between a creation and its removal, for one.
      for (cells, stride) in [(Self.errors, effort.stride), (Self.outage, max(1, effort.stride / 12))] {
        var options = ErrorMatrixOptions()
        options.scenarios = ErrorScenario.all.filter { $0.name == name }
        (options.cells, options.findsCallSites) = (cells, false)
        (options.defect, options.jobs, options.stride, options.watch) = (engine, 1, stride, watch)
        let report = try ErrorMatrix(options).run()
        reply.trials += report.runs
        for violation in report.violations {
          reply.note(violation.check, "tornlog explore errors --defect \(defect) --case '\(violation.story)'")
        }
        if !reply.findings.isEmpty { return }
      }
    }
  }

  // MARK: Schedules

  private func runSchedules(_ reply: inout Reply, _ watch: HangWatch) throws(ExplorationError) {
    var options = ScheduleOptions()
    (options.defect, options.jobs, options.seed, options.watch) = (engine, 1, seed, watch)
    let scenarios = ScheduleScenario.all
    options.schedules = max(1, effort.schedules / scenarios.count)
    for scenario in scenarios {
      options.scenarios = [scenario]
      let report = try ScheduleSearch(options).run()
      reply.trials += report.scenarios.reduce(0) { $0 + $1.schedules }
      for violation in report.violations {
        reply.note(violation.check, "tornlog explore schedules --defect \(defect) --schedule '\(violation.schedule)'")
      }
      if !reply.findings.isEmpty { return }
    }
  }
}
