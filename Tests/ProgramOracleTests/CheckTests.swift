import ProgramOracle
import Testing
import Verification

/// Each check has a reading that breaks it, and the nearest one that does not.
struct CheckTests {
  // MARK: Histories

  /// Requests one after the other, each answered before the next is sent. Places are even for sending, odd for answers.
  private static func told(_ calls: [(ProgramCall, ProgramOutcome)], crashes: [Int] = []) -> ProgramHistory {
    var history = ProgramHistory()
    for (index, (call, outcome)) in calls.enumerated() {
      if crashes.contains(index) { history.crash(at: index * 2) }
      history.add(
        ProgramRequest(
          call, submitted: index * 2, answered: index * 2 + 1, answeredTime: Int64(index) * 1000, outcome: outcome))
    }
    return history
  }

  private static func append(_ value: String, _ outcome: ProgramOutcome = .acknowledged()) -> (
    ProgramCall, ProgramOutcome
  ) { (.append(log: "a", value: value), outcome) }

  private static func write(_ writes: (String, String?)..., outcome: ProgramOutcome = .acknowledged()) -> (
    ProgramCall, ProgramOutcome
  ) { (.write(writes.map { MapWrite($0.0, $0.1) }), outcome) }

  private static func take(_ value: String?) -> (ProgramCall, ProgramOutcome) {
    (.take(log: "a"), .acknowledged(taken: value))
  }

  private static let flush: (ProgramCall, ProgramOutcome) = (.flush, .acknowledged())

  // MARK: Readings

  private static func log(_ values: String..., at positions: [Int] = []) -> ProgramReadback {
    var readback = ProgramReadback()
    readback.logs["a"] = values.enumerated().map { index, value in
      ReadItem(position: index < positions.count ? positions[index] : nil, value)
    }
    return readback
  }

  private static func map(_ map: [String: String]) -> ProgramReadback {
    var readback = ProgramReadback()
    readback.map = map
    return readback
  }

  private static func failure(_ failure: ProgramReadback.Failure) -> ProgramReadback {
    var readback = ProgramReadback()
    readback.failure = failure
    return readback
  }

  private static func checked(_ complaint: String?) -> ProgramReadback {
    var readback = log("r:1")
    readback.check = complaint
    return readback
  }

  // MARK: Cases

  struct Case: Sendable, CustomTestStringConvertible {
    var check: ProgramCheck
    var contract: ProgramContract
    var history: ProgramHistory
    var broken: ProgramReadback
    var right: ProgramReadback
    var note: String
    var testDescription: String { "\(check.rawValue): \(note)" }

    init(
      _ check: ProgramCheck, _ contract: ProgramContract, _ history: ProgramHistory, broken: ProgramReadback,
      right: ProgramReadback, _ note: String
    ) {
      (self.check, self.contract, self.history) = (check, contract, history)
      (self.broken, self.right, self.note) = (broken, right, note)
    }
  }

  private static let two = told([append("r:1"), append("s:2")])
  private static let unsure = told([append("r:1"), append("s:2", .unknown)])

