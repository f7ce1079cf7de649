import Foundation
import Testing
import Yams

extension CommandLineTests {
  /// docs/scenario.schema.json against the scenarios of this repository.
  @Suite struct ScenarioSchemas {
    /// Read once: that takes longer than to check a scenario.
    private static let schema = Result {
      try JSONSchema(text: String(contentsOfFile: Program.root + "/docs/scenario.schema.json", encoding: .utf8))
    }

    /// As an editor reads it.
    private static func mistakes(in yaml: String) throws -> [String] {
      let value = try #require(try Yams.load(yaml: yaml))
      let data = try JSONSerialization.data(withJSONObject: value)
      return try schema.get().mistakes(in: JSONValue(text: String(decoding: data, as: UTF8.self)))
    }

    @Test func itIsUpToDate() async throws {
      let printed = try await tornlog("reference", "scenario-schema")
      let text = try String(contentsOfFile: Program.root + "/docs/scenario.schema.json", encoding: .utf8)
      #expect(printed.code == 0 && printed.out == text, "run `make docs`")
    }

    static let scenarios: [String] = {
      let all = (FileManager.default.enumerator(atPath: Program.root + "/Scenarios")?.allObjects as? [String]) ?? []
      return all.filter { $0.hasSuffix(".yaml") }.sorted()
    }()

    @Test func everyScenarioIsAsTheSchemaSays() throws {
      #expect(Self.scenarios.count > 100)
      for name in Self.scenarios {
        let mistakes = try Self.mistakes(
          in: String(contentsOfFile: "\(Program.root)/Scenarios/\(name)", encoding: .utf8))
        #expect(mistakes.isEmpty, "\(name): \(mistakes.prefix(5).joined(separator: "\n"))")
      }
    }

    /// What the parser refuses by itself, key by key and word by word.
    @Test(arguments: [
      ("title: t", "titel: t"), ("messages: [10, 100]", "messages: [10, ten]"), ("messages: [10, 100]", "messages: []"),
      ("sync: always", "sync: sometimes"), ("matrix:", "matrices:"), ("bit-flip", "bit-flop"),
      ("target: batch-payload", "target: batch-paylod"), ("target: batch-payload, ", ""),
      ("bits: 2", "bits: 65"), ("outcome: held", "outcome: lost"), ("messages: '<= 10'", "mesages: 10"),
      ("for: 2s", "for: long"), ("trial-seconds: 5", "trial-seconds: 0"),
    ]) func whatIsNoScenarioIsFound(old: String, new: String) throws {
      let sound = """
        name: n
        title: t
        matrix:
          messages: [10, 100]
          sync: always
        faults:
          - bit-flip: { target: batch-payload, bits: 2 }
          - io-error: { for: 2s }
          - io-error
        expect:
          - when: { messages: '<= 10' }
            outcome: held
        limits: { trial-seconds: 5 }
        """
      #expect(try Self.mistakes(in: sound) == [])
      #expect(sound.contains(old))
      #expect(try !Self.mistakes(in: sound.replacing(old, with: new)).isEmpty)
    }
  }
}
