import ArgumentParser
import CProcess
import Exploration
import LogModel
import Reporting
import Trials

struct ExploreCrashesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "crashes", abstract: "Visit every crash state that a storage permits, and recover from each.",
    discussion: """
      A workload runs once in virtual time: each cell of the scenarios, or the reference workload. The reference workload has 3 \
      partitions, 60 batches, rotation, and commits of consumer offsets. At each of its moments the states are enumerated that a \
      power cut may leave. The engine recovers from each, and the oracle judges what is left. The command ends with exit code 1 \
      where a promise was broken that no scenario expects to be.
      """)

  @Argument(help: "Scenario files and folders (default: Scenarios/exploration).", completion: .file())
  var paths: [String] = []
  @Option(
    name: .customShort("k"),
    help: ArgumentHelp("Take the cells that match, like P1 and messages<=100.", valueName: "expr"))
  var expression: String?
  @Option(
    name: .customShort("t"),
    help: ArgumentHelp("Take the cells of a suite: quick (default), full, ... Repeatable.", valueName: "tag"))
  var tags: [String] = []
  @Flag(name: .customShort("v"), help: "Print the whole report of each cell.")
  var verbose = false
  @Flag(help: "Explore the reference workload in place of scenarios.")
  var reference = false
  @OptionGroup(title: "Reference workload") var workload: ReferenceWorkload
  @OptionGroup var profiles: SearchProfiles
  @OptionGroup var bounds: SearchBounds
  @Option(
    help: ArgumentHelp(
      "Run n states of each profile again without any reduction, and compare the verdicts.", valueName: "n"))
  var calibrate: Int?
  @Flag(help: "Recover from every state, even where the engine reads the same from two.")
  var noReadSets = false
  @OptionGroup var random: SearchSeed
  @OptionGroup var threads: SearchJobs
  @OptionGroup var search: SearchOptions

  func validate() throws {
    if reference, !paths.isEmpty || expression != nil || !tags.isEmpty {
      let extra = paths.map { "'\($0)'" } + (expression == nil ? [] : ["-k"]) + (tags.isEmpty ? [] : ["-t"])
      throw ValidationError("--reference explores no scenarios; leave out \(extra.joined(separator: ", "))")
    }
    if !reference, workload.isChanged {
      throw ValidationError(
        "\(ReferenceWorkload.names) describe the reference workload; add --reference, or say it in the scenario's "
          + "matrix"
      )
    }
  }

  func run() throws {
    search.report.check()
    if reference { try exploreReference() } else { try exploreScenarios() }
  }

  /// Everything but the workload and what the scenario decides.
  func apply(to options: inout ExplorationOptions) {
    bounds.apply(to: &options)
    if let calibrate { options.calibration = max(0, calibrate) }
    if noReadSets { options.comparesReadSets = false }
  }

  private func exploreReference() throws {
    try search.finish {
      var options = ExplorationOptions()
      options.workload = workload.workload
      (options.workload.seed, options.seed) = (random.seed ?? 1, random.seed ?? 1)
      options.jobs = threads.jobs
      apply(to: &options)
      let system = options.workload.system
      options.defect = try search.defect.chosen(on: options.workload.defectGround)
      if system != .tornlog, options.defect != nil {
        throw ValidationError("--system \(system.rawValue) and --defect: defects are of Tornlog's own log")
      }
      options.watch = search.watch
      options.isCancelled = { Interruption.isRequested }
      options.profiles = profiles.profiles(coveringRecordLogs: system != .tornlog)
      let exploration = try Exploration(options)
      note("\(exploration.events) events recorded")
      // Every life gives back what it had: memory that goes to the kernel and comes back costs a fifth of a state.
      tl_keep_freed_memory()
      let report = exploration.run { note($0) }
      return (report.verdict, ReportDocument(report, title: "tornlog explore crashes"))
    }
  }
}

/// What the reference workload does.
struct ReferenceWorkload: ParsableArguments {
  @Option(help: "Sync policy (default: the system's, always for tornlog).")
  var sync: SyncPolicy?
  @Option(help: "Keep the logs in the format of this system.")
  var system = LogSystem.tornlog
  @Flag(help: "Send the log to an object store while the workload runs, and after the crash.")
  var checkpoint = false
  @Flag(help: "Let another writer take over. Its clock is an hour ahead, so the lease has run out.")
  var takeover = false
  @Option(help: ArgumentHelp("Let n consumers read while messages are sent, 0 to 8.", valueName: "n"))
  var readers = 0
  @Flag(help: "Let the device make short writes, and let one fsync fail.")
  var deviceFaults = false

  static let names = "--sync, --system, --checkpoint, --takeover, --readers and --device-faults"

  func validate() throws {
    guard (0...8).contains(readers) else { throw ValidationError("--readers \(readers): from 0 to 8") }
    if takeover, readers > 0 { throw ValidationError("--readers and --takeover: one or the other") }
    if system != .tornlog, checkpoint || takeover {
      throw ValidationError(
        "--system \(system.rawValue) with --checkpoint or --takeover: both are of Tornlog's own format")
    }
  }

  /// Whether it is another one than the reference workload as it stands.
  var isChanged: Bool { workload != .reference }

  var workload: ExplorationWorkload {
    var workload = ExplorationWorkload.reference
    (workload.system, workload.recoveryPolicy) = (system, system.recoveryPolicy)
    workload.syncPolicy = sync ?? system.syncPolicy
    if !system.requestsAreAtomic { (workload.messages, workload.messagesPerBatch) = (60, 1) }
    (workload.checkpoints, workload.isTakenOver, workload.readers) = (checkpoint, takeover, readers)
    if deviceFaults { workload.deviceFaults = .usual(workload.syncPolicy) }
    return workload
  }
}
