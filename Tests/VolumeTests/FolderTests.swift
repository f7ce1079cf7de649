import CVolumeCalls
import Foundation
import Glibc
import Testing
import Volume

/// Plain folders out of volumes, and into them.
@Suite struct FolderTests {
  /// A folder with one of each.
  private func specimen() throws -> Scratch {
    let scratch = Scratch()
    func path(_ name: String) -> String { scratch.path + "/" + name }
    try Data(pattern(10_000)).write(to: URL(fileURLWithPath: path("file")))
    #expect(mkdir(path("folder"), 0o750) == 0 && link(path("file"), path("folder/same")) == 0)
    #expect(symlink("../file", path("folder/pointer")) == 0 && mkfifo(path("fifo"), 0o640) == 0)
    let sparse = open(path("sparse"), O_RDWR | O_CREAT, 0o4711)
    #expect(pwrite(sparse, [1, 2, 3], 3, 1 << 28) == 3 && ftruncate(sparse, 1 << 29) == 0)
    close(sparse)
    #expect(chmod(path("sparse"), 0o4711) == 0)
    return scratch
  }

  /// A line for each name: everything that is to be kept.
  private func tree(_ folder: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder).sorted().map { name in
      var status = stat()
      lstat(folder + "/" + name, &status)
      let isFolder = status.st_mode & 0o170000 == 0o040000
      let target = (try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + name)) ?? ""
      return "\(name) \(String(status.st_mode, radix: 8)) \(status.st_nlink) \(isFolder ? 0 : status.st_size) "
        + "\(isFolder ? 0 : status.st_blocks) \(status.st_uid) "
        + "\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec) \(target)"
    }
  }

  @Test func aFolderGoesInAndOut() throws {
    let source = try specimen()
    let volume = Volume()
    try volume.takeIn(source.path)
    let target = Scratch()
    #expect(try volume.export(to: target.path) == [])
    #expect(try tree(target.path) == tree(source.path))
    #expect(try Data(contentsOf: URL(fileURLWithPath: target.path + "/folder/same")) == Data(pattern(10_000)))
    let first = volume.trace.operations.first
    #expect(first?.kind == .makeNode && first?.nameText == "fifo" && first?.error == 0)
    // What is taken in takes the room that it took.
    #expect(volume.usage.files == 3 * 4096 + 4096)
  }

  @Test(.enabled(if: Mounting.refusal == nil, "\(Mounting.refusal ?? "")")) func aMountedVolumeGoesOut() throws {
    let source = try specimen()
    let mounted = try Mounted()
    #expect(tl_set_attribute(mounted.mount.folder, "user.ignored", "1", 0) == 0)
    try mounted.volume.takeIn(source.path)
    #expect(try tree(mounted.mount.folder) == tree(source.path))
    let file = mounted.open("folder/new")
    defer { close(file) }
    #expect(pwrite(file, pattern(100), 100, 0) == 100)
    let target = Scratch()
    try mounted.volume.export(to: target.path)
    #expect(try tree(target.path) == tree(mounted.mount.folder))
  }

  @Test func refusalsSayWhere() throws {
    #expect(throws: VolumeFolderError.self) { try Volume().takeIn("/nowhere/at/all") }
    let error = #expect(throws: VolumeFolderError.self) { try Volume().export(to: "/proc/nowhere") }
    #expect("\(error!)".contains("/proc/nowhere"))
  }
}
