import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// Trials whose messages go to several topics.
@Suite struct SeveralTopicsTests {
  private func two(messages: Int = 40, partitions: Int = 5, crash: CrashKind = .powerLoss, defect: String = "none")
    -> TrialSpec
  {
    var spec = spec(messages: messages, partitions: partitions, crash: crash, storage: .memory)
    (spec.topic, spec.otherTopics, spec.defect) = ("orders", ["orders-0"], defect)
    return spec
  }

  private func judge(_ spec: TrialSpec) throws -> Judgement {
    let scratch = try TrialScratch()
    return try #require(try SimulatedTrial(spec, scratch.folder).run().judgement)
  }

  @Test func partitionsAreDealtToTheTopicsInTurn() {
    let sources = (0..<5).map { two().source(of: $0) }
    #expect(
      sources == [
        TopicPartition("orders", 0), TopicPartition("orders-0", 0), TopicPartition("orders", 1),
        TopicPartition("orders-0", 1),
        TopicPartition("orders", 2),
      ])
    #expect((0..<3).map { spec(partitions: 3).source(of: $0).partition.index } == [0, 1, 2])
  }

  @Test(arguments: [CrashKind.none, .processKill, .powerLoss]) func theSoundEngineKeepsThemApart(crash: CrashKind)
    throws
  {
    let judgement = try judge(two(crash: crash))
    #expect(judgement.verdict == .held, "\(judgement)")
    #expect(judgement.counts.acknowledged == 40 && judgement.counts.recovered == 40)
    #expect(Set(judgement.partitions.compactMap(\.topic)) == ["orders", "orders-0"] && judgement.partitions.count == 5)
  }

  /// With unequal shares the partitions of several topics were judged by each other's histories: eight checks,
  /// violated.
  @Test(arguments: [CrashKind.none, .processKill, .powerLoss], [.end, .percent(50)] as [CrashMoment])
  func eachPartitionIsJudgedByItsOwnHistory(crash: CrashKind, at: CrashMoment) throws {
    guard crash != .none || at == .end else { return }
    for messages in [42, 43, 45] {
      var spec = two(messages: messages, partitions: 4, crash: crash)
      spec.crashAt = at
      let judgement = try judge(spec)
      #expect(judgement.verdict == .held, "\(judgement.checks.filter { $0.verdict != .held })")
    }
  }

  /// H9 does two kinds of harm, each to another topic.
  @Test func foreignDataIsServedAndItsOwnerHasLostIt() throws {
    let checks = try judge(two(messages: 10, partitions: 2, crash: .processKill, defect: "H9")).checks.filter {
      $0.verdict == .violated
    }
    func place(_ name: CheckName) -> String? { checks.first { $0.name == name }?.divergence?.topic }
    #expect(place(.contentIntact) == "orders" && place(.noAcknowledgedLoss) == "orders-0", "\(checks)")
  }

  /// Without a name that begins like another's it does nothing.
  @Test func itNeedsNamesThatCollide() throws {
    var spec = two(messages: 10, partitions: 2, crash: .processKill, defect: "H9")
    spec.otherTopics = ["orders-1"]
    #expect(try judge(spec).verdict == .held)
  }

  @Test func aTokenCarriesThem() throws {
    let spec = two()
    let decoded = try Token.decode(Token.encode(spec))
    #expect(decoded.topics == ["orders", "orders-0"] && decoded.partitions == 5)
    #expect(
      throws: Token.Failure.notOfSystem(
        "partitions is '1'; expected at least one for each of the 2 topics, with other-topics")
    ) {
      try Token.decode(Token.encode(two(partitions: 1)))
    }
    #expect(throws: Token.Failure.notOfSystem("topics lists 'orders' twice")) {
      try Token.decode(edited(Token.encode(spec), "orders-0", "orders"))
    }
  }
}
