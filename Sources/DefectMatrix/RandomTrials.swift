import LogModel
import Reporting
import ScenarioFormat
import Storage
import Trials

/// Trials of the sound engine without end, each by its number and the seed: those that `tornlog defects` draws, and
/// beside them several topics, the formats of other systems, keys and deletions in any trial, and consumers beside the
/// producers.
public struct RandomTrials: Sendable {
  /// A token says by it that nobody has written the trial down.
  public static let scenario = "random"
  private static let ways: [DetectionStrategy] = [.processKill, .powerLoss, .oneFault, .plainRestart]

  public var seed: UInt64
  /// `memory`, or where trials on files are to run; those that only the model can run stay there.
  public var storage: StorageChoice
  /// Seconds that one phase may take.
  public var phaseSeconds: Double

  public init(seed: UInt64, storage: StorageChoice = .memory, phaseSeconds: Double = 60) {
    (self.seed, self.storage, self.phaseSeconds) = (seed, storage, phaseSeconds)
  }

  /// Number `n`, from 0.
  public func trial(_ n: Int) -> PlannedTrial {
    let spec = spec(n)
    return PlannedTrial(spec: spec, expectation: .held, axes: spec.axes)
  }

  func spec(_ n: Int) -> TrialSpec {
    let way = Self.ways[n % Self.ways.count]
    let number = n / Self.ways.count
    let drawn = RandomTrialGenerator(way: way, seed: seed, effort: .usual)
    // One in four is out of the ordinary, whatever that is.
    var plain = number % 4 == 3 ? drawn.odd(number / 4) : drawn.trial(number)
    plain.scenario = Self.scenario
    plain.phaseSeconds = phaseSeconds
    var random = SeededGenerator(seed: seed &+ UInt64(n), stream: "random")
    var spec = plain
    add(&spec, drawn, &random)
    for axis in AxisDescriptor.all { axis.draw(seed: seed &+ UInt64(n), in: &spec.settings) }
    // What contradicts itself stays as it was drawn.
    if !spec.isPossible { spec = plain }
    if storage != .memory {
      var onFiles = spec
      onFiles.storage = storage
      if onFiles.isPossible, onFiles.writers != .holderLives, onFiles.firstOffset == 0, onFiles.delivery == nil {
        spec = onFiles
      }
    }
    return spec
  }

  private func add(_ spec: inout TrialSpec, _ drawn: RandomTrialGenerator, _ random: inout SeededGenerator) {
    guard spec.delivery == nil else { return }
    let isShort = spec.messageSize < MessageContent.minimumSize
    if spec.readers == 0, spec.writers == .one, !isShort, random.chance(1, in: 4) {
      spec.readers = drawn.pick([1, 2], &random)
    }
    switch Int.random(in: 0..<6, using: &random) {
    case 0: addTopics(&spec, drawn, &random)
    case 1: changeSystem(&spec, drawn, &random)
    case 2 where spec.messages <= 200 && spec.keys == .none: spec.keys = drawn.pick([.empty, .nul, .mixed], &random)
    case 3 where spec.deletion == .none: spec.deletion = drawn.pick([.half, .all], &random)
    case 4: spec.messageSize = drawn.pick([24, 25, 63, 511, 512, 513, 4096], &random)
    default: break
    }
  }

  private func addTopics(_ spec: inout TrialSpec, _ drawn: RandomTrialGenerator, _ random: inout SeededGenerator) {
    guard spec.faults.isEmpty, spec.writers == .one else { return }
    // One name is the beginning of another, and one differs by its case.
    spec.otherTopics = drawn.pick(
      [["orders-2"], ["Orders"], ["orders.dlq", "payments"], ["o", "orders-0", "payments"]], &random)
    spec.partitions = drawn.pick([1, 2, 3], &random) * spec.topics.count - Int.random(in: 0...1, using: &random)
    spec.partitions = max(spec.partitions, spec.topics.count)
  }

  /// The same on another system's log, without what only the engine's own has, and without faults.
  private func changeSystem(_ spec: inout TrialSpec, _ drawn: RandomTrialGenerator, _ random: inout SeededGenerator) {
    spec.system = drawn.pick(LogSystem.allCases.filter { $0 != .tornlog }, &random)
    // Of a torn commit of these formats a later record may be whole, after a power loss as after a kill in the middle
    // of a write: skipping what is damaged leaves holes in what was in flight
    // (Scenarios/streamhouse/holes-behind-the-skipped.yaml), as their documents must say.
    let isClosed = [spec.crash, spec.secondCrash ?? spec.crash].allSatisfy { $0 == CrashKind.none }
    spec.recovery = isClosed ? spec.system.recoveryPolicy : .truncateAtCorruption
    (spec.keys, spec.deletion, spec.checkpoint, spec.checkpointTerms) = (.none, .none, .none, CheckpointTerms())
    (spec.preallocation, spec.firstOffset, spec.writers) = (LoadAxes.usualPreallocation, 0, .one)
    spec.messageSize = max(spec.messageSize, MessageContent.minimumSize)
    // Such a log takes nothing more in the life in which a sync has failed, and the trial's oracle asks it to: errors
    // are the error matrix's there, and damage at rest that of each system's own scenarios, which say what its document
    // leaves open.
    spec.faults = []
  }
}

extension TrialSpec {
  /// Whether nothing in it contradicts another thing.
  fileprivate var isPossible: Bool {
    problem == nil
      && TrialPlanner.batchLimit.allows(
        messages: settings.batch, of: settings.messageSize + settings.keys.largest)
      && (settings.writers == .one || settings.crashAt == .end)
  }
}