  private static let logCases = [
    Case(
      .noAcknowledgedLoss, ProgramContract(.log), two, broken: log("r:1"), right: log("r:1", "s:2"), "the last of a log"
    ),
    Case(
      .noAcknowledgedLoss, ProgramContract(.log), unsure, broken: log("s:2"), right: log("r:1"),
      "an acknowledged one, not one without an answer"),
    Case(
      .noAcknowledgedLoss, ProgramContract(.log, .flushed), told([append("r:1"), flush, append("s:2")]),
      broken: log(), right: log("r:1"), "what was flushed"),
    Case(
      .noAcknowledgedLoss, ProgramContract(.log, allowances: [.suffixLoss]),
      told([append("r:1"), flush, append("s:2")]), broken: log(), right: log("r:1"), "suffix-loss spares a flush"),
    Case(
      .noAcknowledgedLoss, ProgramContract(.log, .interval(.nanoseconds(1000))), two, broken: log(), right: log("r:1"),
      "what is old enough"),
    Case(
      .noGaps, ProgramContract(.log, .nothing), two, broken: log("s:2"), right: log(), "a hole"),
    Case(
      .noGaps, ProgramContract(.log, allowances: [.suffixLoss]), two, broken: log("s:2"), right: log("r:1"),
      "suffix-loss forgives no hole"),
    Case(
      .noPhantom, ProgramContract(.log), two, broken: log("r:1", "s:2", "t:3"), right: log("r:1", "s:2"),
      "what nobody wrote"),
    Case(
      .noPhantom, ProgramContract(.log), told([append("r:1"), append("s:2", .failed)]), broken: log("r:1", "s:2"),
      right: log("r:1"), "what was refused"),
    Case(
      .contentIntact, ProgramContract(.log), unsure, broken: log("r:1", "s:9"), right: log("r:1", "s:2"),
      "a record with another content"),
    Case(
      .contentIntact, ProgramContract(.log), unsure, broken: log("r:1", "s"), right: log("r:1", "s:2"),
      "a record cut short"),
    Case(
      .noDuplicates, ProgramContract(.log), two, broken: log("r:1", "s:2", "s:2"), right: log("r:1", "s:2"), "twice"),
    Case(
      .orderKept, ProgramContract(.log), two, broken: log("s:2", "r:1"), right: log("r:1", "s:2"), "the wrong way round"
    ),
    Case(
      .positionsKept, ProgramContract(.log),
      told([append("r:1", .acknowledged(position: 4)), append("s:2", .acknowledged(position: 7))]),
      broken: log("r:1", "s:2", at: [4, 6]), right: log("r:1", "s:2", at: [4, 7]), "not where it was said to be"),
    Case(
      .positionsKept, ProgramContract(.log), two, broken: log("r:1", "s:2", at: [4, 4]),
      right: log("r:1", "s:2", at: [4, 9]), "positions grow, and may have gaps"),
  ]

  private static let mapCases = [
    Case(
      .noAcknowledgedLoss, ProgramContract(.map), told([write(("k", "r:1")), write(("k", "s:2"))]),
      broken: map(["k": "r:1"]), right: map(["k": "s:2"]), "an older value"),
    Case(
      .noAcknowledgedLoss, ProgramContract(.map), told([write(("k", "r:1")), write(("k", "s:2"), outcome: .unknown)]),
      broken: map([:]), right: map(["k": "s:2"]), "neither the last value nor that of a later write without an answer"),
    Case(
      .noPhantom, ProgramContract(.map), told([write(("k", "r:1")), write(("k", "s:2"), outcome: .failed)]),
      broken: map(["k": "s:2"]), right: map(["k": "r:1"]), "a refused value"),
    Case(
      .contentIntact, ProgramContract(.map), told([write(("k", "r:1"))]), broken: map(["k": "r:7"]),
      right: map(["k": "r:1"]), "another content"),
    Case(
      .noPhantom, ProgramContract(.map), told([write(("k", "r:1"))]), broken: map(["k": "r:1", "l": "r:1"]),
      right: map(["k": "r:1"]), "a key that nobody wrote"),
    Case(
      .noResurrection, ProgramContract(.map), told([write(("k", "r:1")), write(("k", nil))]),
      broken: map(["k": "r:1"]), right: map([:]), "a deleted key"),
    Case(
      .transactionsWhole, ProgramContract(.transactions),
      told([write(("k", "r:1"), ("l", "s:1")), write(("k", "r:2"), ("l", "s:2"), outcome: .unknown)]),
      broken: map(["k": "r:2", "l": "s:1"]), right: map(["k": "r:2", "l": "s:2"]), "half of a transaction"),
    Case(
      .transactionsWhole, ProgramContract(.map, .nothing), told([write(("k", "r:1")), write(("l", "s:2"))]),
      broken: map(["l": "s:2"]), right: map(["k": "r:1"]), "a loss before what is there"),
    Case(
      .transactionsWhole, ProgramContract(.transactions), told([write(("k", "r:1"), ("k", "s:2"))]),
      broken: map(["k": "r:1"]), right: map(["k": "s:2"]), "the first of two writes to a key in one transaction"),
  ]

