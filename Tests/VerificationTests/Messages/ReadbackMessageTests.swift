import LogModel
import Testing

@testable import Verification

/// The texts of `ReadbackFinding`.
@Suite struct ReadbackMessageTests {
  /// Every kind of finding has a number here: one that is added has no place in `texts` yet, and `everyKindIsRead`
  /// fails.
  private static func number(_ finding: ReadbackFinding) -> Int {
    switch finding {
    case .corrupt: 0
    case .neverSent: 1
    case .failedIsThere: 2
    case .goneIsBack: 3
    case .otherThanConsumed: 4
    case .notConsumed: 5
    case .elsewhere: 6
    case .answerSkips: 7
    case .answerRepeats: 8
    case .noStartOffset: 9
    case .consumptionCutOff: 10
    case .acknowledgedBeyondSent: 11
    case .acknowledgedTwice: 12
    case .topicIsBack: 13
    case .commitChanged: 14
    case .reportOfNobody: 15
    }
  }

  private static let texts: [(ReadbackFinding, String)] = [
    (.corrupt(.begins(asked: 3)), "a fetch at 3 begins with bytes that were never sent"),
    (.corrupt(.goesOn(at: 4)), "a fetch goes on at offset 4 with bytes that were never sent"),
    (.neverSent(.begins(asked: 3), message: 7), "a fetch at 3 begins with message 7, which was never sent"),
    (
      .failedIsThere(.begins(asked: 3), message: 7),
      "a fetch at 3 begins with message 7, whose sending had failed for certain"
    ),
    (
      .goneIsBack(.goesOn(at: 4), message: 7, restart: 1),
      "a fetch goes on at offset 4 with message 7, which was gone after restart 1"
    ),
    (
      .otherThanConsumed(.begins(asked: 3), message: 7, consumed: 3),
      "a fetch at 3 begins with message 7, and consumption was served message 3 there"
    ),
    (
      .otherThanConsumed(.begins(asked: 3), message: 7, consumed: -1),
      "a fetch at 3 begins with message 7, and consumption was served other bytes there"
    ),
    (
      .notConsumed(.begins(asked: 3), message: 7),
      "a fetch at 3 begins with message 7, and consumption was served nothing there"
    ),
    (
      .elsewhere(.begins(asked: 3), message: 7, standsAt: 4),
      "a fetch at 3 begins with message 7, which stands at offset 4"
    ),
    (.answerSkips(from: 3, to: 5), "an answer must go on at offset 3, found offset 5"),
    (.answerRepeats(offset: 3, behind: 6), "one answer serves offset 3 again, behind offset 6"),
    (.reportOfNobody(TopicPartition("payments", 2)), "payments/2 was never created, found damage of it reported"),
    (.noStartOffset, "no start offset was asked for"),
    (.consumptionCutOff, "consumption did not come to its end"),
    (
      .acknowledgedBeyondSent(message: 4, offset: 900, sent: 5, from: 0),
      "5 messages had been sent, and offsets begin at 0, found message 4 acknowledged at offset 900"
    ),
    (
      .acknowledgedTwice(offset: 3, first: 3, second: 8),
      "offset 3 was acknowledged for message 3, and again for message 8"
    ),
    (
      .topicIsBack(TopicPartition("orders", 0)),
      "orders/0 was missing after an earlier restart and must stay away, found it registered"
    ),
    (
      .commitChanged(group: "g", was: 7, restart: 1, found: nil),
      "the committed offset of g was 7 after restart 1 and must stay, found none"
    ),
  ]

  @Test func everyKindIsRead() {
    for (finding, text) in Self.texts {
      #expect(CheckFinding.readback(finding).description == text)
      #expect(MessageTests.contradictions(in: text, lost: 0) == [], "\(text)")
    }
    #expect(Set(Self.texts.map { Self.number($0.0) }) == Set(0...15))
  }
}
