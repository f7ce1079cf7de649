import Defects
import LogModel
import Verification
import Testing

@testable import Exploration

private func options(batches: Int = 9, _ profiles: CrashProfile..., jobs: Int = 1, defect: String? = nil) -> ExplorationOptions {
  var options = ExplorationOptions()
  options.workload.batches = batches
  options.profiles = profiles
  (options.statesPerPoint, options.samples, options.bound) = (64, 8, 2)
  options.jobs = jobs
  options.defect = defect.flatMap { Defect(id: $0) }
  return options
}

@Suite struct ExplorationTests {
  @Test(arguments: CrashProfile.all) func theSoundEngineHolds(profile: CrashProfile) throws {
    let report = try Exploration(options(profile)).run()
    #expect(report.verdict == .held, "\(report.text.joined(separator: "\n"))")
    #expect(report.judged > 50)
  }

  @Test func theNumberOfThreadsShowsInNothingButTheTime() throws {
    func summary(_ jobs: Int) throws -> [String] {
      let report = try Exploration(options(.raw512, .posixMinimal, jobs: jobs, defect: "C8")).run()
      return report.text.dropLast().map { $0 }
    }
    #expect(try summary(1) == summary(2))
  }

  @Test(arguments: ["C1", "C2", "C2b", "C3", "C8"]) func aDefectIsFound(id: String) throws {
    let report = try Exploration(options(.raw512, defect: id)).run()
    #expect(report.verdict == .violated)
    #expect(report.findings.allSatisfy { $0.violation.story.count <= 10 })
  }
}
