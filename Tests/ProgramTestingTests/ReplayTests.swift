import CLoopDisks
import CrashStates
import Foundation
import Glibc
import Testing
import Volume

@testable import ProgramTesting

/// What was done on a volume is done once more in a plain folder.
@Suite(.enabled(if: geteuid() == 0, "files of other users need root")) struct ReplayTests {
  /// A volume with the folder `data`, in which `work` has been at work.
  private func recorded(_ scratch: Scratch, _ work: (String) -> Void) throws -> (mount: VolumeMount, root: UInt64) {
    let volume = Volume()
    let root = try volume.put([VolumeNode(parent: -1, name: Array("data".utf8), mode: S_IFDIR | 0o777)])[0]
    let mount = try VolumeMount(volume, at: scratch.path + "/volume")
    work(mount.folder + "/data")
    return (mount, root)
  }

  /// Does it once more, on a thread whose umask may change.
  private func replay(_ volume: Volume, _ root: UInt64, at folder: String) -> String? {
    Joined { () -> String? in
      do {
        let files = try ReplayedFolder(volume.trace, root: root, at: folder)
        for operation in volume.trace.operations { try files.perform(operation) }
        return nil
      } catch { return "\(error)" }
    }.value
  }

  /// Mode, owner, links and size; of a file its time too.
  private func facts(_ folder: String) throws -> [String: [Int]] {
    var facts: [String: [Int]] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: folder) {
      var status = stat()
      #expect(lstat("\(folder)/\(path)", &status) == 0)
      let isTimed = path == "timed"
      facts[path] = [
        Int(status.st_mode), Int(status.st_uid), Int(status.st_gid), Int(status.st_nlink),
        isTimed ? status.st_mtim.tv_sec : 0,
      ]
    }
    return facts
  }

  private func extendedAttributes(_ path: String) throws -> String {
    let (run, output) = (Process(), Pipe())
    run.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let code = "import os, sys; p = sys.argv[1]; print({n: os.getxattr(p, n) for n in os.listxattr(p)}, end='')"
    run.arguments = ["python3", "-c", code, path]
    run.standardOutput = output
    try run.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    run.waitUntilExit()
    return text
  }

  private static func write(_ file: Int32, _ count: Int, at offset: Int) {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ offset) }
    #expect(pwrite(file, bytes, count, off_t(offset)) == count)
  }

  private static func names(_ folder: String) {
    func path(_ name: String) -> String { folder + "/" + name }
    mkdir(path("directory"), 0o750)
    let one = open(path("directory/one"), O_RDWR | O_CREAT, 0o640)
    write(one, 10_000, at: 100)
    link(path("directory/one"), path("two"))
    symlink("directory/one", path("link"))
    rename(path("directory"), path("moved"))
    unlink(path("moved/one"))
    write(one, 5000, at: 20_000)
    let victim = open(path("victim"), O_RDWR | O_CREAT, 0o600)
    write(victim, 100, at: 0)
    let winner = open(path("winner"), O_RDWR | O_CREAT, 0o600)
    write(winner, 200, at: 0)
    rename(path("winner"), path("victim"))
    write(victim, 300, at: 0)
    close(open(path("other"), O_RDWR | O_CREAT, 0o600))
    let handle = open(folder, O_RDONLY | O_DIRECTORY)
    #expect(tl_rename_at(handle, "other", "two", 1) == 0)
    mkdir(path("gone"), 0o700)
    rmdir(path("gone"))
    mkfifo(path("pipe"), 0o622)
    for file in [one, victim, winner, handle] { close(file) }
  }

  private static func data(_ folder: String) {
    func path(_ name: String) -> String { folder + "/" + name }
    let file = open(path("data"), O_RDWR | O_CREAT, 0o644)
    write(file, 100_000, at: 0)
    #expect(tl_allocate(file, TL_PUNCH_HOLE | TL_KEEP_SIZE, 4096, 8192) == 0)
    #expect(tl_allocate(file, TL_ZERO_RANGE, 20_000, 3000) == 0)
    #expect(tl_allocate(file, 0, 100_000, 20_000) == 0)
    fdatasync(file)
    ftruncate(file, 110_000)
    close(file)
    truncate(path("data"), 105_000)
    let durable = open(path("durable"), O_RDWR | O_CREAT | O_DSYNC, 0o444)
    write(durable, 5000, at: 3)
    fsync(durable)
    close(durable)
    let direct = open(path("direct"), O_RDWR | O_CREAT | 0o40000, 0o600)
    withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 4096) { bytes in
      _ = bytes.initializeMemory(as: UInt8.self, repeating: 7)
      #expect(pwrite(direct, bytes.baseAddress!, 8192, 4096) == 8192)
    }
    close(direct)
    close(open(path("data"), O_RDWR | O_TRUNC))
    // __O_TMPFILE | O_DIRECTORY
    let unnamed = open(folder, O_RDWR | 0o20000000 | O_DIRECTORY, 0o600)
    write(unnamed, 700, at: 0)
    #expect(linkat(AT_FDCWD, "/proc/self/fd/\(unnamed)", AT_FDCWD, path("named"), AT_SYMLINK_FOLLOW) == 0)
    close(unnamed)
  }

  private static func attributes(_ folder: String) {
    let path = folder + "/timed"
    let file = open(path, O_RDWR | O_CREAT, 0o604)
    #expect(
      tl_put_bytes_attribute(path, "user.one", "value", 5) == 0 && tl_put_bytes_attribute(path, "user.two", "x", 1) == 0
    )
    #expect(tl_drop_attribute(path, "user.two") == 0)
    write(file, 10, at: 0)
    close(file)
    chmod(path, 0o711)
    chown(path, 65534, 12)
    let time = timespec(tv_sec: 1_000_000_000, tv_nsec: 5)
    utimensat(AT_FDCWD, path, [time, time], 0)
    chown(folder + "/link", 7, 7)
    mkdir(folder + "/own", 0o700)
    chown(folder + "/own", 65534, 65534)
  }

  private static let works: [String: @Sendable (String) -> Void] = [
    "names": names, "data": data, "attributes": attributes,
  ]

  @Test(arguments: works.keys.sorted()) func aFolderHasWhatTheVolumeHas(_ work: String) throws {
    let scratch = Scratch()
    let (mount, root) = try recorded(scratch, #require(Self.works[work]))
    let folder = scratch.path + "/folder"
    try #require(mkdir(folder, 0o755) == 0)
    // The umask is the process's, and other tests make files: so this is done on a thread that has its own.
    let (problem, mask) = Joined { [self] () -> (String?, mode_t) in
      guard tl_no_umask() == 0 else { return ("unshare", 0) }
      umask(0o077)
      let problem = replay(mount.volume, root, at: folder)
      return (problem, umask(0o077))
    }.value
    #expect(problem == nil)
    let here = try MountedImage(reading: mount.folder + "/data")
    #expect(here == (try MountedImage(reading: folder)))
    #expect(!here.files.isEmpty)
    #expect(try facts(mount.folder + "/data") == facts(folder))
    #expect(mask == 0o077, "the thread that replays changed the umask of who started it")
    if work == "attributes" { #expect(try extendedAttributes(folder + "/timed") == "{'user.one': b'value'}") }
  }

  /// A driver's program may be another user.
  @Test func filesAreOfWhoMadeThem() throws {
    let scratch = Scratch()
    let (mount, root) = try recorded(scratch) { folder in
      chmod(scratch.path, 0o755)
      tl_make_files_as(65534, 12)
      close(open(folder + "/theirs", O_RDWR | O_CREAT, 0o600))
      tl_make_files_as(0, 0)
    }
    let folder = scratch.path + "/folder"
    try #require(mkdir(folder, 0o777) == 0 && chmod(folder, 0o777) == 0)
    #expect(replay(mount.volume, root, at: folder) == nil)
    #expect(try facts(folder)["theirs"]?[1...2] == [65534, 12])
  }

  /// A file system that does something else than the volume did is named, and nothing is said of the profile.
  @Test func aRefusalSaysWhichOperation() throws {
    let scratch = Scratch()
    let (mount, root) = try recorded(scratch) { folder in mkdir(folder + "/directory", 0o755) }
    let folder = scratch.path + "/folder"
    try #require(mkdir(folder, 0o755) == 0 && mkdir(folder + "/directory", 0o755) == 0)
    let refusal = try #require(replay(mount.volume, root, at: folder))
    #expect(refusal.contains("makeDirectory directory: File exists"), "\(refusal)")
  }

  @Test func instantsFollowFromTheSeed() {
    func drawn(_ seed: UInt64) -> [DiskExposure] { DiskExposure.drawn(5, at: Array(100..<400), seed: seed) }
    let (one, again, other) = (drawn(1), drawn(1), drawn(2))
    #expect(one.map(\.sequence) == again.map(\.sequence) && one.map(\.delay) == again.map(\.delay))
    #expect(one.map(\.sequence) != other.map(\.sequence))
    #expect(one.count { $0.isTaken } == 5 && one.allSatisfy { (100..<400).contains($0.sequence) })
    #expect(one.map(\.sequence) == one.map(\.sequence).sorted())
    let many = (1...50).flatMap { drawn($0) }
    #expect(many.contains { $0.delay == nil } && many.contains { $0.delay != nil })
  }
}
