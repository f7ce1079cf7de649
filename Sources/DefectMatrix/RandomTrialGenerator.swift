import LogModel
import ScenarioFormat
import Storage
import Trials
import WriteAheadLog

/// The trials of a strategy: by the seed, the same for every defect and for the sound engine.
struct RandomTrialGenerator {
  var way: DetectionStrategy
  var seed: UInt64
  var effort: DefectEffort

  /// All of them.
  var all: [TrialSpec] { (0..<effort.trials).map(trial) + (0..<effort.odd).map(odd) }

  /// Number `n`, from 0, with the sound engine.
  func trial(_ n: Int) -> TrialSpec {
    var random = SeededGenerator(seed: seed &+ UInt64(n), stream: "defects \(way.rawValue)")
    var spec = workload(n, &random)
    switch way {
    case .processKill:
      if random.chance(1, in: 8) {
        spec.writers = pick([.secondEngine, .lockRemoved, .leaseExpired, .clockSkew], &random)
      } else {
        spec.crashAt = .percent(Int.random(in: 1...95, using: &random))
      }
    case .powerLoss:
      spec.crash = .powerLoss
      if random.chance(3, in: 4) { spec.crashAt = .percent(Int.random(in: 1...95, using: &random)) }
    case .oneFault:
      spec.crash = pick([.processKill, .powerLoss, .none], &random)
      spec.faults = [fault(&random)]
      addStore(&spec, n, faulty: true)
    case .dedicatedScenario, .plainRestart, .crashStates, .errorMatrix, .schedules: break
    }
    if way != .oneFault { addStore(&spec, n, faulty: false) }
    addLoad(&spec, n)
    addCommitters(&spec, n)
    addReaders(&spec, n)
    addPolicies(&spec, n)
    return spec
  }

  /// In one trial of four several groups commit while messages are sent.
  private func addCommitters(_ spec: inout TrialSpec, _ n: Int) {
    guard way != .plainRestart || n >= Self.volumes.count else { return }
    var random = SeededGenerator(seed: seed &+ UInt64(n), stream: "committers \(way.rawValue)")
    if random.chance(1, in: 4) { spec.committers = pick([1, 2, 3], &random) }
  }

  /// In one trial of three consumers read while messages are sent.
  private func addReaders(_ spec: inout TrialSpec, _ n: Int) {
    guard spec.writers == .one, way != .plainRestart || n >= Self.volumes.count else { return }
    var random = SeededGenerator(seed: seed &+ UInt64(n), stream: "readers \(way.rawValue)")
    if random.chance(1, in: 3) { spec.readers = pick([1, 1, 2, 3], &random) }
  }

  /// One trial in five has an object store; one in two of these, where a fault is wanted, has the fault there.
  private func addStore(_ spec: inout TrialSpec, _ n: Int, faulty: Bool) {
    guard way != .plainRestart || n >= Self.volumes.count else { return }
    var random = SeededGenerator(seed: seed &+ UInt64(n), stream: "stores \(way.rawValue)")
    guard random.chance(1, in: 5) else { return }
    spec.checkpoint = pick([.background, .flushed], &random)
    (spec.checkpointTerms.every, spec.checkpointTerms.bytes) = (.milliseconds(1), pick([4 << 10, 64 << 10], &random))
    guard faulty, random.chance(1, in: 2) else { return }
    spec.faults = [pick(Self.faults(of: [.store]), &random)]
  }

  func pick<Value>(_ values: [Value], _ random: inout SeededGenerator) -> Value {
    values[Int.random(in: 0..<values.count, using: &random)]
  }

  /// Volumes of a plain restart, from the smallest on; after them, and in the other ways, the seed chooses.
  static let volumes = [(1, 1), (20, 1), (100, 3), (1010, 1), (5000, 3)]

  func workload(_ n: Int, _ random: inout SeededGenerator) -> TrialSpec {
    var settings = TrialSettings()
    settings.messages = pick([5, 20, 60, 200, 600, 1500], &random)
    settings.partitions = pick([1, 1, 2, 3], &random)
    settings.sync = pick(
      [.always, .always, .interval(.milliseconds(2)), .interval(.milliseconds(100)), .never], &random)
    settings.recovery = random.chance(1, in: 5) ? .truncateAtCorruption : .skipCorrupted
    settings.batch = pick([1, 3, 10], &random)
    settings.producers = pick([1, 4, 8], &random)
    settings.messageSize = pick([100, 400, 1000], &random)
    settings.appendBetween = pick([0, 10], &random)
    var spec = TrialSpec(
      scenario: "defects", file: "", seed: seed &+ UInt64(n), storage: .memory, settings: settings,
      phaseSeconds: effort.patience)
    if way == .plainRestart, n < Self.volumes.count {
      (spec.messages, spec.partitions) = Self.volumes[n]
      (spec.sync, spec.recovery, spec.batch, spec.producers) = (.always, .skipCorrupted, 10, 4)
      (spec.messageSize, spec.appendBetween) = (1000, 10)
    }
    return spec
  }

  /// What descriptors of these families say that random trials may inject.
  private static func faults(of families: Set<FaultDescriptor.Family>) -> [FaultSpec] {
    FaultDescriptor.all.filter { families.contains($0.family) }.flatMap { descriptor in
      descriptor.drawn.map { FaultSpec(kind: descriptor.kind, parameters: $0) }
    }
  }

  private func fault(_ random: inout SeededGenerator) -> FaultSpec {
    var fault = pick(Self.faults(of: [.device, .atRest]), &random)
    guard !StorageFaultGrammar.isResting(fault) else { return fault }
    if fault.parameters["phase"] == nil { fault.parameters["phase"] = "produce" }
    if fault.parameters["every"] == nil, fault.parameters["target"] == "batch" {
      fault.parameters["occurrence"] = "\(Int.random(in: 1...6, using: &random))"
    }
    return fault
  }
}
