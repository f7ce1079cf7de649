import FaultInjection
import Foundation
import Glibc
import LogModel
import Storage
import Testing

@Suite struct FaultPlanTests {
  static let kinds: [StorageFault] = [
    .tornWrite(TornWrite(kept: .anyOf(.sector), rest: .garbage, answer: .success)), .bitFlip(bits: 3),
    .shortWrite(taking: nil), .shortRead(bringing: nil),
    .interrupted, .tryAgain, .ioError, .permissionDenied, .tooManyOpenFiles, .fileTableFull, .outOfKernelMemory,
    .staleHandle, .timedOut, .notConnected, .noSpace, .silentNoSpace, .quotaExceeded,
    .syncFailure(.reportedLate), .lostWrite, .misdirectedWrite(.anywhere), .staleRead, .latentSectorError(),
    .stall(.microseconds(50)), .readOnly, .crash,
  ]

  @Test(arguments: Base.available) func oneFaultFollowsTheOther(_ base: Base) throws {
    let rig = try Rig(base)
    try rig.run {
      let plan = FaultPlan([
        PlannedFault(.ioError, FaultTrigger([.write], .occurrence(2))),
        PlannedFault(.shortWrite(taking: 10), FaultTrigger([.write], .occurrence(3))),
        PlannedFault(.lostWrite, FaultTrigger([.write], .occurrence(4))),
        PlannedFault(.noSpace, FaultTrigger([.write], pathContains: "other")),
      ])
      let s = FaultyStorage(rig.storage, plan: plan)
      let f = try await s.open("f", [.write, .create])
      var answers: [Told] = []
      for i in 0..<5 {
        answers.append(
          await told { () async throws(StorageError) -> Int in
            try await s.write(f, bytes(100, UInt8(i + 1)), at: Int64(i * 100))
          })
      }
      #expect(answers == [.bytes(100), .error(EIO), .bytes(10), .bytes(100), .bytes(100)])
      #expect(rig.content("f") == bytes(100, 1).with(200..<210, 3).with(400..<500, 5))
      #expect(s.receipts.map(\.kind) == [.ioError, .shortWrite, .lostWrite])
      #expect(s.unfired == [3])
      #expect(plan.unfired(s.receipts) == [3])
    }
  }

  /// A stall, a flipped bit and a tear meet on one write; of two faults that decide how it ends, the first does.
  @Test(arguments: Base.available) func faultsCombineOnOnePass(_ base: Base) throws {
    let rig = try Rig(base)
    try rig.run {
      let plan = FaultPlan([
        PlannedFault(.bitFlip(bits: 1, .range(0..<1)), FaultTrigger([.write])),
        PlannedFault(.stall(.milliseconds(5)), FaultTrigger([.write])),
        PlannedFault(.tornWrite(TornWrite(kept: .prefix(50), answer: .success)), FaultTrigger([.write])),
        PlannedFault(.lostWrite, FaultTrigger([.write])),
      ])
      let s = FaultyStorage(rig.storage, plan: plan)
      let f = try await s.open("f", [.write, .create])
      let start = s.loop.now
      try await s.write(f, bytes(100, 0), at: 0)
      #expect(s.loop.now - start >= .milliseconds(5))
      #expect(Set(s.receipts.map(\.kind)) == [.bitFlip, .stall, .tornWrite])
      let stored = try #require(rig.content("f"))
      #expect(stored.count == 50)
      #expect(stored[0].nonzeroBitCount == 1)
      #expect(s.unfired == [3])
      try await s.write(f, bytes(100, 7), at: 0)
      #expect(rig.content("f") == stored)
      #expect(s.unfired == [])
    }
  }

  /// A flip on a write that an error refuses has not happened: it waits for the next.
  @Test func aRefusedWriteIsNotFlipped() throws {
    let rig = try Rig(.memoryInPlace)
    try rig.run {
      let plan = FaultPlan([PlannedFault(.bitFlip(bits: 1)), PlannedFault(.interrupted, FaultTrigger([.write]))])
      let s = FaultyStorage(rig.storage, plan: plan)
      let f = try await s.open("f", [.write, .create])
      #expect(await told { () async throws(StorageError) -> Int in try await s.write(f, [0], at: 0) } == .error(EINTR))
      #expect(s.receipts.map(\.kind) == [.interrupted])
      try await s.write(f, [0], at: 0)
      #expect(s.receipts.map(\.kind) == [.interrupted, .bitFlip])
      #expect(rig.content("f")?.first?.nonzeroBitCount == 1)
    }
  }

