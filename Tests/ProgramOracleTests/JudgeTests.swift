import LogModel
import ProgramOracle
import Testing
import Verification

/// The judge against the definition, on random histories.
@Suite struct JudgeTests {
  private static let contracts: [(ProgramPromise, Set<ProgramAllowance>)] = [
    (.acknowledged, []), (.flushed, []), (.nothing, []), (.acknowledged, [.suffixLoss]),
  ]

  /// A few calls, one after the other or at the same time, some without an answer or refused.
  private func requests(_ random: inout SeededGenerator, _ call: (Int, inout SeededGenerator) -> ProgramCall)
    -> [ProgramRequest]
  {
    let isSequential = Bool.random(using: &random)
    var requests: [ProgramRequest] = []
    var clock = 0
    for number in 0..<Int.random(in: 1...5, using: &random) {
      clock += 1
      let submitted = isSequential ? clock : Int.random(in: 1...12, using: &random) * 2
      let length = isSequential ? 1 : Int.random(in: 1...5, using: &random) * 2 - 1
      clock += 1
      let isFlush = Int.random(in: 0..<6, using: &random) == 0
      let made: ProgramCall = isFlush ? .flush : call(number, &random)
      let dice = Int.random(in: 0..<10, using: &random)
      let outcome: ProgramOutcome = dice < 7 ? .acknowledged() : dice < 8 ? .failed : .unknown
      let answered = outcome == .unknown && Bool.random(using: &random) ? nil : submitted + length
      requests.append(ProgramRequest(made, submitted: submitted, answered: answered, outcome: outcome))
    }
    return requests.sorted { $0.submitted < $1.submitted }
  }

  private func history(_ requests: [ProgramRequest]) -> ProgramHistory {
    var history = ProgramHistory()
    for request in requests { history.add(request) }
    return history
  }

  private func isViolated(_ results: [ProgramCheckResult]) -> Bool { results.contains { $0.verdict == .violated } }

