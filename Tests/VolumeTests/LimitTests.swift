import CVolumeCalls
import Glibc
import Testing
import Volume

/// A volume that is full, or read-only, and one that the machine has no memory for.
@Suite(.enabled(if: Mounting.refusal == nil, "\(Mounting.refusal ?? "")")) struct LimitTests {
  @Test(arguments: [ENOSPC, EDQUOT]) func aFullVolumeGivesRoomBack(_ error: Int32) throws {
    let mounted = try Mounted()
    mounted.volume.limit = VolumeLimit(bytes: 64 << 10, error: error)
    mounted.write("first", pattern(40 << 10))
    let file = mounted.open("second")
    defer { close(file) }
    // 24 KiB have room: they are written and counted; what follows has none.
    #expect(pwrite(file, pattern(40 << 10), 40 << 10, 0) == 24 << 10)
    #expect(code(put(file, [1], at: 24 << 10)) == error)
    #expect(put(file, [1], at: 5) == 1)
    #expect(tl_fallocate(file, 0, 0, 30 << 10) == error)
    var room = statvfs()
    #expect(statvfs(mounted.mount.folder, &room) == 0 && room.f_bfree == 0 && room.f_blocks == 16)
    #expect(truncate(mounted.path("first"), 20 << 10) == 0)
    #expect(put(file, [1], at: 24 << 10) == 1)
    #expect(unlink(mounted.path("first")) == 0)
    #expect(pwrite(file, pattern(16 << 10), 16 << 10, 32 << 10) == 16 << 10)
    mounted.volume.limit = nil
    #expect(pwrite(file, pattern(1 << 20), 1 << 20, 0) == 1 << 20)
  }

  /// An open file keeps its room until it is closed.
  @Test func aRemovedFileGivesRoomBackWhenItIsClosed() throws {
    let mounted = try Mounted()
    let file = mounted.open("gone")
    #expect(pwrite(file, pattern(8192), 8192, 0) == 8192)
    #expect(unlink(mounted.path("gone")) == 0)
    #expect(mounted.volume.usage.files == 8192)
    close(file)
    // The kernel sends RELEASE and FORGET behind the call.
    for _ in 0..<200 where mounted.volume.usage.files > 0 { usleep(10_000) }
    #expect(mounted.volume.usage.files == 0 && mounted.volume.usage.inodes == 1)
  }

  @Test func aReadOnlyVolumeRefusesChanges() throws {
    let mounted = try Mounted()
    let file = mounted.open("file")
    defer { close(file) }
    #expect(put(file, [1, 2], at: 0) == 2)
    mounted.volume.isReadOnly = true
    #expect(code(put(file, [3], at: 0)) == EROFS && code(ftruncate(file, 0)) == EROFS)
    #expect(code(mkdir(mounted.path("folder"), 0o755)) == EROFS && code(unlink(mounted.path("file"))) == EROFS)
    #expect(code(open(mounted.path("file"), O_RDWR)) == EROFS)
    #expect(mounted.stored("file") == [1, 2] && fsync(file) == 0)
    mounted.volume.isReadOnly = false
    #expect(put(file, [3], at: 0) == 1)
  }

  @Test func whatHasNoRoomInMemoryGoesToAFile() throws {
    let spill = Scratch()
    let mounted = try Mounted {
      $0.memoryLimit = 32 << 20
      $0.spillFolder = spill.path
    }
    for part in 0..<8 { mounted.write("part-\(part)", pattern(8 << 20, UInt8(part))) }
    let usage = mounted.volume.usage
    #expect(usage.resident <= 32 << 20 && usage.spilled >= 32 << 20 && mounted.volume.machineLimit == nil)
    for part in 0..<8 { #expect(mounted.stored("part-\(part)") == Array(pattern(1 << 20, UInt8(part)))) }
  }

  @Test func withoutRoomForTheFileTheVolumeIsFull() throws {
    let mounted = try Mounted {
      $0.memoryLimit = 48 << 20
      $0.spillFolder = "/nowhere/at/all"
    }
    let file = mounted.open("big")
    defer { close(file) }
    let bytes = pattern(1 << 20)
    var refusal: Int32 = 0
    for part in 0..<100 where refusal == 0 { refusal = code(pwrite(file, bytes, bytes.count, off_t(part << 20))) }
    #expect(refusal == ENOSPC)
    #expect(mounted.volume.machineLimit?.contains("/nowhere/at/all") == true)
  }
}
