import CVolumeCalls
import Glibc
import Testing
import Volume
import VolumeControl

/// Each kind of fault, as `tornlog volume DIR fail` sets it: it is met, the program sees it, and there is a receipt.
@Suite(.enabled(if: Mounting.refusal == nil, "\(Mounting.refusal ?? "")")) struct FaultKindTests {
  /// A fault and what a program sees of it: two writes of 1024 bytes at 0, an fsync, a second one, a read of the cache
  /// that was emptied, and the making of another file.
  struct Kind: Sendable, CustomTestStringConvertible {
    var fault: VolumeFault
    /// Errnos of write, write, fsync, fsync, read, create; 0 is success.
    var errors: [Int32] = [0, 0, 0, 0, 0, 0]
    /// Bytes that the first write and the read are answered with.
    var counts = (written: 1024, read: 2048)
    /// What differs from the bytes that were written, of what is read.
    var damaged: Range<Int>?
    var receipt: String
    var testDescription: String { receipt }

    init(
      _ fault: VolumeFault, _ errors: [Int32] = [0, 0, 0, 0, 0, 0], written: Int = 1024, read: Int = 2048,
      damaged: Range<Int>? = nil, _ receipt: String
    ) {
      (self.fault, self.errors, self.counts, self.damaged) = (fault, errors, (written, read), damaged)
      self.receipt = receipt
    }
  }

  static let kinds = [
    Kind(.init("write", count: 1), [EIO, 0, 0, 0, 0, 0], written: -1, damaged: 0..<1024, "write 1 of /f @0+1024: EIO"),
    Kind(
      .init("write", error: "ENOSPC", written: 1500), [0, 0, 0, 0, 0, 0], read: 1500,
      "write 2 of /f @1024+1024: short, before ENOSPC"
    ),
    Kind(
      .init("write", error: "EDQUOT", count: 1, byte: 100), written: 100, damaged: 100..<1024,
      "write 1 of /f @0+1024: short, before EDQUOT"),
    Kind(
      .init("write", error: "EROFS", count: 1), [EROFS, 0, 0, 0, 0, 0], written: -1, damaged: 0..<1024,
      "write 1 of /f @0+1024: EROFS"),
    Kind(
      .init("create", pattern: "*other", error: "EMFILE"), [0, 0, 0, 0, 0, EMFILE], "create 1 of /other: EMFILE"),
    Kind(.init("write", .short, count: 1), written: 512, damaged: 512..<1024, "write 1 of /f @0+1024: short"),
    Kind(.init("read", .short, count: 1), read: 1024, "read 1 of /f @0+4096: short"),
    Kind(.init("fsync", .pagesKept, count: 1), [0, 0, EIO, 0, 0, 0], "fsync 1 of /f: pages-kept"),
    Kind(
      .init("fsync", .pagesDropped, count: 1), [0, 0, EIO, 0, 0, 0], damaged: 0..<2048, "fsync 1 of /f: pages-dropped"),
    Kind(
      .init("fsync", .pagesReverted, count: 1), [0, 0, EIO, 0, 0, 0], damaged: 0..<2048,
      "fsync 1 of /f: pages-reverted"),
    Kind(
      .init("fsync", .reportedLate, count: 1), [0, 0, 0, EIO, 0, 0], damaged: 0..<2048, "fsync 1 of /f: reported-late"),
    Kind(.init("fsync", .lying, count: 1), [0, 0, 0, 0, 0, 0], "fsync 1 of /f: lying"),
    Kind(.init("fsync", .errorAfter, count: 1), [0, 0, EIO, 0, 0, 0], "fsync 1 of /f: error-after"),
    Kind(.init("write", .torn, count: 1), damaged: 512..<1024, "write 1 of /f @0+1024: torn"),
    Kind(.init("write", .lost, count: 1), damaged: 0..<1024, "write 1 of /f @0+1024: lost"),
    Kind(
      .init("write", .misdirected, count: 1), read: 5120, damaged: 0..<1024, "write 1 of /f @0+1024: misdirected"),
    Kind(.init("write", .flipped, count: 1, byte: 7), damaged: 7..<8, "write 1 of /f @0+1024: flipped"),
    Kind(.init("read", .flipped, count: 1), damaged: 0..<1, "read 1 of /f @0+4096: flipped"),
    Kind(.init("read", .unreadable, byte: 1000), [0, 0, 0, 0, EIO, 0], read: -1, "read 1 of /f @0+4096: unreadable"),
    Kind(.init("write", .stall, count: 1, delay: 30_000_000), [0, 0, 0, 0, 0, 0], "write 1 of /f @0+1024: stall"),
  ]

  @Test(arguments: kinds) func eachIsMetSeenAndHasAReceipt(_ kind: Kind) throws {
    let mounted = try Mounted { $0.isReused = true }
    let controlled = ControlledVolume(mounted.mount)
    let file = mounted.open("f", O_RDWR | O_CREAT)
    defer { close(file) }
    let isOfRead = kind.fault.operation == "read"
    if !isOfRead { try controlled.fail(kind.fault) }
    let bytes = pattern(2048)
    let begun = monotonic()
    let first = put(file, Array(bytes[..<1024]), at: 0)
    var errors = [code(first)]
    if kind.fault.effect == .stall { #expect(monotonic() - begun >= 30_000_000) }
    errors.append(code(put(file, Array(bytes[1024...]), at: 1024)))
    errors.append(code(fsync(file)))
    // What one sync has lost the next one tells, through whatever descriptor.
    let other = mounted.open("f")
    errors.append(code(fsync(other)))
    close(other)
    if isOfRead { try controlled.fail(kind.fault) }
    mounted.volume.dropCaches(of: try #require(mounted.volume.inode(at: "/f")))
    var read = [UInt8](repeating: 0, count: 8192)
    let count = pread(file, &read, 8192, 0)
    errors.append(code(count))
    let made = open(mounted.path("other"), O_RDWR | O_CREAT, 0o644)
    errors.append(code(made))
    if made >= 0 { close(made) }
    #expect(errors == kind.errors && first == kind.counts.written && count == kind.counts.read)
    let differing = (0..<max(0, min(2048, count))).filter { read[$0] != bytes[$0] }
    #expect(differing.first == kind.damaged?.lowerBound && differing.last == kind.damaged.map { $0.upperBound - 1 })
    #expect(controlled.receipts().first == kind.receipt)
    if kind.fault.effect == .reportedLate { #expect(controlled.receipts().last?.contains("error 5, of the") == true) }
    controlled.recover(nil)
    #expect(put(file, bytes, at: 0) == 2048 && fsync(file) == 0 && mounted.stored("f").prefix(2048) == bytes[...])
  }

  /// CLOCK_MONOTONIC, nanoseconds.
  private func monotonic() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  @Test func closeTellsLate() throws {
    let mounted = try Mounted()
    let controlled = ControlledVolume(mounted.mount)
    let file = mounted.open("f")
    try controlled.fail(.init("fsync", .reportedAtClose, count: 1))
    #expect(put(file, [1], at: 0) == 1 && fsync(file) == 0 && fsync(file) == 0)
    #expect(code(close(file)) == EIO)
    #expect(controlled.receipts().last?.hasPrefix("close of /f: error 5") == true)
  }

  /// A page that is written once more is dirty as a whole, with what a failed sync had dropped of it: until the cache
  /// has forgotten that.
  @Test(arguments: [FailedSyncPages.dropped, .evicted]) func aLaterWriteTakesUpItsPage(_ pages: FailedSyncPages) throws
  {
    let mounted = try Mounted()
    let file = mounted.open("f")
    defer { close(file) }
    #expect(put(file, [1, 1], at: 0) == 2 && put(file, [1, 1], at: 4096) == 2)
    mounted.volume.setDecider { $0.kind == .sync && $0.occurrence == 1 ? .syncFails(EIO, pages) : .proceed }
    #expect(code(fsync(file)) == EIO)
    #expect(put(file, [2], at: 10) == 1 && fsync(file) == 0)
    let stored = mounted.stored("f")
    #expect(stored.count == 4098 && stored[10] == 2 && stored[4096] == 0)
    #expect(stored[0] == (pages == .dropped ? 1 : 0))
  }

  /// What was there before everything was synced is not dropped.
  @Test func aSyncOfEverythingEndsWhatCanBeDropped() throws {
    let mounted = try Mounted()
    let file = mounted.open("f")
    defer { close(file) }
    #expect(put(file, [1], at: 0) == 1)
    mounted.volume.noteSyncAll()
    mounted.volume.setDecider { $0.kind == .sync ? .syncFails(EIO, .evicted) : .proceed }
    #expect(put(file, [2], at: 1) == 1 && code(fsync(file)) == EIO)
    #expect(mounted.stored("f") == [1, 0])
  }

  /// By time: not before it has passed.
  @Test func aFaultWaitsForItsTime() throws {
    let mounted = try Mounted()
    let controlled = ControlledVolume(mounted.mount)
    let file = mounted.open("f")
    defer { close(file) }
    try controlled.fail(.init("write", after: 100_000_000))
    #expect(put(file, [1], at: 0) == 1)
    usleep(110_000)
    #expect(code(put(file, [1], at: 0)) == EIO)
  }

  /// By the volume's size: what is removed gives room back. Read-only lets reads go on. A bit turns over at rest.
  @Test func switchesOfTheWholeVolume() throws {
    let mounted = try Mounted()
    let controlled = ControlledVolume(mounted.mount)
    mounted.write("old", pattern(8192))
    let file = mounted.open("f")
    defer { close(file) }
    controlled.fill()
    #expect(code(put(file, pattern(4096), at: 0)) == ENOSPC)
    #expect(unlink(mounted.path("old")) == 0)
    // The kernel sends RELEASE and FORGET behind the call.
    for _ in 0..<200 where mounted.volume.usage.files > 0 { usleep(10_000) }
    #expect(put(file, pattern(4096), at: 0) == 4096)
    controlled.makeReadOnly()
    #expect(code(put(file, [1], at: 0)) == EROFS && mounted.read("f").count == 4096)
    controlled.recover(nil)
    try controlled.flip("/f", byte: 5)
    #expect(mounted.read("f")[5] == pattern(4096)[5] ^ 1)
    #expect(controlled.receipts() == ["bit flip at rest of /f, byte 5"])
    #expect(throws: ControlError.self) { try controlled.flip("/f", byte: 4096) }
  }

  /// A sector can be read again once it is written.
  @Test func aWriteMendsASector() throws {
    let mounted = try Mounted()
    let controlled = ControlledVolume(mounted.mount)
    mounted.write("f", pattern(8192))
    try controlled.fail(.init("read", pattern: "f", .unreadable, byte: 5000))
    let file = mounted.open("f", O_RDWR)
    defer { close(file) }
    var byte: UInt8 = 0
    #expect(code(pread(file, &byte, 1, 5000)) == EIO && pread(file, &byte, 1, 0) == 1)
    #expect(put(file, pattern(512), at: 4608) == 512)
    #expect(pread(file, &byte, 1, 5000) == 1)
  }

  @Test(arguments: [
    VolumeFault("wrote"), VolumeFault("write", error: "EOPS"), VolumeFault("write", first: 0),
    VolumeFault("rename", .torn), VolumeFault("fsync", .short), VolumeFault("rename", byte: 1),
    VolumeFault("read", .unreadable), VolumeFault("fsync", written: 5), VolumeFault("write", .stall, delay: 0),
  ]) func whatCannotBeIsRefused(_ fault: VolumeFault) throws {
    #expect(fault.problem != nil)
    let mounted = try Mounted()
    #expect(throws: ControlError.self) { try ControlledVolume(mounted.mount).fail(fault) }
  }
}
