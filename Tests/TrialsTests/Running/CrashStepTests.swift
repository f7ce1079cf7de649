import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// Crashes in the middle of a step of the engine's work.
@Suite struct CrashStepTests {
  private func step(_ text: String) -> CrashMoment {
    guard let moment = CrashMoment(text), moment.step != nil else { preconditionFailure("`\(text)` is no step") }
    return moment
  }

  /// What the journal says of the lives: how many requests were sent in each, and which had an engine that opened.
  private func lives(_ scratch: TrialScratch, _ spec: TrialSpec) throws -> (sent: [Int], opened: [Bool], History) {
    let history = try Journal(path: scratch.folder.journal, capacity: 0).history(of: spec)
    return (
      (0..<3).map { life in history.operations.count { $0.incarnation == life } }, history.openings.map { $0 != nil },
      history
    )
  }

  private func model(_ at: String, _ change: (inout TrialSpec) -> Void = { _ in }) throws
    -> (reply: PhaseReply, sent: [Int], opened: [Bool], history: History)
  {
    var spec = spec(messages: 60, partitions: 2, crash: .powerLoss, crashAt: step(at), storage: .memory)
    change(&spec)
    let scratch = try TrialScratch()
    let reply = try SimulatedTrial(spec, scratch.folder).run()
    let (sent, opened, history) = try lives(scratch, spec)
    return (reply, sent, opened, history)
  }

  @Test(arguments: [CrashKind.powerLoss, .processKill]) func anOpeningIsCutOff(_ crash: CrashKind) throws {
    let found = try model("open(3)") { $0.crash = crash }
    #expect(found.reply.judgement?.verdict == .held && !found.reply.crashMissed && found.reply.refusal == nil)
    // The topic was created in the second life, which has sent its own messages.
    #expect(found.sent[0] == 0 && found.sent[1] > 0 && found.opened.first == false)
    #expect(found.history.creations.map(\.incarnation) == [1, 1])
  }

  @Test(arguments: [1, 4, 9]) func aCreationIsCutOffAndMadeAgain(_ operation: Int) throws {
    let found = try model("create(\(operation))")
    #expect(found.reply.judgement?.verdict == .held && !found.reply.crashMissed)
    #expect(found.sent[0] == 0 && found.sent[1] > 0)
    #expect(found.history.creations.allSatisfy { $0.outcome == .indeterminate && $0.repeatedIn == [1] })
  }

  @Test(arguments: [CrashKind.powerLoss, .processKill], ["recover", "recover(6)"])
  func aRecoveryIsCutOff(_ crash: CrashKind, _ at: String) throws {
    let found = try model(at) { $0.crash = crash }
    #expect(found.reply.judgement?.verdict == .held && !found.reply.crashMissed && found.reply.refusal == nil)
    // All of the first life was read back before its crash. The second life has not begun to serve.
    #expect(found.sent[0] >= 12 && found.sent[1] == 0)
    #expect(found.opened.count >= 2 && found.opened[0] && !found.opened[1])
    #expect(found.history.crashes.count == 3)
  }

  @Test(arguments: ["close(2)", "close+1us"]) func aCloseIsCutOff(_ at: String) throws {
    let found = try model(at) { $0.sync = policy("interval(50ms)") }
    #expect(found.reply.judgement?.verdict == .held && !found.reply.crashMissed)
    // It was never answered in the first life.
    #expect(found.history.closings.allSatisfy { $0.incarnation > 0 } && found.history.crashes[0].kind == .powerLoss)
  }

  @Test(arguments: ["rotate", "commit(50000)", "close+60s"]) func aStepThatNeverComesIsSaid(_ at: String) throws {
    let found = try model(at)
    #expect(found.reply.crashMissed)
    var findings = TrialRunner.Findings()
    TrialRunner(executable: "/nonexistent").take(found.reply, &findings)
    #expect(findings.doubts.contains { $0.hasPrefix("the crash did not come at its point") })
  }

  /// A crash that comes before anything was answered leaves nothing to judge, and blames no fault.
  @Test func nothingAnsweredIsNoProof() throws {
    let found = try model("produce(2)")
    let check = try #require(found.reply.judgement?.checks.first { $0.name == .noUnjustifiedRejection })
    #expect(check.verdict == .unknown && check.detail.hasPrefix("the crash came before a request"), "\(check)")
  }

  @Test(arguments: ["rotate(2)", "close", "recover(4)", "close+5ms", "verify"]) func tokensHoldIt(_ at: String) throws {
    var one = spec(crash: .processKill, crashAt: step(at))
    one.scenario = "a"
    let decoded = try Token.decode(Token.encode(one))
    #expect(decoded.crashAt == one.crashAt, "\(Token.encode(one))")
  }
}
