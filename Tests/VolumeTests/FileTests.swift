import CVolumeCalls
import Foundation
import Glibc
import Testing
import Volume

/// What programs expect of a file system.
@Suite(.enabled(if: Mounting.refusal == nil, "\(Mounting.refusal ?? "")")) struct FileTests {
  @Test func anOpenFileOutlivesItsName() throws {
    let mounted = try Mounted()
    let file = mounted.open("file")
    defer { close(file) }
    #expect(unlink(mounted.path("file")) == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: mounted.mount.folder).isEmpty)
    #expect(pwrite(file, pattern(5000), 5000, 0) == 5000 && fsync(file) == 0)
    var status = stat()
    #expect(fstat(file, &status) == 0 && status.st_nlink == 0 && status.st_size == 5000)
    #expect(mounted.changes().map(\.kind) == [.create, .unlink, .write, .sync])
  }

  @Test func aFileWithoutANameGetsOne() throws {
    let mounted = try Mounted()
    let file = open(mounted.mount.folder, tl_tmpfile | O_RDWR, 0o600)
    #expect(file >= 0, "\(String(cString: strerror(errno)))")
    defer { close(file) }
    #expect(pwrite(file, pattern(100), 100, 0) == 100)
    #expect(tl_link_open_file(file, mounted.path("named")) == 0)
    #expect(mounted.read("named") == pattern(100))
    #expect(mounted.changes().map(\.kind) == [.createUnnamed, .write, .link])
  }

  @Test func renamesHaveTheirFlags() throws {
    let mounted = try Mounted()
    mounted.write("one", [1])
    mounted.write("two", [2])
    #expect(tl_rename(mounted.path("one"), mounted.path("two"), 1) == EEXIST)
    #expect(tl_rename(mounted.path("one"), mounted.path("two"), 4) == EINVAL)
    #expect(tl_rename(mounted.path("one"), mounted.path("two"), 2) == 0)
    #expect(mounted.read("one") == [2] && mounted.read("two") == [1])
    #expect(tl_rename(mounted.path("one"), mounted.path("three"), 1) == 0)
    let kinds = mounted.changes().map(\.kind)
    #expect(kinds == [.create, .write, .create, .write, .rename, .exchange, .rename])
  }

  @Test func holesAreHoles() throws {
    let mounted = try Mounted()
    let file = mounted.open("sparse")
    defer { close(file) }
    #expect(put(file, [1], at: 1 << 30) == 1)
    var status = stat()
    #expect(fstat(file, &status) == 0 && status.st_blocks == 8 && status.st_size == 1 << 30 + 1)
    #expect(tl_seek(file, 0, 0) == 1 << 30 && tl_seek(file, 0, 1) == 0)
    #expect(tl_seek(file, 1 << 30, 1) == 1 << 30 + 1 && tl_seek(file, 1 << 31, 0) == -Int64(ENXIO))
    #expect(tl_fallocate(file, 1, 0, 1 << 20) == 0)
    #expect(fstat(file, &status) == 0 && status.st_blocks == 8 + 2048 && status.st_size == 1 << 30 + 1)
    #expect(tl_fallocate(file, 3, 0, 1 << 31) == 0)
    #expect(fstat(file, &status) == 0 && status.st_blocks == 0)
    #expect(code(put(file, [1], at: 1 << 50)) == EFBIG)
  }

  @Test func directAndAsynchronousWritesArrive() throws {
    let mounted = try Mounted()
    mounted.write("file", pattern(8192))
    let file = Int32(tl_open_direct(mounted.path("file"), O_RDWR))
    defer { close(file) }
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { room.deallocate() }
    memset(room.baseAddress!, 7, 4096)
    #expect(pwrite(file, room.baseAddress!, 4096, 0) == 4096)
    #expect(tl_aio_write(file, room.baseAddress!, 4096, 4096) == 4096 && tl_aio_sync(file) == 0)
    #expect(mounted.stored("file") == [UInt8](repeating: 7, count: 8192))
    let kinds = mounted.changes().suffix(3).map(\.kind)
    #expect(kinds == [.write, .write, .sync])
  }

  @Test func locksExclude() throws {
    let mounted = try Mounted()
    let (one, two) = (mounted.open("file"), mounted.open("file"))
    defer {
      close(one)
      close(two)
    }
    #expect(tl_flock(one) == 0 && tl_flock(two) == -Int64(EAGAIN))
    #expect(tl_lock_range(one, 1, 0, 10) == 0)
    #expect(tl_lock_range(two, 1, 5, 10) == -Int64(EAGAIN) && tl_lock_range(two, 1, 10, 10) == 0)
    #expect(tl_lock_range(two, 0, 0, 5) == -Int64(EAGAIN))
  }

  @Test func aSocketIsMetThere() throws {
    let mounted = try Mounted()
    // A socket's address has room for 107 bytes (`man 7 unix`).
    try #require(mounted.path("s").utf8.count < 107)
    let server = tl_listen(mounted.path("s"))
    let client = tl_connect(mounted.path("s"))
    #expect(server >= 0 && client >= 0)
    close(Int32(server))
    close(Int32(client))
  }

  @Test func attributesAreKept() throws {
    let mounted = try Mounted()
    mounted.write("file", [1])
    let path = mounted.path("file")
    #expect(tl_set_attribute(path, "user.one", "value", 0) == 0)
    #expect(tl_set_attribute(path, "user.one", "other", 1) == -Int64(EEXIST))
    #expect(tl_set_attribute(path, "user.two", "other", 2) == -Int64(ENODATA))
    var into = [CChar](repeating: 0, count: 100)
    #expect(
      tl_get_attribute(path, "user.one", &into, 100) == 5
        && tl_get_attribute(path, "user.one", &into, 2) == -Int64(ERANGE))
    #expect(tl_list_attributes(path, &into, 100) == 9)
    #expect(tl_remove_attribute(path, "user.one") == 0 && tl_list_attributes(path, &into, 0) == 0)
    // Not again with each write: the kernel knows after the first.
    #expect(tl_get_attribute(path, "security.capability", &into, 100) == -Int64(ENODATA))
  }

  @Test func anotherProcessSeesTheSameMappedPage() throws {
    let mounted = try Mounted()
    mounted.write("map", [UInt8](repeating: 0, count: 8192))
    #expect(tl_store_and_die(mounted.path("map"), 5000, 3) == 1000 + 9)
    #expect(mounted.read("map")[5000] == 3)
    // The kernel writes the page back when the process has died.
    for _ in 0..<200 where !mounted.changes().contains(where: { $0.flags.contains(.writeBack) }) { usleep(10_000) }
    #expect(mounted.stored("map")[5000] == 3)
  }

  @Test(.enabled(if: geteuid() == 0, "only root may become others")) func othersMayAndMayNot() throws {
    let mounted = try Mounted()
    mounted.write("mine", [1])
    #expect(chmod(mounted.path("mine"), 0o600) == 0 && chmod(mounted.scratch.path, 0o755) == 0)
    #expect(mkdir(mounted.path("open"), 0o777) == 0 && chmod(mounted.path("open"), 0o777) == 0)
    #expect(tl_as_user(1234, mounted.path("mine"), O_RDONLY) == Int64(EACCES))
    #expect(tl_as_user(1234, mounted.path("open/theirs"), O_RDWR | O_CREAT) == 0)
    let made = mounted.changes().last { $0.kind == .create }
    #expect(made?.user == 1234 && made?.group == 1234)
  }

  @Test(.enabled(if: geteuid() == 0, "set-group-ID bits need an owner")) func bitsGoWithTheOwner() throws {
    let mounted = try Mounted()
    mounted.write("program", [1])
    #expect(chmod(mounted.path("program"), 0o6755) == 0 && chown(mounted.path("program"), 5, 5) == 0)
    var status = stat()
    #expect(stat(mounted.path("program"), &status) == 0 && status.st_mode & 0o7777 == 0o755)
    #expect(mkdir(mounted.path("group"), 0o755) == 0 && chown(mounted.path("group"), 0, 77) == 0)
    #expect(chmod(mounted.path("group"), 0o2775) == 0 && mkdir(mounted.path("group/inner"), 0o755) == 0)
    #expect(stat(mounted.path("group/inner"), &status) == 0 && status.st_gid == 77 && status.st_mode & 0o2000 != 0)
  }
}
