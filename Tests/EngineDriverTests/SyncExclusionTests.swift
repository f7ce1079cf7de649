import Foundation
import Glibc
import Synchronization
import Testing
import Volume

/// Why P5 cannot be seen on a volume.
@Suite(.enabled(if: EnginePrograms.refusal == nil, "\(EnginePrograms.refusal ?? "")")) struct SyncExclusionTests {
  /// The kernel holds a file's lock while a sync of it is answered (Linux, fs/fuse/file.c, fuse_fsync): a write to the
  /// same file waits, one to another does not.
  @Test func noWriteComesWhileASyncOfTheSameFileIsInFlight() throws {
    let scratch = Scratch()
    let volume = Volume(VolumeOptions())
    let mount = try VolumeMount(volume, at: scratch.path + "/volume")
    defer { mount.unmount() }
    let files = ["one", "other"].map { open("\(mount.folder)/\($0)", O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }
    defer { for file in files { close(file) } }
    for file in files { #expect(pwrite(file, "before", 6, 0) == 6) }
    let isSyncing = Atomic(false)
    volume.setDecider { request in
      guard request.kind == .sync else { return .proceed }
      isSyncing.store(true, ordering: .releasing)
      return .delayed(nanoseconds: 60_000_000_000, then: .proceed)
    }
    let first = volume.trace.count
    let threads = DispatchGroup()
    let one = files[0]
    DispatchQueue.global().async(group: threads) { fsync(one) }
    while !isSyncing.load(ordering: .acquiring) { usleep(1000) }
    #expect(pwrite(files[1], "beside", 6, 0) == 6)
    DispatchQueue.global().async(group: threads) { pwrite(one, "behind", 6, 0) }
    usleep(300_000)
    volume.endDelays()
    threads.wait()
    let order = volume.trace.operations(from: first).filter { $0.kind == .write || $0.kind == .sync }
    #expect(order.map(\.kind) == [.write, .sync, .write])
    #expect(order[0].inode != order[1].inode && order[2].inode == order[1].inode)
  }
}
