import CVolumeCalls
import Glibc
import Testing
import Volume

/// Every decision, as the program sees it and as the volume has it afterwards.
@Suite(.enabled(if: Mounting.refusal == nil, "\(Mounting.refusal ?? "")")) struct FaultTests {
  /// A volume with a file of 8 KiB that was synced, and a descriptor of it; the decider is asked from then on.
  private func prepared(
    _ decide: @escaping @Sendable (VolumeRequest) -> VolumeDecision
  ) throws -> (Mounted, Int32) {
    let mounted = try Mounted()
    let file = mounted.open("file")
    #expect(put(file, pattern(8192), at: 0) == 8192 && fsync(file) == 0)
    mounted.volume.setDecider(decide)
    return (mounted, file)
  }

  private func on(_ kind: VolumeOperationKind, _ decision: VolumeDecision)
    -> @Sendable (VolumeRequest) -> VolumeDecision
  {
    { $0.kind == kind ? decision : .proceed }
  }

  private func onlyFirst(
    _ kind: VolumeOperationKind, _ decision: VolumeDecision
  ) -> @Sendable (VolumeRequest) -> VolumeDecision {
    { $0.kind == kind && $0.occurrence == 1 ? decision : .proceed }
  }

  private func changed(_ bytes: [UInt8], at offset: Int, in old: [UInt8] = pattern(8192)) -> [UInt8] {
    var new = old + [UInt8](repeating: 0, count: max(0, offset + bytes.count - old.count))
    new.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    return new
  }

  @Test func aRefusedWriteIsNotThere() throws {
    let (mounted, file) = try prepared(on(.write, .fail(EIO)))
    defer { close(file) }
    #expect(code(put(file, [9, 9], at: 0)) == EIO)
    #expect(mounted.stored("file") == pattern(8192))
    let last = mounted.changes().last
    #expect(last?.error == EIO && last?.flags.contains(.decided) == true)
    #expect(mounted.volume.trace.decision(at: last!.sequence) == .fail(EIO))
    #expect(mounted.volume.trace.stored(last!.sequence).isEmpty)
  }

  @Test func anErrorAfterwardsLeavesTheBytes() throws {
    let (mounted, file) = try prepared(on(.write, .failAfter(EIO)))
    defer { close(file) }
    #expect(code(put(file, [9, 9], at: 0)) == EIO)
    #expect(mounted.stored("file") == changed([9, 9], at: 0))
  }

  @Test func aShortWriteTakesWhatItSays() throws {
    let (mounted, file) = try prepared(on(.write, .short(3)))
    defer { close(file) }
    #expect(put(file, [9, 9, 9, 9, 9], at: 100) == 3)
    #expect(mounted.stored("file") == changed([9, 9, 9], at: 100))
    let last = mounted.changes().last!
    #expect(last.length == 5 && last.answered == 3)
    #expect(mounted.volume.trace.stored(last.sequence) == [StoredPiece(offset: 100, payload: 0..<3)])
  }

  /// The kernel makes an error of it: `docs/volume.md`.
  @Test func aShortWritePastThePageCacheIsAnError() throws {
    let mounted = try Mounted()
    mounted.write("file", pattern(4096))
    let file = Int32(tl_open_direct(mounted.path("file"), O_RDWR))
    defer { close(file) }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { memory.deallocate() }
    memory.copyBytes(from: pattern(4096, 77))
    mounted.volume.setDecider(onlyFirst(.write, .short(512)))
    #expect(code(pwrite(file, memory.baseAddress!, 2048, 0)) == EIO)
    #expect(mounted.stored("file") == Array(pattern(4096, 77).prefix(512) + pattern(4096).dropFirst(512)))
  }

  @Test func aLostWriteIsAnsweredAndNotStored() throws {
    let (mounted, file) = try prepared(on(.write, .lost))
    defer { close(file) }
    #expect(put(file, pattern(10, 77), at: 8190) == 10)
    // The size is metadata, and grows.
    #expect(mounted.stored("file") == pattern(8192) + [UInt8](repeating: 0, count: 8))
    #expect(mounted.volume.trace.stored(mounted.changes().last!.sequence) == [])
  }

  @Test func aMisdirectedWriteIsElsewhere() throws {
    let (mounted, file) = try prepared(on(.write, .misdirected(to: 4096)))
    defer { close(file) }
    #expect(put(file, [9, 9], at: 0) == 2)
    #expect(mounted.stored("file") == changed([9, 9], at: 4096))
  }

  @Test(arguments: [0, EIO]) func aTornWriteHasItsSectors(_ error: Int32) throws {
    let (mounted, file) = try prepared(on(.write, .torn(kept: [0..<512, 1024..<1536], error: error)))
    defer { close(file) }
    let new = pattern(2048, 99)
    #expect(code(put(file, new, at: 0)) == error)
    var expected = pattern(8192)
    expected.replaceSubrange(0..<512, with: new[0..<512])
    expected.replaceSubrange(1024..<1536, with: new[1024..<1536])
    #expect(mounted.stored("file") == expected)
    #expect(mounted.volume.trace.stored(mounted.changes().last!.sequence).map(\.payload) == [0..<512, 1024..<1536])
  }

  @Test func aBitTurnsOverInFlight() throws {
    let (mounted, file) = try prepared(on(.write, .flipped(bits: [9])))
    defer { close(file) }
    #expect(put(file, [0, 0, 0], at: 0) == 3)
    #expect(mounted.stored("file") == changed([0, 2, 0], at: 0))
    #expect(mounted.volume.trace.payload(of: mounted.changes().last!.sequence) == [0, 2, 0])
  }

  @Test func aBitTurnsOverAtRest() throws {
    let (mounted, file) = try prepared { _ in .proceed }
    defer { close(file) }
    let inode = try #require(mounted.volume.inode(at: "/file"))
    #expect(mounted.volume.flip(bit: 0, at: 5000, of: inode))
    #expect(!mounted.volume.flip(bit: 0, at: 8192, of: inode))
    #expect(mounted.read("file") == changed([pattern(8192)[5000] ^ 1], at: 5000))
  }

  @Test func readsFailAndAreFlipped() throws {
    let (mounted, file) = try prepared(on(.read, .fail(EIO)))
    defer { close(file) }
    let inode = try #require(mounted.volume.inode(at: "/file"))
    var bytes = [UInt8](repeating: 0, count: 8192)
    mounted.volume.dropCaches(of: inode)
    // The kernel asks again for what it could not read ahead.
    #expect(code(pread(file, &bytes, 10, 0)) == EIO)
    mounted.volume.setDecider(onlyFirst(.read, .flipped(bits: [0])))
    mounted.volume.dropCaches(of: inode)
    #expect(pread(file, &bytes, 10, 0) == 10)
    #expect(bytes[0] == pattern(8192)[0] ^ 1 && bytes[1] == pattern(8192)[1])
  }

  /// The kernel takes a short answer for the file's end, until it asks for the size again.
  @Test func readsAreShort() throws {
    let (mounted, file) = try prepared(onlyFirst(.read, .short(100)))
    defer { close(file) }
    let inode = try #require(mounted.volume.inode(at: "/file"))
    var bytes = [UInt8](repeating: 0, count: 8192)
    mounted.volume.dropCaches(of: inode)
    #expect(pread(file, &bytes, 8192, 0) == 100)
    #expect(Array(bytes.prefix(100)) == Array(pattern(100)))
    mounted.volume.dropCaches(of: inode)
    #expect(mounted.read("file") == pattern(8192))
  }

  @Test(arguments: [VolumeOperationKind.sync, .syncDirectory]) func aSyncFails(_ kind: VolumeOperationKind) throws {
    let (mounted, file) = try prepared(onlyFirst(kind, .fail(EIO)))
    defer { close(file) }
    let folder = open(mounted.mount.folder, O_RDONLY | O_DIRECTORY)
    defer { close(folder) }
    let synced = kind == .sync ? file : folder
    #expect(code(fsync(synced)) == EIO)
    #expect(fsync(synced) == 0)
    #expect(mounted.changes().suffix(2).map(\.error) == [EIO, 0])
  }

  @Test(arguments: [FailedSyncPages.kept, .dropped, .evicted])
  func aFailedSyncDoesWhatIsSaidToThePages(_ pages: FailedSyncPages) throws {
    let (mounted, file) = try prepared(onlyFirst(.sync, .syncFails(EIO, pages)))
    defer { close(file) }
    let new = changed([9, 9], at: 100)
    #expect(put(file, [9, 9], at: 100) == 2)
    #expect(code(fsync(file)) == EIO)
    // What the cache shows, and what is there.
    #expect(mounted.read("file") == (pages == .evicted ? pattern(8192) : new))
    #expect(fsync(file) == 0)
    #expect(mounted.stored("file") == (pages == .kept ? new : pattern(8192)))
    #expect(mounted.changes().contains { $0.flags.contains(.dropped) } == (pages != .kept))
  }

  /// What was dropped stays dropped when a later sync fails too; what an O_DSYNC write stored is not dropped.
  @Test func whatWasDurableIsNotDropped() throws {
    let (mounted, file) = try prepared(on(.sync, .syncFails(EIO, .evicted)))
    defer { close(file) }
    let durable = mounted.open("file", O_RDWR | O_DSYNC)
    defer { close(durable) }
    #expect(put(file, [9], at: 0) == 1)
    #expect(put(durable, [8], at: 1) == 1)
    #expect(code(fsync(file)) == EIO)
    #expect(put(file, [7], at: 2) == 1)
    #expect(code(fsync(file)) == EIO)
    #expect(mounted.stored("file") == changed([8], at: 1))
  }

  @Test func aLyingSyncIsRecordedAsOne() throws {
    let (mounted, file) = try prepared(on(.sync, .syncLies))
    defer { close(file) }
    #expect(fsync(file) == 0)
    #expect(mounted.changes().last?.flags.contains(.lying) == true)
  }

  @Test func theSyncOfASynchronousWriteFailsToo() throws {
    let (mounted, file) = try prepared(on(.syncWritten, .fail(EIO)))
    defer { close(file) }
    let durable = mounted.open("file", O_RDWR | O_DSYNC)
    defer { close(durable) }
    #expect(code(put(durable, [8], at: 1)) == EIO)
    let write = mounted.changes().last { $0.kind == .write }
    #expect(write?.error == 0 && write?.durableBy == nil)
  }

  /// A stall: the operation waits, and others go on, with one thread that serves.
  @Test(arguments: [VolumeOperationKind.write, .truncate, .setMode])
  func othersGoOnWhileOneWaits(_ kind: VolumeOperationKind) throws {
    let (mounted, file) = try prepared { request in
      request.kind == kind ? .delayed(nanoseconds: 400_000_000, then: .proceed) : .proceed
    }
    defer { close(file) }
    let folder = mounted.mount.folder
    let start = nanoseconds()
    nonisolated(unsafe) var times: [UInt64] = [0, 0]
    Threads.run(2) { number in
      if number == 0 {
        let own = open(folder + "/file", O_RDWR)
        switch kind {
        case .write: _ = put(own, [1], at: 0)
        case .truncate: ftruncate(own, 5)
        default: fchmod(own, 0o600)
        }
        close(own)
      } else {
        usleep(50_000)
        mkdir(folder + "/other", 0o755)
      }
      times[number] = nanoseconds() - start
    }
    #expect(times[0] >= 400_000_000 && times[1] < 350_000_000, "\(times)")
    #expect(mounted.changes().suffix(2).map(\.kind) == [.makeDirectory, kind])
  }

  /// A stall without an end does not outlive the mount, nor hold whoever is killed in it.
  @Test func aStallCanBeEnded() throws {
    let (mounted, file) = try prepared { request in
      request.kind == .write ? .delayed(nanoseconds: .max, then: .fail(EIO)) : .proceed
    }
    let volume = mounted.volume
    let start = nanoseconds()
    nonisolated(unsafe) var error: Int32 = 0
    Threads.run(2) { number in
      if number == 0 {
        error = code(put(file, [1], at: 0))
      } else {
        usleep(100_000)
        volume.endDelays()
      }
    }
    #expect(error == EIO && nanoseconds() - start < 5_000_000_000)
    #expect(close(file) == 0)
  }

  @Test func namesAreAskedAboutByPath() throws {
    nonisolated(unsafe) var asked: [String] = []
    let (mounted, file) = try prepared { request in
      if !request.kind.isRead {
        asked.append("\(request.kind) \(request.path) \(request.newPath ?? "") \(request.occurrence)")
      }
      return request.path == "/folder/kept" && request.kind == .unlink ? .fail(EACCES) : .proceed
    }
    #expect(close(file) == 0)
    #expect(mkdir(mounted.path("folder"), 0o755) == 0)
    #expect(rename(mounted.path("file"), mounted.path("folder/kept")) == 0)
    #expect(mkdir(mounted.path("folder/inner"), 0o755) == 0)
    #expect(code(unlink(mounted.path("folder/kept"))) == EACCES)
    let wanted = [
      "makeDirectory /folder  1", "rename /file /folder/kept 1", "makeDirectory /folder/inner  2",
      "unlink /folder/kept  1",
    ]
    #expect(asked.filter { !$0.hasPrefix("flush") && !$0.hasPrefix("release") } == wanted)
  }

  @Test(arguments: [
    VolumeOperationKind.create, .makeDirectory, .symlink, .link, .unlink, .removeDirectory, .rename, .truncate,
    .allocate,
    .setMode, .setOwner, .setTimes, .setAttribute, .open,
  ]) func everyKindCanFail(_ kind: VolumeOperationKind) throws {
    let (mounted, file) = try prepared { _ in .proceed }
    defer { close(file) }
    #expect(mkdir(mounted.path("folder"), 0o755) == 0)
    let place = mounted.mount.folder
    func act() -> Int32 {
      switch kind {
      case .create: code(open(place + "/made", O_RDWR | O_CREAT, 0o644))
      case .makeDirectory: code(mkdir(place + "/made", 0o755))
      case .symlink: code(symlink("file", place + "/made"))
      case .link: code(link(place + "/file", place + "/made"))
      case .unlink: code(unlink(place + "/file"))
      case .removeDirectory: code(rmdir(place + "/folder"))
      case .rename: code(rename(place + "/file", place + "/made"))
      case .truncate: code(ftruncate(file, 5))
      case .allocate: tl_fallocate(file, 0, 0, 100_000)
      case .setMode: code(chmod(place + "/file", 0o600))
      case .setOwner: code(chown(place + "/file", 5, 5))
      case .setTimes: code(utimensat(AT_FDCWD, place + "/file", nil, 0))
      case .setAttribute: Int32(-tl_set_attribute(place + "/file", "user.a", "b", 0))
      default: code(open(place + "/file", O_RDONLY))
      }
    }
    let inodes = mounted.volume.usage.inodes
    mounted.volume.setDecider(on(kind, .fail(EIO)))
    #expect(act() == EIO)
    #expect(mounted.volume.usage.inodes == inodes)
    mounted.volume.setDecider(nil)
    #expect(act() == 0)
  }
}

/// CLOCK_MONOTONIC.
private func nanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
