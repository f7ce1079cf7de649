import CrashStates
import Foundation
import Glibc
import LogModel
import Testing
import Volume
import VolumeStates

/// A state that is served holds what the state holds.
@Suite(.enabled(if: Programs.refusal == nil, "\(Programs.refusal ?? "")")) struct StateServerTests {
  /// Files, directories, links, holes and an unsynced tail.
  private func recorded(_ scratch: Scratch) throws -> VolumeRecording {
    let volume = Volume()
    let mount = try VolumeMount(volume, at: scratch.path + "/volume")
    let folder = mount.folder
    mkdir(folder + "/directory", 0o750)
    let file = open(folder + "/directory/file", O_RDWR | O_CREAT, 0o640)
    let bytes = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
    pwrite(file, bytes, bytes.count, 0)
    fsync(file)
    pwrite(file, bytes, 5000, 100_000)
    fsync(file)
    pwrite(file, bytes.reversed(), 9000, 300)
    link(folder + "/directory/file", folder + "/second name")
    symlink("directory/file", folder + "/link")
    rename(folder + "/second name", folder + "/third name")
    close(file)
    mount.unmount()
    return VolumeRecording(volume.trace)
  }

  @Test func everyStateIsServedAsItIs() throws {
    let scratch = Scratch()
    let recorded = try recorded(scratch)
    let server = try StateServer(at: scratch.path + "/states")
    for profile in [CrashProfile.ext4Ordered, .btrfs, .posixMinimal] {
      var walk = CrashPointWalk(recorded.recording, profile, seed: 3)
      for event in stride(from: 0, through: recorded.recording.events.count, by: 3) {
        let point = walk.point(at: event)
        var number = 0
        StateEnumeration(point, StateEnumeration.Limits(bound: 1, statesPerPoint: 8, samples: 2)).forEach(seed: 1) {
          choice, _ in
          number += 1
          guard number <= 4 else { return }
          let image = point.image(choice)
          do {
            let folder = try server.load(image, of: recorded)
            #expect(try MountedImage(reading: folder) == MountedImage(image, of: recorded.recording))
          } catch { Issue.record("\(error)") }
        }
      }
    }
  }

  /// What is done to a state is recorded, and nothing of the state before it is left.
  @Test func whatIsDoneToAStateIsRecorded() throws {
    let scratch = Scratch()
    let recorded = try recorded(scratch)
    let server = try StateServer(at: scratch.path + "/states")
    var walk = CrashPointWalk(recorded.recording, .ext4Ordered, seed: 3)
    let point = walk.point(at: recorded.recording.events.count)
    let image = point.image(point.everything)
    for round in 0..<3 {
      let folder = try server.load(image, of: recorded)
      let file = open(folder + "/directory/file", O_WRONLY)
      pwrite(file, [1, 2, 3], 3, round)
      close(file)
      let done = server.recording(sharing: recorded.recording.store)
      var after = CrashPointWalk(done.recording, .ext4Ordered, seed: 3)
      let end = after.point(at: done.recording.events.count)
      #expect(try MountedImage(end.image(end.everything), of: done.recording) == MountedImage(reading: folder))
      // The write is the one thing that a power cut may take: the state itself is durable.
      let nothing = MountedImage(end.image(end.nothing), of: done.recording)
      #expect(nothing == MountedImage(image, of: recorded.recording))
    }
  }

  /// Modes are those of the program's files.
  @Test func modesAreKept() throws {
    let scratch = Scratch()
    let recorded = try recorded(scratch)
    let server = try StateServer(at: scratch.path + "/states")
    var walk = CrashPointWalk(recorded.recording, .ext4Ordered, seed: 3)
    let point = walk.point(at: recorded.recording.events.count)
    let folder = try server.load(point.image(point.everything), of: recorded)
    var status = stat()
    #expect(stat(folder + "/directory", &status) == 0 && status.st_mode & 0o777 == 0o750 & ~currentMask())
    #expect(stat(folder + "/directory/file", &status) == 0 && status.st_mode & 0o777 == 0o640 & ~currentMask())
  }

  private func currentMask() -> mode_t {
    let mask = umask(0o022)
    umask(mask)
    return mask
  }
}
