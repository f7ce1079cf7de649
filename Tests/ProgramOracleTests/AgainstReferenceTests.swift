import Foundation
import LogModel
import ProgramOracle
import Testing
import Verification

/// The judge against a reference that tries everything.
struct AgainstReferenceTests {
  private static let promises: [ProgramPromise] = [.acknowledged, .flushed, .interval(.nanoseconds(60)), .nothing]

  private static let contracts: [ProgramContract] = ProgramModel.allCases.flatMap { model in
    promises.flatMap { promise in
      let allowances: [Set<ProgramAllowance>] =
        [[], [.suffixLoss]] + (model == .queue ? [[.redelivery], [.redelivery, .suffixLoss]] : [[.holeLoss]])
      return allowances.map { ProgramContract(model, promise, allowances: $0) }
    }
  }

  /// What may be there after any loss, and what is damaged.
  private static func readbacks(
    _ history: RandomHistory, _ legal: [Reference.State], _ contract: ProgramContract,
    _ random: inout SeededGenerator
  ) -> [Reference.State] {
    let anything = Reference(
      history.requests, crashes: history.crashes, cut: history.cut, time: RandomHistory.time(history.cut),
      ProgramContract(contract.model, .nothing, allowances: contract.allowances)
    ).legal().sorted { "\($0)" < "\($1)" }
    var chosen = [Reference.State()]
    for _ in 0..<6 {
      if let one = legal.randomElement(using: &random) { chosen += [one, one.damaged(contract.model, &random)] }
      if let one = anything.randomElement(using: &random) { chosen += [one, one.damaged(contract.model, &random)] }
    }
    return chosen
  }

  @Test(arguments: contracts) func aVerdictIsThatOfTheReference(_ contract: ProgramContract) {
    let judge = ProgramJudge(contract)
    var random = SeededGenerator(seed: 11)
    var (held, violated) = (0, 0)
    for seed in 0..<UInt64(Settings.histories) {
      let history = RandomHistory(contract, seed: seed)
      let legal = history.reference.legal()
      // A queue can have given what came again: then the reference, which gives each item once, has no answer.
      if legal.isEmpty { continue }
      let sorted = legal.sorted { "\($0)" < "\($1)" }
      for state in Self.readbacks(history, sorted, contract, &random) {
        let results = judge.judge(state.readback, history.told(withReading: false))
        let isLegal = legal.contains(state.tidy)
        #expect(
          results.isEmpty == isLegal && !results.contains { $0.verdict == .unknown },
          "seed \(seed), \(contract)\n\(history.text)\nholds \(state)\nlegal: \(isLegal)\n\(results)")
        if results.isEmpty != isLegal { return }
        if isLegal { held += 1 } else { violated += 1 }
      }
    }
    #expect(held > Settings.histories)
    #expect(violated > Settings.histories / 2)
  }

  /// A reading after a crash makes the judge stricter, and never accuses what goes on from that reading.
  @Test(arguments: contracts) func aReadingAccusesNothingThatGoesOnFromIt(_ contract: ProgramContract) {
    let judge = ProgramJudge(contract)
    var random = SeededGenerator(seed: 12)
    for seed in 0..<UInt64(Settings.histories) {
      let history = RandomHistory(contract, seed: seed)
      guard let read = history.read, history.cut > history.crashes[0].place else { continue }
      let possible = history.reference.legal(read: read).sorted { "\($0)" < "\($1)" }
      for state in possible.shuffled(using: &random).prefix(20) {
        let results = judge.judge(state.readback, history.told(withReading: true))
        #expect(results.isEmpty, "seed \(seed), \(contract)\n\(history.text)\nholds \(state)\n\(results)")
        if !results.isEmpty { return }
      }
      for state in Self.readbacks(history, possible, contract, &random) {
        let before = judge.judge(state.readback, history.told(withReading: false))
        if before.isEmpty { continue }
        let after = judge.judge(state.readback, history.told(withReading: true))
        #expect(!after.isEmpty, "seed \(seed), \(contract)\n\(history.text)\nholds \(state)\n\(before)")
        if after.isEmpty { return }
      }
    }
  }
}

enum Settings {
  /// For each contract; TORNLOG_ORACLE_HISTORIES asks for more. Without optimisation 200 take some seconds.
  static let histories = ProcessInfo.processInfo.environment["TORNLOG_ORACLE_HISTORIES"].flatMap { Int($0) } ?? 200
  static let isVerbose = ProcessInfo.processInfo.environment["TORNLOG_ORACLE_HISTORIES"] != nil
}