  private static let queueCases = [
    Case(
      .noResurrection, ProgramContract(.queue), told([append("r:1"), append("s:2"), take("r:1")]),
      broken: log("r:1", "s:2"), right: log("s:2"), "an item that was taken"),
    Case(
      .noAcknowledgedLoss, ProgramContract(.queue), told([append("r:1"), append("s:2"), (.take(log: "a"), .unknown)]),
      broken: log("r:1"), right: log("s:2"), "an open take takes the first"),
    Case(
      .noAcknowledgedLoss, ProgramContract(.queue), told([append("r:1"), append("s:2"), (.take(log: "a"), .unknown)]),
      broken: log(), right: log("r:1", "s:2"), "an open take takes one"),
    Case(
      .noAcknowledgedLoss, ProgramContract(.queue), told([append("r:1"), take(nil), append("s:2")]),
      broken: log("r:1"), right: log("r:1", "s:2"), "a take of nothing takes nothing"),
    Case(
      .noResurrection, ProgramContract(.queue, .nothing), told([append("r:1"), take("r:1"), append("s:2")]),
      broken: log("r:1", "s:2"), right: log("r:1"), "a lost take, and what came after it"),
  ]

  private static let otherCases = [
    Case(
      .opens, ProgramContract(.log), two, broken: failure(.refused("no")), right: log("r:1", "s:2"), "a refusal"),
    Case(
      .opens, ProgramContract(.log), two, broken: failure(.died("signal 7", request: "open")),
      right: log("r:1", "s:2"), "a death in open"),
    Case(
      .reads, ProgramContract(.log), two, broken: failure(.died("signal 7", request: "scan")),
      right: log("r:1", "s:2"), "a death in scan"),
    Case(
      .reads, ProgramContract(.log), two, broken: failure(.unreadable("bad page", request: "scan")),
      right: log("r:1", "s:2"), "a scan that fails"),
    Case(
      .opensInTime, ProgramContract(.log), two, broken: failure(.hung(request: "open")), right: log("r:1", "s:2"),
      "no answer"),
    Case(
      .ownCheckAgrees, ProgramContract(.log), told([append("r:1")]), broken: checked("page 3"), right: checked(""),
      "a complaint"),
  ]

  static let cases = logCases + mapCases + queueCases + otherCases

  @Test(arguments: cases) func eachCheckTellsWrongFromRight(_ example: Case) {
    let judge = ProgramJudge(example.contract)
    let cut = example.history.cut(at: .max)
    let found = judge.judge(example.broken, cut)
    #expect(found.map(\.check) == [example.check], "\(found)")
    #expect(found.allSatisfy { $0.verdict == .violated && !$0.detail.isEmpty })
    #expect(judge.judge(example.right, cut) == [])
  }

  @Test func everyCheckHasACase() {
    #expect(Set(Self.cases.map(\.check)) == Set(ProgramCheck.allCases))
  }

  @Test func aDriversFailureIsUnknown() {
    let results = ProgramJudge(ProgramContract(.log)).judge(Self.failure(.driver("no python")), Self.two.cut(at: .max))
    #expect(results.map(\.verdict) == [.unknown])
  }

  // MARK: Allowances

  struct Forgiven: Sendable, CustomTestStringConvertible {
    var allowance: ProgramAllowance
    var model: ProgramModel
    var history: ProgramHistory
    var readback: ProgramReadback
    var testDescription: String { allowance.rawValue }
  }

  static let forgiven = [
    Forgiven(allowance: .suffixLoss, model: .log, history: two, readback: log("r:1")),
    Forgiven(
      allowance: .suffixLoss, model: .map, history: told([write(("k", "r:1")), write(("k", "s:2"))]),
      readback: map(["k": "r:1"])),
    Forgiven(allowance: .holeLoss, model: .log, history: two, readback: log("s:2")),
    Forgiven(
      allowance: .redelivery, model: .queue, history: told([append("r:1"), append("s:2"), take("r:1")]),
      readback: log("s:2", "r:1")),
    Forgiven(allowance: .duplicates, model: .log, history: two, readback: log("r:1", "s:2", "r:1")),
    Forgiven(allowance: .failedCheck, model: .log, history: told([append("r:1")]), readback: checked("page 3")),
    Forgiven(allowance: .refusal, model: .log, history: two, readback: failure(.refused("no"))),
  ]

