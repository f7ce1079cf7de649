@testable import FaultInjection
import Foundation
import Glibc
import LogModel
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import Trials

/// What the runner makes of lives that do not go as planned.
@Suite(.serialized) struct RealTrialTests {
  private func findings(_ reply: PhaseReply) -> TrialRunner.Findings {
    var findings = TrialRunner.Findings()
    TrialRunner(executable: "/nonexistent").take(reply, &findings)
    return findings
  }

  /// Finding 15: the engine, which waits for the cut, was said to hang.
  @Test func `a power cut that cannot be carried out is no hang`() throws {
    let scratch = try TrialScratch()
    // The engine waits for ever, and keeps the layer: it must not keep the folder's owner.
    let data = scratch.folder.data
    let reply = try FileTrial(spec(sync: "never", crash: .powerLoss), scratch.folder, life: 0) { base in
      let layer = Meddling(base)
      layer.onNote = { note in
        guard case .fault = note else { return }
        do { try FileManager.default.removeItem(atPath: data) } catch { Issue.record(error) }
      }
      return layer
    }.produce()
    #expect(
      reply.hang == nil && reply.failure?.hasPrefix("the power cut could not be carried out: open") == true, "\(reply)")
    let findings = findings(reply)
    #expect(findings.runnerChecks.isEmpty && findings.doubts.count == 1)
  }

  @Test func `a harness that failed says nothing of a hang`() {
    let findings = findings(PhaseReply(hang: "stalled", failure: "the disk of the harness"))
    #expect(findings.runnerChecks.isEmpty && findings.doubts == ["the disk of the harness"])
  }

  /// Finding 24: every refusal was said to be of restart 1.
  @Test func `a refusal names its restart`() throws {
    let scratch = try TrialScratch()
    let reply = try SimulatedTrial(spec(crash: .processKill, storage: .memory), scratch.folder) { base in
      let layer = Meddling(base)
      nonisolated(unsafe) var isLast = false
      layer.onNote = { if case .phase("life 2") = $0 { isLast = true } }
      layer.onPass = { (call, _) async throws(StorageError) in
        if isLast { throw StorageError(errno: EIO, call.kind, call.path) }
      }
      return layer
    }.run()
    #expect(reply.refusal?.restart == 2)
    let check = try #require(findings(reply).runnerChecks.first)
    #expect(check.name == .recoveryCompletes && check.detail.hasPrefix("the engine must open after restart 2, found: "))
    let first = findings(PhaseReply(refusal: Refusal(restart: 0, reason: "no")))
    #expect(first.runnerChecks.first?.detail == "the engine must open on an empty directory, found: no")
  }

  /// Findings 13 and 11: it was said that "the crash never fired", and the harness' own stage was the engine's.
  @Test func `a fault that finds nothing says so, and is the harness' work`() throws {
    let scratch = try TrialScratch()
    var spec = spec(faults: [bitFlip])
    _ = try FileTrial(spec, scratch.folder, life: 0).produce()
    let journal = try Journal(path: scratch.folder.journal, capacity: 0)
    let log = scratch.folder.data + "/topics/orders/0"
    for name in try FileManager.default.contentsOfDirectory(atPath: log) { unlink(log + "/" + name) }
    journal.stage = .closing
    let reply = Worker.run(PhaseRequest(phase: .recover(restart: 1), spec: spec, folder: scratch.folder.path))
    #expect(!reply.crashMissed && reply.failure == nil)
    #expect(findings(reply).doubts == ["the fault did not fire: nothing that was acknowledged is on the medium"])
    #expect(journal.stage == .harness)
    spec.faults[0].kind = "meteor"
    let unknown = Worker.run(PhaseRequest(phase: .recover(restart: 1), spec: spec, folder: scratch.folder.path))
    #expect(unknown.failure?.hasPrefix("there is no fault `meteor`") == true)
  }

  @Test func `a shortage leaves no verdict, whatever was violated`() {
    let findings = findings(PhaseReply(shortage: "out of descriptors"))
    #expect(findings.voids == ["out of descriptors"] && findings.doubts.isEmpty)
  }

  /// A trace that breaks off was silently incomplete.
  @Test(.enabled(if: geteuid() == 0, "only root may make a device node"))
  func `a trace that cannot be written is told once`() throws {
    let scratch = try TrialScratch()
    // A node of our own with the numbers of /dev/full.
    let node = scratch.folder.path + "/full"
    try #require(mknod(node, S_IFCHR | 0o600, 1 << 8 | 7) == 0)
    var codes: [Int32] = []
    let trace = try TraceFile.open(node) { codes.append($0) }
    let loop = EventLoop()
    let storage = TracingStorage(try StorageChoice.posix.openFiles(root: scratch.folder.data, loop: loop), trace: trace)
    storage.note(.phase("life 0"))
    storage.note(.phase("life 1"))
    #expect(codes == [ENOSPC])
    var spec = spec(crash: .powerLoss, storage: .memory)
    spec.traceTo = node
    _ = try SimulatedTrial(spec, scratch.folder).run()
    #expect(try Journal.existing(scratch.folder.journal)?.traceFailure == ENOSPC)
  }
}

/// Where a bit flip finds its victim (finding 13 of the review: 122 of 648 trials drew messages that a power cut had
/// legally taken).
@Suite struct RestingDamageTests {
  /// Files in memory.
  final class Shelf: AtRestDamage.Medium {
    var contents: [String: [UInt8]] = [:]
    private(set) var flips: [(path: String, byte: Int)] = []

