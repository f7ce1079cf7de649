import ArgumentParser
import DiskTraces
import Exploration
import LogModel
import LoopDisks
import ProfileReports
import ProgramTesting
import Reporting
import Storage
import Trials
import Verification

struct ExploreDisksCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disks", abstract: "Compare the persistence profiles with real file systems. Needs root.",
    usage: "tornlog explore disks [<file-systems> ...] [<options>] [-- <driver> ...]",
    discussion: """
      File systems are mounted from files in memory. Copies of the disk are taken at random instants of the workload. Each copy \
      must be a state that the profile permits, and the log must recover from it as it has promised.

      The workload is the engine's, or that of a driver's program (docs/driver-protocol.md). The program runs once, on a volume; \
      its file operations are repeated on each file system.

        tornlog explore disks ext4 xfs -- python3 Examples/drivers/sqlite.py
      """)

  @Argument(help: "File systems: ext4, ext4-writeback, xfs, btrfs, or all (default).")
  var fileSystems: [String] = []
  @Option(help: ArgumentHelp("Take n copies of each file system.", valueName: "n"))
  var images = 20
  @Option(help: "The engine's storage: auto, ring or posix.")
  var storage = StorageChoice.auto
  @Option(help: "Sync policy of the workload.")
  var sync = SyncPolicy.always
  @Option(
    help: ArgumentHelp("Judge by this persistence profile in place of the file system's own.", valueName: "name"),
    transform: ProfileChoice.init)
  var profile: ProfileChoice?
  @Option(
    help: ArgumentHelp(
      "Run the traces in this folder in place of the engine's workload: short sequences of file operations.",
      valueName: "dir"), completion: .directory)
  var traces: String?
  @OptionGroup var program: ProgramOptions
  /// What stands after `--`: see `TerminatedWords`.
  @Option(name: TerminatedWords.name, parsing: .unconditionalSingleValue, help: .hidden)
  var driver: [String] = []
  @OptionGroup var random: SearchSeed
  @OptionGroup var search: SearchOptions

  func validate() throws {
    guard (1...100_000).contains(images) else { throw ValidationError("--images \(images): 1 to 100000") }
    guard storage != .memory else { throw ValidationError("--storage memory: auto, ring or posix") }
    if case .all = profile { throw ValidationError("--profile all: name one, or none") }
    for name in fileSystems where name != "all" && LoopFileSystem(rawValue: name) == nil {
      throw ValidationError("\(LoopDiskError.unknownFileSystem(name))")
    }
    try validateProgram()
    if traces != nil, search.defect != nil {
      throw ValidationError("--traces: runs no engine; leave out --defect")
    }
    if traces != nil, fileSystems.contains(LoopFileSystem.ext4Writeback.rawValue) {
      throw ValidationError("--traces: ext4, xfs, btrfs or all; traces say nothing of ext4-writeback")
    }
  }

  /// Options of a program and those of the engine do not mix.
  private func validateProgram() throws {
    if driver.isEmpty {
      guard program.isDefault else {
        throw ValidationError("options of a program need a driver: tornlog explore disks -- DRIVER")
      }
      return
    }
    if traces != nil { throw ValidationError("--traces: runs no program; leave out the driver") }
    if search.defect != nil || storage != .auto || sync != .always {
      throw ValidationError("--defect, --storage and --sync: of the engine only; leave them out with a driver")
    }
  }

  func run() throws {
    search.report.check()
    if let traces { return try run(tracesIn: traces) }
    if !driver.isEmpty { return try runProgram() }
    try search.finish {
      var options = ProfileValidationOptions()
      options.workload.syncPolicy = sync
      (options.images, options.storage, options.directory) = (images, storage, program.dir)
      options.seed = random.seed ?? 1
      options.defect = try search.defect.chosen(on: options.workload.defectGround)
      if case .one(let profile) = profile { options.profile = profile }
      if !fileSystems.isEmpty, !fileSystems.contains("all") {
        options.fileSystems = LoopFileSystem.allCases.filter { fileSystems.contains($0.rawValue) }
      }
      options.isCancelled = { Interruption.isRequested }
      options.watch = search.watch
      // Before anything else starts a thread.
      do throws(LoopDiskError) { try ImageStore.enterPrivateMounts() } catch { throw ExplorationError.disk(error) }
      let report = try ProfileValidation(options).run { note($0) }
      return (report.verdict, ReportDocument(report))
    }
  }

  private func runProgram() throws {
    var spec = try program.spec(driver)
    spec.seed = random.seed ?? 1
    var options = ProgramValidationOptions()
    options.images = images
    if case .one(let profile) = profile { options.profile = profile }
    if !fileSystems.isEmpty, !fileSystems.contains("all") {
      options.fileSystems = LoopFileSystem.allCases.filter { fileSystems.contains($0.rawValue) }
    }
    options.isCancelled = { Interruption.isRequested }
    // Before anything else starts a thread.
    do throws(LoopDiskError) { try ImageStore.enterPrivateMounts() } catch { throw ProgramTestError.disk(error).asExit }
    try search.finish {
      do throws(ProgramTestError) {
        let report = try ProgramValidation(spec, options, note: { note($0) }).run()
        return (report.verdict, ReportDocument(report))
      } catch { throw error.asExit }
    }
  }

  private func run(tracesIn folder: String) throws {
    try search.finish {
      var options = TraceValidation.Options()
      options.directory = program.dir
      if case .one(let profile) = profile { options.profile = profile }
      if !fileSystems.isEmpty, !fileSystems.contains("all") {
        options.fileSystems = options.fileSystems.filter { fileSystems.contains($0.rawValue) }
      }
      options.isCancelled = { Interruption.isRequested }
      do throws(LoopDiskError) { try ImageStore.enterPrivateMounts() } catch { throw ExplorationError.disk(error) }
      let traces: [DiskTrace]
      do throws(DiskTraceError) { traces = try DiskTrace.all(in: folder) } catch { throw ValidationError("\(error)") }
      let report: TraceReport
      do throws(TraceRunError) { report = try TraceValidation(traces, options).run { note($0) } } catch {
        if case .disk(let problem) = error { throw ExplorationError.disk(problem) }
        throw ExplorationError.recordingFailed("\(error)")
      }
      return (Verdict(rawValue: report.verdict) ?? .unknown, ReportDocument(report))
    }
  }
}
