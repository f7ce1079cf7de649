import Glibc
import LogModel
import Storage
import Testing
import Verification

@testable import Trials

/// Creating the topic and closing, with a fault in the way and without: what the fault has kept the engine from is not its
/// fault, and nothing else is excused.
@Suite struct HinderedTests {
  private static func violated(_ reply: PhaseReply) -> Set<CheckName> {
    Set(reply.judgement?.checks.filter { $0.verdict == .violated }.map(\.name) ?? [])
  }

  /// - Parameter isHindered: of which phases, from which life on, an operation fails without a fault.
  private func run(
    _ faults: [FaultSpec], messages: Int = 20, isHindered: @escaping (_ phase: String, StorageCall) -> Bool = { _, _ in false }
  ) throws -> (reply: PhaseReply, history: History) {
    let scratch = try TrialScratch()
    let spec = spec(messages: messages, storage: .memory, faults: faults)
    nonisolated(unsafe) let isHindered = isHindered
    let reply = try ModelTrial(spec, scratch.folder) { base in
      let layer = Meddling(base)
      layer.onPass = { (call, _) async throws(StorageError) in
        if isHindered(layer.phase, call) { throw StorageError(errno: EIO, call.kind, call.path) }
      }
      return layer
    }.run()
    let journal = try #require(try Journal.existing(scratch.folder.journal))
    return (reply, Judging.history(spec, journal, []))
  }

  // MARK: Creation

  /// The engine was accused of having no topic: "consumption must go on at 0".
  @Test(arguments: [
    ("read-only", [:]), ("io-error", [:]), ("io-error", ["lasting": "sticky"]), ("no-space", ["lasting": "sticky"]),
    ("sync-failure", [:]), ("permission-denied", ["lasting": "sticky", "on": "makeDirectory", "target": "directory"]),
  ])
  func aTopicThatAFaultHasRefusedIsCreatedOnceTheFaultIsGone(kind: String, parameters: [String: String]) throws {
    let fault = FaultSpec(kind: kind, parameters: parameters.merging(["phase": "create"]) { $1 })
    let (reply, history) = try run([fault])
    #expect(reply.seamReceipts.contains { $0.isFiring && $0.refusal == .refused })
    #expect(history.creations.map(\.outcome) == [.acknowledged])
    #expect(history.operations.count == 5 && history.operations.allSatisfy { $0.outcome == .acknowledged })
    #expect(reply.judgement?.verdict == .held, "\(String(describing: reply.judgement?.checks.filter { $0.verdict != .held }))")
  }

  @Test(arguments: [0, 20])
  func aTopicThatNoFaultHasRefusedHasToBeCreated(messages: Int) throws {
    // A fault of another phase excuses nothing.
    let fault = FaultSpec(kind: "io-error", parameters: ["phase": "open", "on": "write"])
    for faults in [[], [fault]] {
      let (reply, history) = try run(faults, messages: messages) { phase, call in phase == "create" && call.kind == .makeDirectory }
      #expect(history.creations.map(\.outcome) == [.indeterminate])
      #expect(Self.violated(reply).contains(.partitionsRegistered), "\(reply)")
      #expect(Self.violated(reply).contains(.sendsAccepted) == (messages > 0))
    }
  }
}
