import Defects
import Foundation
import LogModel
import PartitionEngine
import Synchronization
import Verification

/// What to search, and how far.
public struct ScheduleOptions: Sendable {
  public var scenarios = ScheduleScenario.all
  public var defect: Defect?
  /// Schedules of all scenarios together.
  public var schedules = 19_200
  /// Most pre-emptions of one schedule.
  public var bound = 3
  public var seed: UInt64 = 1
  public var jobs = 2
  public var deadline: Date?
  /// The user has had enough: as the deadline.
  public var isCancelled: @Sendable () -> Bool = { false }
  /// Ends a command whose engine keeps the processor to itself; nil for none.
  public var watch: HangWatch?

  public init() {}
}

/// Who is at work at the same time.
public struct ScheduleScenario: Sendable, CustomStringConvertible {
  public var name: String
  public var summary: String
  var ground: ErrorScenario
  var second = SecondEngine.none

  public var description: String { "\(name): \(summary)" }

  private init(
    _ name: String, _ summary: String, _ ground: ErrorScenario, _ second: SecondEngine = .none, batches: Int = 12,
    size: Int = 600,
    committers: Int = 0
  ) {
    (self.name, self.summary, self.second) = (name, summary, second)
    var ground = ground
    ground.workload.messages = batches * ground.workload.messagesPerBatch
    (ground.workload.messageSize, ground.workload.producers, ground.workload.committers) = (size, 3, committers)
    self.ground = ground
  }

  public static let all: [ScheduleScenario] = [
    ScheduleScenario("always", "three producers and a consumer that commits", ErrorScenario("always", "")),
    // A batch a sector: so that a power cut may keep any of them.
    ScheduleScenario(
      "interval", "the same, interval(2ms)", ErrorScenario("interval", "", .interval(.milliseconds(2))), batches: 36,
      size: 100),
    ScheduleScenario(
      "commits", "three groups that commit all that they can consume, interval(2ms)",
      ErrorScenario("interval", "", .interval(.milliseconds(2))), batches: 24, size: 100, committers: 3),
    ScheduleScenario("writers", "a second engine on the same disk", ErrorScenario("writers", ""), .competes),
    ScheduleScenario(
      "takeover", "a second engine that holds the first's lease for expired",
      ErrorScenario("takeover", "", leases: true),
      .takesOver),
    ScheduleScenario(
      "checkpoint", "the same, while the log goes to an object store",
      ErrorScenario("checkpoint", "", leases: true, checkpoints: true), .takesOver),
  ]
}

/// Races, found by search: the order in which completions and tasks run is chosen, bounded in how often it leaves the
/// default order (Musuvathi and Qadeer, "Iterative Context Bounding for Systematic Testing of Multithreaded Programs",
/// PLDI 2007: most races need one or two pre-emptions).
///
/// 1. the default order; with the power cut at the end, then at each of its decisions;
/// 2. every schedule with one pre-emption;
/// 3. schedules with one pre-emption and a power cut, or with more up to the bound, sampled by the seed.
public struct ScheduleSearch: Sendable {
  let options: ScheduleOptions
  let grounds: [ErrorFixture]

  /// - Throws: `ExplorationError` where a scenario's disk cannot be made.
  public init(_ options: ScheduleOptions) throws(ExplorationError) {
    self.options = options
    let defect = options.defect
    let subject = EngineUnderTest(
      ExplorationWorkload(), parts: { defect?.parts() ?? EngineParts() }, layer: { defect?.layer(on: $0) ?? $0 })
    var grounds: [ErrorFixture] = []
    for scenario in options.scenarios {
      var ground = scenario.ground
      ground.workload.seed = options.seed
      let work = "explore schedules, the lives before scenario \(scenario.name),"
      let made = try options.watch.during(work) { () throws(ExplorationError) in try ErrorFixture(ground, subject) }
      grounds.append(made)
    }
    self.grounds = grounds
  }

  /// One schedule again.
  /// - Throws: `ExplorationError.unknownCase`.
  public func run(schedule name: String) throws(ExplorationError) -> ScheduleReport {
    guard let schedule = Schedule(name),
      let place = options.scenarios.firstIndex(where: { $0.name == schedule.scenario })
    else { throw .unknownCase(name) }
    return ScheduleReport(scenarios: [summary(place, [schedule], [story(place, schedule)])], bound: options.bound)
  }

