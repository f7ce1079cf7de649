import CVolumeCalls
import CrashStates
import Foundation
import Glibc
import LogModel
import Testing
import Volume
import VolumeStates

/// What programs do on a volume, as crash states.
@Suite(.enabled(if: Mounting.refusal == nil, "\(Mounting.refusal ?? "")")) struct VolumeRecordingTests {
  private func states(_ mounted: Mounted, _ profile: CrashProfile, durableUntil: Int = 0) -> Set<MountedImage> {
    let recorded = VolumeRecording(mounted.volume.trace, durableUntil: durableUntil)
    var walk = CrashPointWalk(recorded.recording, profile, seed: 1)
    let point = walk.point(at: recorded.recording.events.count)
    var resolver = StateResolver(point)
    var found: Set<MountedImage> = []
    StateEnumeration(point, StateEnumeration.Limits(bound: 4, statesPerPoint: 10_000, samples: 0)).forEach(seed: 1) {
      choice, _ in
      found.insert(MountedImage(resolver.image(choice), of: recorded.recording))
    }
    return found
  }

  private func image(_ files: [String: String]) -> MountedImage {
    var image = MountedImage()
    for (name, text) in files { image.files[name] = Array(text.utf8) }
    return image
  }

  private func put(_ mounted: Mounted, _ name: String, _ text: String, synced: Bool) {
    let file = mounted.open(name, O_RDWR | O_CREAT | O_TRUNC)
    defer { close(file) }
    let bytes = Array(text.utf8)
    #expect(pwrite(file, bytes, bytes.count, 0) == bytes.count)
    if synced { #expect(fsync(file) == 0) }
  }

  /// The oldest mistake: a new file is renamed over the old one, and nobody has synced it.
  @Test func aRenameWithoutASyncLosesBoth() throws {
    let mounted = try Mounted()
    put(mounted, "config", "old", synced: true)
    let base = mounted.volume.trace.count
    put(mounted, "config.new", "new!", synced: false)
    #expect(rename(mounted.path("config.new"), mounted.path("config")) == 0)
    let found = states(mounted, .xfs, durableUntil: base)
    #expect(found.contains(image(["config": ""])), "the name is there, and the data is not")
    #expect(found.contains(image(["config": "old"])) && found.contains(image(["config": "new!"])))

    let sound = try Mounted()
    put(sound, "config", "old", synced: true)
    let start = sound.volume.trace.count
    put(sound, "config.new", "new!", synced: true)
    #expect(rename(sound.path("config.new"), sound.path("config")) == 0)
    #expect(
      states(sound, .xfs, durableUntil: start)
        == [image(["config": "old", "config.new": "new!"]), image(["config": "new!"])])
  }

  /// What was done once more elsewhere has the times of that.
  @Test func aReplayHasTimesOfItsOwn() throws {
    let mounted = try Mounted()
    put(mounted, "f", "text", synced: true)
    // The kernel releases a file that was closed when it likes: the trace may still grow.
    let (trace, end) = (mounted.volume.trace, mounted.volume.trace.count)
    let own = VolumeRecording(trace, end: end)
    let times = (0..<end).map { Int64($0) * 1000..<Int64($0) * 1000 + 500 }
    let replayed = VolumeRecording(trace, end: end, times: times)
    #expect(replayed.sequences == own.sequences && replayed.recording.events.count > 4)
    for (event, sequence) in zip(replayed.recording.events, replayed.sequences) {
      let time = event.time.nanoseconds
      if case .completed = event.what {
        #expect(time == times[sequence].upperBound)
      } else {
        #expect(times[sequence].contains(time))
      }
    }
  }

  /// An O_DSYNC write covers what O_DSYNC promises, its bytes and the size, and not the whole file.
  @Test func aSynchronousWriteCoversItselfOnly() throws {
    let mounted = try Mounted()
    put(mounted, "log", String(repeating: "a", count: 16_384), synced: true)
    let base = mounted.volume.trace.count
    let plain = mounted.open("log", O_RDWR)
    #expect(pwrite(plain, Array("header".utf8), 6, 0) == 6)
    let durable = mounted.open("log", O_RDWR | O_DSYNC)
    #expect(pwrite(durable, Array("record".utf8), 6, 8192) == 6)
    close(plain)
    close(durable)
    let found = states(mounted, .ext4Ordered, durableUntil: base)
    let heads = Set(found.compactMap { $0.files["log"].map { String(decoding: $0.prefix(6), as: UTF8.self) } })
    let records = Set(
      found.compactMap { $0.files["log"].map { String(decoding: $0[8192..<8198], as: UTF8.self) } })
    #expect(heads == ["aaaaaa", "header"] && records == ["record"])
  }

  /// After a failed sync a later one covers what stayed dirty; of dropped pages those that were written again; and of
  /// pages that the cache has lost, nothing of before.
  @Test(arguments: [
    (FailedSyncPages.kept, ["11", "22"]), (.dropped, ["11", "--", "22"]), (.evicted, ["--", "22"]),
  ]) func aFailedSyncLeavesALaterOneItsShare(_ pages: FailedSyncPages, _ wanted: [String]) throws {
    let mounted = try Mounted()
    put(mounted, "log", String(repeating: "-", count: 8192), synced: true)
    let base = mounted.volume.trace.count
    let file = mounted.open("log", O_RDWR)
    defer { close(file) }
    mounted.volume.setDecider { $0.kind == .sync && $0.occurrence == 1 ? .syncFails(EIO, pages) : .proceed }
    #expect(pwrite(file, "11", 2, 0) == 2 && fsync(file) < 0)
    #expect(pwrite(file, "22", 2, 4096) == 2 && fsync(file) == 0)
    func found() -> Set<String> {
      Set(
        states(mounted, .ext4Ordered, durableUntil: base).flatMap { state -> [String] in
          guard let bytes = state.files["log"] else { return [] }
          return [0, 4096].map { String(decoding: bytes[$0..<$0 + 2], as: UTF8.self) }
        })
    }
    #expect(found() == Set(wanted))
    // The page is written again: what was dropped of it goes with that.
    #expect(pwrite(file, "3", 1, 100) == 1 && fsync(file) == 0)
    #expect(found() == Set(pages == .evicted ? ["--", "22"] : ["11", "22"]))
  }

  @Test func marksStandInTheOrder() throws {
    let mounted = try Mounted()
    put(mounted, "a", "1", synced: true)
    mounted.volume.mark([42])
    put(mounted, "b", "2", synced: false)
    let recorded = VolumeRecording(mounted.volume.trace)
    let marks = recorded.recording.events.enumerated().compactMap { index, event -> (Int, VolumeMark)? in
      guard case .fact(let fact) = event.what, let mark = fact as? VolumeMark else { return nil }
      return (index, mark)
    }
    #expect(marks.map(\.1.payload) == [[42]])
    var walk = CrashPointWalk(recorded.recording, .xfs, seed: 1)
    let before = walk.point(at: try #require(marks.first).0)
    #expect(MountedImage(before.image(before.nothing), of: recorded.recording) == image(["a": "1"]))
  }

  /// With everything kept a crash state is what the program sees: random operations, by seed.
  @Test(arguments: 1...30) func everythingKeptIsWhatTheProgramSees(seed: Int) throws {
    let mounted = try Mounted()
    var random = SeededGenerator(seed: UInt64(seed), stream: "volume")
    let names = ["a", "b", "c", "d", "d/a", "d/b", "e", "e/a", "e/f", "e/f/a"]
    func name() -> String { mounted.path(names.randomElement(using: &random)!) }
    for step in 0..<250 {
      let (one, other) = (name(), name())
      switch Int.random(in: 0..<16, using: &random) {
      case 0: mkdir(one, 0o755)
      case 1: rmdir(one)
      case 2: unlink(one)
      case 3: rename(one, other)
      case 4: link(one, other)
      case 5: symlink("target-\(step)", one)
      case 6: _ = tl_rename(one, other, 2)
      case 7:
        let file = Glibc.open(one, O_RDWR | O_CREAT | O_TRUNC, 0o644)
        close(file)
      default:
        let file = Glibc.open(one, O_RDWR | (Bool.random(using: &random) ? O_CREAT : 0) | O_NOFOLLOW, 0o644)
        if file < 0 { continue }
        defer { close(file) }
        let (at, count) = (Int.random(in: 0..<12_000, using: &random), Int.random(in: 1..<6000, using: &random))
        switch Int.random(in: 0..<8, using: &random) {
        case 0: ftruncate(file, off_t(at))
        case 1: _ = tl_fallocate(file, 0, Int64(at), Int64(count))
        case 2: _ = tl_fallocate(file, 3, Int64(at), Int64(count))
        case 3: _ = tl_fallocate(file, 16, Int64(at), Int64(count))
        case 4: fsync(file)
        default:
          let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: count)
          pwrite(file, bytes, count, off_t(at))
        }
      }
    }
    let recorded = VolumeRecording(mounted.volume.trace)
    let seen = try MountedImage(reading: mounted.mount.folder)
    #expect(!seen.paths.isEmpty)
    for profile in [CrashProfile.raw512, .btrfs, .xfs, .ext4Ordered, .posixMinimal] {
      var walk = CrashPointWalk(recorded.recording, profile, seed: 1)
      let point = walk.point(at: recorded.recording.events.count)
      let kept = MountedImage(point.image(point.everything), of: recorded.recording)
      #expect(kept.directories == seen.directories && kept.links == seen.links, "\(profile.name)")
      #expect(kept.files.keys.sorted() == seen.files.keys.sorted(), "\(profile.name)")
      for (path, bytes) in seen.files where kept.files[path] != bytes {
        let own = kept.files[path] ?? []
        let place = zip(own, bytes).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        Issue.record(
          "\(profile.name), \(path): \(own.count) and \(bytes.count) bytes, different from byte \(place ?? -1)")
      }
      // There are too many combinations of names where each is free.
      if profile.names == .independent { continue }
      guard case .legal = point.legality(of: seen, recorded.recording.table) else {
        Issue.record("\(profile.name): what the program sees is no state")
        continue
      }
    }
  }
}
