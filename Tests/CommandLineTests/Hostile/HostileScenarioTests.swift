import Foundation
import Testing

extension CommandLineTests {
  /// A sample of what `Tests/TrialsTests/HostileScenarioTests.swift` does in the process, through the program.
  @Suite struct HostileScenarioTests {
    @Test func `check and list say valid, nothing selected or invalid`() async throws {
      let scratch = try Scratch()
      let source = try Data(contentsOf: URL(fileURLWithPath: Program.root + "/Scenarios/sweeps/fault-kinds.yaml"))
      // The same bytes in each run: a linear congruence (Knuth, MMIX).
      var state: UInt64 = 17
      func random(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(bound))
      }
      for round in 0..<24 {
        var bytes = source
        for _ in 0...random(3) {
          switch random(4) {
          case 0: bytes.removeSubrange(random(bytes.count)..<bytes.count)
          case 1: bytes[bytes.startIndex + random(bytes.count)] = UInt8(random(256))
          case 2:
            bytes.insert(
              contentsOf: [0, 0xFF, 0x1B, 0x09, 0x7B][random(5)...], at: bytes.startIndex + random(bytes.count))
          default: bytes.append(contentsOf: bytes.prefix(random(bytes.count)))
          }
          if bytes.isEmpty { bytes = Data("x".utf8) }
        }
        let file = scratch.path("a.yaml")
        try bytes.write(to: URL(fileURLWithPath: file))
        for command in ["check", "list"] {
          let ended = try await tornlog(command, file)
          #expect(
            [0, 3, 65].contains(ended.code), "round \(round), \(command): \(ended.code) \(ended.err.prefix(400))")
        }
      }
    }

    @Test(arguments: ["..", "a/b", "../../x", "with space", "Größe", String(repeating: "x", count: 250)])
    func aTopicThatTheEngineRefusesIsAnInvalidScenario(topic: String) async throws {
      let scratch = try Scratch()
      let file = try scratch.write(
        "t.yaml", "name: t\ntitle: t\nworkload:\n  topic: '\(topic)'\nmatrix: { messages: [100] }\n")
      for command in ["check", "run", "list"] {
        let ended = try await tornlog(command, file)
        // What `check` finds is its result; others complain of it.
        let said = ended.out + ended.err
        #expect(ended.code == 65 && said.contains("t.yaml:4:10: topic '"), "\(command): \(ended)")
        #expect(said.contains("is no valid name: it "), "\(command): \(ended)")
      }
    }

    /// A full stop in a topic's name is in every command and report.
    @Test func aDottedTopicIsReproducedAndShrunk() async throws {
      let scratch = try Scratch()
      let file = try scratch.write(
        "d.yaml",
        "name: dotted\ntitle: t\nworkload: { topic: \"orders.v1\" }\nmatrix: { messages: [20], storage: [memory], "
          + "defect: [C2] }\n"
      )
      let run = try await tornlog(
        "run", file, "--dir", scratch.folder(), "--report", "terminal", "--report", "json=\(scratch.path("j"))",
        "--report",
        "junit=\(scratch.path("x"))")
      #expect(run.code == 1, "\(run)")
      let command = try #require(try scratch.trials("j")[0]["reproduce"] as? String)
      let junit = try scratch.text("x")
      #expect(command.contains(".t=orders%2Ev1.") && run.out.contains(command) && junit.contains(command))
      let token = String(command.split(separator: " ")[2])
      let again = try await tornlog("reproduce", token, "--dir", scratch.folder())
      #expect(again.code == 1 && again.out.contains("orders.v1/0"), "\(again)")
      let shrunk = try await tornlog("shrink", token, "--output", scratch.path("s.yaml"), "--dir", scratch.folder())
      #expect(shrunk.code == 0, "\(shrunk)")
      #expect(try scratch.text("s.yaml").contains("topic: \"orders.v1\""))
      let smaller = try await tornlog("run", scratch.path("s.yaml"), "--dir", scratch.folder())
      #expect(smaller.code == 0, "\(smaller)")
      let list = try await tornlog("list", "-v", file)
      #expect(list.code == 0, "\(list)")
    }
  }
}
