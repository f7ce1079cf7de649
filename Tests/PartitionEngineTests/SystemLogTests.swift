import LogModel
import RecordLogs
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// The engine with the logs of other systems.
@Suite struct SystemLogTests {
  static let foreign = LogSystem.allCases.filter { $0 != .tornlog }

  static func configuration(_ system: LogSystem, _ recovery: RecoveryPolicy? = nil) -> EngineConfiguration {
    EngineConfiguration(
      system: system,
      log: LogConfiguration(
        syncPolicy: .always, recoveryPolicy: recovery ?? system.recoveryPolicy, segmentBytes: 16 << 10))
  }

  static func text(_ n: Int) -> String { "message \(n) " + String(repeating: "x", count: 300 + n % 5) }

  /// Requests of two messages each.
  static func produce(_ engine: PartitionEngine, _ numbers: Range<Int>) async throws -> [Offset] {
    var bases: [Offset] = []
    for n in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 2) {
      let values = [Array(text(n).utf8), Array(text(n + 1).utf8)]
      let receipt = try await engine.produce(
        to: "orders", 0, recordCount: 2, payloadBytes: values[0].count + values[1].count
      ) { writer in
        for value in values { value.withUnsafeBytes { writer.append(value: $0) } }
      }
      bases.append(receipt.baseOffset)
    }
    return bases
  }

  /// What is served, by offset; the offsets that the engine calls damaged.
  static func consume(_ engine: PartitionEngine) async throws -> (served: [Int64: String], damaged: [Int64]) {
    let response = FetchResponse()
    var served: [Int64: String] = [:]
    var damaged: [Int64] = []
    let marks = try engine.watermarks("orders", 0)
    var at = marks.logStartOffset
    while at < marks.highWatermark {
      do throws(EngineError) {
        try await engine.fetch("orders", 0, from: at, maxBytes: 2000, into: response)
        response.forEachRecord { served[$0.offset.rawValue] = String(decoding: $0.value, as: UTF8.self) }
        guard response.nextOffset > at else { break }
        at = response.nextOffset
      } catch {
        guard case .log(_, .damaged(let range)) = error, range.to > at else { throw error }
        damaged += (at.rawValue..<range.to.rawValue)
        at = range.to
      }
    }
    return (served, damaged)
  }

  @Test(arguments: foreign, [StorageChoice.posix, .memory])
  func everythingIsBackAfterARestart(_ system: LogSystem, _ choice: StorageChoice) throws {
    let machine = try Machine(choice)
    defer { machine.remove() }
    let all = Dictionary(uniqueKeysWithValues: (0..<120).map { (Int64($0), Self.text($0)) })
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration(system))
      try await engine.createTopic("orders", partitions: 1)
      let bases = try await Self.produce(engine, 0..<100)
      #expect(bases == (0..<50).map { Offset($0 * 2) })
      #expect(try engine.segmentBases("orders", 0).count > 1, "it was to rotate")
      let found = try await Self.consume(engine)
      #expect(found.served == all.filter { $0.key < 100 } && found.damaged.isEmpty)
      try await engine.commitOffset(group: "g", "orders", 0, 40)
      try await engine.close()
    }
    for restart in 1...2 {
      try machine.boot { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, Self.configuration(system))
        #expect(recovery.partitions.allSatisfy { $0.damage.isEmpty })
        if restart == 1 { #expect(try await Self.produce(engine, 100..<120).first == 100) }
        let found = try await Self.consume(engine)
        #expect(found.served == all && found.damaged.isEmpty)
        #expect(try engine.committedOffset(group: "g", "orders", 0) == 40)
        #expect(try engine.watermarks("orders", 0).highWatermark == 120)
        try await engine.close()
      }
    }
  }

  /// Files are those of the system: its own reader finds every message in them.
  @Test func filesAreTheSystems() throws {
    func values<Codec: RecordCodec>(
      _ codec: Codec.Type, _ system: LogSystem, _ value: @escaping @Sendable (Codec.Record) -> [String]
    ) throws -> [String] {
      let machine = try Machine(.memory)
      try machine.boot { storage in
        let (engine, _) = try await PartitionEngine.open(storage, Self.configuration(system))
        try await engine.createTopic("orders", partitions: 1)
        _ = try await Self.produce(engine, 0..<40)
        try await engine.close()
      }
      return try machine.boot { storage in
        var found: [String] = []
        let (log, report) = try await RecordLog<Codec>.open(
          "orders-0", in: "topics/orders/0", of: storage, RecordLogPolicy()
        ) {
          found += value($1)
        }
        #expect(report.damageCount == 0 && report.files > 0)
        try await log.close()
        return found
      }
    }
    let all = (0..<40).map(Self.text)
    #expect(try values(StreamhouseCodec.self, .streamhouse) { [String(decoding: $0.value, as: UTF8.self)] } == all)
    #expect(
      try values(AirunnerCodec.self, .airunner) { ["\($0.sequence) " + String(decoding: $0.payload, as: UTF8.self)] }
        == all.enumerated().map { "\($0.offset + 1) \($0.element)" })
    #expect(
      try values(ChronikV1Codec.self, .chronikV1) { ["\($0.offset) " + String(decoding: $0.value, as: UTF8.self)] }
        == all.enumerated().map { "\($0.offset) \($0.element)" })
    #expect(
      try values(ChronikV2Codec.self, .chronik) { ["\($0.baseOffset) \($0.lastOffset) \($0.recordCount)"] }
        == stride(from: 0, to: 40, by: 2).map { "\($0) \($0 + 1) 2" })
    #expect(
      try values(ReplayCodec.self, .replayBuffer) { ["\($0.transaction) \($0.operation)"] }
        == (0..<40).flatMap { n in ["startBuffer", "addMeasurement", "endBuffer"].map { "\(n) \($0)" } })
  }

  /// A flipped bit in a message costs that message, or what the format ties to it, and is reported; nothing else moves.
  @Test(arguments: foreign.filter { $0 != .airunner })
  func aFlippedBitCostsItsRequestAtMost(_ system: LogSystem) throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration(system, .skipCorrupted))
      try await engine.createTopic("orders", partitions: 1)
      _ = try await Self.produce(engine, 0..<20)
      try await engine.close()
    }
    let path = "topics/orders/0/orders-0.wal"
    let bytes: [UInt8] = try #require(machine.disk.read(path))
    let at = try #require(bytes.firstRange(of: Array("message 6 ".utf8))).lowerBound
    #expect(machine.disk.flipBit(path, byte: Int64(at) + 50, bit: 2))
    try machine.boot { storage in
      let (engine, recovery) = try await PartitionEngine.open(storage, Self.configuration(system, .skipCorrupted))
      let (served, damaged) = try await Self.consume(engine)
      for (offset, text) in served { #expect(text == Self.text(Int(offset))) }
      #expect(damaged.contains(6) && damaged.allSatisfy { 6...7 ~= $0 })
      #expect(served.count + damaged.count == 20)
      let reported = recovery.partitions.flatMap(\.damage)
      #expect(
        damaged.allSatisfy { offset in reported.contains { $0.from.rawValue <= offset && offset < $0.to.rawValue } })
      try await engine.close()
    }
  }

  /// Where a log ends at its first damage, what is lost with it is counted.
  @Test func whatIsCutIsCounted() throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration(.airunner))
      try await engine.createTopic("orders", partitions: 1)
      _ = try await Self.produce(engine, 0..<20)
      try await engine.close()
    }
    let path = "topics/orders/0/orders-0.wal"
    let bytes: [UInt8] = try #require(machine.disk.read(path))
    let at = try #require(bytes.firstRange(of: Array("message 6 ".utf8))).lowerBound
    #expect(machine.disk.flipBit(path, byte: Int64(at) + 50, bit: 2))
    for _ in 1...2 {
      try machine.boot { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, Self.configuration(.airunner))
        #expect(try engine.watermarks("orders", 0).highWatermark == 6)
        let damage = recovery.partitions.flatMap(\.damage)
        #expect(
          damage.first?.from == 6 && damage.map(\.to).max() == 20,
          "each opening says so, until something takes its place")
        try await engine.close()
      }
    }
  }

  @Test(arguments: foreign)
  func anotherSystemsFilesAreRefused(_ system: LogSystem) throws {
    for (first, second) in [(system, LogSystem.tornlog), (.tornlog, system)] {
      let machine = try Machine(.memory)
      try machine.boot { storage in
        let (engine, _) = try await PartitionEngine.open(storage, Self.configuration(first))
        try await engine.createTopic("orders", partitions: 1)
        _ = try await Self.produce(engine, 0..<4)
        try await engine.close()
      }
      let before = machine.disk.paths.count
      try machine.boot { storage in
        do throws(EngineError) {
          _ = try await PartitionEngine.open(storage, Self.configuration(second))
          Issue.record("\(second) has opened the files of \(first)")
        } catch {
          if case .otherFormat = error {} else { Issue.record("\(error)") }
        }
      }
      #expect(machine.disk.paths.count >= before)
    }
  }

  @Test(arguments: [LogSystem.airunner, .replayBuffer])
  func aKeyThatHasNoPlaceIsRefused(_ system: LogSystem) throws {
    let machine = try Machine(.memory)
    try machine.boot { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration(system))
      try await engine.createTopic("orders", partitions: 1)
      do throws(EngineError) {
        _ = try await [UInt8(1)].withUnsafeBytesAsync { bytes async throws(EngineError) in
          try await engine.produce(to: "orders", key: bytes, value: bytes)
        }
        Issue.record("it was taken")
      } catch {
        if case .log(_, .keyNotRepresentable) = error {} else { Issue.record("\(error)") }
      }
      #expect(try engine.watermarks("orders", 0).logEndOffset == 0)
      try await engine.close()
    }
  }
}

extension [UInt8] {
  /// The bytes, for as long as `body` runs.
  fileprivate func withUnsafeBytesAsync<Value, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) async throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
    memory.copyBytes(from: self)
    defer { memory.deallocate() }
    return try await body(UnsafeRawBufferPointer(memory))
  }
}