  /// What an allowance forgives is a violation without it, and with any other.
  @Test(arguments: forgiven) func anAllowanceForgivesWhatItSays(_ example: Forgiven) {
    let cut = example.history.cut(at: .max)
    func isForgiven(_ allowances: Set<ProgramAllowance>) -> Bool {
      ProgramJudge(ProgramContract(example.model, allowances: allowances)).judge(example.readback, cut).isEmpty
    }
    #expect(!isForgiven([]))
    for allowance in ProgramAllowance.allCases {
      // Who may lose any of the last may lose all of them.
      let isCovered = allowance == .holeLoss && example.allowance == .suffixLoss
      #expect(isForgiven([allowance]) == (allowance == example.allowance || isCovered), "\(allowance)")
    }
    // All of them forgive neither a stranger nor a death.
    let all = ProgramJudge(ProgramContract(.log, allowances: Set(ProgramAllowance.allCases)))
    #expect(all.judge(Self.log("r:1", "s:2", "t:3"), Self.two.cut(at: .max)).map(\.check) == [.noPhantom])
    #expect(all.judge(Self.failure(.died("signal 7", request: "open")), cut).map(\.check) == [.opens])
  }

  // MARK: Crashes and readings

  /// What was in flight at a crash does not happen after it: what was written then stays.
  @Test func nothingHappensAfterACrash() {
    var history = ProgramHistory()
    history.add(ProgramRequest(.write([MapWrite("k", "r:1")]), submitted: 0, answered: nil, outcome: .unknown))
    history.crash(at: 4)
    history.add(ProgramRequest(.write([MapWrite("k", "s:2")]), submitted: 4, answered: 5, outcome: .acknowledged()))
    let judge = ProgramJudge(ProgramContract(.map))
    #expect(!judge.judge(Self.map(["k": "r:1"]), history.cut(at: .max)).isEmpty)
    #expect(judge.judge(Self.map(["k": "s:2"]), history.cut(at: .max)).isEmpty)
    var appends = ProgramHistory()
    appends.add(ProgramRequest(.append(log: "a", value: "r:1"), submitted: 0, answered: nil, outcome: .unknown))
    appends.crash(at: 4)
    appends.add(
      ProgramRequest(.append(log: "a", value: "s:2"), submitted: 4, answered: 5, outcome: .acknowledged()))
    let log = ProgramJudge(ProgramContract(.log))
    #expect(log.judge(Self.log("s:2", "r:1"), appends.cut(at: .max)).map(\.check) == [.orderKept])
    #expect(log.judge(Self.log("r:1", "s:2"), appends.cut(at: .max)).isEmpty)
  }

  /// Each crash may take the last writes: what came after it stands behind what was left.
  @Test(arguments: [ProgramPromise.flushed, .nothing, .interval(.seconds(1))])
  func eachCrashMayTakeTheLast(_ promise: ProgramPromise) {
    let history = Self.told([Self.append("r:1"), Self.append("s:2"), Self.append("t:3")], crashes: [2])
    let judge = ProgramJudge(ProgramContract(.log, promise))
    #expect(judge.judge(Self.log("r:1", "t:3"), history.cut(at: .max)).isEmpty)
    #expect(judge.judge(Self.log("s:2", "t:3"), history.cut(at: .max)).map(\.check) == [.noGaps])
    let writes = Self.told(
      [Self.write(("k", "r:1")), Self.write(("l", "s:2")), Self.write(("m", "t:3"))], crashes: [2])
    let map = ProgramJudge(ProgramContract(.map, promise))
    #expect(map.judge(Self.map(["k": "r:1", "m": "t:3"]), writes.cut(at: .max)).isEmpty)
    #expect(!map.judge(Self.map(["l": "s:2", "m": "t:3"]), writes.cut(at: .max)).isEmpty)
  }

  /// What a reading after a crash did not show must not come later, but for a cut before that reading.
  @Test func whatAReadingDidNotShowStaysAway() {
    var history = Self.told([Self.append("r:1"), Self.append("s:2", .unknown)])
    history.crash(at: 10)
    history.settle(Self.log("r:1"), at: 12)
    let judge = ProgramJudge(ProgramContract(.log))
    #expect(judge.judge(Self.log("r:1", "s:2"), history.cut(at: .max)).map(\.check) == [.noPhantom])
    #expect(judge.judge(Self.log("r:1", "s:2"), history.cut(at: 12)).isEmpty)
    #expect(judge.judge(Self.log("r:1"), history.cut(at: .max)).isEmpty)

    var writes = Self.told([Self.write(("k", "r:1")), Self.write(("k", "s:2"), outcome: .unknown)])
    writes.crash(at: 10)
    writes.settle(Self.map(["k": "r:1"]), at: 12)
    let map = ProgramJudge(ProgramContract(.map))
    #expect(map.judge(Self.map(["k": "s:2"]), writes.cut(at: .max)).map(\.check) == [.noResurrection])
    #expect(map.judge(Self.map(["k": "s:2"]), writes.cut(at: 12)).isEmpty)
  }

