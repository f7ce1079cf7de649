import Defects
import LogModel
import Storage
import Testing
import Verification

@testable import CrashStates
@testable import Exploration

/// What a power cut may make of operations that it comes into.
@Suite struct InFlightTests {
  /// A file of two sectors of ones, and a durable write of twos in flight.
  private func begun() -> (disk: HandMade, write: Int) {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 1024, durable: true))
    let write = disk.start(disk.write(f, 2, at: 0, 1024, durable: true))
    return (disk, write)
  }

  private func pairs(_ values: String) -> Set<String> {
    Set(values.flatMap { first in values.map { "f=\(first)\($0)/1024" } })
  }

  // MARK: Buffers

  @Test func aSectorIsOfAnyContentThatTheBufferHadInFlight() {
    var (disk, write) = begun()
    disk.change(write, to: 3)
    #expect(disk.states(.raw512) == pairs("123"))
    #expect(disk.states(.raw4k) == ["f=11/1024", "f=22/1024", "f=33/1024"])
    disk.finish(write)
    // Which of the two the device has taken the completion does not say.
    #expect(disk.states(.raw512) == pairs("23"))
    #expect(disk.states(.raw4k) == ["f=22/1024", "f=33/1024"])
    disk.run(disk.write(1, 4, at: 0, 1024, durable: true))
    #expect(disk.states(.posixMinimal) == ["f=44/1024"])
  }

  @Test func aWriteWhoseBufferChangedIsOneOrTheOtherForGood() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 512, durable: true))
    let write = disk.start(disk.write(f, 2, at: 0, 512))
    disk.change(write, to: 3)
    disk.finish(write)
    #expect(disk.states(.ext4Ordered) == ["f=1/512", "f=2/512", "f=3/512"])
    // A sync writes what the system has taken, and does not say what that is.
    disk.run(.sync(file: f, isFull: false))
    #expect(disk.states(.ext4Ordered) == ["f=2/512", "f=3/512"])
    disk.run(.sync(file: f, isFull: true))
    #expect(disk.states(.ext4Ordered) == ["f=2/512", "f=3/512"])
    disk.run(disk.write(f, 4, at: 0, 512))
    disk.run(.sync(file: f, isFull: false))
    #expect(disk.states(.ext4Ordered) == ["f=4/512"])
  }

  @Test func aSyncDoesNotDecideWhatADirectWriteHasTaken() {
    var (disk, write) = begun()
    disk.change(write, to: 3)
    disk.finish(write)
    disk.run(.sync(file: 1, isFull: true))
    #expect(disk.states(.raw512) == pairs("23"))
  }

  /// A durable write that has given EIO: the sync after it says nothing of it.
  @Test func whatFailedIsNotMadeDurableByASync() {
    var (disk, write) = begun()
    disk.recording.events.append(
      RecordedEvent(time: Instant(nanoseconds: 99), what: .completed(write, succeeded: false, taken: -1)))
    disk.run(.sync(file: 1, isFull: true))
    #expect(disk.states(.raw512) == pairs("12"))
  }

  /// What a synced truncation has cut is new space to what is written there next.
  @Test func whatWasCutIsNewSpace() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 512, durable: true))
    disk.run(.truncate(file: f, size: 0))
    disk.run(.sync(file: f, isFull: true))
    #expect(disk.states(.ext4Ordered) == ["f=/0"])
    disk.run(disk.write(f, 2, at: 0, 512))
    // Nothing of what stood there before, and with posix-minimal a size without its data.
    for profile in [CrashProfile.ext4Ordered, .xfs, .btrfs] {
      #expect(!disk.states(profile).contains("f=1/512"), "\(profile.name)")
    }
    #expect(disk.states(.xfs) == ["f=/0", "f=2/512"])
    #expect(disk.states(.posixMinimal).isSuperset(of: ["f=/0", "f=0/512", "f=2/512"]))
    var other = disk
    other.run(other.write(f, 3, at: 0, 512, durable: true))
    #expect(other.states(.xfs) == ["f=3/512"])
  }

  /// Of a block that is durable in part the rest is new: a size that comes after its data does not show it without
  /// them.
  @Test func aBlockThatIsDurableInPartGrowsWithItsData() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 512))
    disk.run(.sync(file: f, isFull: true))
    disk.run(disk.write(f, 2, at: 512, 512))
    for profile in [CrashProfile.btrfs, .xfs] {
      #expect(disk.states(profile) == ["f=1/512", "f=12/1024"], "\(profile.name)")
    }
  }

  @Test func aWriteThatFailedMayBeThereInPart() {
    var (disk, write) = begun()
    disk.recording.events.append(
      RecordedEvent(time: Instant(nanoseconds: 99), what: .completed(write, succeeded: false, taken: -1)))
    #expect(disk.states(.raw512) == pairs("12"))
  }

  /// P11: one buffer for the commits of all partitions.
  @Test func anEngineThatFillsABufferInFlightIsFound() throws {
    func options(_ defect: String?) -> ExplorationOptions {
      var options = ExplorationOptions()
      options.workload.messages = 18
      options.profiles = [.raw512]
      (options.statesPerPoint, options.samples, options.bound) = (64, 8, 2)
      options.defect = defect.flatMap { Defect(id: $0) }
      return options
    }
    func changes(_ exploration: Exploration) -> Int {
      exploration.recording.events.count { if case .changed = $0.what { true } else { false } }
    }
    let sound = try Exploration(options(nil))
    #expect(changes(sound) == 0)
    #expect(sound.run().verdict == .held)
    let wrong = try Exploration(options("P11"))
    #expect(changes(wrong) > 3)
    let report = wrong.run()
    #expect(report.findings.contains { $0.violation.check == .noAcknowledgedLoss }, "\(report.text)")
    #expect(report.findings.contains { $0.violation.story.contains { $0.hasPrefix("its buffer changes in flight") } })
  }

  // MARK: Unreadable sectors

  @Test func oneSectorThatWasInFlightMayBeUnreadable() {
    let (disk, _) = begun()
    let readable = pairs("12")
    let one = ["!1", "!2", "1!", "2!"].map { "f=\($0)/1024" }
    #expect(disk.states(.raw512Unreadable) == readable.union(one))
    #expect(disk.states(.raw512AllUnreadable) == readable.union(one).union(["f=!!/1024"]))
    #expect(disk.states(.raw512) == readable)
  }

  /// Found by random operations on a volume: these bytes stood for a sector that cannot be read.
  @Test(arguments: 0...255) func noBytesOfAProgramAreUnreadable(value: UInt8) {
    let store = SectorStore()
    let id = [UInt8](repeating: value, count: 512).withUnsafeBytes { store.intern($0.baseAddress!) }
    #expect(id != SectorStore.unreadable && id != SectorStore.hole)
    #expect(store.hash(of: id) != store.hash(of: SectorStore.unreadable))
  }

  @Test func whatWasMadeDurableIsNeverUnreadable() {
    var (disk, write) = begun()
    disk.finish(write)
    for profile in CrashProfile.known { #expect(disk.states(profile) == ["f=22/1024"]) }
  }

  @Test func aStateWithMoreUnreadableSectorsThanTheProfilePermitsIsNone() throws {
    let point = begun().disk.point(.raw512Unreadable)
    #expect(point.pieces.count == 2 && point.pieces.allSatisfy { $0.count == 3 })
    #expect(try #require(KeptPieces("all_0-2")).choice(of: point) != nil)
    #expect(try #require(KeptPieces("all_0-2_1-2")).choice(of: point) == nil)
  }

  @Test func anUnreadableSectorGivesEIOUntilAllOfItIsWrittenAgain() throws {
    let disk = begun().disk
    let point = disk.point(.raw512Unreadable)
    let machine = StateStorage(disk.recording, .raw512Unreadable)
    machine.load(point.image([2, 1]))
    func life(_ body: @escaping @Sendable (FileID, IOBuffer) async throws -> Void) throws {
      let loop = EventLoop(simulatedWithSeed: 1)
      machine.boot(loop, bootID: 1)
      let result = loop.run { () async -> Result<Void, any Error> in
        do {
          return .success(try await body(try await machine.open("f", [.write]), machine.makeBuffer(capacity: 1024)))
        } catch {
          return .failure(error)
        }
      }
      try #require(result.value).get()
      machine.kill()
    }
    try life { file, buffer in
      await #expect(throws: StorageError.self) { _ = try await machine.read(file, at: 0, into: buffer, 0..<1024) }
      await #expect(throws: StorageError.self) { _ = try await machine.read(file, at: 511, into: buffer, 0..<1) }
      let value1 = try await machine.read(file, at: 512, into: buffer, 0..<512)
      #expect(value1 == 512)
      // A part of it would have to be read first.
      await #expect(throws: StorageError.self) {
        _ = try await machine.write(file, at: 0, from: buffer, 0..<100, .durable)
      }
      let value2 = try await machine.write(file, at: 0, from: buffer, 0..<512, .volatile)
      #expect(value2 == 512)
      let value3 = try await machine.read(file, at: 0, into: buffer, 0..<1024)
      #expect(value3 == 1024)
    }
    machine.dropVolatile()
    try life { file, buffer in
      await #expect(throws: StorageError.self) { _ = try await machine.read(file, at: 0, into: buffer, 0..<1024) }
      let value4 = try await machine.write(file, at: 0, from: buffer, 0..<512, .durable)
      #expect(value4 == 512)
    }
    machine.dropVolatile()
    try life { file, buffer in
      let got = try await machine.read(file, at: 0, into: buffer, 0..<1024)
      #expect(got == 1024)
    }
  }

  // MARK: Bounds

  /// Of a sector that was written 600 times without a sync the oldest versions are kept, and the newest.
  @Test func aPieceWithManyAlternativesIsSampledAndSaysSo() throws {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    for n in 0..<600 {
      let bytes = (0..<512).map { UInt8(truncatingIfNeeded: $0 < 2 ? n >> ($0 * 8) : 7) }
      disk.run(.write(file: f, offset: 0, bytes: bytes, durable: false))
    }
    let point = disk.point(.raw512)
    #expect(point.pieces.map(\.count) == [FileHistory.mostVersions + 1] && point.omitsStates)
    let enumeration = StateEnumeration(point, StateEnumeration.Limits(bound: 2, statesPerPoint: 100, samples: 50))
    #expect(enumeration.bound == 0)
    var found = Set<UInt64>()
    enumeration.forEach(seed: 1) { choice, _ in found.insert(point.contentHash(choice)) }
    #expect(found.count > 2)
    let kept = try #require(KeptPieces("all_0-200"))
    #expect(kept.choice(of: point) == [200] && KeptPieces([200], of: point).description == "all_0-200")
    // Whatever is asked for, it is not exhaustive.
    let whole = StateEnumeration(point, StateEnumeration.Limits(bound: 2, statesPerPoint: 1000, samples: 0))
    #expect(whole.bound == 2)
  }

  @Test func aRecordingEndsWhereItIsFull() throws {
    let loop = EventLoop(simulatedWithSeed: 1)
    let recorder = DiskRecorder(
      MemoryStorage(disk: MemoryDisk(), loop: loop), Recording(store: SectorStore(), table: PathTable()), limit: 3)
    let ended = loop.run { () async -> Bool in
      do {
        for name in ["a", "b", "c"] { _ = try await recorder.open(name, [.write, .create]) }
        #expect(!recorder.recording.isCutShort)
        _ = try await recorder.open("d", [.write, .create])
        return true
      } catch { return false }
    }
    #expect(ended.value == true && recorder.recording.isCutShort && recorder.recording.operations.count == 3)
  }

  /// Found by `explore --real` on btrfs, whose unit holds more than one commit: both were in flight as far as is known,
  /// the first was there, and both or neither was all that was permitted.
  @Test func writesInFlightToOneUnitHappenEachByItself() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 4096, durable: true))
    _ = disk.start(disk.write(f, 2, at: 0, 512, durable: true))
    _ = disk.start(disk.write(f, 3, at: 512, 512, durable: true))
    let states = ["11", "21", "13", "23"].map { "f=\($0)111111/4096" }
    for profile in CrashProfile.all where profile.mostUnreadable == 0 { #expect(disk.states(profile) == Set(states)) }
  }

  /// Found by `explore --real` on btrfs: of three files that had been created one had its name, the last, whose sync
  /// was in flight. Each of several syncs in flight may be over without the others.
  @Test func aSyncInFlightMayHaveCoveredItsOwnNames() {
    var disk = HandMade()
    for folder in ["d", "e", "f"] { disk.makeDirectory(folder) }
    for folder in ["", "d", "e", "f"] { disk.syncDirectory(folder) }
    let files = ["d/1", "e/2", "f/3"].map { disk.create($0) }
    _ = disk.start(.sync(file: files[2], isFull: true))
    let folders = "d/ e/ f/"
    func with(_ names: String...) -> String { ([folders] + names.map { "\($0)=/0" }).joined(separator: " ") }
    let inOrder: Set = [with(), with("d/1"), with("d/1", "e/2"), with("d/1", "e/2", "f/3")]
    #expect(disk.states(.btrfs) == inOrder.union([with("f/3"), with("d/1", "f/3")]))
    for profile in [CrashProfile.xfs, .ext4Ordered] { #expect(disk.states(profile) == inOrder) }
    _ = disk.start(.sync(file: files[1], isFull: false))
    #expect(
      disk.states(.btrfs) == inOrder.union([with("f/3"), with("d/1", "f/3"), with("e/2"), with("e/2", "f/3")]))
  }

  /// The directory that is synced has the file's new name; that the old one is gone comes later.
  @Test func aSyncInFlightOfADirectoryMayHaveCoveredHalfOfARename() {
    var disk = HandMade()
    for folder in ["d", "e"] { disk.makeDirectory(folder) }
    disk.syncDirectory()
    _ = disk.create("d/f")
    disk.syncDirectory("d")
    disk.run(.syncAll)
    _ = disk.create("d/other")
    disk.name(.rename("d/f", to: "e/f"))
    _ = disk.start(.syncDirectory(disk.builder.inode("e") ?? InodeTable.root))
    #expect(disk.states(.btrfs).contains("d/ e/ d/f=/0 e/f=/0"), "\(disk.states(.btrfs))")
  }
}
