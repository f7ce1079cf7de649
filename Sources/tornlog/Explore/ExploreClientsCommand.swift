import ArgumentParser
import CProcess
import Exploration
import LogModel
import Reporting
import Trials

struct ExploreClientsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clients", abstract: "Visit the crash states of a program that has logs of its own.",
    discussion: """
      `delivery` has job logs, their senders and an archive. `transactions` has the transactions of a replay buffer. The \
      bounds are 2 pieces, 64 states and 4 samples where the options do not say otherwise.
      """)

  @Argument(help: "The program: delivery or transactions.")
  var client: LogClient
  @Option(
    help: ArgumentHelp(
      "Events of each execution, or measurements of each session, 4 to 1000 (default 12).", valueName: "n"))
  var messages: Int?
  @Option(
    help: ArgumentHelp(
      "Run one state again, as the report prints it. It needs the --profile that it was found in.", valueName: "state"))
  var state: String?
  @OptionGroup var profiles: SearchProfiles
  @OptionGroup var bounds: SearchBounds
  @OptionGroup var random: SearchSeed
  @OptionGroup var threads: SearchJobs
  @OptionGroup var search: SearchOptions

  func validate() throws {
    guard (4...1000).contains(messages ?? 4) else { throw ValidationError("--messages \(messages ?? 0): 4 to 1000") }
    guard state == nil || profiles.choices.count == 1 else {
      throw ValidationError("--state: name the one --profile that it was found in")
    }
  }

  func run() throws {
    search.report.check()
    try search.finish {
      var options = ExplorationOptions()
      (options.bound, options.statesPerPoint, options.samples) = (2, 64, 4)
      bounds.apply(to: &options)
      (options.seed, options.jobs) = (random.seed ?? 1, threads.jobs)
      options.defect = try search.defect.chosen(on: client.defectGround)
      options.watch = search.watch
      options.isCancelled = { Interruption.isRequested }
      options.profiles = profiles.profiles(coveringRecordLogs: true)
      let exploration = try ClientExploration(client, messages: messages, options)
      note("\(exploration.events) events recorded")
      tl_keep_freed_memory()
      let report =
        try state.map { (text) throws(ExplorationError) in try exploration.run(state: text) }
        ?? exploration.run { note($0) }
      return (report.verdict, ReportDocument(report, title: "tornlog explore clients"))
    }
  }
}
