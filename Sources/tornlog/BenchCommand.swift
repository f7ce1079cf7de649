import ArgumentParser
import Benchmarks
import CrashStates
import Foundation
import LogModel
import Reporting
import ScenarioFormat
import Trials
import Verification

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure appends and recovery against raw loops on the same file system, in the same run.",
    discussion: """
      Every figure is a ratio to a raw loop that ran just before and just after it. A row whose rounds differ by more than 30 % \
      is measured again, at most three times. The command ends with exit code 1 where a target is missed, with 2 where the \
      rounds still differ too much, with 130 after an interruption, with a report of the rows until then.

      --programs -- DRIVER opens crash states of a program, and copies of the same states on tmpfs without a volume. It shows what \
      the harness costs, and what its time is made of.

      --recovery 4GiB writes a log of that size, one of single records, and an object store. It recovers each in a process of \
      its own, and shows how much memory that took. It needs as much room in --dir, and minutes.
      """)

  @Option(help: ArgumentHelp("Measure the file system of this folder.", valueName: "dir"), completion: .directory)
  var dir = "."
  @Flag(help: "Measure only the rows that carry a target, in short slices.")
  var quick = false
  @Flag(help: "Measure the engine beside fio, RocksDB, SQLite, LMDB and pg_test_fsync, where they are installed.")
  var peers = false
  @Flag(help: "Measure what crash states of long recordings cost, and nothing else.")
  var crashStates = false
  @Flag(help: "Measure how fast crash states of the program behind `-- DRIVER` are judged, beside its engine alone.")
  var programs = false
  @Option(help: "Measure this part only.")
  var only: BenchOptions.Part?
  @Option(help: ArgumentHelp("Recover logs and a store of this size, like 4GiB. Repeatable.", valueName: "size"))
  var recovery: [String] = []
  @Option(help: "Let --recovery write this kind only. Repeatable.")
  var kind: [RecoveryKind] = []
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Open an engine with n empty partitions. 0 leaves this out.", valueName: "n"))
  var partitions = 1000
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Commit n offsets, one after the other. 0 leaves this out.", valueName: "n"))
  var commits: Int?
  @Option(parsing: .unconditional, help: ArgumentHelp("Measure each row in n rounds.", valueName: "n"))
  var rounds: Int?
  @Option(parsing: .unconditional, help: ArgumentHelp("Append with n producers only: 1, 4, 16 or 64.", valueName: "n"))
  var producers: Int?
  @Option(help: "Append with this sync policy only.")
  var sync: SyncPolicy?
  @OptionGroup var report: ReportOptions<PlotFormats>
  /// The driver and its arguments, after `--`.
  @Option(name: TerminatedWords.name, parsing: .unconditionalSingleValue, help: .hidden)
  var driver: [String] = []

  func validate() throws {
    if programs, driver.isEmpty {
      throw ValidationError("--programs: name a driver, like -- python3 Examples/drivers/sqlite.py")
    }
    if !programs, !driver.isEmpty { throw ValidationError("a driver after `--`: of --programs only") }
    if let producers, !AppendCase.producerCounts.contains(producers) {
      throw ValidationError("--producers \(producers): 1, 4, 16 or 64")
    }
    guard (0...100_000).contains(partitions) else {
      throw ValidationError("--partitions \(partitions): from 0 to 100000")
    }
    if let commits, !(0...100_000_000).contains(commits) {
      throw ValidationError("--commits \(commits): from 0 to 100000000")
    }
    if peers, only != nil || !recovery.isEmpty || commits != nil {
      throw ValidationError(
        "--peers: measures the engine and its peers only; leave out --only, --recovery and --commits")
    }
    if crashStates || programs, report.asked.contains(where: { $0.format == .html }) {
      throw ValidationError("--report html: not with --crash-states and --programs; take markdown or json")
    }
    if !kind.isEmpty, recovery.isEmpty, only != .recovery {
      throw ValidationError("--kind: of --recovery only; name a size, like --recovery 4GiB")
    }
  }

  func run() throws {
    if crashStates { return try measureCrashStates() }
    if programs { return try measureProgram() }
    do {
      let part = only
      let options = try BenchOptions(directory: dir, quick: quick, only: part, rounds: rounds)
      report.check()
      let beside = peers ? Self.installedPeers() : []
      var bench = Bench(options, append: [EngineAppendSubject()] + beside, scan: [EngineScanSubject()])
      if peers { bench.comparePeers() }
      bench.filterAppends { load in
        (producers.map { $0 == load.producers } ?? true) && (sync.map { $0 == load.policy } ?? true)
      }
      if !peers, part == nil || part == .partitions, partitions > 0 { bench.openings = [partitions] }
      let commits = commits ?? (part == .commits ? 1_000_000 : quick ? 0 : 100_000)
      if !peers, part == nil || part == .commits, commits > 0 { bench.commits = [commits] }
      if part == nil || part == .recovery {
        bench.recoveries = try sizes(part == .recovery && recovery.isEmpty ? ["4GiB"] : recovery).flatMap { bytes in
          (kind.isEmpty ? RecoveryKind.allCases : kind).map { ($0, bytes) }
        }
        bench.recoveryRounds = rounds ?? 3
        bench.recover = Self.recoverInProcess
      }
      bench.isCancelled = { Interruption.isRequested }
      bench.onProgress = { progress in
        note("[\(progress.done + 1)/\(progress.total)] \(progress.title)")
      }
      let table = try bench.run()
      let command = peers ? "tornlog bench --peers" : "tornlog bench"
      report.write(try Self.document(table, command))
      if table.exitCode != 0 { throw ExitCode(table.exitCode) }
    } catch let error as ExitCode {
      throw error
    } catch let error as BenchError {
      fail("\(error)", error.exitCode)
    } catch {
      // A full disk under the engine or under a raw loop is no figure of either.
      if BenchError.isEnvironment(error) {
        fail("\(error) (free space in \(dir), or choose another directory with --dir)", ExitStatus.unavailable)
      }
      fail("internal error: \(error)", ExitStatus.internalError)
    }
  }

  private func measureCrashStates() throws {
    report.check()
    var rows: [CrashStateCost.Row] = []
    // The heaviest last: what memory each took can be seen then.
    for load in CrashStateCost.Load.allCases {
      for size in load.sizes where !Interruption.isRequested {
        note("\(load.rawValue): \(size) operations")
        rows.append(CrashStateCost.measure(load, size, .posixMinimal))
      }
    }
    let title =
      "crash states of long recordings, \(CrashProfile.posixMinimal.name), at most "
      + "\(CrashStateCost.statesPerPoint) states a crash point"
    let table = alignedColumns(
      [["load", "operations", "states", "seconds", "peak MiB"]]
        + rows.map { row in
          [
            row.load, grouped(Double(row.operations)), grouped(Double(row.states)), fixed(row.seconds, 2),
            grouped(Double(row.peakMiB)),
          ]
        }, rightAligned: [1, 2, 3, 4])
    let text = [title] + table.split(separator: "\n").map(String.init)
    struct Document: Encodable {
      var version = 1
      var tool = "tornlog"
      var crashStateCost: [CrashStateCost.Row]
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    let body = String(decoding: try encoder.encode(Document(crashStateCost: rows)), as: UTF8.self)
    report.write(
      ReportDocument(
        title: "tornlog bench --crash-states", text: text,
        conclusion: Interruption.isRequested ? "interrupted" : "\(rows.count) rows", json: body,
        cases: rows.map {
          ReportCase(
            group: "bench", name: "\($0.load), \($0.operations)", mustHold: .held,
            message: "\(fixed($0.seconds, 2)) s, \($0.peakMiB) MiB")
        }))
    if Interruption.isRequested { throw ExitCode(ExitStatus.interrupted) }
  }

  private func sizes(_ texts: [String]) throws(BenchError) -> [Int] {
    try texts.map { (text) throws(BenchError) in
      guard let bytes = byteCount(text), (1 << 20...1 << 40).contains(bytes) else {
        throw .invalidOption("--recovery", value: text, expected: "bytes from 1MiB to 1TiB, like 4GiB")
      }
      return bytes
    }
  }

  private static func document(_ table: BenchTable, _ command: String) throws -> ReportDocument {
    let missed = table.cases.count { $0.verdict == .missed }
    let noisy = table.cases.count { $0.verdict == .noisy }
    return ReportDocument(
      title: command, text: [table.renderText()],
      conclusion:
        "\(table.cases.count) rows in \(table.directory) (\(table.fileSystem)): \(missed) targets missed, \(noisy) "
        + "without a verdict",
      json: try table.renderJSON(),
      cases: table.cases.map { row in
        let verdict: Verdict =
          switch row.verdict {
          case .met, nil: .held
          case .missed: .violated
          case .noisy: .unknown
          }
        return ReportCase(group: "bench", name: row.name, mustHold: verdict, message: row.figure)
      }, page: table.renderMarkdown(command), html: table.renderHTML(command))
  }

  /// Says of the others how they are installed.
  private static func installedPeers() -> [any AppendSubject] {
    PeerSubject.Kind.allCases.compactMap { kind in
      let peer = PeerSubject(kind, launch: launch)
      if let absence = peer.absence {
        note("\(kind.rawValue) left out: \(absence)")
        return nil
      }
      return peer
    }
  }

  /// Runs a peer's own program, to its end or until its output is enough.
  private static func launch(_ arguments: [String], _ isEnough: @escaping (String) -> Bool) throws -> String {
    let ended = try child(arguments, until: isEnough) { BenchError.peerFailed("\(arguments[0]): \($0)") }
    guard ended.status == 0 || isEnough(ended.output) else {
      throw BenchError.peerFailed("\(arguments[0]) ended with \(ended.how): \(ended.errors.prefix(300))")
    }
    return ended.output
  }

  /// This program once more, which recovers and does nothing else.
  private static func recoverInProcess(_ kind: RecoveryKind, in directory: String) throws -> RecoveryReading {
    let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
    let ended = try child([own, LargeRecovery.argument, kind.rawValue, directory]) {
      BenchError.recoveryFailed("\($0)")
    }
    guard ended.status == 0 else {
      let complaint = ended.errors.isEmpty ? ended.how : ended.errors
      throw ended.status == ExitStatus.unavailable
        ? BenchError.recoveryImpossible(complaint) : BenchError.recoveryFailed(complaint)
    }
    return try JSONDecoder().decode(RecoveryReading.self, from: Data(ended.output.utf8))
  }

  private struct EndedChild {
    /// Nil where a signal ended it.
    var status: Int32?
    var how: String
    var output: String
    var errors: String
  }

  /// Runs a program to its end. A signal for this one ends it too.
  /// - Parameter failure: what is thrown where it cannot be started.
  private static func child(
    _ arguments: [String], until isEnough: @escaping (String) -> Bool = { _ in false },
    failure: (any Error) -> BenchError
  ) throws -> EndedChild {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: arguments[0])
    process.arguments = Array(arguments.dropFirst())
    let (output, errors) = (Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (output, errors)
    do { try process.run() } catch { throw failure(error) }
    let child = process.processIdentifier
    let isInterrupted = { Interruption.isRequested }
    let pipes = [output, errors].map(\.fileHandleForReading.fileDescriptor)
    let texts = ChildOutput.read(pipes, stopWhen: isInterrupted, isEnough: isEnough) { kill(child, SIGKILL) }
    process.waitUntilExit()
    if isInterrupted() { throw BenchError.interrupted }
    let isExit = process.terminationReason == .exit
    return EndedChild(
      status: isExit ? process.terminationStatus : nil,
      how: "\(isExit ? "status" : "signal") \(process.terminationStatus)", output: texts[0], errors: texts[1])
  }
}
