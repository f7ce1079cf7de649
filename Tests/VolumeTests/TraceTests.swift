import CVolumeCalls
import Glibc
import Testing
import Volume

/// What the trace says of what programs do.
@Suite(.enabled(if: Mounting.refusal == nil, "\(Mounting.refusal ?? "")")) struct TraceTests {
  @Test func operationsAreInOrderWithWhatTheyCarry() throws {
    let mounted = try Mounted()
    let file = mounted.open("new")
    defer { close(file) }
    #expect(pwrite(file, pattern(1000), 1000, 24) == 1000)
    #expect(mounted.volume.mark([7, 8]) > 0)
    #expect(fsync(file) == 0)
    #expect(rename(mounted.path("new"), mounted.path("final")) == 0)
    let folder = open(mounted.mount.folder, O_RDONLY | O_DIRECTORY)
    #expect(fsync(folder) == 0)
    close(folder)
    let all = mounted.changes()
    #expect(all.map(\.kind) == [.create, .write, .mark, .sync, .rename, .syncDirectory])
    let (create, write, rename) = (all[0], all[1], all[4])
    #expect(create.directory == 1 && create.nameText == "new" && create.mode & 0o777 == 0o644)
    #expect(write.inode == create.inode && write.offset == 24 && write.answered == 1000)
    #expect(write.handle == create.handle && write.process == UInt32(getpid()))
    #expect(mounted.volume.trace.payload(of: write.sequence) == pattern(1000))
    #expect(mounted.volume.trace.payload(of: all[2].sequence) == [7, 8])
    #expect(rename.inode == create.inode && rename.newNameText == "final" && rename.otherInode == 0)
    #expect(zip(all, all.dropFirst()).allSatisfy { $0.sequence < $1.sequence && $0.time <= $1.time })
  }

  /// Payloads that a file shares with the trace are not changed by later operations on the file.
  @Test func whatWasRecordedStays() throws {
    let mounted = try Mounted()
    let file = mounted.open("file")
    defer { close(file) }
    #expect(put(file, pattern(65_536), at: 0) == 65_536 && put(file, pattern(65_536, 50), at: 65_536) == 65_536)
    #expect(put(file, [9, 9], at: 4100) == 2 && tl_fallocate(file, 3, 10_000, 50_000) == 0)
    #expect(put(file, pattern(65_536, 99), at: 65_536) == 65_536 && ftruncate(file, 100) == 0)
    for part in 0..<4 { mounted.write("other-\(part)", pattern(60_000, 3), at: 1) }
    let writes = mounted.changes().filter { $0.kind == .write }.prefix(4)
    let carried = writes.map { mounted.volume.trace.payload(of: $0.sequence) }
    #expect(carried == [pattern(65_536), pattern(65_536, 50), [9, 9], pattern(65_536, 99)])
  }

  enum Synchronous: CaseIterable { case descriptorData, descriptorAll, callData, callAll, directData }

  /// The kernel's own sync after a write covers that write. The next one is the program's, and covers the file.
  @Test(arguments: Synchronous.allCases) func aSynchronousWriteCoversItself(_ how: Synchronous) throws {
    let mounted = try Mounted()
    mounted.write("log", pattern(8192))
    let flags: [Synchronous: Int32] = [.descriptorData: O_DSYNC, .descriptorAll: O_SYNC]
    let file =
      how == .directData
      ? Int32(tl_open_direct(mounted.path("log"), O_RDWR | O_DSYNC)) : mounted.open("log", O_RDWR | (flags[how] ?? 0))
    defer { close(file) }
    let before = mounted.volume.trace.count
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { room.deallocate() }
    memset(room.baseAddress!, 5, 4096)
    let kind: Int32 = how == .callData ? 1 : how == .callAll ? 2 : 0
    #expect(tl_write_pieces(file, room.baseAddress!, 4096, 4096, kind) == 4096)
    #expect(fdatasync(file) == 0)
    let all = mounted.changes(from: before)
    #expect(all.map(\.kind) == [.write, .syncWritten, .sync])
    #expect(all[0].durableBy == all[1].sequence)
    #expect(all[1].offset == 4096 && all[1].length == 4096 && all[1].value == UInt64(all[0].sequence))
    #expect(all[1].flags.contains(.dataOnly) == (how != .descriptorAll && how != .callAll))
  }

  /// The kernel forgets the sync of an asynchronous write with O_DIRECT and O_DSYNC.
  @Test func anAsynchronousSynchronousWriteCountsByItself() throws {
    let mounted = try Mounted()
    mounted.write("log", pattern(8192))
    let file = Int32(tl_open_direct(mounted.path("log"), O_RDWR | O_DSYNC))
    defer { close(file) }
    let before = mounted.volume.trace.count
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { room.deallocate() }
    memset(room.baseAddress!, 5, 4096)
    #expect(tl_aio_write(file, room.baseAddress!, 4096, 0) == 4096)
    #expect(fdatasync(file) == 0)
    let all = mounted.changes(from: before)
    #expect(all.map(\.kind) == [.write, .sync])
    #expect(all[0].durableBy == all[0].sequence)
  }

  @Test func mappedPagesComeWithTheSync() throws {
    let mounted = try Mounted()
    mounted.write("map", [UInt8](repeating: 0, count: 65_536))
    let file = mounted.open("map", O_RDWR)
    defer { close(file) }
    let before = mounted.volume.trace.count
    let mapping = tl_store_and_stay(file, 65_536, [10, 40_000], 2, 9)
    try #require(mapping > 0, "errno \(-mapping)")
    defer { _ = tl_end_child(mapping) }
    #expect(mounted.changes(from: before).isEmpty)
    #expect(fdatasync(file) == 0)
    let all = mounted.changes(from: before)
    #expect(all.map(\.kind) == [.write, .write, .sync])
    #expect(all.map { $0.flags.contains(.writeBack) } == [true, true, false])
    #expect(mounted.stored("map")[10] == 9 && mounted.stored("map")[40_000] == 9)
  }

  @Test func whatFuseCannotSeeIsNotThere() throws {
    let mounted = try Mounted()
    mounted.write("file", pattern(100))
    let file = mounted.open("file", O_RDWR)
    defer { close(file) }
    let before = mounted.volume.trace.count
    #expect(tl_sync_file_system(file) == 0 && tl_sync_range(file) == 0)
    sync()
    #expect(mounted.changes(from: before).isEmpty)
  }

  @Test func cuttingAtOpenIsATruncation() throws {
    let mounted = try Mounted()
    mounted.write("file", pattern(100))
    let before = mounted.volume.trace.count
    close(mounted.open("file", O_RDWR | O_TRUNC))
    let all = mounted.changes(from: before)
    #expect(all.map(\.kind) == [.truncate] && all[0].length == 0 && all[0].flags.contains(.opening))
    #expect(mounted.stored("file") == [])
  }

  @Test(arguments: [true, false]) func readsAreThereOnRequest(_ asked: Bool) throws {
    let mounted = try Mounted { $0.recordsReads = asked }
    mounted.write("file", pattern(5000))
    _ = mounted.stored("file")
    let kinds = Set(mounted.volume.trace.operations.map(\.kind).filter(\.isRead))
    #expect(kinds.isSuperset(of: asked ? [.read, .lookup] : []) && (asked || kinds.isEmpty))
    if asked {
      let read = mounted.volume.trace.operations.last { $0.kind == .read }
      #expect(read?.offset == 0 && read?.answered == 5000)
    }
  }

  @Test func anAnswerIsKeptToo() throws {
    let mounted = try Mounted()
    #expect(mkdir(mounted.path("full"), 0o755) == 0)
    mounted.write("full/file", [1])
    // The kernel itself does not know that the folder is not empty.
    #expect(code(rmdir(mounted.path("full"))) == ENOTEMPTY)
    let last = mounted.changes().last
    #expect(last?.kind == .removeDirectory && last?.error == ENOTEMPTY)
  }

  @Test func withoutRecordingThereIsNoTrace() throws {
    let mounted = try Mounted { $0.records = false }
    mounted.write("file", pattern(100_000))
    #expect(mounted.stored("file") == pattern(100_000))
    #expect(mounted.volume.trace.count == 0 && mounted.volume.mark([1]) == -1)
  }

  @Test func severalThreadsAndProcessesHaveOneOrder() throws {
    let mounted = try Mounted { $0.workers = 3 }
    let folder = mounted.mount.folder
    Threads.run(4) { number in
      let file = open("\(folder)/file-\(number)", O_RDWR | O_CREAT, 0o644)
      for place in 0..<200 { pwrite(file, [UInt8(number)], 1, off_t(place)) }
      close(file)
    }
    let writes = mounted.volume.trace.operations.filter { $0.kind == .write }
    #expect(writes.count == 800)
    for (_, own) in Dictionary(grouping: writes, by: \.inode) { #expect(own.map(\.offset) == Array(0..<200)) }
    #expect(Set(writes.map(\.thread)).count == 4 && Set(writes.map(\.process)) == [UInt32(getpid())])
  }
}

/// Threads that all run the same.
enum Threads {
  static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    final class Box {
      let body: () -> Void
      init(_ body: @escaping () -> Void) { self.body = body }
    }
    let threads = (0..<count).map { number in
      var thread = pthread_t()
      pthread_create(
        &thread, nil,
        { box in
          Unmanaged<Box>.fromOpaque(box!).takeRetainedValue().body()
          return nil
        }, Unmanaged.passRetained(Box { body(number) }).toOpaque())
      return thread
    }
    for thread in threads { pthread_join(thread, nil) }
  }
}
