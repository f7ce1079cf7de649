import Foundation
import Glibc
import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// What counts as a hang, and what only as a lack of time (findings 10 and 18 of the review).
@Suite(.serialized) struct TimeoutTests {
  private func isHang(_ timeout: Timeout?) -> Bool { if case .hang = timeout { true } else { false } }

  /// Finding 10: under a short --timeout the model's own computing was blamed on the engine.
  @Test func `the harness that computes for the model is no hang`() throws {
    let scratch = try TrialScratch()
    let spec = spec(crash: .powerLoss, storage: .memory)
    nonisolated(unsafe) var judged: [Timeout] = []
    let trial = SimulatedTrial(spec, scratch.folder) { base in
      let layer = Meddling(base)
      layer.onNote = { note in
        guard case .phase(let name) = note, name.hasPrefix("life") else { return }
        usleep(1_100_000)
        do {
          judged.append(Timeout.judge(.model, spec, try Journal.existing(scratch.folder.journal), limit: 1))
        } catch { Issue.record(error) }
      }
      return layer
    }
    let reply = try trial.run()
    #expect(reply.judgement?.verdict == .held)
    #expect(judged.count == 3 && !judged.contains(where: isHang), "\(judged)")
  }

  /// The model's storage counts as progress, and so does a readback.
  @Test func `a slow engine in the model is no hang`() throws {
    let scratch = try TrialScratch()
    let spec = spec(storage: .memory)
    nonisolated(unsafe) var judged: [Timeout] = []
    nonisolated(unsafe) var passes = 0
    _ = try SimulatedTrial(spec, scratch.folder) { base in
      let layer = Meddling(base)
      layer.onPass = { (_, _) async throws(StorageError) in
        passes += 1
        if passes < 8 { usleep(300_000) }
        if passes == 8 {
          do {
            judged.append(Timeout.judge(.model, spec, try Journal.existing(scratch.folder.journal), limit: 2))
          } catch { Issue.record(error) }
        }
      }
      return layer
    }.run()
    #expect(judged.count == 1 && !judged.contains(where: isHang), "\(judged)")
  }

  @Test func `an endless job in the model is a hang`() throws {
    let scratch = try TrialScratch()
    let spec = spec(storage: .memory)
    nonisolated(unsafe) var judged: Timeout?
    _ = try SimulatedTrial(spec, scratch.folder) { base in
      let layer = Meddling(base)
      layer.onPass = { (call, _) async throws(StorageError) in
        guard judged == nil, call.kind == .write else { return }
        usleep(1_100_000)  // the engine computes, as far as anybody can see
        do {
          judged = Timeout.judge(.model, spec, try Journal.existing(scratch.folder.journal), limit: 1)
        } catch { Issue.record(error) }
      }
      return layer
    }.run()
    #expect(isHang(judged), "\(String(describing: judged))")
  }

  /// Finding 18: an engine that reads for ever and never opens was only unknown.
  @Test func `operations without end and without an answer are a hang`() throws {
    let scratch = try TrialScratch()
    let spec = spec(seconds: 4)
    let reply = try FileTrial(spec, scratch.folder, life: 0) { base in
      let layer = Meddling(base)
      layer.onPass = { (call, base) async throws(StorageError) in
        guard call.kind == .open else { return }
        let file = try await base.open("spare", [.write, .create])
        let buffer = base.makeBuffer(capacity: 512)
        while true { _ = try await base.read(file, at: 0, into: buffer, 0..<512) }
      }
      return layer
    }.produce()
    #expect(reply.isTimedOut)
    let judged = Timeout.judge(.produce, spec, try Journal.existing(scratch.folder.journal), limit: 4)
    guard case .hang(let detail) = judged else {
      Issue.record("\(judged)")
      return
    }
    #expect(detail.contains("): no answer for the last") && detail.contains("can be accounted for"), "\(detail)")
  }

  /// As many operations as a log can need are none.
  @Test func `a long recovery is no hang`() throws {
    let scratch = try TrialScratch()
    let spec = spec()
    let journal = try Journal(path: scratch.folder.journal, capacity: 10)
    journal.beginLife()
    journal.stage = .opening
    usleep(1_100_000)
    for _ in 0..<Timeout.allowance(spec) {
      journal.startedOperation()
      journal.completedOperation()
    }
    #expect(!isHang(Timeout.judge(.recover(restart: 1), spec, journal, limit: 1)))
    journal.startedOperation()
    journal.completedOperation()
    #expect(isHang(Timeout.judge(.recover(restart: 1), spec, journal, limit: 1)))
    // Of a time in which it was not let run nobody expects anything.
    #expect(
      !isHang(Timeout.judge(.recover(restart: 1), spec, journal, limit: 1) { _ in ProcessorUse(ran: 0, starved: 60) }))
    // One that has had seconds of it and got nowhere hangs on a busy machine too.
    #expect(
      isHang(Timeout.judge(.recover(restart: 1), spec, journal, limit: 1) { _ in ProcessorUse(ran: 6, starved: 60) }))
    journal.stage = .harness
    #expect(!isHang(Timeout.judge(.recover(restart: 1), spec, journal, limit: 1)))
    journal.stage = .opening
    journal.answered()
    #expect(!isHang(Timeout.judge(.recover(restart: 1), spec, journal, limit: 1)))
  }

  /// Three processes that want one processor.
  @Test func `a worker that gets no processor is noticed`() throws {
    let greedy = ["-c", "exec taskset -c 0 sh -c 'while :; do :; done'"]
    let others = try (0..<2).map { _ in try WorkerProcess(executable: "/bin/sh", arguments: greedy) }
    let worker = try WorkerProcess(executable: "/bin/sh", arguments: greedy)
    guard case .timedOut = try worker.perform("", replying: String.self, seconds: 2) else {
      Issue.record("it ended")
      return
    }
    let use = worker.use(inTheLast: 1.5)
    #expect(use.starved > 0.3 && use.ran > 0.1 && use.starved + use.ran < 2.3, "\(use)")
    for other in others { other.end() }
  }

  @Test func `every phase is named in words`() {
    #expect(
      Timeout.judge(.recover(restart: 2), spec(), nil, limit: 6)
        == .noVerdict("the restart 2 phase ran out of time (6s); raise --timeout, or look at the machine"))
  }
}
