import Foundation
import LogModel
import ScenarioFormat
import Storage
import Testing

@testable import Trials

@Suite struct ShippedScenarioTests {
  static let scenarios: [Scenario] = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../../Scenarios")
      .path
    do {
      return try ScenarioFiles.load([root], vocabulary: TrialPlanner.vocabulary)
    } catch {
      Issue.record(error)
      return []
    }
  }()

  @Test func allOfThemParseAndHaveAQuickSuite() {
    #expect(
      Set(Self.scenarios.map(\.name)).isSuperset(of: [
        "ten-vs-hundred", "kill-mid-flight", "sync-policies", "fault-kinds",
      ]))
    for scenario in Self.scenarios {
      #expect(scenario.cells().contains { $0.tags.contains("quick") }, "\(scenario.name)")
    }
  }

  /// Every kind of fault has a scenario, and every fault of a scenario crosses a token and back, and means something.
  @Test func everyKindOfFaultIsUsed() throws {
    var used: Set<String> = []
    for cell in Self.scenarios.flatMap({ $0.cells() })
    where cell.exploration == nil && (!used.isSuperset(of: cell.faults.map(\.kind)) || cell.messages < 300) {
      let storage: StorageChoice = cell.settings.isPossible(on: .memory) ? .memory : .posix
      let planned = try TrialPlanner.trial(cell, storage: storage, seed: nil, phaseSeconds: nil, expectsSound: true)
      #expect(try Token.decode(Token.encode(planned.spec)).faults == planned.spec.faults)
      if cell.delivery == nil {
        for fault in planned.spec.faults where fault.isStorageFault {
          _ = try StorageFaultGrammar.planned(fault, seed: 1)
        }
        for fault in planned.spec.faults where ObjectStoreFaultGrammar.isOfStore(fault) {
          _ = try ObjectStoreFaultGrammar.planned(fault, topic: "orders")
        }
      } else {
        let schedule = try ReceiverFaultGrammar.schedule(planned.spec)
        let known =
          schedule.faults.count + (schedule.rejected == nil ? 0 : 1)
          + (DiskSpaceRecovery.fault(planned.spec) == nil ? 0 : 1)
        #expect(known == planned.spec.faults.count)
      }
      used.formUnion(cell.faults.map(\.kind))
    }
    #expect(used == Set(TrialPlanner.vocabulary.faults.map(\.kind)))
  }

  /// The phases of issue 3: each has faults that name it.
  @Test func everyPhaseIsUsed() {
    let used = Set(Self.scenarios.flatMap { $0.cells().flatMap(\.faults) }.compactMap { $0["phase"] })
    #expect(used.isSuperset(of: ["produce", "rotate", "checkpoint", "recover"]), "\(used)")
  }
}