  /// Eight writers and a reader, every kind of fault by chance.
  private func storm(_ seed: UInt64, _ faults: [PlannedFault]) throws -> (
    receipts: [StorageFaultReceipt], observed: [StorageFaultReceipt], content: [UInt8]?, refused: Int, done: Int
  ) {
    let rig = try Rig(.memory, seed: seed)
    let observed = Shared<[StorageFaultReceipt]>([])
    return try rig.run {
      try await rig.fill("f", bytes(64 * 1024, 0x11))
      let s = FaultyStorage(rig.storage, plan: FaultPlan(faults, seed: seed), onFired: { observed.value.append($0) })
      let (ended, refused, done) = (Shared(0), Shared(0), Shared(0))
      for w in 0..<8 {
        rig.loop.spawn {
          for i in 0..<40 {
            let told = await told { () async throws(StorageError) -> Int in
              let f = try await s.open("f", [.write])
              let got: Int
              if i % 5 == 4 {
                got = try await s.read(f, 4096, at: Int64(w * 8192)).count
              } else {
                got = try await s.write(
                  f, bytes(1024, UInt8(i)), at: Int64(w * 8192 + i % 8 * 1024), i % 3 == 0 ? .durable : .volatile)
              }
              if i % 7 == 0 { try await s.sync(f, .data) }
              await s.close(f)
              return got
            }
            if case .error = told { refused.value += 1 } else { done.value += 1 }
          }
          ended.value += 1
        }
      }
      while ended.value < 8 { await rig.loop.sleep(until: rig.loop.now + .milliseconds(1)) }
      return (s.receipts, observed.value, rig.content("f"), refused.value, done.value)
    }
  }

  private func chances(_ perMillion: Int) -> [PlannedFault] {
    Self.kinds.enumerated().filter { ![.readOnly, .crash].contains($0.element.kind) }.map { i, fault in
      PlannedFault(fault, FaultTrigger([], .chance(perMillion: perMillion, seed: UInt64(i))), .sticky)
    }
  }

  @Test(arguments: UInt64(1)...12) func theSameSeedGivesTheSameReceipts(seed: UInt64) throws {
    let first = try storm(seed, chances(30_000))
    let second = try storm(seed, chances(30_000))
    #expect(first.receipts == second.receipts)
    #expect(first.content == second.content)
    #expect(first.receipts.count > 20)
    let other = try storm(seed + 100, chances(30_000))
    #expect(first.receipts != other.receipts)
    #expect(try storm(seed, []).receipts.isEmpty)
  }

  @Test(arguments: UInt64(1)...12) func noReceiptIsLostWhenManyOperationsAreInFlight(seed: UInt64) throws {
    let all = try storm(seed, chances(30_000))
    #expect(all.observed == all.receipts)
    #expect(all.receipts.map(\.number) == Array(all.receipts.indices))
    #expect(all.refused + all.done == 320)
    // Every refusal has exactly one receipt that says so.
    let refusals = all.receipts.filter { if case .error = $0.answer { true } else { false } }
    #expect(refusals.count == all.refused)
    #expect(Set(refusals.map(\.operationNumber)).count == refusals.count)
    // A fault that fires once does so, whoever is in flight.
    let once = try storm(
      seed,
      Self.kinds.filter { $0 == .lostWrite || $0 == .ioError || $0 == .stall(.microseconds(50)) }.map {
        PlannedFault($0, FaultTrigger([.write]))
      })
    #expect(once.receipts.map(\.planned).sorted() == [0, 1, 2])
  }

  @Test func plansAndReceiptsAreValues() throws {
    #expect(Set(Self.kinds.map(\.kind)) == Set(FaultKind.allCases))
    let triggers = [
      FaultTrigger(),
      FaultTrigger(
        [.write, .sync, .open], pathContains: "x", target: .batch, partition: 3, phase: "rotate", .bytes(7), .completion
      ),
      FaultTrigger([], .every(3, from: 2)), FaultTrigger([], .share(percent: 12.5)),
      FaultTrigger([], .elapsed(.milliseconds(3))),
      FaultTrigger([], .chance(perMillion: 5, seed: 6)),
    ]
    let lastings: [FaultLasting] = [.once, .times(3), .sticky, .untilSpaceFreed, .duration(.seconds(2))]
    var plan = FaultPlan(seed: 9)
    for (i, fault) in Self.kinds.enumerated() {
      plan.faults.append(PlannedFault(fault, triggers[i % triggers.count], lastings[i % lastings.count]))
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let data = try encoder.encode(plan)
    #expect(try JSONDecoder().decode(FaultPlan.self, from: data) == plan)
    #expect(try encoder.encode(JSONDecoder().decode(FaultPlan.self, from: data)) == data)
    let receipts = try storm(3, chances(50_000)).receipts
    #expect(try JSONDecoder().decode([StorageFaultReceipt].self, from: JSONEncoder().encode(receipts)) == receipts)
    #expect(receipts.allSatisfy { !"\($0)".isEmpty })
  }

  @Test func aReceiptIsReadable() throws {
    let rig = try Rig(.memoryInPlace)
    try rig.run {
      let tear = TornWrite(kept: .sectors([0]), rest: .zero, answer: .error)
      let trace = Trace()
      let s = FaultyStorage(
        TracingStorage(rig.storage, trace: trace),
        plan: FaultPlan([PlannedFault(.tornWrite(tear), FaultTrigger([.write]))]))
      let f = try await s.open("f", [.write, .create])
      _ = await told { () async throws(StorageError) -> Int in try await s.write(f, bytes(1024, 1), at: 0) }
      let text =
        "torn-write on write #2 of f @0+1024: kept 512 of 1024 bytes, the rest zero; bytes 512..<1024 of f; told EIO"
      #expect("\(try #require(s.receipts.first))" == text)
      #expect(trace.entries.contains { $0.event == .note(.fault(text)) })
    }
  }
}
