import CrashStates
import Foundation
import Glibc
import LogModel
import Testing
import Volume
import VolumeStates

@testable import ProgramTesting

/// Power cuts are tried at the last moment of their states only: held against all moments.
@Suite(.enabled(if: Programs.refusal == nil, "\(Programs.refusal ?? "")")) struct CrashMomentTests {
  /// What a program did that the seed draws.
  private func recorded(_ scratch: Scratch, seed: UInt64) throws -> VolumeRecording {
    var random = SeededGenerator(seed: seed, stream: "moments")
    let volume = Volume()
    let mount = try VolumeMount(volume, at: scratch.path + "/volume")
    let names = ["a", "b", "c"].map { mount.folder + "/" + $0 }
    for _ in 0..<5 {
      let path = names.randomElement(using: &random)!
      switch Int.random(in: 0..<7, using: &random) {
      case 0: rename(path, names.randomElement(using: &random)!)
      case 1: unlink(path)
      case 2: truncate(path, Int.random(in: 0..<3, using: &random) * 512)
      default:
        let file = open(path, O_RDWR | O_CREAT | (Int.random(in: 0..<5, using: &random) == 0 ? O_DSYNC : 0), 0o644)
        let bytes = [UInt8](repeating: UInt8.random(in: 1...255, using: &random), count: 512)
        pwrite(file, bytes, bytes.count, Int.random(in: 0..<2, using: &random) * 512)
        if Int.random(in: 0..<3, using: &random) == 0 { fsync(file) }
        close(file)
      }
    }
    mount.unmount()
    return VolumeRecording(volume.trace)
  }

  private struct Outcome {
    var states = 0
    var missed = 0
  }

  /// Of the moments between two that are tried, all states have to be among those of the second.
  /// - Parameter isLast: whether a moment is tried.
  private func compare(_ profile: CrashProfile, _ isLast: (Int, Recording) -> Bool) throws -> Outcome {
    var outcome = Outcome()
    for seed in 1...12 as ClosedRange<UInt64> {
      let recording = try recorded(Scratch(), seed: seed).recording
      var walk = CrashPointWalk(recording, profile, seed: 3)
      var between: Set<UInt64> = []
      for event in 0...recording.events.count {
        let point = walk.point(at: event)
        var contents: Set<UInt64> = []
        let all = StateEnumeration.Limits(bound: 64, statesPerPoint: 1 << 14, samples: 0)
        StateEnumeration(point, all).forEach(seed: 1) { choice, _ in contents.insert(point.contentHash(choice)) }
        between.formUnion(contents)
        guard event == recording.events.count || isLast(event, recording) else { continue }
        outcome.states += between.count
        outcome.missed += between.subtracting(contents).count
        between.removeAll()
      }
    }
    return outcome
  }

  @Test(arguments: CrashProfile.all.map(\.name)) func nothingIsMissedBetweenThem(_ name: String) throws {
    let profile = try #require(CrashProfile.named(name))
    let outcome = try compare(profile) { RecordedProgram.isLastMoment($0, of: $1, profile) }
    #expect(outcome.missed == 0 && outcome.states > 50, "\(outcome)")
  }

  /// That a moment is left out before which something was not durable is seen.
  @Test func aMomentThatIsLeftOutIsMissed() throws {
    let outcome = try compare(.ext4Ordered) { _, _ in false }
    #expect(outcome.missed > 0, "\(outcome)")
  }
}
