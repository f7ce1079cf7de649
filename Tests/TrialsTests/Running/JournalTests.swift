import Foundation
import Glibc
import LogModel
import ScenarioFormat
import Storage
import Synchronization
import Testing
import Verification

@testable import Trials

@Suite struct JournalTests {
  private func history(_ journal: Journal) -> History {
    journal.history(seed: 1, group: "g", damages: []) { TopicPartition("orders", PartitionID($0)) }
  }

  /// Finding 19: the next life's start stood for the kill, and gave `interval` time that the engine never had.
  @Test func `a kill counts from its own moment`() throws {
    let scratch = try TrialScratch()
    let spec = spec(sync: "interval(100ms)", crash: .processKill)
    let journal = try Journal(path: scratch.folder.journal, capacity: 10)
    _ = journal.create(0, at: Instant(nanoseconds: 1))
    journal.markKill(at: Instant(nanoseconds: 1_000))
    // The files of the killed life are gone, so the second life stops before it opens anything; the journal is written.
    rmdir(scratch.folder.data)
    #expect(throws: TrialError.self) { try FileTrial(spec, scratch.folder, life: 1).recover() }
    let crashes = history(journal).crashes
    #expect(crashes.map(\.kind) == [.processKill] && crashes.map(\.instant.nanoseconds) == [1_000])
  }

  @Test func `an answer after the mark, or a kill from outside, is taken at the last answer`() throws {
    for mark in [0, 5] as [Int64] {
      let scratch = try TrialScratch()
      let journal = try Journal(path: scratch.folder.journal, capacity: 10)
      let row = journal.create(0, at: Instant(nanoseconds: 1))
      if mark > 0 { journal.markKill(at: Instant(nanoseconds: mark)) }
      journal.answer(row, .acknowledged, at: Instant(nanoseconds: 9))
      journal.crashKilled()
      #expect(history(journal).crashes.first?.instant == Instant(nanoseconds: 9))
    }
  }

  @Test func `what the device delayed belongs to one life`() throws {
    let scratch = try TrialScratch()
    let journal = try Journal(path: scratch.folder.journal, capacity: 10)
    journal.beginLife()
    journal.deviceDelay = .milliseconds(700)
    for (end, took) in [(10, 700), (20, 5), (30, 9)] as [(Int64, Int64)] {
      journal.note(SlowOperation(endedAt: Instant(nanoseconds: end), took: .milliseconds(took)))
    }
    journal.crash(.powerLoss, at: Instant(nanoseconds: 1))
    journal.beginLife()
    #expect(journal.deviceDelay == .zero)
    journal.deviceDelay = .milliseconds(3)
    journal.crash(.powerLoss, at: Instant(nanoseconds: 2))
    #expect(history(journal).crashes.map(\.deviceDelay) == [.milliseconds(700), .milliseconds(3)])
    let slow = history(journal).crashes.map { ($0.slowOperations ?? []).map(\.took) }
    #expect(slow == [[.milliseconds(700), .milliseconds(9)], []])
  }

  @Test func `the harness in the middle of the engine's work`() throws {
    let scratch = try TrialScratch()
    let journal = try Journal(path: scratch.folder.journal, capacity: 10)
    journal.stage = .producing
    #expect(journal.harness { !journal.stage.isEngine })
    #expect(journal.stage == .producing)
    let engine: [Journal.Stage] = [.opening, .producing, .consuming, .closing]
    #expect(engine.allSatisfy(\.isEngine) && ![Journal.Stage.idle, .judging, .harness].contains(where: \.isEngine))
  }

  @Test func `there is no journal before the trial makes one`() throws {
    let scratch = try TrialScratch()
    #expect(try Journal.existing(scratch.folder.journal) == nil)
    #expect(access(scratch.folder.journal, F_OK) != 0)
  }

  /// Finding 20. A processor that stores in order, as x86-64 does, cannot show the reordering; this would on others,
  /// and where the compiler does it.
  @Test func `a row that is seen complete is complete`() throws {
    #expect(MemoryLayout<Atomic<UInt32>>.size == 4 && MemoryLayout<Atomic<Int64>>.size == 8)
    let scratch = try TrialScratch()
    let rows = 20_000
    let journal = try Journal(path: scratch.folder.journal, capacity: rows + 1)
    _ = journal.create(0, at: Instant(nanoseconds: 0))
    let writer = Thread {
      for n in 1..<rows {
        let row = journal.produce(0, producer: 1, first: n, count: n, at: Instant(nanoseconds: Int64(n)))
        journal.answer(row, .acknowledged, baseOffset: Offset(n), at: Instant(nanoseconds: Int64(n)))
      }
    }
    writer.start()
    let reader = try Journal(path: scratch.folder.journal, capacity: 0)
    var seen = 0
    while seen < rows - 1 {
      let operations = history(reader).operations
      for operation in operations[min(seen, max(0, operations.count - 1))...] where operation.outcome == .acknowledged {
        #expect(operation.baseOffset == Offset(operation.count) && operation.firstSequence == operation.count)
      }
      seen = operations.count
    }
  }
}
