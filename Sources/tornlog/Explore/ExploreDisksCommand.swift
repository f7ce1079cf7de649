import ArgumentParser
import DiskTraces
import Exploration
import LogModel
import LoopDisks
import Reporting
import Storage
import Trials
import Verification

struct ExploreDisksCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disks", abstract: "Compare the persistence profiles with real file systems. Needs root.",
    discussion: """
      File systems are mounted from files in memory. Copies of the disk are taken at random instants of the workload. Each copy \
      must be a state that the profile permits.
      """)

  @Argument(help: "File systems: ext4, ext4-writeback, xfs, btrfs, or all (default).")
  var fileSystems: [String] = []
  @Option(help: ArgumentHelp("Take n copies of each file system.", valueName: "n"))
  var images = 20
  @Option(help: "The engine's storage: auto, ring or posix.")
  var storage = StorageChoice.auto
  @Option(help: ArgumentHelp("Make the folder for mounts here.", valueName: "dir"), completion: .directory)
  var dir = "/tmp"
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
  @OptionGroup var random: SearchSeed
  @OptionGroup var search: SearchOptions

  func validate() throws {
    guard (1...100_000).contains(images) else { throw ValidationError("--images \(images): 1 to 100000") }
    guard storage != .memory else { throw ValidationError("--storage memory: auto, ring or posix") }
    if case .all = profile { throw ValidationError("--profile all: name one, or none") }
    for name in fileSystems where name != "all" && LoopFileSystem(rawValue: name) == nil {
      throw ValidationError("\(LoopDiskError.unknownFileSystem(name))")
    }
    if traces != nil, search.defect != nil {
      throw ValidationError("--traces: runs no engine; leave out --defect")
    }
    if traces != nil, fileSystems.contains(LoopFileSystem.ext4Writeback.rawValue) {
      throw ValidationError("--traces: ext4, xfs, btrfs or all; traces say nothing of ext4-writeback")
    }
  }

  func run() throws {
    search.report.check()
    if let traces { return try run(tracesIn: traces) }
    try search.finish {
      var options = ProfileValidationOptions()
      options.workload.syncPolicy = sync
      (options.images, options.storage, options.directory) = (images, storage, dir)
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

  private func run(tracesIn folder: String) throws {
    try search.finish {
      var options = TraceValidation.Options()
      options.directory = dir
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
