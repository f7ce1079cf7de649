import Testing

@testable import ScenarioFormat

@Suite struct ExplorationKeyTests {
  private static let vocabulary = Vocabulary(
    checks: ["no-gaps"], defects: ["C1", "C8"], profiles: ["raw-512", "posix-minimal"])

  private func parse(_ exploration: String) -> (scenario: Scenario?, errors: [String]) {
    let text = "name: n\ntitle: t\nmatrix: { messages: [1], defect: [C8, none] }\nexploration:\n" + exploration
    do {
      return (try ScenarioParser.parse(text, file: "a.yaml", vocabulary: Self.vocabulary), [])
    } catch {
      return (nil, error.errors.map(\.description))
    }
  }

  @Test func everyKeyIsRead() throws {
    let found = parse(
      """
        profiles: raw-512
        depth: 2
        bound: 2
        states-per-point: 64
        samples: 0
        segment-size: 1MiB
        offset-commits: false
        device-faults: { short-writes: 5, failing-sync: 3 }
        state: { defect: C8, event: 7, kept: all_3-0, in-recovery: { event: 2, kept: none }, fingerprint: 0123cdef }
      """)
    let settings = try #require(found.scenario?.cells().first?.exploration, "\(found.errors)")
    #expect((settings.profiles, settings.depth, settings.bound) == (["raw-512"], 2, 2))
    #expect((settings.statesPerPoint, settings.samples, settings.segmentSize) == (64, 0, 1 << 20))
    #expect((settings.commitsOffsets, settings.shortWrites, settings.failingSync) == (false, 5, 3))
    let state = try #require(settings.state)
    #expect((state.defect, state.cut.event, state.cut.kept, state.fingerprint) == ("C8", 7, "all_3-0", "0123cdef"))
    #expect(state.recoveryCut == ExplorationSettings.Cut(event: 2, kept: "none"))
  }

  /// The key of the version before is taken; both together are one too many.
  @Test func theFormerNameIsTaken() throws {
    let former = parse("  mishaps: { short-writes: 5 }")
    #expect(former.errors == [] && former.scenario?.cells().first?.exploration?.shortWrites == 5)
    for both in ["  mishaps: {}\n  device-faults: {}", "  device-faults: {}\n  mishaps: {}"] {
      #expect(parse(both).errors.count == 1, "\(parse(both).errors)")
    }
  }

  @Test(arguments: [
    ("  profile: raw-512", "a.yaml:5:3: unknown key 'profile' in exploration; did you mean 'profiles'?"),
    ("  profiles: [raw-51]", "a.yaml:5:14: unknown persistence profile 'raw-51'; did you mean 'raw-512'?"),
    ("  profiles: [raw-512, raw-512]", "a.yaml:5:23: profiles lists 'raw-512' twice"),
    ("  depth: 3", "a.yaml:5:10: depth is 3; it must be from 1 to 2"),
    ("  segment-size: 1KiB", "a.yaml:5:17: segment-size is 1024; it must be from 16384 to 67108864"),
    ("  offset-commits: no", "a.yaml:5:19: unknown offset-commits 'no'; known: true, false"),
    (
      "  device-faults: { short-write: 5 }",
      "a.yaml:5:20: unknown key 'short-write' in device-faults; did you mean 'short-writes'?"
    ),
    (
      "  profiles: raw-512\n  state: { defect: C8, event: 1, kept: all_3-0_2-0, fingerprint: 0123cdef }",
      "a.yaml:6:40: kept is 'all_3-0_2-0'; expected all, none, or either with exceptions: all_3-0"
    ),
    (
      "  profiles: raw-512\n  state: { defect: C1, event: 1, kept: all, fingerprint: 0123cdef }",
      "a.yaml:6:20: no cell has defect=C1; the matrix has C8, none"
    ),
    (
      "  profiles: raw-512\n  state: { defect: C8, event: 1, kept: all, fingerprint: 123cdef }",
      "a.yaml:6:58: fingerprint is '123cdef'; expected eight hexadecimal digits"
    ),
    (
      "  profiles: raw-512\n  state: { defect: C8, kept: all, fingerprint: 0123cdef }",
      "a.yaml:6:10: state has no 'event'"
    ),
    (
      "  state: { defect: C8, event: 1, kept: all, fingerprint: 0123cdef }",
      "a.yaml:5:10: number of profiles is '0'; expected one: that of the state"
    ),
  ])
  func mistakesAreNamedWithTheirPlace(text: String, error: String) { #expect(parse(text).errors == [error]) }
}
