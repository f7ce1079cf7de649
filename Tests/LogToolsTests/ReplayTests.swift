import Foundation
import LogModel
import LogTools
import RecordLogs
import SampleLogs
import Synchronization
import Testing

@Suite struct ReplayTests {
  /// A receiver that answers as it is told, then takes everything.
  private final class Receiver: Transport {
    struct State {
      var answers: [Delivery]
      var taken: [Int64] = []
      var batches = 0
      var slept: [Duration] = []
    }

    let state: Mutex<State>
    let refuses: Int64?

    init(_ answers: [Delivery] = [], refuses: Int64? = nil) {
      state = Mutex(State(answers: answers))
      self.refuses = refuses
    }

    func deliver(_ batch: EventBatch) async -> Delivery {
      state.withLock { state in
        state.batches += 1
        if !state.answers.isEmpty {
          let answer = state.answers.removeFirst()
          if answer != .accepted { return answer }
        }
        if let refuses, batch.events.contains(where: { $0.sequence == refuses }) { return .refused(status: 422) }
        state.taken += batch.events.map(\.sequence)
        return .accepted
      }
    }

    var taken: [Int64] { state.withLock { $0.taken } }
    var slept: [Duration] { state.withLock { $0.slept } }
  }

  private func log(_ folder: ScratchFolder, _ count: Int64 = 10) throws -> String {
    try folder.write(
      "job-1.wal",
      AirunnerCodec.fileHeader
        + (1...count).flatMap { SampleLog.airunner($0, .pending, [UInt8(truncatingIfNeeded: $0)]) }
        + SampleLog.airunner(3, .sent, []) + SampleLog.airunner(5, .failed, []) + SampleLog.airunner(2, .pending, [9]))
  }

  private func replay(
    _ path: String, _ receiver: Receiver, server: String = "http://one",
    _ change: (inout LogReplay.Options) -> Void = { _ in }
  ) -> LogReplay {
    var options = LogReplay.Options()
    options.batchEvents = 4
    change(&options)
    return LogReplay(
      path, over: receiver, server: server, options,
      sleep: { time in receiver.state.withLock { $0.slept.append(time) } })
  }

  static let unsent: [Int64] = [1, 2, 4, 6, 7, 8, 9, 10]

  @Test func whatWasNotSentGoesInOrderAndOnce() async throws {
    let folder = try ScratchFolder()
    let receiver = Receiver()
    let path = try log(folder)
    let bytes = try folder.read("job-1.wal")
    let outcome = try await replay(path, receiver).run()
    #expect(receiver.taken == Self.unsent && outcome.sent == 8 && outcome.left == 0 && outcome.failure == nil)
    #expect(try folder.read("job-1.wal") == bytes)
    // A second run has nothing to do.
    let again = try await replay(path, receiver).run()
    #expect(again.sent == 0 && again.sentBefore == 8 && receiver.taken == Self.unsent)
    // Another receiver is another replay.
    await #expect(throws: LogToolError.self) { try await replay(path, receiver, server: "http://two").run() }
  }

  @Test func aReplayGoesOnWhereItWasCutOff() async throws {
    let folder = try ScratchFolder()
    let path = try log(folder)
    let silent = Receiver([.accepted] + Array(repeating: .unavailable("no answer"), count: 100))
    let outcome = try await replay(path, silent) { $0.patience = .seconds(10) }.run()
    #expect(outcome.sent == 4 && outcome.left == 4 && outcome.failure == "no answer")
    let receiver = Receiver()
    let rest = try await replay(path, receiver).run()
    #expect(rest.sent == 4 && rest.sentBefore == 4 && silent.taken + receiver.taken == Self.unsent)
  }

  @Test func aReceiverThatAsksForAPauseGetsIt() async throws {
    let folder = try ScratchFolder()
    let receiver = Receiver([.tooManyRequests(retryAfter: .seconds(7)), .tooManyRequests(retryAfter: nil)])
    let outcome = try await replay(try log(folder), receiver).run()
    #expect(receiver.taken == Self.unsent && outcome.pauses == 2)
    #expect(receiver.slept == [.seconds(7), .seconds(2)])
  }

  @Test func whatIsRefusedHoldsNothingUp() async throws {
    let folder = try ScratchFolder()
    let receiver = Receiver(refuses: 6)
    let outcome = try await replay(try log(folder), receiver).run()
    #expect(receiver.taken == Self.unsent.filter { $0 != 6 } && outcome.refused == 1)
  }

  @Test func theRateIsKept() async throws {
    let folder = try ScratchFolder()
    let receiver = Receiver()
    _ = try await replay(try log(folder, 40), receiver) { $0.rate = 2 }.run()
    let longest = receiver.slept.max() ?? .zero
    #expect(longest > .seconds(10) && longest < .seconds(20), "\(receiver.slept)")
  }

  @Test func damageIsPassedOverAndCounted() async throws {
    let folder = try ScratchFolder()
    let path = try log(folder)
    var bytes = try folder.read("job-1.wal")
    for at in [16 + 33 + 14, 16 + 33 + 20] { bytes[at] ^= 0x5A }
    _ = try folder.write("job-1.wal", bytes)
    let receiver = Receiver()
    let outcome = try await replay(path, receiver).run()
    // Number 2 stands in the log a second time.
    #expect(receiver.taken == [1, 4, 6, 7, 8, 9, 10, 2] && outcome.damaged == 1)
  }

  @Test func eventsGoIntoALogOfAnotherFolderOnce() async throws {
    let folder = try ScratchFolder()
    let path = try log(folder)
    for round in 0..<2 {
      var options = LogReplay.Options()
      options.batchEvents = 3
      let replay = LogReplay(
        path, over: LogTransport(folder.path("into")), server: "into", statePath: folder.path("state-\(round)"), options
      )
      #expect(try await replay.run().sent == 8)
    }
    let written = folder.path("into/job-1.wal")
    let check = try LogCheck(LogFiles(name: written, paths: [written]), acceptsGaps: true)
    #expect(check.isSound && check.messages == 8)
  }

  @Test func onlyJobsOfAirunnerAreReplayed() async throws {
    let folder = try ScratchFolder()
    let path = try folder.write("o-0.wal", SampleLog.bytes(of: .chronikV1, SampleLog.values(2)))
    await #expect(throws: LogToolError.self) { try await replay(path, Receiver()).run() }
  }
}
