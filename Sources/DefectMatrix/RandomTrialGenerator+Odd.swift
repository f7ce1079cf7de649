import LogModel
import ScenarioFormat
import Trials

/// Trials out of the ordinary: what an engine does with messages, deletions, leases and receivers that most workloads
/// have not got.
extension RandomTrialGenerator {
  private enum Oddity: CaseIterable {
    /// Values of 0 to 23 bytes.
    case short
    case keys
    /// The first or the last byte of a part of a batch; where the way has no faults, batches of one message.
    case edges
    case deletion
    /// A holder of a lease that lives.
    case lease
    /// A receiver that rejects one event for good.
    case rejection
  }

  private static let faulty: [Oddity] = [.edges, .edges, .deletion, .edges, .lease, .rejection]

  /// Number `n`, from 0.
  func odd(_ n: Int) -> TrialSpec {
    var random = SeededGenerator(seed: seed &+ UInt64(n), stream: "oddities \(way.rawValue)")
    var spec = workload(effort.trials + n, &random)
    spec.messages = pick([5, 20, 60, 200], &random)
    let kinds = way == .oneFault ? Self.faulty : Oddity.allCases
    let oddity = kinds[n % kinds.count]
    crash(&spec, oddity, &random)
    switch oddity {
    case .short:
      (spec.messageSize, spec.batch) = (pick([0, 0, 1, 7, 8, 23], &random), pick([1, 1, 3], &random))
      if random.chance(1, in: 2) { spec.keys = pick([.empty, .nul, .mixed], &random) }
    case .keys:
      (spec.messages, spec.keys) = (pick([20, 60], &random), pick([.mixed, .mixed, .nul, .empty], &random))
    case .edges:
      (spec.messageSize, spec.batch) = (pick([24, 24, 25], &random), pick([1, 1, 3], &random))
      if way == .oneFault { aimAtEdge(&spec, n, &random) }
    case .deletion:
      spec.deletion = pick([.half, .half, .all], &random)
    case .lease: spec.writers = .holderLives
    case .rejection: send(&spec, &random)
    }
    return spec
  }

  private func crash(_ spec: inout TrialSpec, _ oddity: Oddity, _ random: inout SeededGenerator) {
    switch way {
    case .powerLoss: spec.crash = .powerLoss
    // What is never synced leaves a power loss nothing to damage.
    case .oneFault: spec.crash = oddity == .edges ? .processKill : pick([.processKill, .powerLoss, .none], &random)
    case .dedicatedScenario, .plainRestart, .processKill, .crashStates, .errorMatrix, .schedules: break
    }
    let isInFlight = (way == .processKill || way == .powerLoss) && oddity != .lease && random.chance(1, in: 2)
    if isInFlight { spec.crashAt = .percent(Int.random(in: 1...95, using: &random)) }
  }

  /// The last byte of a batch, and the first one behind its header, before all others.
  private func aimAtEdge(_ spec: inout TrialSpec, _ n: Int, _ random: inout SeededGenerator) {
    let places = [
      ("batch", "last"), ("batch-payload", "first"), ("batch-records", "last"), ("batch", "first"),
      ("batch-checksum", "last"),
    ]
    let (target, edge) = n < 2 ? places[n] : pick(places, &random)
    if target == "batch-payload" { spec.keys = .nul }
    if target == "batch" { spec.messageSize = 24 }
    spec.faults = [FaultSpec(kind: "bit-flip", parameters: ["target": target, "edge": edge, "at": "rest"])]
  }

  private func send(_ spec: inout TrialSpec, _ random: inout SeededGenerator) {
    (spec.sync, spec.recovery, spec.messageSize, spec.batch) = (
      .always, .truncateAtCorruption, 100, pick([3, 10], &random)
    )
    spec.messages = max(20, spec.messages)
    var delivery = DeliverySettings()
    (delivery.firstBackOff, delivery.longestBackOff, delivery.timeout) = (
      .milliseconds(50), .milliseconds(400), .milliseconds(300)
    )
    spec.delivery = delivery
    let most = max(1, spec.messages(ofPartition: spec.partitions - 1) / 2)
    spec.faults = [
      FaultSpec(
        kind: ReceiverFaultGrammar.rejection, parameters: ["event": "\(Int.random(in: 1...most, using: &random))"])
    ]
  }
}
