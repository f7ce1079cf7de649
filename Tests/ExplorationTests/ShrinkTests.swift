import Defects
import LogModel
import Testing
import Verification

@testable import Exploration

/// A defect, and where it shows in a small workload.
struct Specimen: CustomTestStringConvertible, Sendable {
  var id: String
  var profile = CrashProfile.raw512
  var mishaps = false
  var messages = 18
  var depth = 1

  var testDescription: String { id }

  static let all = [
    Specimen(id: "A4"), Specimen(id: "H3"), Specimen(id: "R1"), Specimen(id: "P1", profile: .posixMinimal),
    Specimen(id: "P2", mishaps: true, messages: 36), Specimen(id: "P3", profile: .ext4Writeback, messages: 60),
    Specimen(id: "P7", depth: 2), Specimen(id: "P8", mishaps: true, messages: 36), Specimen(id: "C8"),
  ]

  func options(seed: UInt64) -> ExplorationOptions {
    var options = ExplorationOptions()
    options.workload.messages = messages
    options.workload.mishaps = mishaps ? .usual : .none
    options.workload.seed = seed
    options.profiles = [profile]
    (options.statesPerPoint, options.samples, options.bound) = (64, 8, 2)
    (options.seed, options.jobs, options.depth) = (seed, 2, depth)
    options.defect = Defect(id: id)
    return options
  }
}

@Suite struct ShrinkTests {
  @Test(arguments: Specimen.all) func twoSeedsShrinkToTheSameStory(specimen: Specimen) throws {
    var stories: [[String]] = []
    for seed: UInt64 in [1, 7] {
      let found = try #require(Exploration(specimen.options(seed: seed)).run().findings.first)
      let result = try CrashStateShrinker.shrink(found.violation.state, jobs: 2)
      print("\(specimen.id) \(result.candidates) \(result.isSmallest) \(String(describing: result.soundVerdict)) ops \(result.replay.storyOperations) whole \(result.replay.storyIsWhole)")
      print(CrashStateToken.encode(result.state))
      print(result.replay.story.joined(separator: "\n"))
      stories.append(result.replay.story)
      #expect(result.isSmallest)
      #expect(result.replay.check?.name == found.violation.check)
      #expect(result.replay.storyOperations <= 10)
      #expect(result.replay.storyIsWhole)
      #expect(result.soundVerdict == .held)
    }
    #expect(stories[0] == stories[1])
  }
}