  /// What a crash may have taken, and a reading has shown, is covered by a flush after it.
  @Test func aFlushCoversWhatAReadingShowed() {
    var history = Self.told([Self.append("r:1")])
    history.crash(at: 10)
    history.settle(Self.log("r:1"), at: 12)
    history.add(ProgramRequest(.flush, submitted: 14, answered: 15, outcome: .acknowledged()))
    let judge = ProgramJudge(ProgramContract(.log, .flushed))
    #expect(judge.judge(Self.log(), history.cut(at: .max)).map(\.check) == [.noAcknowledgedLoss])
    #expect(judge.judge(Self.log(), history.cut(at: 15)).isEmpty)
  }

  /// A queue that was read by taking is empty then.
  @Test func whatWasReadByTakingIsTaken() {
    var history = Self.told([Self.append("r:1")])
    history.crash(at: 10)
    var drained = Self.log("r:1")
    drained.isDrained = true
    history.settle(drained, at: 12)
    let judge = ProgramJudge(ProgramContract(.queue))
    #expect(judge.judge(Self.log(), history.cut(at: .max)).isEmpty)
    #expect(judge.judge(Self.log("r:1"), history.cut(at: .max)).map(\.check) == [.noResurrection])
  }

  @Test func positionsOfARecordThatIsThereTwice() {
    let history = Self.told([Self.append("r:1", .acknowledged(position: 2))])
    let judge = ProgramJudge(ProgramContract(.log, allowances: [.duplicates]))
    #expect(judge.judge(Self.log("r:1", "r:1", at: [0, 2]), history.cut(at: .max)).isEmpty)
    #expect(judge.judge(Self.log("r:1", "r:1", at: [0, 1]), history.cut(at: .max)).map(\.check) == [.positionsKept])
  }

  // MARK: Knowledge

  @Test func knowledgeDiffersWhereAVerdictMay() {
    var history = Self.told([Self.append("r:1"), Self.append("s:2", .unknown)])
    history.crash(at: 10)
    history.settle(Self.log("r:1"), at: 12)
    func number(_ place: Int, _ time: Int64? = nil, _ promise: ProgramPromise = .acknowledged) -> UInt64 {
      history.knowledge(at: place, time: time, promise)
    }
    #expect(number(0) != number(1))
    #expect(number(1) != number(2))
    #expect(number(2) != number(3))
    // An answer that says nothing, and nothing at all.
    #expect(number(3) == number(4))
    #expect(number(4) == number(10))
    #expect(number(10) != number(11))
    #expect(number(12) != number(13))
    // Time tells only under a promise that knows it, and only where something gets old enough.
    #expect(number(5, 100) == number(5, 9000))
    let promise = ProgramPromise.interval(.nanoseconds(500))
    #expect(number(5, 100, promise) == number(5, 499, promise))
    #expect(number(5, 499, promise) != number(5, 500, promise))
  }

  // MARK: Promises

  @Test(arguments: ["acknowledged", "flushed", "nothing", "interval(1s)", "interval(100ms)", "interval(7us)"])
  func promisesAreReadAsTheyArePrinted(_ text: String) throws {
    #expect(try #require(ProgramPromise(text)).description == text)
  }

  @Test func promisesHaveTheirShortestText() {
    #expect(ProgramPromise("interval(1000ms)")?.description == "interval(1s)")
    #expect(ProgramPromise("interval(2000us)") == .interval(.milliseconds(2)))
  }

  @Test(
    arguments: [
      "", "Acknowledged", "interval", "interval()", "interval(1)", "interval(0s)", "interval(-1s)", "interval(1m)",
      "interval(+1s)", "interval(1s", "interval(1.5s)", "interval( 1s)", "nothing ",
    ])
  func otherPromisesAreNone(_ text: String) { #expect(ProgramPromise(text) == nil) }
}
