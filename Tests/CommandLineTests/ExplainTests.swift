import Testing
import Verification

@testable import tornlog

/// `tornlog explain`.
@Suite struct ExplanationTests {
  @Test func everyWordHasItsExplanation() {
    for word in Explanation.words {
      let lines = Explanation.lines(of: word) ?? []
      #expect(lines.count >= 3 && lines[0].lowercased().contains(word.lowercased()), "\(word): \(lines)")
    }
    #expect(Explanation.words.count > 150)
    #expect(Explanation.lines(of: "c2B")?[0] == "defect C2b, a bug of chronik")
    #expect(Explanation.lines(of: "no-such-word") == nil && Explanation.lines(of: "7") == nil)
  }

  /// The name of the version before means the same.
  @Test func formerNamesAreKnown() {
    #expect(Explanation.lines(of: "sends-accepted")?[0] == "check no-unjustified-rejection")
  }
}
