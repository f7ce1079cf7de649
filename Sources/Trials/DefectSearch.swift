import CProcess
import Defects
import Exploration
import Foundation
import Glibc
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Verification

/// One search for one defect, in a process of its own: an engine that keeps the processor, or ends its process, costs no
/// other search.
public struct DefectSearch: Hashable, Sendable, Codable {
  /// The argument that makes `tornlog` a process for searches.
  public static let argument = "__defect-search"

  /// `none` for the sound engine.
  var defect: String
  var way: WayOfLooking
  var seed: UInt64
  var effort: DefectEffort
  /// Of the defect's own scenario, where that is one of crash states.
  var file: String?

  /// What it came to.
  struct Reply: Hashable, Codable {
    /// That were violated, each once; the first found first.
    var checks: [CheckName] = []
    /// States recovered from, runs or schedules.
    var trials = 0
    /// Shows the first of them again.
    var reproduce: String?
    /// Why it came to nothing.
    var reason: String?
  }

  /// Reads one request a line, answers with one line.
  public static func main() -> Never {
    _ = tl_die_with_parent()
    signal(SIGPIPE, SIG_IGN)
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
      Self.answer(Reply(checks: [hang.check.name], trials: 1, reproduce: hang.finding?.reproduce, reason: hang.check.detail))
      exit(0)
    }
    var reply = Reply()
    do throws(ExplorationError) {
      switch way {
      case .crashStates: try exploreStates(&reply, watch)
      case .errorMatrix: try failOperations(&reply, watch)
      case .schedules: try runSchedules(&reply, watch)
      case .ownScenario: try exploreOwn(&reply, watch)
      case .plainRestart, .processKill, .powerLoss, .oneFault: reply.reason = "\(way.rawValue) is no search"
      }
    } catch {
      if case .neverEnds = error { reply.checks = [.noHang] }
      reply.reason = "\(error)"
    }
    return reply
  }

  private var engine: Defect? { Defect(id: defect) }

  // MARK: Crash states

  private func exploreOwn(_ reply: inout Reply, _ watch: HangWatch) throws(ExplorationError) {
    let plan: ExplorationPlan
    do {
      let cells = try ScenarioFiles.load(file.map { [$0] } ?? [], vocabulary: Planning.vocabulary).flatMap { $0.cells() }
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
    for finding in report.findings where !reply.checks.contains(finding.violation.check) {
      reply.checks.append(finding.violation.check)
      reply.reproduce = reply.reproduce ?? finding.violation.reproduce
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
      if !reply.checks.isEmpty { return }
    }
  }

  /// Small workloads, each on the storages that show the most with the least, until one shows something.
  private func exploreStates(_ reply: inout Reply, _ watch: HangWatch) throws(ExplorationError) {
    if let client { return try exploreClient(client, &reply, watch) }
    typealias Step = (messages: Int, sync: SyncPolicy, depth: Int, profiles: [CrashProfile], checkpoints: Bool)
    let steps: [Step] = [
      (18, .always, 1, [.raw512, .posixMinimal], false), (18, .interval(.milliseconds(1)), 1, [.raw512], false),
      (60, .always, 1, [.ext4Writeback], false), (18, .always, 2, [.raw512], false), (36, .always, 1, [.raw512], true),
    ]
    for step in steps {
      var options = ExplorationOptions()
      options.workload.messages = step.messages
      options.workload.syncPolicy = step.sync
      options.workload.checkpoints = step.checkpoints
      options.workload.seed = 1
      (options.bound, options.statesPerPoint, options.samples) = (2, effort.statesPerPoint, effort.samples)
      (options.seed, options.jobs, options.depth) = (seed, 1, step.depth)
      (options.defect, options.watch, options.profiles) = (engine, watch, step.profiles)
      note(try Exploration(options).run(), &reply)
      if !reply.checks.isEmpty { return }
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

  private static let situations = ["produce", "recover", "interval", "close", "skip-damage", "metadata-damage", "checkpoint"]

  private func failOperations(_ reply: inout Reply, _ watch: HangWatch) throws(ExplorationError) {
    let situations = client.map { [$0.rawValue, "\($0.rawValue)-recover"] } ?? Self.situations
    for name in situations.prefix(effort.errorScenarios) {
      var options = ErrorMatrixOptions()
      options.scenarios = ErrorScenario.all.filter { $0.name == name }
      (options.cells, options.findsCallSites) = (Self.errors, false)
      (options.defect, options.jobs, options.stride, options.watch) = (engine, 1, effort.stride, watch)
      let report = try ErrorMatrix(options).run()
      reply.trials += report.runs
      for violation in report.violations where !reply.checks.contains(violation.check) {
        reply.checks.append(violation.check)
        reply.reproduce = reply.reproduce ?? "tornlog explore --errors --defect \(defect) --case '\(violation.story)'"
      }
      if !reply.checks.isEmpty { return }
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
      for violation in report.scenarios.flatMap(\.violations) where !reply.checks.contains(violation.check) {
        reply.checks.append(violation.check)
        reply.reproduce = reply.reproduce ?? "tornlog explore --schedules --defect \(defect) --schedule '\(violation.schedule)'"
      }
      if !reply.checks.isEmpty { return }
    }
  }
}
