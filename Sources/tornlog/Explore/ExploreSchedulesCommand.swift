import ArgumentParser
import Exploration
import Reporting
import Trials

struct ExploreSchedulesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schedules", abstract: "Run tasks and completions in many orders, with a few pre-emptions each.",
    discussion: "Each order ends with a power cut, and with what recovery makes of it.")

  @Option(
    name: .customLong("schedule"),
    help: ArgumentHelp("Run one schedule again, as the report prints it.", valueName: "schedule"))
  var one: String?
  @Option(help: ArgumentHelp("Run n schedules over all scenarios.", valueName: "n"))
  var count = 16_000
  @Option(help: ArgumentHelp("Pre-empt at most n times in one schedule, 0 to 8.", valueName: "n"))
  var preemptions = 3
  @OptionGroup var scenarios: SearchScenarios
  @OptionGroup var random: SearchSeed
  @OptionGroup var threads: SearchJobs
  @OptionGroup var search: SearchOptions

  func validate() throws {
    guard count > 0 else { throw ValidationError("--count \(count): 1 or more") }
    guard (0...8).contains(preemptions) else { throw ValidationError("--preemptions \(preemptions): 0 to 8") }
  }

  func run() throws {
    search.report.check()
    try search.finish {
      var options = ScheduleOptions()
      (options.defect, options.jobs, options.seed) = (search.defect?.defect, threads.jobs, random.seed ?? 1)
      (options.schedules, options.bound, options.deadline) = (count, preemptions, scenarios.moment)
      options.watch = search.watch
      options.isCancelled = { Interruption.isRequested }
      options.scenarios = try scenarios.chosen(
        among: ScheduleScenario.all, \.name, again: one, \.defectGround, options.defect)
      let schedules = try ScheduleSearch(options)
      let report =
        try one.map { (name) throws(ExplorationError) in try schedules.run(schedule: name) }
        ?? schedules.run { note($0) }
      return (report.verdict, ReportDocument(report))
    }
  }
}
