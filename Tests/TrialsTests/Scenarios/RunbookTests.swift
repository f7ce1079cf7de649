import LogModel
import RecordLogs
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// The options of the Streamhouse runbook's "WAL Recovery Failures", followed on the model.
@Suite struct RunbookTests {
  private static func runbook(_ option: Int) -> FaultSpec {
    FaultSpec(kind: "runbook", parameters: ["option": "\(option)"])
  }

  private static func plain(_ messages: Int, _ partitions: Int, _ seed: UInt64, _ faults: [FaultSpec]) -> TrialSpec {
    var spec = TrialSpec(scenario: "test", file: "", seed: seed, storage: .memory, phaseSeconds: 30)
    (spec.messages, spec.partitions, spec.producers, spec.batch) = (messages, partitions, 2, 1)
    (spec.messageSize, spec.appendBetween, spec.faults) = (100, 5, faults)
    return spec
  }

  private static func spec(
    _ option: Int, _ system: LogSystem, messages: Int = 60, partitions: Int = 3, damage: [FaultSpec] = [bitFlip],
    seed: UInt64 = 42
  ) -> TrialSpec {
    var made = plain(messages, partitions, seed, damage + [runbook(option)])
    made.system = system
    return made
  }

  private func run(_ spec: TrialSpec, tool: any LogRepairing = SkipCorruptedRecords()) throws -> PhaseReply {
    let scratch = try TrialScratch()
    return try SimulatedTrial(spec, scratch.folder, tool: tool).run()
  }

  private static func violated(_ reply: PhaseReply) -> Set<CheckName> {
    Set(reply.judgement?.checks.filter { $0.verdict == .violated }.map(\.name) ?? [])
  }

  private static func steps(_ reply: PhaseReply) -> [String] {
    reply.receipts.first { $0.kind == "runbook" }?.places ?? []
  }

  private static let systems = LogSystem.allCases

  /// The corrupt log is gone, with every message, and its copy is there; the others have lost nothing.
  @Test(arguments: [2, 4], systems) func aDeletedLogLosesAll(_ option: Int, _ system: LogSystem) throws {
    let reply = try run(Self.spec(option, system))
    #expect(
      reply.judgement?.verdict == .held, "\(String(describing: reply.judgement?.checks.filter { $0.verdict != .held }))"
    )
    #expect(reply.judgement?.counts.lost == 20)
    let steps = Self.steps(reply)
    #expect(steps.contains { $0.hasPrefix("rm topics/orders/") })
    #expect(steps.contains { $0.hasPrefix("cp ") && $0.hasSuffix(".backup") } == (option == 2))
    #expect(steps.count { $0.hasPrefix("sync ") } == (option == 4 ? 3 : 0), "\(steps)")
  }

  /// Aside, and not deleted: what the store has is served, the rest is in the `.old` file.
  @Test(arguments: [CheckpointSetup.flushed, .background]) func aLogMovedAside(_ setup: CheckpointSetup) throws {
    var spec = Self.spec(3, .tornlog)
    spec.checkpoint = setup
    spec.checkpointTerms.every = .seconds(3600)
    let reply = try run(spec)
    #expect(
      reply.judgement?.verdict == .held, "\(String(describing: reply.judgement?.checks.filter { $0.verdict != .held }))"
    )
    #expect(reply.judgement?.counts.lost == (setup == .flushed ? 0 : 20))
    #expect(
      Self.steps(reply).allSatisfy { $0.hasPrefix("mv ") && $0.hasSuffix(".log.old") } && !Self.steps(reply).isEmpty)
  }

  /// Where a record says its number, the repaired log has lost the corrupt ones and nothing else.
  @Test(arguments: [LogSystem.airunner, .chronik, .chronikV1, .replayBuffer]) func aRepairedLog(_ system: LogSystem)
    throws
  {
    for seed in 1...5 as ClosedRange<UInt64> {
      let reply = try run(Self.spec(5, system, damage: [bitFlip, bitFlip], seed: seed))
      #expect(
        reply.judgement?.verdict == .held,
        "\(String(describing: reply.judgement?.checks.filter { $0.verdict != .held }))")
      #expect(reply.judgement?.counts.lost == 2)
    }
  }

  /// Where it does not, what follows has moved, unless the corrupt one was the last.
  @Test func aRepairedLogOfStreamhouseRenumbers() throws {
    var caught = 0
    for seed in 1...5 as ClosedRange<UInt64> {
      let reply = try run(Self.spec(5, .streamhouse, seed: seed))
      caught += Self.violated(reply).contains(.offsetsStable) ? 1 : 0
    }
    #expect(caught >= 3)
  }

  /// A tool that leaves out the last record of a file, valid as it is.
  private struct Careless: LogRepairing {
    func repair(
      _ input: String, into output: String, of system: LogSystem, on storage: any Storage
    ) async throws(StorageError) -> LogRepairTool {
      var found = try await storage.extractRecords(of: system, from: input, to: output)
      let file = try await storage.open(output, [.write])
      let size = try await storage.size(of: file)
      try await storage.truncate(file, to: size - size / Int64(found.records))
      try await storage.sync(file, .all)
      await storage.close(file)
      found.records -= 1
      return found
    }
  }

  /// What an operator loses by a step that was to lose nothing is no damage that anybody is excused for.
  @Test func whatABadToolLosesIsALoss() throws {
    let reply = try run(Self.spec(5, .airunner), tool: Careless())
    #expect(Self.violated(reply).contains(.noAcknowledgedLoss))
    #expect(reply.judgement?.counts.lost == 2)
  }

  @Test func whatCannotBeFollowedIsSaid() throws {
    let error = #expect(throws: TrialError.self) { try run(Self.spec(2, .tornlog, damage: [])) }
    #expect("\(error.map { "\($0)" } ?? "")".contains("the runbook has nothing to be followed for"))
    #expect(Self.spec(5, .tornlog).problem?.contains("choose another system") == true)
    #expect(Self.spec(3, .tornlog).problem?.contains("add checkpoint") == true)
    #expect(Self.spec(5, .streamhouse).problem == nil && Self.spec(2, .tornlog).problem == nil)
    var stored = Self.spec(3, .tornlog)
    stored.checkpoint = .background
    #expect(stored.problem == nil)
  }
}