    func files(of partition: TopicPartition) throws(TrialError) -> [String] { contents.keys.sorted() }

    func files(ofMetadata copy: String) throws(TrialError) -> [String] {
      contents.keys.filter { $0.hasPrefix(copy + "/") }.sorted()
    }

    func read<Value>(_ path: String, _ body: (UnsafeRawBufferPointer) -> Value) throws(TrialError) -> Value {
      contents[path]!.withUnsafeBytes(body)
    }

    func apply(_ fault: AtRestFault) throws(TrialError) -> AtRestFaultReceipt {
      guard case .flipBits(let path, let places) = fault else { throw .faultMissed("no bit flip") }
      flips += places.map { (path, Int($0.byte)) }
      return AtRestFaultReceipt(
        fault: fault, destroyed: places.map { FileRange(path, $0.byte..<$0.byte + 1) }, description: "flipped")
    }
  }

  private func message(_ spec: TrialSpec, _ sequence: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: spec.messageSize)
    let content = MessageContent(seed: spec.seed, topic: spec.topic, partition: 0)
    bytes.withUnsafeMutableBytes { content.write(sequence: UInt64(sequence), into: $0) }
    return bytes
  }

  private func history(_ spec: TrialSpec) -> History {
    var history = History(seed: spec.seed)
    let slot = history.create(TopicPartition(spec.topic, 0), at: Instant(nanoseconds: 0))
    for n in 0..<10 {
      let operation = history.submit(slot, firstSequence: n * 5, count: 5, at: Instant(nanoseconds: 1))
      if n != 9 { history.acknowledge(operation, baseOffset: Offset(n * 5), at: Instant(nanoseconds: 2)) }
    }
    return history
  }

  @Test func `only what is on the medium is a victim`() throws {
    for seed in 0..<40 as Range<UInt64> {
      let spec = spec(seed: seed)
      let shelf = Shelf()
      // Requests 3 and 4 are whole, of request 5 a part is there, request 9 was never acknowledged; at odd places.
      let head = [UInt8](repeating: 0, count: 4096)
      shelf.contents["topics/orders/0/a.log"] = head + [1, 2, 3] + (15..<20).flatMap { [7] + message(spec, $0) }
      shelf.contents["topics/orders/0/b.log"] =
        head + (20..<28).flatMap { message(spec, $0) + [9, 9] } + (45..<50).flatMap { message(spec, $0) }
      let receipt = try AtRestDamage(spec: spec, history: history(spec)).apply(bitFlip, number: 0, to: shelf)
      let offset = Int64(try #require(receipt.touched.first).sequence)
      #expect((15..<25).contains(offset), "\(receipt)")
      let flip = try #require(shelf.flips.first)
      let start = 4096 + (flip.path.hasSuffix("a.log") ? 3 + 1 + Int(offset - 15) * 101 : Int(offset - 20) * 102)
      #expect((start + 24..<start + 100).contains(flip.byte))
    }
  }

  @Test func `what one fault destroyed is no victim of the next`() throws {
    for seed in 0..<20 as Range<UInt64> {
      let spec = spec(seed: seed)
      let shelf = Shelf()
      shelf.contents["topics/orders/0/a.log"] =
        [UInt8](repeating: 0, count: 4096) + (15..<25).flatMap { message(spec, $0) }
      let damage = AtRestDamage(spec: spec, history: history(spec))
      var requests: Set<Int> = []
      for number in 0..<2 {
        let receipt = try damage.apply(bitFlip, number: number, to: shelf)
        requests.insert(Int(try #require(receipt.touched.first).sequence) / 5)
      }
      #expect(requests == [3, 4])
      #expect(throws: TrialError.faultMissed("nothing that was acknowledged is on the medium")) {
        try damage.apply(bitFlip, number: 2, to: shelf)
      }
    }
  }

  @Test func `an empty medium has no victim`() throws {
    let spec = spec()
    let damage = AtRestDamage(spec: spec, history: history(spec))
    let shelf = Shelf()
    shelf.contents["topics/orders/0/a.log"] = []
    #expect(throws: TrialError.faultMissed("nothing that was acknowledged is on the medium")) {
      try damage.apply(bitFlip, number: 0, to: shelf)
    }
  }

  /// The same trials that the review ran, in the model: what is drawn is hit, or nothing was left.
  @Test(arguments: ["always", "interval(5ms)"])
  func aFlipInTheModelHitsWhatSurvived(sync: String) throws {
    var hits = 0
    for seed in 1...12 as ClosedRange<UInt64> {
      let scratch = try TrialScratch()
      let spec = spec(
        messages: 60, sync: sync, crash: .powerLoss, crashAt: .percent(75), storage: .memory, seed: seed,
        faults: [bitFlip])
      let reply = Worker.run(PhaseRequest(phase: .model, spec: spec, folder: scratch.folder.path))
      if let missed = reply.faultMissed {
        #expect(sync != "always" && missed == "the fault did not fire: nothing that was acknowledged is on the medium")
      } else {
        hits += 1
        #expect(reply.receipts.contains { $0.kind == "bit-flip" && $0.fired == 1 })
      }
    }
    #expect(sync == "always" ? hits == 12 : hits > 0)
  }
}
