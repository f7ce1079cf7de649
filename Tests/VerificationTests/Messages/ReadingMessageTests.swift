import LogModel
import Testing

@testable import Verification

/// The texts of `ReadingFinding`.
@Suite struct ReadingMessageTests {
  /// Every kind of finding has a number here: one that is added has no place in `texts` yet, and `everyKindIsRead`
  /// fails.
  private static func number(_ finding: ReadingFinding) -> Int {
    switch finding {
    case .corrupt: 0
    case .neverSent: 1
    case .failedIsThere: 2
    case .goneIsBack: 3
    case .elsewhere: 4
    case .nameGivenTwice: 5
    case .beyondWatermark: 6
    case .begins: 7
    case .skips: 8
    case .repeats: 9
    case .watermarkFell: 10
    case .watermarkBelowTold: 11
    case .startFell: 12
    case .startBelowTold: 13
    }
  }

  private static let texts: [(ReadingFinding, String)] = [
    (.corrupt(offset: 3), "a consumer beside the producers was served offset 3 with bytes that were never sent"),
    (
      .neverSent(offset: 3, message: 7),
      "a consumer beside the producers was served message 7 at offset 3, which had not been sent by then"
    ),
    (
      .failedIsThere(offset: 3, message: 7),
      "a consumer beside the producers was served message 7 at offset 3, whose sending had failed for certain"
    ),
    (
      .goneIsBack(offset: 3, message: 7, restart: 1),
      "a consumer beside the producers was served message 7 at offset 3, which was gone after restart 1"
    ),
    (
      .elsewhere(offset: 3, message: 7, standsAt: 4),
      "a consumer beside the producers was served message 7 at offset 3, and it stands at offset 4"
    ),
    (
      .nameGivenTwice(offset: 3, first: 7, second: 8),
      "offset 3 was given to message 7 and to message 8 in one life, and a consumer beside the producers was served "
        + "one of them"
    ),
    (
      .beyondWatermark(offset: 9, watermark: 7),
      "a consumer beside the producers was served offset 9, and the high watermark that it was told with the answer is "
        + "7"
    ),
    (
      .begins(asked: 3, found: 5),
      "a consumer beside the producers asked for offset 3, and the answer must begin there, found offset 5"
    ),
    (.skips(from: 3, to: 5), "an answer to a consumer beside the producers must go on at offset 3, found offset 5"),
    (
      .repeats(offset: 3, behind: 6),
      "one answer to a consumer beside the producers serves offset 3 again, behind offset 6"
    ),
    (
      .watermarkFell(from: 9, to: 7), "the high watermark must not fall while messages are sent, found 9 and 7 after it"
    ),
    (
      .watermarkBelowTold(told: 9, found: 7),
      "the high watermark was 9 while messages were sent and must not fall in that life, found 7"
    ),
    (.startFell(from: 9, to: 7), "the log start offset must not fall while messages are sent, found 9 and 7 after it"),
    (
      .startBelowTold(told: 9, found: 7),
      "the log start offset was 9 while messages were sent, where a deletion had put it, and must not go back, found 7"
    ),
  ]

  @Test func everyKindIsRead() {
    for (finding, text) in Self.texts {
      #expect(CheckFinding.beside(finding).description == text)
      #expect(MessageTests.contradictions(in: text, lost: 0) == [], "\(text)")
    }
    #expect(Set(Self.texts.map { Self.number($0.0) }) == Set(0...13))
  }
}
