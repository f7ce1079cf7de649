import Foundation
import Testing

extension CommandLineTests {
  /// An engine that loops on the processor without end: a finding, and the end of the command.
  @Suite struct Hanging {
    @Test func `an endless loop of the engine is a finding with a token, in every form of exploration`() async throws {
      let scratch = try Scratch()
      let report = scratch.path("report.json")
      let found = try await tornlog(
        "explore", "--reference", "--defect", "P12", "--profile", "raw-512", "--timeout", "1s", "--report", "terminal",
        "--report", "json=\(report)")
      #expect(found.code == 1 && found.out.contains("VIOLATED no-hang"), "\(found)")
      let exploration = try #require(try scratch.json("report.json")["exploration"] as? [String: Any])
      let findings = try #require(exploration["findings"] as? [[String: Any]])
      let command = try #require(findings.first?["reproduce"] as? String)
      #expect(found.out.contains(command))
      let token = try #require(command.split(separator: " ").last.map(String.init))
      let again = try await tornlog("reproduce", token, "--timeout", "1s")
      #expect(again.code == 1 && again.out.contains("VIOLATED no-hang") && again.out.contains(token), "\(again)")
      let errors = try await tornlog(
        "explore", "--errors", "--scenario", "recover", "--defect", "P12", "--timeout", "1s")
      #expect(errors.code == 1 && errors.out.contains("VIOLATED no-hang"), "\(errors)")
    }

    @Test func `the sound engine is done long before`() async throws {
      let held = try await tornlog(
        "explore", "--reference", "--profile", "raw-4k", "--states-per-point", "16", "--timeout", "5s")
      #expect(held.code == 0, "\(held)")
      #expect(try await tornlog("explore", "--reference", "--timeout", "soon").code == 64)
    }
  }
}
