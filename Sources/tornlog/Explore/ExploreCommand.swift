import ArgumentParser
import CProcess
import CrashStates
import Defects
import Exploration
import Foundation
import LogModel
import Reporting
import Trials
import Verification

struct ExploreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explore",
    abstract: "Visit every crash state that a storage permits, recover from each, and judge what is left.",
    discussion: """
      A workload runs once in virtual time: each cell of the scenarios, or the reference workload (3 partitions, 60 \
      batches, rotation, commits of consumer offsets). At each of its moments the states that a power cut may leave are \
      enumerated, as the profile permits. Exits with 1 where a promise was broken that no scenario expects to be.
      """)

  @Argument(help: "Scenario files and folders; without any, Scenarios/exploration.", completion: .file())
  var paths: [String] = []
  @Flag(help: "The reference workload in place of scenarios.")
  var reference = false
  @Option(
    name: .customShort("k"),
    help: ArgumentHelp("Of scenarios the cells that match: `P1 and messages<=100`.", valueName: "expr"))
  var expression: String?
  @Option(name: .customShort("t"), help: ArgumentHelp("Of scenarios the cells of a suite: quick (default), full, ...; repeatable.", valueName: "tag"))
  var tags: [String] = []
  @Option(name: .customLong("profile"), help: "A persistence profile, or `all`, in place of the scenarios'; repeatable.")
  var profiles: [String] = []
  @Option(help: "With --reference: every state that differs in at most so many pieces is visited (3).")
  var bound: Int?
  @Option(help: "With --reference: states that the exhaustive part visits at one crash point at the most (4096); the bound is lowered to fit.")
  var statesPerPoint: Int?
  @Option(help: "With --reference: states drawn by the seed at each crash point that was not exhausted (64).")
  var samples: Int?
  @Option(help: "With --reference: always (default), interval(100ms) or never.")
  var sync: String?
  @Option(help: "With --reference: 2: the recoveries are cut off too.")
  var depth: Int?
  @Option(help: "With --reference: in whose format the engine keeps its logs: tornlog (default), streamhouse, airunner, chronik, chronik-v1, replay-buffer.")
  var system: String?

  @Option(help: ArgumentHelp("A program with logs of its own in place of the engine: delivery (job logs, their senders and the archive) or transactions (of a replay buffer). With --profile, --bound, --states-per-point, --samples, --depth, --defect and --seed.", valueName: "client"))
  var client: String?
  @Option(help: "With --client: events of each execution, or measurements of each session (12).")
  var messages: Int?
  @Option(help: "With --client: one state again, as the report prints it.")
  var state: String?
  @Flag(help: "With --reference: the log goes to an object store while the workload runs, and so does what is appended after the crash.")
  var checkpoint = false
  @Flag(help: "With --reference: another writer takes over while the first is at work; its clock is an hour ahead, and the lease has run out.")
  var takeover = false
  @Option(help: ArgumentHelp("With --reference: so many consumers read while messages are sent, 0 to 8.", valueName: "n"))
  var readers: Int?
  @Flag(help: "With --reference: the device makes short writes, and one fsync fails.")
  var mishaps = false
  @Option(help: "A historical defect, by its id, in place of the scenarios'; it is expected to do no harm.")
  var defect: String?
  @Option(help: "With --reference: so many states of each profile are run again without any reduction, and the verdicts compared.")
  var calibrate: Int?
  @Flag(help: "With --reference: states from which the engine reads the same are each recovered from.")
  var noReadSets = false
  @Option(
    parsing: .unconditional,
    help: "Where every choice begins; without it the scenario's, or 42; of the reference workload 1.")
  var seed: UInt64?
  @Option(parsing: .unconditional, help: "Threads.")
  var jobs = ProcessInfo.processInfo.activeProcessorCount
  @OptionGroup var searches: ExploreSearches
  @OptionGroup var real: ExploreReal
  @Option(help: "terminal, json or json=PATH; repeatable.")
  var report: [String] = ["terminal"]

  @Option(help: ArgumentHelp("An engine that keeps the processor for so long with one state, case or schedule hangs (60s).", valueName: "duration"))
  var timeout = "60s"

  @Flag(name: .customShort("v"), help: "Of scenarios the whole report of each cell.")
  var verbose = false

  func validate() throws {
    try HangExit.validate(timeout)
    guard (1...1024).contains(jobs) else { throw ValidationError("--jobs \(jobs): from 1 to 1024") }
    for target in report where target != "terminal" && target != "json" && Self.path(target) == nil {
      throw ValidationError("--report \(target): terminal, json or json=PATH")
    }
  }

  /// Where `json=PATH` leads to.
  private static func path(_ target: String) -> String? {
    guard target.hasPrefix("json="), case let path = String(target.dropFirst(5)), !path.isEmpty else { return nil }
    return path
  }

  /// For whatever runs the engine on this command's behalf.
  var watch: HangWatch { HangExit.watch(timeout, report: report) }

  func run() throws {
    // Now, and not after minutes of work.
    OutputPaths.check(report.map { ($0, Self.path($0)) })
    if real.isAsked { return try compareWithReal() }
    if let stray = searches.stray { throw ValidationError(stray) }
    guard real.strays.isEmpty else { throw ValidationError("\(real.strays.joined(separator: ", ")): of --real only") }
    if searches.errors || searches.schedules {
      guard paths.isEmpty, expression == nil, tags.isEmpty else {
        throw ValidationError("--errors and --schedules bring scenarios of their own (--scenario NAME): no PATH, -k or -t")
      }
      guard !reference, profiles.isEmpty, ofReference.isEmpty, !searches.errors || seed == nil else {
        throw ValidationError(
          "\(((reference ? ["--reference"] : []) + (profiles.isEmpty ? [] : ["--profile"]) + ofReference + (seed == nil ? [] : ["--seed"])).joined(separator: ", ")): "
            + "not of --errors or --schedules, which bring workloads of their own")
      }
      return try search()
    }
    if let client { return try exploreClient(client) }
    guard messages == nil, state == nil else { throw ValidationError("--messages, --state: of --client only") }
    if reference {
      guard paths.isEmpty, expression == nil, tags.isEmpty else {
        throw ValidationError("--reference and scenarios: one or the other; PATH, -k and -t are of scenarios")
      }
      return try exploreReference()
    }
    guard ofReference.isEmpty else {
      throw ValidationError(
        "\(ofReference.joined(separator: ", ")): of --reference only; a scenario says it in its matrix or under `exploration`")
    }
    try exploreScenarios()
  }

  /// Options of the reference workload that were given.
  private var ofReference: [String] {
    let options: [(String, Bool)] = [
      ("--bound", bound != nil), ("--states-per-point", statesPerPoint != nil), ("--samples", samples != nil),
      ("--sync", sync != nil), ("--system", system != nil), ("--depth", depth != nil), ("--mishaps", mishaps), ("--calibrate", calibrate != nil),
      ("--no-read-sets", noReadSets), ("--checkpoint", checkpoint), ("--takeover", takeover), ("--readers", readers != nil),
    ]
    return options.filter(\.1).map(\.0)
  }

  private func exploreReference() throws {
    let (bound, statesPerPoint, samples) = (bound ?? 3, statesPerPoint ?? 4096, samples ?? 64)
    let (depth, seed) = (depth ?? 1, seed ?? 1)
    var options = ExplorationOptions()
    let policy = try chosenPolicy()
    guard (1...8).contains(bound), statesPerPoint > 0, samples >= 0, jobs > 0 else {
      throw ValidationError("--bound 1 to 8, --states-per-point, --samples and --jobs positive")
    }
    guard (1...2).contains(depth) else { throw ValidationError("--depth \(depth): 1 or 2") }
    options.workload.syncPolicy = policy
    let system = try chosenSystem()
    (options.workload.system, options.workload.recoveryPolicy) = (system, system.recoveryPolicy)
    if system != .tornlog, defect != nil || checkpoint || takeover {
      throw ValidationError("--system with --defect, --checkpoint or --takeover: all are of the engine's own log")
    }
    if !system.requestsAreAtomic { (options.workload.messages, options.workload.messagesPerBatch) = (60, 1) }
    options.workload.seed = seed
    (options.workload.checkpoints, options.workload.isTakenOver) = (checkpoint, takeover)
    options.workload.readers = readers ?? 0
    if let readers, !(0...8).contains(readers) { throw ValidationError("--readers \(readers): from 0 to 8") }
    if takeover, options.workload.readers > 0 { throw ValidationError("--readers and --takeover: one or the other") }
    options.workload.mishaps = mishaps ? .usual(policy) : .none
    (options.bound, options.statesPerPoint, options.samples) = (bound, statesPerPoint, samples)
    (options.seed, options.jobs, options.depth) = (seed, jobs, depth)
    options.calibration = max(0, calibrate ?? 0)
    options.comparesReadSets = !noReadSets
    options.defect = try chosenDefect(on: options.workload.defectGround)
    options.watch = watch
    options.isCancelled = { Interruption.isRequested }
    do throws(ExplorationError) {
      options.profiles = try Self.profiles(profiles, coveringRecordLogs: system != .tornlog)
      let exploration = try Exploration(options)
      note("\(exploration.events) events recorded")
      // Every life gives back what it had: memory that goes to the kernel and comes back costs a fifth of a state.
      tl_keep_freed_memory()
      let result = exploration.run { note($0) }
      write(lines: result.text, result.figures)
      if Interruption.isRequested { Self.exit(withError: ExitCode(ExitStatus.interrupted)) }
      finish(result.verdict)
    } catch {
      fail("\(error)", error.exitCode)
    }
  }

  private func exploreClient(_ name: String) throws {
    guard let client = LogClient(rawValue: name) else {
      throw ValidationError("--client \(name): one of \(LogClient.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    let others: [(String, Bool)] = [
      ("PATH", !paths.isEmpty), ("-k", expression != nil), ("-t", !tags.isEmpty), ("--reference", reference), ("--sync", sync != nil),
      ("--system", system != nil), ("--checkpoint", checkpoint), ("--takeover", takeover), ("--mishaps", mishaps), ("--calibrate", calibrate != nil),
      ("--no-read-sets", noReadSets), ("--readers", readers != nil),
    ]
    let strays = others.filter(\.1).map(\.0)
    guard strays.isEmpty else { throw ValidationError("--client and \(strays.joined(separator: ", ")): one or the other") }
    var options = ExplorationOptions()
    (options.bound, options.statesPerPoint, options.samples) = (bound ?? 2, statesPerPoint ?? 64, samples ?? 4)
    (options.seed, options.jobs, options.depth) = (seed ?? 1, jobs, depth ?? 1)
    guard (1...8).contains(options.bound), options.statesPerPoint > 0, options.samples >= 0, jobs > 0, (1...2).contains(options.depth) else {
      throw ValidationError("--bound 1 to 8, --depth 1 or 2, --states-per-point, --samples and --jobs positive")
    }
    guard state == nil || profiles.count == 1, (4...1000).contains(messages ?? 4) else {
      throw ValidationError("--state: with the one --profile that it was found in; --messages: 4 to 1000")
    }
    options.defect = try chosenDefect(on: client.defectGround)
    options.watch = watch
    options.isCancelled = { Interruption.isRequested }
    do throws(ExplorationError) {
      options.profiles = try Self.profiles(profiles, coveringRecordLogs: true)
      let exploration = try ClientExploration(client, messages: messages, options)
      note("\(exploration.events) events recorded")
      tl_keep_freed_memory()
      let result = try state.map { (text) throws(ExplorationError) in try exploration.run(state: text) } ?? exploration.run { note($0) }
      write(lines: result.text, result.figures)
      if Interruption.isRequested { Self.exit(withError: ExitCode(ExitStatus.interrupted)) }
      finish(result.verdict)
    } catch {
      fail("\(error)", error.exitCode)
    }
  }

  /// - Parameter ground: where it is to act; nil for a search that looks at each of its scenarios by itself.
  /// - Throws: `ValidationError` where there is no such defect, or where it could not act: "held" would be a pass for
  ///   nothing.
  private func chosenDefect(on ground: DefectGround? = nil) throws -> Defect? {
    guard let defect else { return nil }
    let found: Defect
    do throws(DefectClash) { found = try Defect.named(defect) } catch {
      throw ValidationError("--defect \(defect): \(error); `tornlog list --defects` names them")
    }
    if let obstacle = ground.flatMap({ found.obstacle(on: $0) }) {
      throw ValidationError("--defect \(defect): \(obstacle)")
    }
    return found
  }

  private func chosenSystem() throws -> LogSystem {
    guard let system else { return .tornlog }
    guard let found = LogSystem(rawValue: system) else {
      throw ValidationError("--system \(system): one of \(LogSystem.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return found
  }

  private func chosenPolicy() throws -> SyncPolicy {
    let sync = try sync ?? (system == nil ? "always" : chosenSystem().syncPolicy.description)
    guard let policy = SyncPolicy(sync) else { throw ValidationError("--sync \(sync): always, interval(100ms) or never") }
    return policy
  }

  /// The profiles against the file systems that they speak of.
  private func compareWithReal() throws {
    let others: [(String, Bool)] = [
      ("PATH", !paths.isEmpty), ("-k", expression != nil), ("-t", !tags.isEmpty), ("--reference", reference),
      ("--errors", searches.errors), ("--schedules", searches.schedules), ("--bound", bound != nil),
      ("--states-per-point", statesPerPoint != nil), ("--samples", samples != nil), ("--depth", depth != nil),
      ("--mishaps", mishaps), ("--calibrate", calibrate != nil), ("--no-read-sets", noReadSets), ("--system", system != nil),
      ("--checkpoint", checkpoint), ("--takeover", takeover), ("--readers", readers != nil),
      ("--deadline", searches.deadline != nil),
    ]
    let strays = others.filter(\.1).map(\.0)
    guard strays.isEmpty else { throw ValidationError("--real and \(strays.joined(separator: ", ")): one or the other") }
    guard profiles.count < 2, profiles != ["all"] else { throw ValidationError("--real: one --profile, or none") }
    var workload = ExplorationWorkload.reference
    workload.syncPolicy = try chosenPolicy()
    do {
      let profile = profiles.isEmpty ? nil : try Self.profiles(profiles).first
      let found = try real.run(
        workload: workload, profile: profile, defect: try chosenDefect(on: workload.defectGround), seed: seed ?? 1,
        watch: watch, note: { note($0) })
      write(found.result.text, json: found.result.json)
      if found.isInterrupted { Self.exit(withError: ExitCode(ExitStatus.interrupted)) }
      finish(found.result.verdict)
    } catch let error as ExplorationError {
      fail("\(error)", error.exitCode)
    }
  }

  /// The searches that are not over crash states.
  private func search() throws {
    guard jobs > 0 else { throw ValidationError("--jobs \(jobs): 1 or more") }
    let wrong = try chosenDefect()
    do {
      guard let found = try searches.run(defect: wrong, jobs: jobs, seed: seed ?? 1, watch: watch, note: { note($0) }) else { return }
      write(found.text, json: found.json)
      if Interruption.isRequested { Self.exit(withError: ExitCode(ExitStatus.interrupted)) }
      finish(found.verdict)
    } catch let error as ExplorationError {
      fail("\(error)", error.exitCode)
    }
  }

  private func finish(_ verdict: Verdict) {
    switch verdict {
    case .held: return
    case .violated: Self.exit(withError: ExitCode(ExitStatus.violated))
    case .unknown: Self.exit(withError: ExitCode(ExitStatus.unknown))
    }
  }

  /// - Parameter coveringRecordLogs: where none is named, those only under which logs of records are covered.
  static func profiles(_ names: [String], coveringRecordLogs: Bool = false) throws(ExplorationError) -> [CrashProfile] {
    if names.isEmpty, coveringRecordLogs {
      let left = CrashProfile.all.filter { !CrashProfile.ofRecordLogs.contains($0) }.map(\.name)
      note("not covered by this format, which has no salt and whose records share sectors, and left out: \(left.joined(separator: ", ")); name one to see it")
      return CrashProfile.ofRecordLogs
    }
    if names.isEmpty || names.contains("all") { return CrashProfile.all }
    for name in names where CrashProfile.named(name) == nil { throw .unknownProfile(name) }
    return CrashProfile.known.filter { names.contains($0.name) }
  }

  private static func json(_ figures: ExplorationReport.Figures) -> String {
    do { return try ExplorationDocument(figures).text() } catch { fail("the report cannot be written as JSON: \(error)", ExitStatus.internalError) }
  }

  /// To each of the reports that were asked for.
  func write(lines: [String], _ figures: ExplorationReport.Figures) { write(lines, json: Self.json(figures)) }

  private func write(_ lines: [String], json: String) { Self.write(lines, json: json, to: report) }

  static func write(_ lines: [String], json: String, to targets: [String]) {
    for target in targets {
      switch target {
      case "terminal": Console.print(lines)
      case "json": Console.print([json])
      default:
        guard let path = path(target) else { continue }  // `validate` refuses it
        do throws(ReportError) { try AtomicFileSink(path: path).write(json + "\n") } catch {
          fail("\(error)", ExitStatus.unavailable)
        }
      }
    }
  }
}
