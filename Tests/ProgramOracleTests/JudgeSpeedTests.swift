import ProgramOracle
import Testing

/// The judge is asked thousands of times: of a thousand requests a call costs a millisecond or so.
struct JudgeSpeedTests {
  private static func history(_ model: ProgramModel, _ requests: Int) -> (ProgramHistory, ProgramReadback) {
    var (history, readback) = (ProgramHistory(), ProgramReadback())
    var items: [ReadItem] = []
    for number in 0..<requests {
      var outcome = ProgramOutcome.acknowledged()
      let call: ProgramCall
      let value = "v\(number):" + String(repeating: "x", count: 300)
      switch model {
      case .log:
        call = .append(log: "a", value: value)
        items.append(ReadItem(value))
      case .queue where number % 3 == 2:
        call = .take(log: "a")
        outcome = .acknowledged(taken: items.removeFirst().value)
      case .queue:
        call = .append(log: "a", value: value)
        items.append(ReadItem(value))
      case .map:
        call = .write([MapWrite("k\(number % 24)", value)])
        readback.map["k\(number % 24)"] = value
      case .transactions:
        call = .write((0..<3).map { MapWrite("k\((number + $0) % 24)", value) })
        for part in 0..<3 { readback.map["k\((number + part) % 24)"] = value }
      }
      history.add(ProgramRequest(call, submitted: number * 2, answered: number * 2 + 1, outcome: outcome))
    }
    if !items.isEmpty { readback.logs["a"] = items }
    return (history, readback)
  }

  @Test(arguments: ProgramModel.allCases, [ProgramPromise.acknowledged, .nothing])
  func aThousandRequestsAreJudgedFast(_ model: ProgramModel, _ promise: ProgramPromise) {
    let (history, right) = Self.history(model, 1000)
    var wrong = right
    // The last but one is gone; of a map, what the first write left is there.
    if let items = wrong.logs["a"] { wrong.logs["a"] = items.dropLast(2) + items.suffix(1) }
    if !wrong.map.isEmpty { wrong.map["k0"] = "v0:" + String(repeating: "x", count: 300) }
    let judge = ProgramJudge(ProgramContract(model, promise))
    let clock = ContinuousClock()
    for (readback, isRight) in [(right, true), (wrong, false)] {
      var results: [ProgramCheckResult] = []
      let spent = (0..<5).map { _ in
        clock.measure { results = judge.judge(readback, history.cut(at: .max)) }
      }.min()!
      #expect(results.isEmpty == isRight)
      #expect(spent < .milliseconds(200), "\(model), \(promise), right: \(isRight): \(spent)")
      if Settings.isVerbose { print(model, promise, isRight, spent) }
    }
  }
}
