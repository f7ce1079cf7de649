import Testing

@testable import ScenarioFormat

/// What documents claim, as scenarios put it.
struct ClaimTests {
  static func scenario(_ claim: String) -> String {
    """
    name: a
    title: t
    claims:
      - source: a document
        says: its words
    \(claim.split(separator: "\n").map { "    \($0)" }.joined(separator: "\n"))
    matrix:
      messages: [10, 100]
    """
  }

  @Test(arguments: [
    ("lost: 0", [0.0], [1.0]), ("lost: 1-10", [1, 10], [0, 11]), ("lost: \">= 1\"", [1, 1e9], [0]),
    ("lost-share: \"< 0.1%\"", [0, 0.09], [0.1]),
    ("lost-share: 10%-50%", [10, 50], [9.9, 50.1]), ("recovery-time: \"< 30s\"", [0, 29.9], [30]),
    ("recovery-time: 1s-10s", [1, 10], [0.9, 10.1]), ("append-p99: \"<= 10ms\"", [0.01], [0.011]),
  ])
  func boundsHoldAndFail(claim: String, inside: [Double], outside: [Double]) throws {
    let scenario = try parse(Self.scenario(claim))
    guard case .measures(let measures) = try #require(scenario.claims.first).test else { throw Failure() }
    let bounds = try #require(measures.first).bounds
    #expect(inside.allSatisfy(bounds.contains) && !outside.contains(where: bounds.contains))
  }

  private struct Failure: Error {}

  @Test func onlyTheCellsThatItSpeaksOfHaveIt() throws {
    let cells = try parse(Self.scenario("lost: 0\nwhen: { messages: 100 }")).cells()
    #expect(cells.map(\.claims.count) == [0, 1])
  }

  @Test(arguments: [
    ("arithmetic: { part: 12, whole: 1535, percent: \"1.2\" }", false),
    ("arithmetic: { part: 12, whole: 1535, percent: \"0.78\" }", true),
    ("arithmetic: { part: 12, whole: 1535, percent: \"0.8\" }", true),
    ("arithmetic: { part: 12, whole: 1535, percent: \"1\" }", true),
  ])
  func arithmeticIsCheckedToTheDigitsGiven(claim: String, isRight: Bool) throws {
    guard case .arithmetic(let sum) = try #require(try parse(Self.scenario(claim)).claims.first).test else {
      throw Failure()
    }
    #expect(sum.isRight == isRight)
  }

  @Test(arguments: [
    ("lost: few", "a.yaml:6:11: lost is 'few'; expected bounds like 0, 1-10 or >= 1"),
    ("lost-share: 5", "a.yaml:6:17: lost-share is '5'; expected bounds like < 0.1% or 10%-50%"),
    ("recovery-time: 10-5s", "a.yaml:6:20: recovery-time is '10-5s'; expected bounds like < 30s or 1s-10s"),
    ("lots: 0", "a.yaml:6:5: unknown key 'lots' in a claim; did you mean 'lost'?"),
    ("when: { messages: 10 }", "a.yaml:4:5: a claim has no 'figure, arithmetic, beyond-reach or measured-by'"),
    (
      "lost: 0\nbeyond-reach: no store",
      "a.yaml:4:5: 'what tests the claim' is given in figures, arithmetic, beyond-reach and measured-by: one kind"
    ),
    ("lost: 0\nwhen: { messages: 11 }", "a.yaml:7:23: no cell has messages=11; the matrix has 10, 100"),
    ("arithmetic: { part: 12, whole: 0, percent: 1 }", "a.yaml:6:36: whole is 0; it must be from 1 to 1000000000"),
  ])
  func mistakesAreNamedAtTheirPlace(claim: String, error: String) {
    #expect(errors(Self.scenario(claim)) == [error])
  }
}