  @Test(arguments: contracts.indices, [1, 3]) func mapsAreJudgedAsDefined(_ contract: Int, _ writes: Int) {
    var random = SeededGenerator(seed: UInt64(contract * 10 + writes), stream: "maps")
    let (promise, allowances) = Self.contracts[contract]
    let held = ProgramContract(writes == 1 ? .map : .transactions, promise, allowances: allowances)
    var (legal, illegal) = (0, 0)
    for _ in 0..<600 {
      let asked = requests(&random) { number, random in
        .write(
          (0..<Int.random(in: 1...writes, using: &random)).map { part in
            MapWrite(
              ["x", "y", "z"][part],
              Int.random(in: 0..<5, using: &random) == 0 ? nil : "v\(number)-\(part):abc")
          })
      }
      let cut = Int.random(in: 0...16, using: &random)
      let maps = Reference(asked, at: cut, held).maps
      let all: [MapWrite] = asked.flatMap { request -> [MapWrite] in
        if case .write(let writes) = request.call { writes } else { [] }
      }
      for _ in 0..<6 {
        var found = maps.randomElement(using: &random)!
        for _ in 0..<Int.random(in: 0...2, using: &random) {
          let key = ["x", "y", "z"].randomElement(using: &random)!
          found[key] = Bool.random(using: &random) ? nil : all.randomElement(using: &random)?.value
        }
        var readback = ProgramReadback()
        readback.map = found
        let results = ProgramJudge(held).judge(readback, history(asked).cut(at: cut))
        let isLegal = maps.contains(found)
        if isLegal { legal += 1 } else { illegal += 1 }
        #expect(
          isViolated(results) == !isLegal, "\(asked) at \(cut): \(found), \(results), legal: \(maps)")
        if isViolated(results) == isLegal { return }
      }
    }
    #expect(legal > 300 && illegal > 300)
  }

  @Test(arguments: contracts.indices) func logsAreJudgedAsDefined(_ contract: Int) {
    var random = SeededGenerator(seed: UInt64(contract), stream: "logs")
    let (promise, allowances) = Self.contracts[contract]
    let held = ProgramContract(.log, promise, allowances: allowances)
    var (legal, illegal) = (0, 0)
    for _ in 0..<1500 {
      let asked = requests(&random) { number, _ in .append(log: "a", value: "v\(number):abc") }
      let cut = Int.random(in: 0...16, using: &random)
      let logs = Reference(asked, at: cut, held).logs
      for _ in 0..<6 {
        var found = logs.randomElement(using: &random)!
        damage(&found, &random)
        var readback = ProgramReadback()
        readback.logs = ["a": found.map { ReadItem($0) }]
        let results = ProgramJudge(held).judge(readback, history(asked).cut(at: cut))
        let isLegal = logs.contains(found)
        if isLegal { legal += 1 } else { illegal += 1 }
        #expect(isViolated(results) == !isLegal, "\(asked) at \(cut): \(found), \(results), legal: \(logs)")
        if isViolated(results) == isLegal { return }
      }
    }
    #expect(legal > 300 && illegal > 300)
  }

  private func damage(_ found: inout [String], _ random: inout SeededGenerator) {
    switch Int.random(in: 0..<7, using: &random) {
    case 0: if !found.isEmpty { found.remove(at: Int.random(in: found.indices, using: &random)) }
    case 1: if let one = found.randomElement(using: &random) { found.append(one) }
    case 2: if found.count > 1 { found.swapAt(0, Int.random(in: 1..<found.count, using: &random)) }
    case 3: found.insert("v\(Int.random(in: 0..<7, using: &random)):abc", at: 0)
    case 4: if !found.isEmpty { found[0] = "v0:a" }
    default: break
    }
  }

  /// Queues whose callers waited for each answer.
  @Test func queuesAreJudgedAsDefined() {
    var random = SeededGenerator(seed: 5, stream: "queues")
    let held = ProgramContract(.queue)
    var (legal, illegal) = (0, 0)
    for _ in 0..<3000 {
      var asked: [ProgramRequest] = []
      var queue: [String] = []
      for number in 0..<Int.random(in: 1...7, using: &random) {
        let isLast = Int.random(in: 0..<4, using: &random) == 0
        var request = ProgramRequest(
          .append(log: "a", value: "v\(number):abc"), submitted: number * 2, answered: isLast ? nil : number * 2 + 1,
          outcome: isLast ? .unknown : .acknowledged())
        if Int.random(in: 0..<5, using: &random) < 2 {
          request.call = .take(log: "a")
          if !isLast { request.outcome = .acknowledged(taken: queue.isEmpty ? nil : queue.removeFirst()) }
        } else {
          queue.append("v\(number):abc")
        }
        asked.append(request)
        if isLast { break }
      }
      let cut = Int.random(in: 0...15, using: &random)
      let queues = Reference(asked, at: cut, held).queues
      for _ in 0..<6 {
        var found = queues.randomElement(using: &random)!
        damage(&found, &random)
        var readback = ProgramReadback()
        readback.logs = ["a": found.map { ReadItem($0) }]
        let results = ProgramJudge(held).judge(readback, history(asked).cut(at: cut))
        let isLegal = queues.contains(found)
        if isLegal { legal += 1 } else { illegal += 1 }
        #expect(isViolated(results) == !isLegal, "\(asked) at \(cut): \(found), \(results), legal: \(queues)")
        if isViolated(results) == isLegal { return }
      }
    }
    #expect(legal > 300 && illegal > 300)
  }

  // MARK: By name

  private func names(_ results: [ProgramCheckResult]) -> [ProgramCheck] { results.map(\.check) }

  private func judge(
    _ calls: [(ProgramCall, ProgramOutcome)], _ readback: ProgramReadback, _ contract: ProgramContract
  ) -> [ProgramCheck] {
    var history = ProgramHistory()
    for (number, (call, outcome)) in calls.enumerated() {
      history.add(ProgramRequest(call, submitted: number * 2, answered: number * 2 + 1, outcome: outcome))
    }
    return names(ProgramJudge(contract).judge(readback, history.cut(at: 1000)))
  }

  private func log(_ values: [String], positions: [Int?] = []) -> ProgramReadback {
    var readback = ProgramReadback()
    readback.logs = [
      "a": values.enumerated().map { ReadItem(position: positions.isEmpty ? nil : positions[$0], $1) }
    ]
    return readback
  }

  private func appends(_ count: Int) -> [(ProgramCall, ProgramOutcome)] {
    (0..<count).map { (.append(log: "a", value: "v\($0):abc"), .acknowledged(position: $0 * 10)) }
  }

  @Test func logsHaveTheirChecks() {
    let contract = ProgramContract(.log)
    let all = (0..<3).map { "v\($0):abc" }
    #expect(judge(appends(3), log(all, positions: [0, 10, 20]), contract) == [])
    #expect(judge(appends(3), log(Array(all.dropLast())), contract) == [.noAcknowledgedLoss])
    #expect(judge(appends(3), log(all + ["v1:abc"]), contract) == [.noDuplicates])
    #expect(judge(appends(3), log([all[1], all[0], all[2]]), contract) == [.orderKept])
    #expect(judge(appends(3), log(all, positions: [0, 11, 20]), contract) == [.positionsKept])
    #expect(judge(appends(3), log(all, positions: [nil, nil, nil]), contract) == [])
    #expect(judge(appends(3), log(all + ["w9:new"]), contract) == [.noPhantom])
    #expect(judge(appends(3), log([all[0], all[1], "v2:ab"]), contract) == [.contentIntact, .noAcknowledgedLoss])
    let weak = ProgramContract(.log, .nothing)
    #expect(judge(appends(3), log(Array(all.dropLast())), weak) == [])
    #expect(judge(appends(3), log([all[0], all[2]]), weak) == [.noGaps])
    let refused = appends(2) + [(.append(log: "a", value: "v2:abc"), .failed)]
    #expect(judge(refused, log(all), contract) == [.noPhantom])
    #expect(judge(appends(3), log(all + [all[0]]), ProgramContract(.log, allowances: [.duplicates])) == [])
  }

  @Test func mapsHaveTheirChecks() {
    let contract = ProgramContract(.transactions)
    func map(_ map: [String: String]) -> ProgramReadback {
      var readback = ProgramReadback()
      readback.map = map
      return readback
    }
    let calls: [(ProgramCall, ProgramOutcome)] = [
      (.write([MapWrite("x", "v0:a"), MapWrite("y", "v1:a")]), .acknowledged()),
      (.write([MapWrite("z", "v2:a")]), .acknowledged()), (.write([MapWrite("z", nil)]), .acknowledged()),
      (.write([MapWrite("x", "v3:a"), MapWrite("y", "v4:a")]), .unknown),
    ]
    #expect(judge(calls, map(["x": "v0:a", "y": "v1:a"]), contract) == [])
    #expect(judge(calls, map(["x": "v3:a", "y": "v4:a"]), contract) == [])
    #expect(judge(calls, map(["x": "v3:a", "y": "v1:a"]), contract) == [.transactionsWhole])
    #expect(judge(calls, map(["x": "v0:a"]), contract) == [.noAcknowledgedLoss])
    #expect(judge(calls, map(["x": "v0:a", "y": "v1:a", "z": "v2:a"]), contract) == [.noResurrection])
    #expect(judge(calls, map(["x": "v0:a", "y": "v1:a", "q": "w:a"]), contract) == [.noPhantom])
    #expect(judge(calls, map(["x": "v0:a", "y": "v1:b"]), contract) == [.contentIntact])
  }

  @Test func failuresHaveTheirChecks() {
    func result(_ failure: ProgramReadback.Failure, _ allowances: Set<ProgramAllowance> = []) -> [ProgramCheckResult] {
      var readback = ProgramReadback()
      readback.failure = failure
      let contract = ProgramContract(.log, allowances: allowances)
      return ProgramJudge(contract).judge(readback, ProgramHistory().cut(at: 0))
    }
    #expect(names(result(.refused("no"))) == [.opens] && result(.refused("no"), [.refusal]).isEmpty)
    #expect(names(result(.died("signal 11", request: "open"))) == [.opens])
    #expect(names(result(.died("signal 11", request: "scan"))) == [.reads])
    #expect(names(result(.hung(request: "open"))) == [.opensInTime])
    #expect(names(result(.unreadable("damaged", request: "scan"))) == [.reads])
    #expect(result(.driver("no table")).map(\.verdict) == [.unknown])
    var complaint = ProgramReadback()
    complaint.check = "page 3 is damaged"
    let strict = ProgramJudge(ProgramContract(.map)).judge(complaint, ProgramHistory().cut(at: 0))
    #expect(names(strict) == [.ownCheckAgrees])
    let lenient = ProgramContract(.map, allowances: [.failedCheck])
    #expect(ProgramJudge(lenient).judge(complaint, ProgramHistory().cut(at: 0)).isEmpty)
  }

  /// What was not there after a crash does not come later, and what was taken stays away.
  @Test func whatIsSettledStaysSo() {
    var history = ProgramHistory()
    history.add(ProgramRequest(.append(log: "a", value: "v0:a"), submitted: 0, answered: nil, outcome: .unknown))
    history.crash(at: 1)
    history.settle(log([]))
    history.add(ProgramRequest(.append(log: "a", value: "v1:a"), submitted: 2, answered: 3, outcome: .acknowledged()))
    let judge = ProgramJudge(ProgramContract(.log))
    #expect(names(judge.judge(log(["v0:a", "v1:a"]), history.cut(at: 10))) == [.noPhantom])
    #expect(judge.judge(log(["v1:a"]), history.cut(at: 10)).isEmpty)
  }

  /// An interval promises what is older than it.
  @Test func anIntervalPromisesWhatIsOlder() {
    var history = ProgramHistory()
    for number in 0..<3 {
      history.add(
        ProgramRequest(
          .append(log: "a", value: "v\(number):a"), submitted: number * 2, answered: number * 2 + 1,
          answeredTime: Int64(number) * 1_000_000_000, outcome: .acknowledged()))
    }
    let judge = ProgramJudge(ProgramContract(.log, .interval(.seconds(1))))
    let cut = history.cut(at: 10, time: 2_000_000_000)
    #expect(judge.judge(log(["v0:a", "v1:a"]), cut).isEmpty)
    #expect(names(judge.judge(log(["v0:a"]), cut)) == [.noAcknowledgedLoss])
  }

  @Test(arguments: ["acknowledged", "flushed", "nothing", "interval(1s)", "interval(100ms)", "interval(20us)"])
  func promisesAreReadAndPrinted(_ text: String) { #expect(ProgramPromise(text)?.description == text) }

  @Test(arguments: ["", "always", "interval()", "interval(0s)", "interval(-1s)", "interval(1)", "interval(1m)"])
  func noOtherPromiseIsRead(_ text: String) { #expect(ProgramPromise(text) == nil) }
}
