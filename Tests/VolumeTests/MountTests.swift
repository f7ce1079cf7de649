import Foundation
import Glibc
import Testing
import Volume

/// Nothing is left of a mount, however its program ends.
@Suite(.enabled(if: Mounting.refusal == nil, "\(Mounting.refusal ?? "")")) struct MountTests {
  private func mounts(below folder: String) throws -> [String] {
    try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8).split(separator: "\n").map(String.init)
      .filter { $0.contains(folder) }
  }

  @Test func theFolderThatWasMadeGoesAgain() throws {
    let scratch = Scratch()
    let folder = scratch.path + "/made"
    let mount = try VolumeMount(Volume(), at: folder)
    #expect(try mounts(below: folder).count == 1)
    let watchdog = mount.watchdog
    mount.unmount()
    mount.unmount()
    #expect(try mounts(below: folder).isEmpty && access(folder, F_OK) != 0)
    for _ in 0..<100 where Glibc.kill(-watchdog, 0) == 0 { usleep(10_000) }
    #expect(Glibc.kill(-watchdog, 0) != 0)
  }

  @Test func theFolderThatWasThereStays() throws {
    let scratch = Scratch()
    do { _ = try VolumeMount(Volume(), at: scratch.path) }
    #expect(try mounts(below: scratch.path).isEmpty && access(scratch.path, F_OK) == 0)
  }

  /// Somebody still has a file open: they are cut off.
  @Test func aBusyMountEndsToo() throws {
    let mounted = try Mounted()
    let file = mounted.open("file")
    defer { close(file) }
    mounted.mount.unmount()
    #expect(try mounts(below: mounted.mount.folder).isEmpty)
    #expect(code(put(file, [1], at: 0)) == ENOTCONN)
  }

  @Test func refusalsSayWhatToDo() throws {
    let mounted = try Mounted()
    #expect(throws: VolumeMountError.busy(mounted.mount.folder)) { try VolumeMount(Volume(), at: mounted.mount.folder) }
    let scratch = Scratch()
    try Data([1]).write(to: URL(fileURLWithPath: scratch.path + "/file"))
    #expect(throws: VolumeMountError.folder(scratch.path, ENOTEMPTY)) { try VolumeMount(Volume(), at: scratch.path) }
    #expect(throws: VolumeMountError.folder("/nowhere/at/all", ENOENT)) {
      try VolumeMount(Volume(), at: "/nowhere/at/all")
    }
    #expect("\(VolumeMountError.noDevice(ENOENT))".contains("--device /dev/fuse --cap-add SYS_ADMIN"))
    #expect("\(VolumeMountError.busy("/x"))".contains("umount -l /x"))
  }

  /// Besides its pipe and /dev/null the watchdog holds nothing.
  @Test func theWatchdogHoldsNothing() throws {
    let mounted = try Mounted()
    let folder = "/proc/\(mounted.mount.watchdog)/fd"
    let files = try FileManager.default.contentsOfDirectory(atPath: folder).map {
      try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + $0)
    }
    #expect(files.filter { !$0.hasPrefix("pipe:") && $0 != "/dev/null" } == [])
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(mounted.mount.watchdog)/cwd") == "/")
  }

  @Test(arguments: [SIGKILL, SIGTERM, SIGINT, SIGSEGV]) func aKilledProgramLeavesNoMount(_ signal: Int32) throws {
    try kill("hold", by: signal)
  }

  /// A thread of it waits for its own volume: it could not end by itself, nor would its descriptors be closed.
  @Test func aProgramThatWaitsForItselfLeavesNoMount() throws { try kill("stuck", by: SIGKILL) }

  private func kill(_ how: String, by signal: Int32) throws {
    let scratch = Scratch()
    let folder = scratch.path + "/volume"
    let host = Process()
    host.executableURL = URL(fileURLWithPath: Self.host)
    host.arguments = [how, folder]
    let (input, output) = (Pipe(), Pipe())
    (host.standardInput, host.standardOutput) = (input, output)
    try host.run()
    let said = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    #expect(said.hasPrefix("ready"), "\(said)")
    let watchdog = Int32(said.dropFirst(6).prefix { $0.isNumber }) ?? 0
    // One that is stuck holds its folder: nobody else may make a name there.
    let file = how == "stuck" ? -1 : open(folder + "/file", O_RDWR | O_CREAT, 0o644)
    #expect(file >= 0 || how == "stuck")
    if how == "stuck" { usleep(300_000) }
    Glibc.kill(host.processIdentifier, signal)
    host.waitUntilExit()
    for _ in 0..<500 where access(folder, F_OK) == 0 || Glibc.kill(-watchdog, 0) == 0 { usleep(10_000) }
    #expect(try mounts(below: folder).isEmpty && access(folder, F_OK) != 0)
    // Of its whole group nothing is left.
    #expect(Glibc.kill(-watchdog, 0) != 0)
    #expect(file < 0 || code(put(file, [1], at: 0)) == ENOTCONN)
    close(file)
  }

  /// Beside the tests.
  static let host: String = {
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).standardizedFileURL.deletingLastPathComponent()
    if let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
      access(folder.path + "/VolumeHost", X_OK) != 0
    {
      folder = URL(fileURLWithPath: own).deletingLastPathComponent()
    }
    while folder.path != "/" {
      var isFolder: ObjCBool = false
      let candidate = folder.appendingPathComponent("VolumeHost").path
      if FileManager.default.fileExists(atPath: candidate, isDirectory: &isFolder), !isFolder.boolValue {
        return candidate
      }
      folder.deleteLastPathComponent()
    }
    preconditionFailure("VolumeHost is not beside the tests")
  }()
}
