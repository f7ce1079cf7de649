import Foundation
import Glibc
import Testing

/// `explore --real`: profiles against the file systems that they speak of. Where the machine does not allow it, the
/// test is skipped, and says why.
@Suite(.serialized) struct RealFileSystemTests {
  private static let refusal: String? = {
    if geteuid() != 0 { return "only root may mount" }
    for tool in ["mkfs.ext4", "mkfs.xfs", "mkfs.btrfs"]
    where !["/usr/sbin", "/sbin"].contains(where: { access("\($0)/\(tool)", X_OK) == 0 }) {
      return "\(tool) is not installed"
    }
    let kernel = (try? String(contentsOfFile: "/proc/filesystems", encoding: .utf8)) ?? ""
    for name in ["ext4", "xfs", "btrfs"] where !kernel.contains("\t\(name)\n") {
      return "\(name) is not in this kernel"
    }
    return access("/dev/loop-control", R_OK | W_OK) == 0 ? nil : "there are no loop devices"
  }()

  private func explore(_ words: String...) async throws -> Ended {
    try await Running([Program.tornlog, "explore"] + words).end(within: 300)
  }

  /// Folders, mounts and devices of a run.
  private func leftovers() throws -> [String] {
    let folders = try FileManager.default.contentsOfDirectory(atPath: "/tmp").filter { $0.hasPrefix("tornlog-real-") }
    let mounts = try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8).split(separator: "\n")
    return folders + mounts.filter { $0.contains("tornlog-real-") }.map(String.init)
  }

  @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"))
  func everyImageOfEveryFileSystemIsLegalAndRecoveredFrom() async throws {
    let before = try leftovers()
    let scratch = try Scratch()
    let ended = try await explore(
      "--real", "all", "--images", "6", "--report", "terminal", "--report", "json=\(scratch.path("j"))")
    #expect(ended.code == 0, "\(ended)")
    for name in ["ext4 against ext4-ordered", "ext4-writeback against", "xfs against", "btrfs against"] {
      #expect(ended.out.contains("\(name)"), "\(ended)")
    }
    #expect(ended.out.contains("held: 24 of 24 images"), "\(ended)")
    #expect(try scratch.json("j")["realFileSystems"] != nil, "\(ended)")
    #expect(try Set(leftovers()).isSubset(of: before))
  }

  /// A SIGKILL leaves an empty folder, which the next start removes. What is not empty, or somebody's, is left alone.
  @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"))
  func whatAKilledRunHasLeftIsRemovedByTheNext() async throws {
    let scratch = try Scratch()
    let folder = try scratch.folder()
    for name in ["tornlog-real-aaaaaa", "tornlog-real-bbbbbb", "tornlog-real-cccccc", "other"] {
      try #require(mkdir("\(folder)/\(name)", 0o700) == 0)
    }
    try #require(FileManager.default.createFile(atPath: "\(folder)/tornlog-real-bbbbbb/mine", contents: nil))
    let lock = open("\(folder)/tornlog-real-cccccc", O_RDONLY | O_DIRECTORY)
    defer { close(lock) }
    try #require(flock(lock, LOCK_EX | LOCK_NB) == 0)
    let ended = try await explore("--real", "xfs", "--images", "1", "--dir", folder)
    #expect(ended.code == 0, "\(ended)")
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        == ["other", "tornlog-real-bbbbbb", "tornlog-real-cccccc"])
  }

  /// Under a profile for which names and sizes are durable at once, real disks are illegal: the comparison can fail.
  @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"))
  func aProfileThatForbidsWhatTheDiskDoesIsFoundWrong() async throws {
    let ended = try await explore("--real", "ext4", "--images", "24", "--profile", "raw-512")
    #expect(ended.code == 1 && ended.out.contains("ILLEGAL"), "\(ended)")
  }

  /// R1 acknowledges before the sync: what real disks have lost had been promised.
  @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"))
  func anEngineThatPromisesTooEarlyIsFoundOnRealDisks() async throws {
    let ended = try await explore("--real", "ext4", "--images", "12", "--defect", "R1")
    #expect(ended.code == 1 && ended.out.contains("VIOLATED") && ended.out.contains("no-acknowledged-loss"), "\(ended)")
    #expect(!ended.out.contains("ILLEGAL"), "\(ended)")
  }

  @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"))
  func controlCEndsItInOrder() async throws {
    let before = try leftovers()
    let running = try Running([Program.tornlog, "explore", "--real", "ext4", "--images", "100000"])
    try await Task.sleep(for: .seconds(2))
    running.signal(SIGINT)
    let ended = try await running.end(within: 60)
    #expect(ended.code == 130 && ended.out.contains("ext4 against ext4-ordered"), "\(ended)")
    #expect(try Set(leftovers()).isSubset(of: before))
  }

  // MARK: Programs

  private static let buggyLog = ["python3", "Examples/buggy-log/driver.py"]
  private static let sqlite = ["python3", "Examples/drivers/sqlite.py"]

  private func explore(_ words: [String], _ driver: [String]) async throws -> Ended {
    try await Running([Program.tornlog, "explore", "disks"] + words + ["--"] + driver).end(within: 300)
  }

  @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"), arguments: [buggyLog, sqlite])
  func aSoundProgramRecoversFromEveryImageOfEveryFileSystem(_ driver: [String]) async throws {
    let before = try leftovers()
    let scratch = try Scratch()
    let folder = try scratch.folder()
    let ended = try await explore(
      ["all", "--images", "5", "--dir", folder, "--report", "terminal", "--report", "json=\(scratch.path("j"))"], driver
    )
    #expect(ended.code == 0, "\(ended)")
    for name in ["ext4 against ext4-ordered", "ext4-writeback against", "xfs against", "btrfs against"] {
      #expect(ended.out.contains(name), "\(ended)")
    }
    #expect(ended.out.contains("held: 20 of 20 images"), "\(ended)")
    #expect(ended.out.contains("recovery kept every promise on 20"), "\(ended)")
    let schema = try JSONSchema(
      text: String(contentsOfFile: Program.root + "/docs/report.schema.json", encoding: .utf8))
    let mistakes = schema.mistakes(in: try JSONValue(text: scratch.text("j")))
    #expect(mistakes.isEmpty, "\(mistakes.prefix(10).joined(separator: "\n"))")
    let report = try #require(scratch.json("j")["realFileSystems"] as? [String: Any])
    #expect((report["program"] as? [String: Any])?["requests"] as? Int ?? 0 >= 100)
    #expect(try Set(leftovers()).isSubset(of: before))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
  }

  /// A program that never syncs loses what it has acknowledged: on real disks too, and the profiles are not to blame.
  @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"))
  func aProgramThatNeverSyncsIsFoundOnRealDisks() async throws {
    let ended = try await explore(["ext4", "xfs", "btrfs", "--images", "5"], Self.buggyLog + ["--bug", "1"])
    #expect(ended.code == 1 && ended.out.contains("VIOLATED") && ended.out.contains("no-acknowledged-loss"), "\(ended)")
    #expect(!ended.out.contains("ILLEGAL") && ended.out.contains("violated: 15 of 15 images"), "\(ended)")
    #expect(ended.out.split(separator: "\n").count <= 40, "\(ended)")
    #expect(ended.out.contains("power cut"), "a story, \(ended)")
  }

  /// On btrfs a file's fsync says nothing of other files, and on ext4 it does. A profile that promises too much is
  /// found wrong, with a program that is sound.
  @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"), arguments: ["ext4-ordered", "raw-512"])
  func aProfileThatIsTooStrictIsFoundWrongByAProgram(_ profile: String) async throws {
    let ended = try await explore(["btrfs", "--images", "25", "--profile", profile], Self.sqlite)
    #expect(ended.code == 1 && ended.out.contains("ILLEGAL"), "\(ended)")
    #expect(ended.out.contains("only these sizes are permitted"), "what differs, \(ended)")
    #expect(!ended.out.contains("VIOLATED"), "\(ended)")
    #expect(ended.out.split(separator: "\n").count <= 40, "\(ended)")
  }

  @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"), arguments: [SIGINT, SIGTERM, SIGKILL])
  func anInterruptedComparisonOfAProgramLeavesNothing(_ signal: Int32) async throws {
    let scratch = try Scratch()
    let folder = try scratch.folder()
    let words = ["explore", "disks", "xfs", "--images", "100000", "--dir", folder, "--"]
    let running = try Running([Program.tornlog] + words + Self.buggyLog)
    for _ in 0..<600
    where try !FileManager.default.contentsOfDirectory(atPath: folder).contains(where: {
      $0.hasPrefix("tornlog-real-")
    }) { usleep(20_000) }
    usleep(1_500_000)
    running.signal(signal)
    let ended = try await running.end(within: 60)
    if signal == SIGKILL {
      // The volumes' watchdog removes their folders; the next start removes the empty one of the disks.
      func others() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { !$0.hasPrefix("tornlog-real-") }
      }
      for _ in 0..<500 where try !others().isEmpty { usleep(20_000) }
      #expect(try others().isEmpty)
      #expect(try FileManager.default.subpathsOfDirectory(atPath: folder).count <= 1)
    } else {
      #expect(ended.code == 130 && ended.out.contains("xfs against xfs"), "\(ended)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
    #expect(try !String(contentsOfFile: "/proc/self/mounts", encoding: .utf8).contains(folder))
  }

  @Test func wordsThatDoNotGoTogether() async throws {
    for (words, complaint) in [
      (["disks", "--requests", "5"], "options of a program need a driver"),
      (["disks", "--config", "{\"a\": 1}"], "options of a program need a driver"),
      (["disks", "--defect", "R1", "--", "true"], "of the engine only"),
      (["disks", "--sync", "never", "--", "true"], "of the engine only"),
      (["disks", "--traces", "Examples/traces", "--", "true"], "runs no program"),
      (["disks", "zfs", "--", "true"], "there is no file system `zfs`"),
      (["disks", "--model", "heap", "--", "true", "--", "--x"], "--model heap"),
    ] {
      let ended = try await Running([Program.tornlog, "explore"] + words).end()
      #expect(ended.code == 64 && ended.err.contains(complaint), "\(words): \(ended)")
    }
  }

  @Test func whoeverMayNotMountIsToldSo() async throws {
    guard geteuid() == 0 else {
      let ended = try await explore("--real", "ext4")
      #expect(ended.code == 69 && ended.err.contains("needs root"), "\(ended)")
      return
    }
    // The package may be closed to others; a copy is not. Made by another process: see
    // RealFaultTests.aDeniedPermission.
    let copy = "/tmp/tornlog-nobody-\(getpid())"
    let copied = try await Running(["cp", Program.tornlog, copy]).end()
    try #require(copied.code == 0, "\(copied)")
    defer { unlink(copy) }
    chmod(copy, 0o755)
    let ended = try await Running(
      ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", copy, "explore", "--real", "ext4"], in: "/"
    ).end()
    #expect(ended.code == 69 && ended.err.contains("needs root"), "\(ended)")
  }

  @Test func wordsThatItDoesNotKnow() async throws {
    for words in [
      ["--real", "zfs"], ["--real", "ext4", "--images", "0"], ["--real", "ext4", "--reference"], ["--images", "3"],
      ["--real", "ext4", "--storage", "memory"], ["--real", "ext4", "--profile", "all"],
    ] {
      let ended = try await Running([Program.tornlog, "explore"] + words).end()
      #expect(ended.code == 64, "\(words): \(ended)")
    }
  }
}
