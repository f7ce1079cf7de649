import LogModel
import PartitionEngine
import Storage
import Testing

@testable import CrashStates
@testable import Exploration

/// Which states a profile permits, on recordings of a few operations: every one of them, and no other.
@Suite struct LegalStatesTests {
  @Test func aDirectoryEntryThatWasNeverSyncedMayBeGone() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.run(disk.write(f, 1, at: 0, 512))
    disk.run(.sync(file: f, isFull: true))
    #expect(disk.states(.posixMinimal) == ["", "f=1/512"])
    // `fsync` commits the journal, and the entry with it.
    for profile in [CrashProfile.ext4Ordered, .ext4Writeback, .xfs, .btrfs] {
      #expect(disk.states(profile) == ["f=1/512"])
    }
    disk.syncDirectory()
    #expect(disk.states(.posixMinimal) == ["f=1/512"])
  }

  @Test func aSyncCoversWhatHadCompletedWhenItWasSubmitted() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 512, durable: true))
    let late = disk.start(disk.write(f, 2, at: 0, 512))
    let sync = disk.start(.sync(file: f, isFull: false))
    disk.finish(late)
    disk.finish(sync)
    #expect(disk.states(.posixMinimal) == ["f=1/512", "f=2/512"])
    disk.run(.sync(file: f, isFull: false))
    #expect(disk.states(.posixMinimal) == ["f=2/512"])
  }

  @Test func aDurableWriteInFlightIsTornBySectorsAndOneCompletedIsNot() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 1024, durable: true))
    let write = disk.start(disk.write(f, 2, at: 0, 1024, durable: true))
    #expect(disk.states(.posixMinimal) == ["f=11/1024", "f=12/1024", "f=21/1024", "f=22/1024"])
    #expect(disk.states(.raw512) == ["f=11/1024", "f=12/1024", "f=21/1024", "f=22/1024"])
    #expect(disk.states(.raw4k) == ["f=11/1024", "f=22/1024"])
    disk.finish(write)
    for profile in CrashProfile.all { #expect(disk.states(profile) == ["f=22/1024"]) }
  }

  @Test func anyOfSeveralVersionsMayStand() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 512, durable: true))
    disk.run(disk.write(f, 2, at: 0, 512))
    disk.run(disk.write(f, 3, at: 0, 512))
    #expect(disk.states(.ext4Ordered) == ["f=1/512", "f=2/512", "f=3/512"])
  }

  @Test func whereTheSizeComesAfterItsDataNothingForeignIsSeen() {
    var disk = HandMade()
    let other = disk.create("e")
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(other, 7, at: 0, 1024, durable: true))
    disk.run(disk.write(f, 1, at: 0, 1024))
    let whole = "e=77/1024 "
    // A block that was never written is empty until all of it has been.
    #expect(disk.states(.xfs) == [whole + "f=/0", whole + "f=11/1024"])
    // Space that is allocated and not written yet reads as zeros (found by `explore --real`).
    #expect(disk.states(.ext4Ordered) == [whole + "f=/0", whole + "f=00/1024", whole + "f=11/1024"])
    #expect(disk.states(.btrfs) == [whole + "f=/0", whole + "f=11/1024"])
    let free = ["00", "01", "07", "10", "11", "17", "70", "71", "77"].map { whole + "f=\($0)/1024" }
    for profile in [CrashProfile.ext4Writeback, .posixMinimal] {
      #expect(disk.states(profile) == Set(free + [whole + "f=/0"]))
    }
    #expect(disk.states(.raw512) == Set(["00", "01", "10", "11"].map { whole + "f=\($0)/1024" }))
  }

  /// Found by `explore --real` on ext4, xfs and btrfs: zeros that the engine had written ahead were there, with the
  /// size that came with them, at an instant of which only that is known that what was written over them may have
  /// begun. The profiles demanded everything that had been asked for below a new size, as no write-back between two
  /// writes does.
  @Test func aSizeComesWithTheDataOfItsTimeWhateverWasWrittenOverThemSince() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 512))
    disk.run(disk.write(f, 2, at: 0, 512))
    disk.run(disk.write(f, 3, at: 512, 512))
    // 13/1024 is not there: when the size became 1024, 2 had been written.
    let after = ["f=/0", "f=1/512", "f=2/512", "f=23/1024"]
    #expect(disk.states(.xfs) == Set(after))
    // On ext4 the size comes with the space, and the block holds what it held at any time, or nothing.
    #expect(disk.states(.ext4Ordered) == Set(after + ["f=0/512", "f=00/1024", "f=10/1024", "f=20/1024"]))
  }

  @Test func namesPersistInOrderOrEachByItself() {
    var disk = HandMade()
    _ = disk.create("a")
    _ = disk.create("b")
    #expect(disk.states(.xfs) == ["", "a=/0", "a=/0 b=/0"])
    #expect(disk.states(.posixMinimal) == ["", "a=/0", "b=/0", "a=/0 b=/0"])
    #expect(disk.states(.raw512) == ["a=/0 b=/0"])
  }

  /// Found by `explore --real` on btrfs: the entry of one partition's segment was missing though the directory of
  /// another had been synced since.
  @Test func aSyncOfADirectoryCoversOthersWhereTheJournalIsOne() {
    var disk = HandMade()
    for folder in ["d", "e"] { disk.makeDirectory(folder) }
    disk.syncDirectory()
    _ = disk.create("d/f")
    _ = disk.create("e/g")
    disk.syncDirectory("e")
    for profile in [CrashProfile.ext4Ordered, .xfs] { #expect(disk.states(profile) == ["d/ e/ d/f=/0 e/g=/0"]) }
    #expect(disk.states(.btrfs) == ["d/ e/ e/g=/0", "d/ e/ d/f=/0 e/g=/0"])
  }

  /// Found by `explore disks` on btrfs: zeros that an engine had written ahead had been written back, and with them the
  /// size had come that the next write made. No state shows that zeros were written where nothing was.
  @Test func aSizeComesWithZerosThatWereWrittenToo() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 0, at: 0, 4096))
    disk.run(disk.write(f, 1, at: 4096, 4096))
    let empty = String(repeating: "0", count: 16)
    #expect(disk.states(.btrfs).contains("f=\(empty)/8192"))
    #expect(!disk.states(.xfs).contains("f=\(empty)/8192"))
  }

  /// Found by random operations on a volume: what was written last was zeros, and the size that they reach was lost.
  @Test func zerosThatWereWrittenLastHaveSpace() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 512))
    disk.run(disk.write(f, 0, at: 0, 512))
    #expect(disk.states(.ext4Ordered) == ["f=/0", "f=0/512", "f=1/512"])
    let point = disk.point(.ext4Ordered)
    #expect(disk.text(point.image(point.everything)) == "f=0/512")
  }

  /// Directories that were renamed keep what is in them, and what is made there later is known under both names.
  @Test func whatIsInARenamedDirectoryMovesWithIt() {
    var disk = HandMade()
    disk.makeDirectory("d")
    let f = disk.create("d/f")
    disk.run(disk.write(f, 1, at: 0, 512))
    disk.run(.syncAll)
    disk.name(.rename("d", to: "e"))
    let g = disk.create("e/g")
    #expect(disk.states(.xfs) == ["d/ d/f=1/512", "e/ e/f=1/512", "e/ e/g=/0 e/f=1/512"])
    #expect(disk.states(.btrfs) == disk.states(.xfs))
    disk.run(.sync(file: g, isFull: true))
    #expect(disk.states(.xfs) == ["e/ e/g=/0 e/f=1/512"])
    // The directory's own name is no matter of a sync of the file.
    #expect(disk.states(.btrfs) == ["d/ d/f=1/512 d/g=/0", "e/ e/g=/0 e/f=1/512"])
  }

  /// Of two names that were given at the same time either may be the first.
  @Test func changesAtTheSameTimeHaveNoOrder() {
    var disk = HandMade()
    func create(_ path: String) -> Int { disk.start(disk.builder.operation(.create(path, .file))!) }
    let (a, b) = (create("a"), create("b"))
    #expect(disk.states(.xfs) == ["", "a=/0", "b=/0", "a=/0 b=/0"])
    disk.finish(b)
    disk.finish(a)
    #expect(disk.states(.xfs) == ["", "a=/0", "b=/0", "a=/0 b=/0"])
    _ = disk.create("c")
    #expect(disk.states(.xfs) == ["", "a=/0", "b=/0", "a=/0 b=/0", "a=/0 b=/0 c=/0"])
  }

  @Test func twoNamesOfAFileAreOneFile() {
    var disk = HandMade()
    let f = disk.create("a")
    disk.run(.syncAll)
    disk.name(.link("a", as: "b"))
    disk.run(disk.write(f, 1, at: 0, 512))
    // The size is logged after the link.
    #expect(disk.states(.xfs) == ["a=/0", "a=/0 b=/0", "a=1/512 b=1/512"])
    #expect(disk.states(.posixMinimal).contains("a=1/512"))
    disk.run(.sync(file: f, isFull: true))
    #expect(disk.states(.xfs) == ["a=1/512 b=1/512"])
  }

  /// fsync of a file that has not changed since a commit causes none.
  @Test func aSyncOfACleanFileCoversNothing() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.run(.syncAll)
    _ = disk.create("g")
    disk.run(.sync(file: f, isFull: true))
    for profile in [CrashProfile.xfs, .ext4Ordered, .btrfs] {
      #expect(disk.states(profile) == ["f=/0", "f=/0 g=/0"], "\(profile.name)")
    }
    disk.syncDirectory()
    for profile in [CrashProfile.xfs, .ext4Ordered, .btrfs] { #expect(disk.states(profile) == ["f=/0 g=/0"]) }
  }

  // MARK: Found by a review

  /// A unit that was looked at before keeps its alternatives while a mark of other blocks is covered.
  @Test(arguments: [CrashProfile.ext4Ordered, .xfs]) func marksOfOtherBlocksAreCovered(profile: CrashProfile) throws {
    var disk = HandMade()
    let f = disk.create("f")
    let g = disk.create("g")
    disk.run(disk.write(f, 1, at: 0, 12_288))
    disk.run(.syncAll)
    disk.run(.zero(file: f, range: 0..<4096))
    disk.run(.attributes(g, onlyTimes: false))
    disk.run(disk.write(f, 2, at: 8192, 4096))
    disk.run(.zero(file: f, range: 8192..<12_288))
    let before = disk.recording.events.count
    disk.run(.sync(file: g, isFull: true))
    let end = disk.recording.events.count
    var walk = CrashPointWalk(disk.recording, profile, seed: 1)
    _ = walk.point(at: before)
    let point = walk.point(at: end)
    let zeros = String(repeating: "0", count: 8)
    let everything = "f=\(zeros)11111111\(zeros)/12288 g=/0"
    #expect(disk.text(point.image(point.everything)) == everything)
    #expect(point.contentHash(point.everything) == disk.point(profile).contentHash(disk.point(profile).everything))
  }

  /// What was written over new space may have been allocated long before.
  @Test func anOverwriteOfNewSpaceIsNoAllocation() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.run(.syncAll)
    disk.run(disk.write(f, 1, at: 0, 4096))
    _ = disk.create("x")
    disk.run(disk.write(f, 2, at: 0, 4096))
    disk.run(.sync(file: f, isFull: false))
    for profile in [CrashProfile.ext4Ordered, .xfs] {
      #expect(disk.states(profile) == ["f=22222222/4096", "f=22222222/4096 x=/0"], "\(profile.name)")
    }
  }

  /// xfs waits for the zeros of a block, and not for that a cut has freed others.
  @Test func growthDoesNotMakeACutDurable() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.run(disk.write(f, 1, at: 0, 8192))
    disk.run(.syncAll)
    disk.run(disk.write(f, 2, at: 4096, 4096))
    disk.run(.truncate(file: f, size: 4096))
    disk.run(.truncate(file: f, size: 8192))
    let states = disk.states(.xfs)
    #expect(states.contains("f=1111111111111111/8192") && states.contains("f=1111111122222222/8192"))
  }

  /// A write that has failed is uncertain for good, its bytes and its size.
  @Test func noSyncDecidesAboutAWriteThatHasFailed() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.run(disk.write(f, 1, at: 0, 1024))
    disk.run(.syncAll)
    func fail(_ operation: DiskOperation) {
      let number = disk.start(operation)
      disk.builder.add(.completed(number, succeeded: false, taken: -1))
    }
    fail(disk.write(f, 2, at: 512, 512))
    disk.run(disk.write(f, 3, at: 0, 512))
    disk.run(.sync(file: f, isFull: true))
    #expect(disk.states(.ext4Ordered) == ["f=31/1024", "f=32/1024"])
    fail(disk.write(f, 4, at: 1024, 512))
    disk.run(.sync(file: f, isFull: true))
    #expect(disk.states(.ext4Ordered).isSuperset(of: ["f=31/1024", "f=314/1536"]))
  }

  /// A sync covers what was over when it was submitted, on btrfs too.
  @Test func aSyncDoesNotCoverWhatCameAfterItsSubmission() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.run(disk.write(f, 1, at: 0, 4096))
    disk.run(.syncAll)
    let sync = disk.start(.sync(file: f, isFull: true))
    disk.name(.rename("f", to: "g"))
    disk.finish(sync)
    #expect(disk.states(.btrfs) == ["f=11111111/4096", "g=11111111/4096"])
  }

  /// In two writes within a tick of the clock the second sets no other time; in many, some have.
  @Test func manyWritesInPlaceSetTheTimesOfTheFile() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.run(disk.write(f, 1, at: 0, 4096))
    disk.run(.syncAll)
    func write(_ times: Int) {
      for _ in 0..<times {
        disk.builder.pause(.milliseconds(5))
        disk.run(disk.write(f, 2, at: 0, 4096))
      }
    }
    write(20)
    _ = disk.create("x")
    write(20)
    disk.run(.sync(file: f, isFull: true))
    for profile in [CrashProfile.ext4Ordered, .xfs] {
      #expect(disk.states(profile) == ["f=22222222/4096 x=/0"], "\(profile.name)")
    }
  }

  /// A write looks at the clock some time after it has begun: one that took long may have looked at once.
  @Test func aLongWriteMayHaveSetNoTime() {
    for (before, found) in [(15, ["f=22222222/4096 x=/0"]), (0, ["f=22222222/4096", "f=22222222/4096 x=/0"])] {
      var disk = HandMade()
      let f = disk.create("f")
      disk.run(disk.write(f, 1, at: 0, 4096))
      disk.run(.syncAll)
      _ = disk.create("x")
      disk.builder.pause(.milliseconds(before))
      let write = disk.start(disk.write(f, 2, at: 0, 4096))
      disk.builder.pause(.milliseconds(30))
      disk.finish(write)
      disk.run(.sync(file: f, isFull: true))
      #expect(disk.states(.ext4Ordered) == Set(found), "\(before) ms")
    }
  }

  @Test func aRenameOntoItselfChangesNothing() {
    var disk = HandMade()
    _ = disk.create("f")
    disk.run(.syncAll)
    disk.name(.link("f", as: "g"))
    disk.run(.syncAll)
    disk.name(.rename("f", to: "g"))
    disk.name(.rename("f", to: "f"))
    #expect(disk.states(.xfs) == ["f=/0 g=/0"])
  }

  @Test func aRenameIsOneChange() {
    var disk = HandMade()
    let f = disk.create("a")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 512, durable: true))
    disk.name(.rename("a", to: "b"))
    #expect(disk.states(.posixMinimal) == ["a=1/512", "b=1/512"])
  }

  @Test func aTruncationStandsInTheOrderOfNamesAndIsFreeWithoutOne() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 1024, durable: true))
    disk.run(.truncate(file: f, size: 512))
    _ = disk.create("g")
    // The zeros behind the cut are written first, where the block stays (trace `cut-to-the-middle-of-a-sector`).
    #expect(disk.states(.ext4Ordered) == ["f=11/1024", "f=10/1024", "f=1/512", "f=1/512 g=/0"])
    let cut = ["f=11/1024", "f=10/1024", "f=1/512"]
    #expect(disk.states(.posixMinimal) == Set(cut + cut.map { $0 + " g=/0" }))
  }

  /// Found as a false accusation under `btrfs`: a segment whose first fsync failed is removed and created again.
  @Test func aNameThatIsGivenAgainIsNotTakenBackToItsFirstFile() {
    var disk = HandMade()
    let first = disk.create("f")
    disk.run(disk.write(first, 1, at: 0, 512))
    disk.name(.unlink("f"))
    let second = disk.create("f")
    disk.run(disk.write(second, 2, at: 0, 512))
    disk.run(.sync(file: second, isFull: true))
    for profile in [CrashProfile.btrfs, .xfs, .ext4Ordered] { #expect(disk.states(profile) == ["f=2/512"]) }
  }

  @Test func whatHasLostItsDirectoryIsGone() {
    var disk = HandMade()
    disk.makeDirectory("d")
    let f = disk.create("d/f")
    disk.run(disk.write(f, 1, at: 0, 512, durable: true))
    disk.syncDirectory("d")
    #expect(disk.states(.posixMinimal) == ["", "d/ d/f=1/512"])
  }

  @Test(arguments: CrashProfile.all) func hashesFollowFromContent(profile: CrashProfile) throws {
    var workload = ExplorationWorkload()
    workload.messages = 12
    let recording = try workload.record(parts: EngineParts()) { $0 }
    var walk = CrashPointWalk(recording, profile, seed: 1)
    let machine = StateStorage(recording, profile)
    for index in recording.events.indices {
      guard index % 7 == 0 else { continue }
      let point = walk.point(at: index + 1)
      for choice in [point.everything, point.nothing] {
        machine.load(point.image(choice))
        #expect(machine.contentHash == point.contentHash(choice))
      }
    }
  }
}
