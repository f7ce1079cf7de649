import ArgumentParser
import Benchmarks
import Foundation
import LogModel
import Reporting
import ScenarioFormat
import Trials

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure appends and recovery against raw loops on the same file system, in the same run.",
    discussion: """
      Every figure is a ratio to a raw loop that ran just before and just after it. A row whose rounds differ by \
      more than 30 % is measured again, three times at the most. Exits with 1 where a target is missed, with 2 where the rounds \
      still differ too much for a verdict, with 130 after an interruption, with reports of the rows until then.

      --recovery 4GiB writes a log of that size, one of single records, and an object store, recovers each in a process of its \
      own, and says how much memory that took. It needs as much room in --dir, and minutes.
      """)

  @Option(help: "The directory whose file system is measured.")
  var dir = "."
  @Flag(help: "Only the rows that carry a target, in short slices.")
  var quick = false
  @Option(help: "Only `append`, `scan`, `partitions`, `commits` or `recovery`.")
  var only: String?
  @Option(help: "Recover logs and a store of so many bytes: 512MiB, 4GiB; repeatable.")
  var recovery: [String] = []
  @Option(help: "What --recovery writes: `log`, `records`, `store`; repeatable, all without it.")
  var kind: [String] = []
  @Option(parsing: .unconditional, help: "Open an engine with so many empty partitions; 0 for none.")
  var partitions = 1000
  @Option(parsing: .unconditional, help: "Commit so many offsets, one after the other; 0 for none.")
  var commits: Int?
  @Option(parsing: .unconditional, help: "Rounds of subject and references for each row.")
  var rounds: Int?
  @Option(parsing: .unconditional, help: "Only append rows with so many producers: 1, 4, 16 or 64.")
  var producers: Int?
  @Option(help: "Only append rows with this sync policy.")
  var sync: String?
  @Option(help: "terminal, json or json=PATH; repeatable.")
  var report: [String] = ["terminal"]

  func validate() throws {
    if let producers, !AppendCase.producerCounts.contains(producers) {
      throw ValidationError("--producers \(producers): 1, 4, 16 or 64")
    }
    guard (0...100_000).contains(partitions) else {
      throw ValidationError("--partitions \(partitions): from 0 to 100000")
    }
    if let commits, !(0...100_000_000).contains(commits) {
      throw ValidationError("--commits \(commits): from 0 to 100000000")
    }
    if !kind.isEmpty, recovery.isEmpty, only != BenchOptions.Part.recovery.rawValue {
      throw ValidationError("--kind: of --recovery only; name a size, like --recovery 4GiB")
    }
  }

  func run() throws {
    do {
      var part: BenchOptions.Part?
      if let only {
        part = BenchOptions.Part(rawValue: only)
        if part == nil { throw BenchError.invalidOption("--only", value: only, expected: "append, scan, partitions, commits or recovery") }
      }
      let options = try BenchOptions(directory: dir, quick: quick, only: part, rounds: rounds)
      let reports = try report.map { try BenchOptions.Report($0) }
      OutputPaths.check(zip(report, reports).map { ($0, $1.path) })
      var bench = Bench(options, append: [EngineAppendSubject()], scan: [EngineScanSubject()])
      let policy = sync.map { SyncPolicy($0) }
      if policy == .some(nil) {
        throw BenchError.invalidOption("--sync", value: sync ?? "", expected: "always, interval(100ms) or never")
      }
      bench.filterAppends { load in
        (producers.map { $0 == load.producers } ?? true) && (policy.map { $0 == load.policy } ?? true)
      }
      if part == nil || part == .partitions, partitions > 0 { bench.openings = [partitions] }
      let commits = commits ?? (part == .commits ? 1_000_000 : quick ? 0 : 100_000)
      if part == nil || part == .commits, commits > 0 { bench.commits = [commits] }
      if part == nil || part == .recovery {
        bench.recoveries = try sizes(part == .recovery && recovery.isEmpty ? ["4GiB"] : recovery).flatMap { bytes in
          try kinds().map { ($0, bytes) }
        }
        bench.recoveryRounds = rounds ?? 3
        bench.recover = Self.recoverInProcess
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
    } catch let error as ExitCode {
      throw error
    } catch let error as BenchError {
      fail("\(error)", error.exitCode)
    } catch let error as ReportError {
      fail("\(error)", ExitStatus.unavailable)
    } catch {
      // A full disk under the engine or under a raw loop is no figure of either.
      if BenchError.isEnvironment(error) {
        fail("\(error) (free space in \(dir), or choose another directory with --dir)", ExitStatus.unavailable)
      }
      fail("internal error: \(error)", ExitStatus.internalError)
    }
  }

  private func sizes(_ texts: [String]) throws(BenchError) -> [Int] {
    try texts.map { (text) throws(BenchError) in
      guard let bytes = byteCount(text), (1 << 20...1 << 40).contains(bytes) else {
        throw .invalidOption("--recovery", value: text, expected: "bytes from 1MiB to 1TiB, like 4GiB")
      }
      return bytes
    }
  }

  private func kinds() throws(BenchError) -> [RecoveryKind] {
    if kind.isEmpty { return RecoveryKind.allCases }
    return try kind.map { (text) throws(BenchError) in
      guard let kind = RecoveryKind(rawValue: text) else {
        throw .invalidOption("--kind", value: text, expected: "log, records or store")
      }
      return kind
    }
  }

  /// This program once more, which recovers and does nothing else. A signal ends it too.
  private static func recoverInProcess(_ kind: RecoveryKind, in directory: String) throws -> RecoveryReading {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = [LargeRecovery.argument, kind.rawValue, directory]
    let (output, errors) = (Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (output, errors)
    do { try process.run() } catch { throw BenchError.recoveryFailed("\(error)") }
    let child = process.processIdentifier
    let isInterrupted = { Interruption.isRequested }
    let pipes = [output, errors].map(\.fileHandleForReading.fileDescriptor)
    let texts = ChildOutput.read(pipes, stopWhen: isInterrupted) { kill(child, SIGKILL) }
    process.waitUntilExit()
    if isInterrupted() { throw BenchError.interrupted }
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      let complaint = texts[1].isEmpty ? "status \(process.terminationStatus)" : texts[1]
      let isEnvironment = process.terminationReason == .exit && process.terminationStatus == ExitStatus.unavailable
      throw isEnvironment ? BenchError.recoveryImpossible(complaint) : BenchError.recoveryFailed(complaint)
    }
    return try JSONDecoder().decode(RecoveryReading.self, from: Data(texts[0].utf8))
  }
}
