import LogModel
import PartitionEngine
import Storage
import Testing

@testable import CrashStates
@testable import Exploration

/// Whether a disk that was found is a state of a crash point: every state is, and nothing else. The disks of
/// `explore --real` are judged by this.
@Suite struct LegalityTests {
  private func legality(_ disk: HandMade, _ profile: CrashProfile, _ found: MountedImage) -> Legality {
    disk.point(profile).legality(of: found, disk.recording.table)
  }

  private func isLegal(
    _ disk: HandMade, _ profile: CrashProfile, _ files: [String: [UInt8]], _ folders: Set<String> = []
  ) -> Bool {
    var found = MountedImage()
    (found.files, found.directories) = (files, folders)
    if case .legal = legality(disk, profile, found) { return true }
    return false
  }

  private func bytes(_ value: UInt8, _ count: Int = 512) -> [UInt8] { [UInt8](repeating: value, count: count) }

  @Test func namesOutOfTheirOrder() {
    var disk = HandMade()
    _ = disk.create("a")
    _ = disk.create("b")
    for profile in [CrashProfile.ext4Ordered, .ext4Writeback, .xfs, .btrfs] {
      #expect(
        isLegal(disk, profile, [:]) && isLegal(disk, profile, ["a": []]) && isLegal(disk, profile, ["a": [], "b": []]))
      #expect(!isLegal(disk, profile, ["b": []]))
    }
    #expect(isLegal(disk, .posixMinimal, ["b": []]))
    // Under a profile for which everything is durable at once, what is missing is illegal.
    #expect(!isLegal(disk, .raw512, ["a": []]) && isLegal(disk, .raw512, ["a": [], "b": []]))
  }

  @Test func aNameOrAFolderThatNobodyGave() {
    var disk = HandMade()
    _ = disk.create("a")
    disk.makeDirectory("d")
    #expect(isLegal(disk, .ext4Ordered, ["a": []], ["d"]))
    #expect(!isLegal(disk, .posixMinimal, ["a": [], "c": []]))
    #expect(!isLegal(disk, .posixMinimal, ["a": []], ["c"]))
    #expect(!isLegal(disk, .posixMinimal, ["d": []]))
    #expect(!isLegal(disk, .posixMinimal, [:], ["a"]))
  }

  @Test func aDurableByteThatIsAnother() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 700, durable: true))
    var content = bytes(1, 700)
    for profile in CrashProfile.all { #expect(isLegal(disk, profile, ["f": content])) }
    for at in [0, 511, 512, 699] {
      content[at] = 2
      for profile in CrashProfile.all { #expect(!isLegal(disk, profile, ["f": content])) }
      content[at] = 1
    }
    for wrong in [[], bytes(1, 512), bytes(1, 699), bytes(1, 700) + [0]] {
      for profile in CrashProfile.all { #expect(!isLegal(disk, profile, ["f": wrong])) }
    }
    for profile in CrashProfile.all { #expect(!isLegal(disk, profile, [:])) }
  }

  @Test func aTornSectorAndAMixtureThatIsNone() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 4096, durable: true))
    _ = disk.start(disk.write(f, 2, at: 0, 4096, durable: true))
    let mixed = bytes(2) + bytes(1, 3584)
    #expect(
      isLegal(disk, .xfs, ["f": mixed]) && !isLegal(disk, .btrfs, ["f": mixed]) && !isLegal(disk, .raw4k, ["f": mixed]))
    let torn = bytes(2, 256) + bytes(1, 3840)
    for profile in CrashProfile.all { #expect(!isLegal(disk, profile, ["f": torn])) }
  }

  @Test func aSizeWithoutItsData() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    disk.run(disk.write(f, 1, at: 0, 1024))
    for profile in [CrashProfile.ext4Ordered, .xfs] {
      // A block that is new is there as a whole.
      #expect(isLegal(disk, profile, ["f": bytes(1, 1024)]) && isLegal(disk, profile, ["f": []]))
      #expect(!isLegal(disk, profile, ["f": bytes(1)]) && !isLegal(disk, profile, ["f": bytes(1) + bytes(7)]))
      #expect(!isLegal(disk, profile, ["f": bytes(1) + bytes(0)]) && !isLegal(disk, profile, ["f": bytes(1, 300)]))
      #expect(isLegal(disk, profile, ["f": bytes(0, 1024)]) == (profile == .ext4Ordered))
    }
    // Foreign bytes are anybody's.
    for profile in [CrashProfile.ext4Writeback, .posixMinimal] {
      #expect(isLegal(disk, profile, ["f": bytes(1) + bytes(0)]) && isLegal(disk, profile, ["f": bytes(9) + bytes(7)]))
      #expect(!isLegal(disk, profile, ["f": bytes(1)]))
    }
  }

  /// `MountedImage` and `DiskImage` of the same state.
  private func found(_ image: DiskImage, _ recording: Recording) -> MountedImage {
    var found = MountedImage()
    for (path, node) in image.names {
      let name = recording.table.paths[Int(path)]
      guard case .file(let file) = node else {
        found.directories.insert(name)
        continue
      }
      let (sectors, size) = (image.files[Int(file)].sectors, image.files[Int(file)].size)
      var bytes: [UInt8] = []
      for sector in sectors {
        bytes += UnsafeRawBufferPointer(start: recording.store.bytes(sector), count: SectorStore.size)
      }
      found.files[name] = Array(bytes.prefix(size))
    }
    return found
  }

  @Test(arguments: CrashProfile.all) func everyStateOfTheWorkloadIsLegalAndOneThatIsTouchedIsNot(profile: CrashProfile)
    throws
  {
    var workload = ExplorationWorkload()
    workload.messages = 12
    let recording = try workload.record(parts: EngineParts()) { $0 }
    var walk = CrashPointWalk(recording, profile, seed: 1)
    let limits = StateEnumeration.Limits(bound: 1, statesPerPoint: 16, samples: 4)
    var (states, touched) = (0, 0)
    for index in recording.events.indices {
      guard index % 3 == 0 else { continue }
      let point = walk.point(at: index + 1)
      StateEnumeration(point, limits).forEach(seed: 1) { choice, _ in
        var found = found(point.image(choice), recording)
        states += 1
        guard case .legal(let own) = point.legality(of: found, recording.table) else {
          Issue.record("event \(index), \(choice): \(point.legality(of: found, recording.table))")
          return
        }
        if !profile.showsForeignBytes { #expect(point.contentHash(own) == point.contentHash(choice)) }
        // The header of a segment is durable before anything follows it.
        guard let name = found.files.keys.sorted().first(where: { found.files[$0]!.count > 4096 }) else { return }
        found.files[name]![8] ^= 1
        touched += 1
        guard case .illegal = point.legality(of: found, recording.table) else {
          Issue.record("event \(index), \(choice): a flipped bit passes")
          return
        }
      }
    }
    #expect(states > 100 && touched > 20, "\(states) states, \(touched) touched")
  }

  /// What an instant between two moments may show: nothing that was promised after the first is promised.
  @Test func anInstantBetweenTwoMoments() {
    var disk = HandMade()
    let f = disk.create("f")
    disk.syncDirectory()
    let known = disk.recording.events.count
    disk.run(disk.write(f, 1, at: 0, 512, durable: true))
    disk.run(disk.write(f, 2, at: 512, 512, durable: true))
    let begun = disk.recording.events.count
    disk.run(disk.write(f, 3, at: 0, 512, durable: true))
    disk.recording = disk.recording.cut(known: known, begun: begun)
    for content in [[], bytes(1), bytes(1) + bytes(2)] { #expect(isLegal(disk, .ext4Ordered, ["f": content])) }
    #expect(!isLegal(disk, .ext4Ordered, ["f": bytes(3) + bytes(2)]))
  }
}
