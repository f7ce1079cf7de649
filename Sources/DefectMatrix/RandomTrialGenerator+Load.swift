import LogModel
import ScenarioFormat
import Storage
import Trials

/// How lives follow each other, how long a load lasts, and on what. Drawn by streams of their own: what else a trial is
/// stays as it would be without.
extension RandomTrialGenerator {
  func addLoad(_ spec: inout TrialSpec, _ n: Int) {
    guard way != .plainRestart || n >= Self.volumes.count else { return }
    var random = SeededGenerator(seed: seed &+ UInt64(n), stream: "load \(way.rawValue)")
    if way == .plainRestart, n < Self.volumes.count + Self.widths.count {
      return cross(Self.widths[n - Self.volumes.count], &spec, &random)
    }
    switch way {
    case .processKill:
      if random.chance(1, in: 2) { spec.secondCrash = pick([.powerLoss, .powerLossAfterClose], &random) }
    case .powerLoss: drawPowerLoss(&spec, &random)
    case .oneFault: if random.chance(1, in: 4) { failAtClose(&spec, &random) }
    case .dedicatedScenario, .plainRestart, .crashStates, .errorMatrix, .schedules: break
    }
    drawGround(&spec, &random)
  }

  /// Bits of an integer, or of the whole numbers of a floating-point number, that a program may keep an offset in.
  private static let widths = [31, 32, 53]

  /// Plain restarts of logs whose offsets outgrow so many bits, behind those of each volume: of two partitions one ends
  /// at an odd offset, and both have some blocks of messages on either side.
  private func cross(_ width: Int, _ spec: inout TrialSpec, _ random: inout SeededGenerator) {
    (spec.messages, spec.partitions, spec.batch, spec.messageSize) = (101, 2, 3, 400)
    (spec.sync, spec.checkpoint) = (.always, .none)
    spec.firstOffset = 1 << width - Int.random(in: 20...30, using: &random)
  }

  private func drawPowerLoss(_ spec: inout TrialSpec, _ random: inout SeededGenerator) {
    switch Int.random(in: 0..<4, using: &random) {
    case 0:
      // A tail that nobody but the close can sync.
      (spec.crash, spec.crashAt) = (.powerLossAfterClose, .end)
      if spec.sync == .always { spec.sync = .interval(.milliseconds(100)) }
    case 1:
      // Load for six windows and longer, never left alone for as long as a timer runs.
      let window = pick([Duration.milliseconds(2), .milliseconds(100)], &random)
      (spec.sync, spec.pace) = (.interval(window), window / 16)
      (spec.messages, spec.batch, spec.producers) = (400, 1, pick([2, 4], &random))
      if spec.crashAt == .end { spec.crashAt = .percent(95) }
    case 2: spec.secondCrash = pick([CrashKind.processKill, .none, .powerLossAfterClose], &random)
    default: break
    }
  }

  /// What the close is told of must not stay with it.
  private func failAtClose(_ spec: inout TrialSpec, _ random: inout SeededGenerator) {
    (spec.crash, spec.crashAt, spec.checkpoint) = (.powerLossAfterClose, .end, .none)
    spec.sync = pick([.interval(.milliseconds(100)), .interval(.seconds(1))], &random)
    let phase = pick(["close", "close", "produce"], &random)
    let words = ["target": "segment", "on": "sync", "phase": phase, "how": "marks-clean"]
    spec.faults = [FaultSpec(kind: "sync-failure", parameters: words)]
  }

  /// In one trial of eight the lives behind the first have another sync policy. Where a fault is wanted, half of these
  /// have what the first policy has left to be done: a sync has failed, the process is killed, and the power goes once
  /// the next one has served what it found.
  func addPolicies(_ spec: inout TrialSpec, _ n: Int) {
    guard way != .plainRestart || n >= Self.volumes.count + Self.widths.count, spec.writers == .one else { return }
    var random = SeededGenerator(seed: seed &+ UInt64(n), stream: "policies \(way.rawValue)")
    guard random.chance(1, in: 8) else { return }
    spec.laterSync = pick([.always, .always, .interval(.milliseconds(2)), .never], &random)
    guard way == .oneFault, random.chance(1, in: 2) else { return }
    (spec.sync, spec.crash, spec.secondCrash) = (.interval(.milliseconds(2)), .processKill, .powerLoss)
    spec.crashAt = .end
    (spec.checkpoint, spec.preallocation) = (.none, LoadAxes.usualPreallocation)
    // For longer than some syncs take, and a segment behind the one whose sync has failed.
    (spec.messages, spec.batch, spec.producers, spec.pace) = (60, 1, 2, .milliseconds(1))
    let occurrence = Int.random(in: 2...4, using: &random)
    var words = ["target": "segment", "on": "sync", "phase": "produce", "how": "leaves-dirty"]
    words["occurrence"] = "\(occurrence)"
    spec.faults = [FaultSpec(kind: "sync-failure", parameters: words)]
  }

  /// Zero-fills of a few blocks, one of which a first commit fills to its end, and logs that begin where offsets
  /// outgrow the integers of 32 bits and the whole numbers of 64-bit floating point.
  private func drawGround(_ spec: inout TrialSpec, _ random: inout SeededGenerator) {
    guard spec.checkpoint == .none else { return }
    if spec.syncPolicy == .always, random.chance(1, in: 3) {
      let batch = TrialPlanner.batchLimit.size(messages: spec.batch, of: spec.messageSize)
      spec.preallocation = pick([(batch + 511) / 512 * 512, 4 << 10, 16 << 10], &random)
    }
    if random.chance(1, in: 3) {
      let own = max(2, spec.messages / spec.partitions)
      spec.firstOffset = 1 << pick(Self.widths, &random) - Int.random(in: 1..<own, using: &random)
    }
  }
}
