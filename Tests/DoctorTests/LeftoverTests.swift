import Foundation
import Glibc
import LogModel
import ScenarioFormat
import Storage
import Testing

@testable import Doctor
@testable import Trials

/// `doctor` names what killed runs have left, and nothing else.
@Suite struct LeftoverTests {
  /// No process has this number: `kernel.pid_max` is 4194304 at the most (`man 5 proc`).
  private static let nobody: pid_t = 2_147_483_646

  fileprivate func make(_ name: String, isFile: Bool = false) throws -> (scratch: Scratch, path: String) {
    let scratch = try Scratch()
    let path = scratch.path + "/" + name
    if isFile {
      try #require(FileManager.default.createFile(atPath: path, contents: nil))
    } else {
      try #require(mkdir(path, 0o755) == 0)
    }
    return (scratch, path)
  }

  @Test(arguments: [
    ("tornlog-\(nobody)-HugH3A", false), ("tornlog-\(nobody)-123456", false),
    ("tornlog-real-aB3dE6", false), ("tornlog-real-123456", false), ("tornlog-trace-\(nobody)", true),
    ("tornlog-shrink-\(nobody)", true),
    ("tornlog-defects-\(nobody)", true), ("tornlog-doctor-\(nobody)", true),
    ("tornlog-boot-\(nobody)-aB3dE6", true),
  ])
  func whatAKilledRunLeaves(name: String, isFile: Bool) throws {
    let (scratch, path) = try make(name, isFile: isFile)
    #expect(Doctor.isLeftover(path))
    let finding = Doctor.leftovers(in: scratch.path)
    #expect(
      finding.status == .warning && finding.remedy?.contains("rm -r ") == true && finding.remedy?.contains(path) == true
    )
  }

  @Test(arguments: [
    "tornlog-notes", "other-\(nobody)", "tornlog-test-aB3dE6", "tornlog-\(nobody)-short", "tornlog-bench-\(nobody)",
    "tornlog-\(nobody)-HugH3A-b", "tornlog-boot-\(nobody)", "tornlog-boot-\(nobody)-aB3dE6",
    "tornlog-trace-\(nobody)", "tornlog-\(nobody)-Hug.3A", "tornlog--aB3dE6", "tornlog-99999999999999-HugH3A",
  ])
  func whatIsNotTornlogs(name: String) throws {
    // A trace is a file: a folder of that name is somebody else's.
    let (scratch, path) = try make(name)
    withExtendedLifetime(scratch) { #expect(access(path, F_OK) == 0 && !Doctor.isLeftover(path)) }
  }

  /// A live run's number is alive, and its folder locked: each by itself is enough.
  @Test(arguments: ["tornlog-\(getpid())-HugH3A"])
  func whatALiveProcessHas(name: String) throws {
    let (scratch, path) = try make(name)
    withExtendedLifetime(scratch) { #expect(access(path, F_OK) == 0 && !Doctor.isLeftover(path)) }
  }

  @Test(arguments: ["tornlog-\(nobody)-HugH3A", "tornlog-real-aB3dE6"])
  func whatIsLocked(name: String) throws {
    let (scratch, path) = try make(name)
    do {
      let lock = try #require(WorkFolder(locking: path))
      #expect(!Doctor.isLeftover(path) && lock.path == path)
      #expect(Doctor.leftovers(in: scratch.path).remedy?.contains(path) != true)
    }
    #expect(Doctor.isLeftover(path))
  }

  /// The number of a process that is gone is given to another one.
  @Test func aNumberThatAnotherProcessHasNow() throws {
    let (scratch, path) = try make("tornlog-\(getpid())-HugH3A")
    defer { withExtendedLifetime(scratch) {} }
    let began = try #require(Doctor.beginning(of: getpid()))
    for (age, isLeftover) in [(3600, true), (10, true), (0, false)] {
      var times = [timeval(tv_sec: began - age, tv_usec: 0), timeval(tv_sec: began - age, tv_usec: 0)]
      try #require(utimes(path, &times) == 0)
      #expect(Doctor.isLeftover(path) == isLeftover, "\(age)")
    }
  }

  @Test func whatWasKeptOnPurpose() throws {
    let scratch = try Scratch()
    let workspace = try Workspace(in: scratch.path)
    try workspace.makeTrialFolder(0)
    workspace.removeIfEmpty()
    #expect(access(workspace.path + "/trial-0", F_OK) == 0)
    let renamed = scratch.path + "/tornlog-\(Self.nobody)-HugH3A"
    try #require(rename(workspace.path, renamed) == 0)
    #expect(!Doctor.isLeftover(renamed))
    try #require(unlink(renamed + "/" + WorkFolder.kept) == 0)
    // Its lock lives as long as the workspace.
    withExtendedLifetime(workspace) { #expect(!Doctor.isLeftover(renamed)) }
  }

  @Test func aPathThatAShellWouldTakeApart() throws {
    let scratch = try Scratch()
    let folder = scratch.path + "/it's a place"
    try #require(mkdir(folder, 0o755) == 0 && mkdir("\(folder)/tornlog-\(Self.nobody)-HugH3A", 0o755) == 0)
    let remedy = try #require(Doctor.leftovers(in: folder).remedy)
    #expect(remedy.contains("'\(scratch.path)/it'\\''s a place/tornlog-\(Self.nobody)-HugH3A'"), "\(remedy)")
  }

  // MARK: Limits

  private static func table(_ lines: (String, String)...) -> String {
    "Limit                     Soft Limit           Hard Limit           Units\n"
      + lines.map {
        "\($0.0.padding(toLength: 26, withPad: " ", startingAt: 0))\($0.1.padding(toLength: 21, withPad: " ", startingAt: 0))unlimited"
      }
      .joined(separator: "\n")
  }

  @Test func limitsThatDecideTrialsAreNamedWithARemedy() {
    let low = Self.table(
      ("Max cpu time", "5"), ("Max file size", "65536"), ("Max data size", "unlimited"),
      ("Max address space", "536870912"),
      ("Max processes", "8"))
    for (finding, words) in [
      (Doctor.fileSize(low), "64 KiB (RLIMIT_FSIZE)"), (Doctor.memory(low), "512 MiB for a process (RLIMIT_AS)"),
      (Doctor.processes(low, isRoot: false), "8 processes"), (Doctor.processorTime(low), "5 s for a process"),
    ] {
      #expect(
        finding.status == .warning && finding.detail.contains(words) && finding.remedy?.contains("ulimit -") == true,
        "\(finding)")
    }
    #expect(Doctor.processes(low, isRoot: true).status == .ok)
    let high = Self.table(
      ("Max cpu time", "unlimited"), ("Max file size", "unlimited"), ("Max address space", "unlimited"),
      ("Max processes", "30000"))
    #expect(Doctor.limits(high).allSatisfy { $0.status == .ok && $0.remedy == nil })
  }
}

/// A folder that goes with its owner.
private final class Scratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/tornlog-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    do { try FileManager.default.removeItem(atPath: path) } catch { print("left behind: \(error)") }
  }
}
