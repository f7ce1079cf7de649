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