  /// - Parameter progress: told a line of text now and then.
  public func run(progress: @escaping @Sendable (String) -> Void = { _ in }) -> ScheduleReport {
    let share = max(1, options.schedules / options.scenarios.count)
    var summaries: [ScheduleSummary] = []
    for place in options.scenarios.indices {
      let name = options.scenarios[place].name
      let plain = Schedule(scenario: name)
      let first = story(place, plain)
      let schedules = [plain] + chosen(name, first.possibilities, share - 1)
      let meter = MatrixProgress(schedules.count) { [unit = "schedules of `\(name)`"] in progress("\(unit): \($0)") }
      let results = Parallel.map(schedules.count, jobs: options.jobs, chunk: 8, worker: {}) {
        _, index -> ScheduleResult? in
        if options.isCancelled() || options.deadline.map({ Date() > $0 }) ?? false { return nil }
        meter.done(1)
        return index == 0 ? first : story(place, schedules[index])
      }
      summaries.append(summary(place, schedules, results))
    }
    var report = ScheduleReport(scenarios: summaries, bound: options.bound)
    if summaries.contains(where: \.isCutOff) { report.stoppedBy = options.isCancelled() ? .signal : .deadline }
    return report
  }

  private func story(_ place: Int, _ schedule: Schedule) -> ScheduleResult {
    let story = ScheduleRun(grounds[place], options.scenarios[place].second)
    return options.watch.during("explore schedules --schedule '\(schedule)'") { story.run(schedule) }
  }

  /// - Parameter possibilities: at the decisions of the default order.
  private func chosen(_ name: String, _ possibilities: [Int], _ count: Int) -> [Schedule] {
    var schedules: [Schedule] = []
    for decision in 1...max(1, possibilities.count) { schedules.append(Schedule(scenario: name, cut: decision)) }
    for (index, count) in possibilities.enumerated() where options.bound >= 1 {
      for choice in 1..<count {
        schedules.append(Schedule(scenario: name, preemptions: [.init(decision: index + 1, choice: choice)]))
      }
    }
    if schedules.count > count { return Array(schedules[..<count]) }
    var random = SeededGenerator(seed: options.seed, stream: "schedules \(name)")
    var known = Set(schedules)
    var idle = 0
    while schedules.count < count, options.bound >= 1, idle < 1000 {
      var schedule = Schedule(scenario: name)
      // Fewer are likelier to be what matters.
      let number = random.chance(1, in: 2) ? 1 : Int.random(in: 1...options.bound, using: &random)
      var decisions: Set<Int> = []
      while decisions.count < min(number, possibilities.count) {
        decisions.insert(Int.random(in: 1...possibilities.count, using: &random))
      }
      for decision in decisions.sorted() {
        schedule.preemptions.append(.init(decision: decision, choice: Int.random(in: 1...6, using: &random)))
      }
      // A race is a window: most cuts come soon after the last pre-emption.
      if let last = schedule.preemptions.last?.decision, random.chance(1, in: 2) {
        schedule.cut = last + Int.random(in: 1...24, using: &random)
      } else if random.chance(1, in: 3) {
        schedule.cut = Int.random(in: 1...possibilities.count, using: &random)
      }
      if known.insert(schedule).inserted {
        schedules.append(schedule)
        idle = 0
      } else {
        idle += 1
      }
    }
    return schedules
  }

  private func summary(_ place: Int, _ schedules: [Schedule], _ results: [ScheduleResult?]) -> ScheduleSummary {
    var summary = ScheduleSummary(name: options.scenarios[place].name)
    var traces: Set<UInt64> = []
    for (index, result) in results.enumerated() {
      guard let result else {
        summary.isCutOff = true
        continue
      }
      summary.schedules += 1
      traces.insert(result.trace)
      if index == 0 {
        summary.decisions = result.possibilities.count
        summary.possibleSingles = result.possibilities.reduce(0) { $0 + $1 - 1 }
      }
      // Samples of more than there is to choose from are no such.
      let possibilities = results[0]?.possibilities ?? []
      if let only = schedules[index].preemptions.first, schedules[index].preemptions.count == 1,
        schedules[index].cut == nil,
        possibilities.indices.contains(only.decision - 1), only.choice < possibilities[only.decision - 1]
      {
        summary.singles += 1
      }
      if !result.wasCut { summary.uncut += 1 }
      switch result.judgement.verdict {
      case .held: break
      case .unknown:
        summary.unknown += 1
        summary.doubt = summary.doubt ?? result.judgement.check.map { "\(schedules[index]): \($0.detail)" }
      case .violated:
        summary.violated += 1
        guard let check = result.judgement.check else { continue }
        if let at = summary.violations.firstIndex(where: { $0.check == check.name }) {
          summary.violations[at].schedules += 1
        } else {
          summary.violations.append(
            ScheduleViolation(
              check: check.name, detail: check.detail, schedule: "\(schedules[index])", within: index + 1, schedules: 1,
              isInDefaultOrder: schedules[index].preemptions.isEmpty))
        }
      }
    }
    summary.unique = traces.count
    return summary
  }
}
