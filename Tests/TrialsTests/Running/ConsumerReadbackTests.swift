import LogModel
import Reporting
import Storage
import Testing
import Verification

@testable import ScenarioFormat
@testable import Trials

/// What readbacks ask for, and what nobody has looked at.
@Suite struct LookTests {
  /// Reads of log files come back as zeros, in each readback from some read on.
  private final class ZeroReads: StorageWrapper, @unchecked Sendable {
    // Owned by the base's loop.
    private let spared: Int
    private var phase = ""
    private var reads = 0
    private(set) var zeroed = 0

    init(_ base: any Storage, sparing reads: Int) {
      spared = reads
      super.init(base)
    }

    override func note(_ note: TraceNote) {
      if case .phase(let name) = note { (phase, reads) = (name, 0) }
      super.note(note)
    }

    override func read(
      _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
    ) async throws(StorageError) -> Int {
      let count = try await super.read(file, at: offset, into: buffer, range)
      guard paths[file].hasPrefix("topics/"), phase == "verify" else { return count }
      reads += 1
      guard reads > spared else { return count }
      zeroed += 1
      UnsafeMutableRawBufferPointer(mutating: buffer[range]).initializeMemory(as: UInt8.self, repeating: 0)
      return count
    }
  }

  /// Start offsets that answered "damaged" were dropped: with consumption over, nearly every one could, and the trial
  /// was held.
  @Test(arguments: [Int.max, 1, 2, 3, 4]) func startOffsetsThatAnswerDamagedAreLookedAt(sparing reads: Int) throws {
    let scratch = try TrialScratch()
    let spec = spec(messages: 40, crash: .processKill, storage: .memory)
    nonisolated(unsafe) var layers: [ZeroReads] = []
    let reply = try SimulatedTrial(
      spec, scratch.folder,
      between: { base in
        let layer = ZeroReads(base, sparing: reads)
        layers.append(layer)
        return layer
      }
    ).run()
    let judgement = try #require(reply.judgement)
    let zeroed = layers.reduce(0) { $0 + $1.zeroed }
    #expect((zeroed > 0) == (reads < .max))
    #expect(judgement.verdict == (zeroed > 0 ? .violated : .held), "\(judgement.checks.filter { $0.verdict != .held })")
    if zeroed > 0 { #expect(judgement[.everyStartOffset]?.verdict == .violated) }
  }

  /// Three readbacks, all messages twice: as consumption was served them, and from start offsets; and where nothing is.
  @Test func aLookSaysHowMuchItHasLookedAt() throws {
    let scratch = try TrialScratch()
    let reply = try SimulatedTrial(
      spec(messages: 40, partitions: 2, crash: .processKill, storage: .memory), scratch.folder
    ).run()
    let looked = try #require(reply.judgement).looked
    #expect(looked.readbacks == 3 && looked.partitions == 6 && looked.commits == 6, "\(looked)")
    #expect(looked.messages == 40 + 40 + 50 && looked.compared == looked.messages, "\(looked)")
    #expect(looked.startOffsets == looked.messages + 2 * 6, "at the high watermark and behind it: \(looked)")
  }

  /// A readback of more than is asked for one by one compares every message all the same.
  @Test func aSampleOfStartOffsetsLeavesNothingOut() throws {
    let scratch = try TrialScratch()
    var spec = spec(messages: 24_000, crash: .none, storage: .memory)
    (spec.batch, spec.messageSize) = (100, 100)
    let judgement = try #require(try SimulatedTrial(spec, scratch.folder).run().judgement)
    #expect(judgement.verdict == .held, "\(judgement.checks.filter { $0.verdict != .held })")
    let looked = judgement.looked
    #expect(looked.startOffsets < looked.messages && looked.compared == looked.messages, "\(looked)")
  }

  // MARK: Claims

  private func claim(_ figure: ClaimFigure, _ bounds: String) throws -> Claim {
    let measure = Claim.Measure(figure: figure, bounds: try #require(ClaimBounds(bounds, figure.unit)))
    return Claim(source: "me", says: "it holds", condition: Condition(terms: []), test: .measures([measure]))
  }

  /// Of an engine that never opened, "lost 0" held: the figures were those of the readback before the crash.
  @Test func withoutALookAfterTheRestartNothingIsMeasured() throws {
    let scratch = try TrialScratch()
    var spec = spec(messages: 10, crash: .processKill, storage: .memory)
    spec.defect = "C13"
    let judgement = try #require(try SimulatedTrial(spec, scratch.folder).run().judgement)
    #expect(judgement.countedRestart == 0 && judgement.counts.recovered == 10)
    var result = TrialResult(
      scenario: "", file: "", seed: 1, verdict: .violated, expectation: .held, axes: Axes(), counts: judgement.counts,
      partitions: judgement.partitions, checks: judgement.checks, faults: [], recovery: RecoveryFigures(),
      losses: judgement.losses, notices: [], reproduce: "", seconds: 0)
    result.countedRestart = judgement.countedRestart
    result.consumedLive = judgement.consumedLive
    for (figure, bounds) in [
      (ClaimFigure.lost, "0"), (.gaps, "0"), (.recovered, ">= 10"), (.unreported, "0"), (.recoveryTime, "< 1s"),
    ] {
      #expect(try claim(figure, bounds).judged(by: result, isVirtual: false).outcome == .notMeasured, "\(figure)")
    }
    for (figure, bounds) in [(ClaimFigure.consumed, "10"), (.refused, "0")] {
      #expect(try claim(figure, bounds).judged(by: result, isVirtual: false).outcome == .holds, "\(figure)")
    }
    result.countedRestart = 1
    #expect(try claim(.lost, "0").judged(by: result, isVirtual: false).outcome == .holds)
  }
}
