import ArgumentParser
import Benchmarks
import LogModel
import Reporting
import Trials

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure appends and recovery against raw loops on the same file system, in the same run.",
    discussion: """
      Every figure is a ratio to a raw loop that ran just before and just after it. Exits with 1 where a target is missed.
      """)

  @Option(help: "The directory whose file system is measured.")
  var dir = "."
  @Flag(help: "Only the rows that carry a target, in short slices.")
  var quick = false
  @Option(help: "Only `append` or only `scan`.")
  var only: String?
  @Option(help: "Rounds of subject and references for each row.")
  var rounds: Int?
  @Option(help: "Only append rows with so many producers: 1, 4, 16 or 64.")
  var producers: Int?
  @Option(help: "Only append rows with this sync policy.")
  var sync: String?
  @Option(help: "terminal, json or json=PATH; repeatable.")
  var report: [String] = ["terminal"]

  func run() throws {
    do {
      var part: BenchOptions.Part?
      if let only {
        part = BenchOptions.Part(rawValue: only)
        if part == nil { throw BenchError.invalidOption("--only", value: only, expected: "append or scan") }
      }
      let options = try BenchOptions(directory: dir, quick: quick, only: part, rounds: rounds)
      let reports = try report.map { try BenchOptions.Report($0) }
      var bench = Bench(options, append: [EngineAppendSubject()], scan: [EngineScanSubject()])
      let policy = sync.map { SyncPolicy($0) }
      if policy == .some(nil) {
        throw BenchError.invalidOption("--sync", value: sync ?? "", expected: "always, interval(100ms) or never")
      }
      bench.filterAppends { load in
        (producers.map { $0 == load.producers } ?? true) && (policy.map { $0 == load.policy } ?? true)
      }
      bench.isCancelled = { Interruption.isRequested }
      bench.onProgress = { progress in
        note("[\(progress.done + 1)/\(progress.total)] \(progress.title)")
      }
      let table = try bench.run()
      for report in reports {
        switch report {
        case .terminal: Console.print([table.renderText()])
        case .json(let path?): try AtomicFileSink(path: path).write(try table.renderJSON() + "\n")
        case .json(nil): Console.print([try table.renderJSON()])
        }
      }
      if table.exitCode != 0 { throw ExitCode(table.exitCode) }
    } catch let error as BenchError {
      fail("\(error)", error.exitCode)
    } catch let error as ReportError {
      fail("\(error)", ExitStatus.unavailable)
    } catch let error as RawReferenceError {
      fail("\(error)", ExitStatus.unavailable)
    }
  }
}
