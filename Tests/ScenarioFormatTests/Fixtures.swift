import LogModel
import Testing

@testable import ScenarioFormat

let vocabulary = Vocabulary(
  checks: [
    "no-acknowledged-loss", "no-gaps", "no-duplicates", "content-intact", "high-watermark", "consumer-makes-progress",
  ],
  defects: ["C1", "C2", "C2b", "C3", "C4", "C5", "C8", "C12b"], faults: [.bitFlip])

extension FaultDescriptor {
  static let bitFlip = FaultDescriptor(
    "bit-flip", .atRest, "a bit turns over",
    [
      FaultParameter("target", .word(["batch-payload"]), "which bytes", isRequired: true),
      FaultParameter("occurrence", .integer(1...1_000_000), "the nth"),
      FaultParameter("at", .word(["rest"]), "when"),
    ])
}

func parse(_ text: String) throws(InvalidScenarios) -> Scenario {
  try ScenarioParser.parse(text, file: "a.yaml", vocabulary: vocabulary)
}

/// The errors of a file as the user sees them.
func errors(_ text: String) -> [String] {
  do {
    _ = try parse(text)
    return []
  } catch {
    return error.errors.map(\.description)
  }
}

let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }

func shipped(_ path: String) throws -> Scenario {
  try #require(try ScenarioFiles.load([root + "/Scenarios/" + path], vocabulary: vocabulary).first)
}
