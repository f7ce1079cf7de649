import Foundation
import Testing

@testable import CrashStates
@testable import DiskTraces

@Suite struct TraceTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Examples/traces").path

  private func traces() throws -> [DiskTrace] { try DiskTrace.all(in: Self.folder) }

  @Test func theModelAgreesWithEveryClaim() throws {
    var check = TraceModelCheck()
    for trace in try traces() { try check.check(trace) }
    #expect(check.claims > 6000)
    #expect(check.disagreements.isEmpty, "\(check.disagreements.prefix(5).map(\.description).joined(separator: "\n"))")
  }

  /// The legality of a state is found by a search, and states by enumeration: they must say the same.
  @Test func enumerationAgreesWithEveryClaim() throws {
    var compared = 0
    for trace in try traces() {
      let recorded = try trace.recorded()
      for system in TracedFileSystem.allCases {
        var walk = CrashPointWalk(recorded.recording, system.profile, seed: 1)
        for (step, event) in recorded.ends.enumerated() {
          let point = walk.point(at: event)
          let states = StateEnumeration(point, StateEnumeration.Limits(bound: 1, statesPerPoint: 2000, samples: 0))
          guard states.bound == Int.max else { continue }
          var found: Set<UInt64> = []
          var resolver = StateResolver(point)
          states.forEach(seed: 1) { choice, _ in found.insert(resolver.contentHash(choice)) }
          func isThere(_ claim: DiskTrace.Claim) -> Bool { found.contains(claim.state.contentHash) }
          for claim in trace.possible where claim.after == step && claim.on.contains(system) {
            compared += 1
            // Foreign bytes are anybody's: no list of states names them.
            if !system.profile.showsForeignBytes {
              #expect(isThere(claim), "\(trace.name), \(system), after \(step): \(claim.state.traceText)")
            }
          }
          for claim in trace.forbidden where claim.after <= step && claim.on.contains(system) {
            compared += 1
            #expect(!isThere(claim), "\(trace.name), \(system), after \(step): \(claim.state.traceText)")
          }
        }
      }
    }
    #expect(compared > 1500, "\(compared)")
  }

  /// A rule that is too strict, or too free, is found.
  @Test(arguments: ["strict", "free"]) func aWrongClaimIsFound(kind: String) throws {
    var trace = try #require(traces().first { $0.name == "cut-and-rewritten-two-pages" })
    let claim = try #require(trace.possible.first { $0.after == 3 && $0.state.files["f"]?.isEmpty == true })
    if kind == "strict" {
      // Nobody can have seen bytes of a file that was never written.
      var other = claim
      other.state.files["f"] = [UInt8](repeating: UInt8(ascii: "Z"), count: 8192)
      trace.possible = [other]
      trace.forbidden = []
    } else {
      trace.forbidden = [claim]
      trace.possible = []
    }
    var check = TraceModelCheck()
    try check.check(trace)
    #expect(!check.disagreements.isEmpty && check.disagreements.allSatisfy { $0.isTooStrict == (kind == "strict") })
  }

  @Test(arguments: [
    ("steps: [write f 0 512]", "`write f 0 512` is no operation of a trace"),
    ("steps: [unlink f]", "`unlink(\"f\")` would fail"),
    ("steps: [create f]\nprovoke: [{ after: 1, do: flush }]", "`flush` is neither `commit` nor"),
    ("steps: [create f]\nforbidden: [{ after: 1, on: [zfs], state: {}, source: x }]", "no file system is called zfs"),
    ("steps: [create f]\nforbidden: [{ after: 1, on: [xfs], state: { f: A512 }, source: x }]", "`A512` is no run"),
  ]) func aTraceThatCannotBeReadSaysWhy(text: String, problem: String) throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("trace-\(UUID().uuidString).yaml")
    defer { try? FileManager.default.removeItem(at: file) }
    try "name: t\nabout: t\n\(text)\n".write(to: file, atomically: true, encoding: .utf8)
    let error = #expect(throws: DiskTraceError.self) { _ = try DiskTrace(reading: file.path).recorded() }
    #expect(error?.description.contains(problem) ?? false, "\(error?.description ?? "")")
  }

  @Test func aFolderWithoutTracesSaysSo() {
    let missing = #expect(throws: DiskTraceError.self) { _ = try DiskTrace.all(in: "/nowhere") }
    #expect(missing?.description.contains("the folder cannot be read") ?? false)
    let empty = #expect(throws: DiskTraceError.self) { _ = try DiskTrace.all(in: "/proc/self/fdinfo") }
    #expect(empty?.description.contains("there is no trace in it") ?? false)
  }
}
