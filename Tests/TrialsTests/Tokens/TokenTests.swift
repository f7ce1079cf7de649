import LogModel
import ScenarioFormat
import Testing
import Verification

@testable import Trials

@Suite struct TokenTests {
  private func token(batch: Int, size: Int, fault: String = "") -> String {
    "t1.sc=a.m=10.p=1.s=always.r=skip-corrupted.c=none.at=end.d=none.b=\(batch).n=1.z=\(size).a=0.t=orders.seed=1"
      + ".st=memory\(fault)"
  }

  /// Finding 11: 20 MiB in one batch passed, trapped in the engine's configuration, and the engine was blamed.
  @Test func `a batch that the engine does not take is no token`() throws {
    #expect(throws: Token.Failure.batchTooLarge(bytes: 20_160_072, limit: (16 << 20) - 4096)) {
      try Token.decode(token(batch: 20_000, size: 1000))
    }
    let problem = { () throws(InvalidScenarios) -> Scenario in
      try ScenarioParser.parse(
        "name: a\ntitle: t\nmatrix: { messages: 10, batch: [10, 20000] }", file: "a.yaml",
        vocabulary: TrialPlanner.vocabulary)
    }
    do throws(InvalidScenarios) {
      _ = try problem()
      Issue.record("no mistake was found")
    } catch {
      #expect(
        error.description.hasPrefix(
          "a.yaml:3:37: a batch of 20000 messages of 1000 bytes has 20160072 bytes; the engine takes 16773120"))
    }
  }

  /// What the limit lets pass the engine takes: the largest batch there is, sent, recovered and judged.
  @Test func `the largest batch is sent and recovered`() throws {
    let limit = TrialPlanner.batchLimit
    let size = (limit.bytes - limit.overhead) / 16 - limit.messageOverhead
    #expect(limit.allows(messages: 16, of: size) && !limit.allows(messages: 16, of: size + 1))
    var decoded = try Token.decode(token(batch: 16, size: size))
    decoded.messages = 16
    let scratch = try TrialScratch()
    let reply = try SimulatedTrial(decoded, scratch.folder).run()
    #expect(reply.judgement?.verdict == .held, "\(reply)")
    #expect(reply.judgement?.counts.acknowledged == 16)
  }

  /// Whatever a scenario may say, its token can be read.
  @Test func `a token carries what a scenario may ask for`() throws {
    for (batch, size) in [(500_000, 24), (1, 2_000_000)] {
      let spec = try Token.decode(token(batch: batch, size: size))
      #expect(try Token.decode(Token.encode(spec)) == spec)
    }
  }

  @Test func `a fault that there is not is a mistake in the token`() throws {
    #expect(throws: Token.Failure.unknownFault("meteor", known: TrialPlanner.vocabulary.faults.map(\.kind))) {
      try Token.decode(token(batch: 1, size: 100, fault: ".f=meteor/at-rest"))
    }
    #expect(throws: Token.Failure.badField("f=bit-flip/colour-red")) {
      try Token.decode(token(batch: 1, size: 100, fault: ".f=bit-flip/colour-red"))
    }
    #expect(try Token.decode(token(batch: 1, size: 100, fault: ".f=bit-flip/at-rest/target-padding")).faults.count == 1)
  }
}

@Suite struct TokenTextTests {
  @Test(arguments: ["orders.v2", "a/b", "a=b", "100%", "ü ☃", "\u{1B}[2J", "'\"$`\\", "a-b_c+d,e"])
  func everyCharacterCrosses(text: String) {
    let escaped = TokenText.escape(text)
    #expect(TokenText.unescape(escaped) == text)
    #expect(escaped.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_+,%".contains($0)) })
  }

  @Test(arguments: ["a.b", "a%", "a%2", "a%zz", "a%2e", "a%41", "%FF", "ü", "a b"])
  func whatIsNotMadeByItIsRefused(text: String) { #expect(TokenText.unescape(text) == nil) }

  /// The same sum as `crc32` of zlib: of "123456789" it is cbf43926.
  @Test func theCheckSumIsTheOneThatIsNamed() {
    #expect(TokenSeal(field: "h").sealed("123456789") == "123456789.h=cbf43926")
  }

  @Test func aFieldsNameIsThereOnce() {
    let names = TokenField.all.map(\.name) + ["f", Token.seal.field]
    #expect(Set(names).count == names.count)
  }
}
