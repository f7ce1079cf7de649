import ArgumentParser
import CrashStates
import Defects
import Exploration
import LogModel
import LoopDisks
import Storage
import Trials
import Verification

/// `explore --real`: the profiles against the file systems that they speak of.
struct ExploreReal: ParsableArguments {
  @Option(
    name: .customLong("real"),
    help: ArgumentHelp(
      "A real file system, mounted from a file in memory: ext4, ext4-writeback, xfs, btrfs or all; repeatable. Needs root. "
        + "Copies of the disk are taken at random instants of the workload, and must be states that the profile permits.",
      valueName: "fs"))
  var fileSystems: [String] = []
  @Option(help: "With --real: so many copies of each file system (20).")
  var images: Int?
  @Option(help: "With --real: auto (default), ring or posix.")
  var storage: String?
  @Option(help: ArgumentHelp("With --real: where a folder for mounts is made (/tmp).", valueName: "dir"))
  var dir: String?

  var isAsked: Bool { !fileSystems.isEmpty }

  /// Options of this search that were given without it.
  var strays: [String] {
    [("--images", images != nil), ("--storage", storage != nil), ("--dir", dir != nil)].filter(\.1).map(\.0)
  }

  /// - Parameter profile: judges in place of the file system's own.
  func run(
    workload: ExplorationWorkload, profile: CrashProfile?, defect: Defect?, seed: UInt64, watch: HangWatch, note: (String) -> Void
  ) throws -> (result: SearchResult, isInterrupted: Bool) {
    var options = ProfileValidationOptions()
    options.workload = workload
    (options.profile, options.defect, options.seed) = (profile, defect, seed)
    options.images = images ?? 20
    guard (1...100_000).contains(options.images) else { throw ValidationError("--images \(options.images): 1 to 100000") }
    if let storage {
      guard let choice = StorageChoice(rawValue: storage), choice != .memory else {
        throw ValidationError("--storage \(storage): auto, ring or posix")
      }
      options.storage = choice
    }
    if let dir { options.directory = dir }
    if !fileSystems.contains("all") {
      for name in fileSystems where LoopFileSystem(rawValue: name) == nil {
        throw ValidationError("\(LoopDiskError.unknownFileSystem(name))")
      }
      options.fileSystems = LoopFileSystem.allCases.filter { fileSystems.contains($0.rawValue) }
    }
    options.isCancelled = { Interruption.isRequested }
    options.watch = watch
    // Before anything else starts a thread.
    do throws(LoopDiskError) { try ImageStore.enterPrivateMounts() } catch { throw ExplorationError.disk(error) }
    let report = try ProfileValidation(options).run(progress: note)
    return (SearchResult(verdict: report.verdict, text: report.text, json: try report.json()), report.isCancelled)
  }
}
