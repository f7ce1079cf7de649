import ArgumentParser
import Exploration
import Reporting
import Trials

struct ExploreErrorsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "errors", abstract: "Let the Nth operation of each kind fail with each error, one at a time.",
    discussion: "The matrix covers recovery too. The report names every call site of the engine, and what has hit it.")

  @Option(
    name: .customLong("case"), help: ArgumentHelp("Run one case again, as the report prints it.", valueName: "case"))
  var errorCase: String?
  @Option(help: ArgumentHelp("Take only every nth N. 1 is the whole matrix.", valueName: "n"))
  var stride = 1
  @OptionGroup var scenarios: SearchScenarios
  @OptionGroup var threads: SearchJobs
  @OptionGroup var search: SearchOptions

  func validate() throws {
    guard stride > 0 else { throw ValidationError("--stride \(stride): 1 or more") }
  }

  func run() throws {
    search.report.check()
    try search.finish {
      var options = ErrorMatrixOptions()
      (options.defect, options.jobs, options.stride) = (search.defect?.defect, threads.jobs, stride)
      (options.deadline, options.watch) = (scenarios.moment, search.watch)
      options.isCancelled = { Interruption.isRequested }
      options.scenarios = try scenarios.chosen(
        among: ErrorScenario.all, \.name, again: errorCase, \.defectGround, options.defect)
      let matrix = try ErrorMatrix(options)
      let report =
        try errorCase.map { (name) throws(ExplorationError) in try matrix.run(case: name) } ?? matrix.run { note($0) }
      return (report.verdict, ReportDocument(report))
    }
  }
}
