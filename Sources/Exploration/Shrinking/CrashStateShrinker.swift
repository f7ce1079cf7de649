import CrashStates
import Defects
import LogModel
import Verification

/// Makes a crash state that violates a check smaller: workload, storage and what the power cut took, together, as long
/// as the same check is violated.
///
/// A candidate is a smaller workload. It is recorded, and its crash states are explored with bounded effort, so that
/// every state that is taken is one which its profile permits; of the violations that are found the first is taken,
/// with the fewest deviations from *everything kept*. Candidates are tried from the smallest up, one size after the
/// other, until no size can be made smaller (delta debugging, one parameter at a time). Then the profile with the least
/// freedom that permits the violation is looked for. All of it is decided by the state alone: no dice, no clock but the
/// deadline.
public struct CrashStateShrinker {
  public struct Result: Sendable {
    public var state: CrashState
    public var replay: StateReplay
    /// Workloads that were explored.
    public var candidates: Int
    /// False where it was stopped before nothing smaller was left to try.
    public var isSmallest: Bool
    /// What the sound engine comes to in all states of the same workload under the same profile; nil where the sound
    /// engine it was, or there was no time.
    public var soundVerdict: Verdict?
  }

  private let watch: HangWatch?
  private let shouldStop: () -> Bool
  private let progress: (String) -> Void
  private let jobs: Int
  private let check: CheckName
  private var state: CrashState
  private var candidates = 0
  private var isStopped = false

  /// - Parameters:
  ///   - shouldStop: asked before each candidate: at the deadline, or when the user has had enough.
  ///   - progress: told a line of text before each candidate.
  ///   - watch: ends a command whose engine keeps the processor to itself.
  /// - Throws: `ExplorationError`: `nothingToShrink` where the state violates nothing, `stateDoesNotFit` where it
  ///   cannot be built.
  public static func shrink(
    _ state: CrashState, jobs: Int, watch: HangWatch? = nil, shouldStop: @escaping () -> Bool = { false },
    progress: @escaping (String) -> Void = { _ in }
  ) throws(ExplorationError) -> Result {
    let replay = try StateReplay(state, watch: watch)
    guard replay.verdict == .violated, let check = replay.check?.name else { throw .nothingToShrink(replay.verdict) }
    var shrinker = CrashStateShrinker(
      watch: watch, shouldStop: shouldStop, progress: progress, jobs: jobs, check: check, state: state)
    shrinker.startSmall()
    shrinker.reduceAll()
    shrinker.weaken()
    let sound = shrinker.soundVerdict()
    return Result(
      state: shrinker.state, replay: try StateReplay(shrinker.state, watch: watch), candidates: shrinker.candidates,
      isSmallest: !shrinker.isStopped, soundVerdict: sound)
  }

  private init(
    watch: HangWatch?, shouldStop: @escaping () -> Bool, progress: @escaping (String) -> Void, jobs: Int,
    check: CheckName,
    state: CrashState
  ) {
    self.watch = watch
    self.shouldStop = shouldStop
    self.progress = progress
    self.jobs = jobs
    self.check = check
    self.state = state
  }

  // MARK: The search

  /// Most violations show in a handful of messages: the smallest workloads of all come first, since a large one that
  /// shows nothing costs more than all of these.
  private mutating func startSmall() {
    let tiny = WorkloadSize.tiny(state.workload)
    let depths = state.depth > 1 ? [1, state.depth] : [1]
    for (index, workload) in tiny.enumerated() {
      for depth in depths {
        let label =
          "\(workload.messages) messages, \(workload.partitions) partitions, device faults \(workload.deviceFaults)"
        if attempt(workload, depth: depth, label, left: (tiny.count - index) * depths.count) { return }
      }
    }
  }

  /// Until a whole pass has found nothing smaller.
  private mutating func reduceAll() {
    var isReduced = true
    while isReduced, !isStopped {
      isReduced = false
      if state.depth > 1, attempt(state.workload, depth: 1, "depth 1", left: 1) { isReduced = true }
      let names = WorkloadSize.all.map(\.name)
      for (number, size) in WorkloadSize.all.enumerated() {
        let smaller = size.smaller(state.workload)
        let later = WorkloadSize.all[(number + 1)...].reduce(0) { $0 + $1.smaller(state.workload).count }
        for (index, workload) in smaller.enumerated() {
          let label = "\(names[number]) \(size.text(workload))"
          guard attempt(workload, depth: state.depth, label, left: smaller.count - index + later) else { continue }
          isReduced = true
          break
        }
      }
    }
    // The same workload: the first violation of it, which may be a simpler one than that which was met.
    _ = attempt(state.workload, depth: state.depth, "the same workload", left: 1)
  }

  /// Takes the first of the profiles with less freedom that permits the violation, in the smallest workload.
  private mutating func weaken() {
    let stronger = CrashProfile.all.prefix { $0 != state.profile }
    for (index, profile) in stronger.enumerated() {
      guard
        attempt(
          state.workload, depth: state.depth, profile: profile, "profile \(profile.name)", left: stronger.count - index)
      else { continue }
      // What is the smallest may be another workload there.
      return reduceAll()
    }
  }

  /// Explores a workload, and takes its violation of the check where there is one.
  /// - Parameter left: candidates of this pass that are still to be tried, this one included.
  private mutating func attempt(
    _ workload: ExplorationWorkload, depth: Int, profile: CrashProfile? = nil, _ label: String, left: Int
  ) -> Bool {
    if isStopped || shouldStop() {
      isStopped = true
      return false
    }
    candidates += 1
    progress("candidate \(candidates), at most \(left) left in this pass: \(label)")
    guard let found = violation(workload, depth: depth, profile ?? state.profile) else { return false }
    state = found
    return true
  }

  private func options(_ workload: ExplorationWorkload, depth: Int, _ profile: CrashProfile) -> ExplorationOptions {
    var options = ExplorationOptions(state)
    (options.workload, options.seed) = (workload, workload.seed)
    options.profiles = [profile]
    options.depth = depth
    options.jobs = jobs
    options.watch = watch
    (options.statesPerPoint, options.samples, options.bound) = (64, 8, 2)
    return options
  }

  private func violation(_ workload: ExplorationWorkload, depth: Int, _ profile: CrashProfile) -> CrashState? {
    guard workload.exceeded == nil else { return nil }
    do throws(ExplorationError) {
      let report = try Exploration(options(workload, depth: depth, profile)).run()
      return report.findings.first { $0.violation.check == check }?.violation.state
    } catch {
      // A workload that the engine does not get through is none that shows the same.
      return nil
    }
  }

  private func soundVerdict() -> Verdict? {
    guard state.defect != nil, !isStopped, !shouldStop() else { return nil }
    progress("the sound engine in all states of the smallest workload")
    var options = options(state.workload, depth: state.depth, state.profile)
    options.defect = nil
    do throws(ExplorationError) { return try Exploration(options).run().verdict } catch { return .unknown }
  }
}

/// A size of the workload that can be made smaller.
struct WorkloadSize: Sendable {
  var name: String
  /// Its value, for progress.
  var text: @Sendable (ExplorationWorkload) -> String
  /// The same workload with smaller values, the smallest first.
  var smaller: @Sendable (ExplorationWorkload) -> [ExplorationWorkload]

  /// In the order in which they are made smaller. One partition or two, one producer or two: more of them show nothing
  /// that two do not, but sizes between are tried all the same.
  static let all: [WorkloadSize] = [
    // Where syncs come now and then, what happens beside one is a matter of how long everything takes: the first of all
    // seeds is tried before anything else, so that one bug has one story.
    WorkloadSize(
      name: "seed", text: { "\($0.seed)" },
      smaller: { workload in
        guard case .interval = workload.syncPolicy, workload.seed != 1 else { return [] }
        return [workload.with(\.seed, 1)]
      }),
    number("partitions", \.partitions, [1, 2, 3, 6, 12]), number("producers", \.producers, [1, 2, 3, 6, 12, 24]),
    WorkloadSize(
      name: "device-faults", text: { "\($0.deviceFaults)" },
      smaller: { workload in simplerPlans(workload.deviceFaults).map { workload.with(\.deviceFaults, $0) } }),
    flag("commits of consumer offsets", \.commitsOffsets), flag("checkpoints", \.checkpoints),
    flag("takeover", \.isTakenOver),
    number("groups that commit beside the producers", \.committers, [0, 1, 2]),
    number("consumers beside the producers", \.readers, [0, 1]),
    number(
      "messages", \.messages, [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 256, 512, 1024]),
    number("messages a batch", \.messagesPerBatch, [1, 2, 3, 4, 8, 16, 32]),
    number("bytes a message", \.messageSize, [MessageContent.minimumSize, 100, 300, 500, 1000, 2000]),
    WorkloadSize(
      name: "bytes a segment", text: { "\($0.segmentBytes)" },
      smaller: { workload in
        // The larger the segment, the fewer there are.
        [1 << 20, 64 << 10, 32 << 10].filter { $0 > workload.segmentBytes }.map { workload.with(\.segmentBytes, $0) }
      }),
  ]

  /// One producer and up to twelve messages; batches and messages as large as they are.
  static func tiny(_ workload: ExplorationWorkload) -> [ExplorationWorkload] {
    var tiny: [ExplorationWorkload] = []
    for messages in [1, 2, 3, 4, 6, 8, 12] where messages < workload.messages {
      for partitions in [1, 2] where partitions <= min(messages, workload.partitions) {
        for deviceFaults in simplerPlans(workload.deviceFaults) + [workload.deviceFaults] {
          var other = workload
          (other.messages, other.partitions, other.producers, other.deviceFaults) = (
            messages, partitions, 1, deviceFaults
          )
          other.commitsOffsets = false
          tiny.append(other)
        }
      }
    }
    return tiny
  }

  /// None, then one kind of them, as early as it can be.
  private static func simplerPlans(_ deviceFaults: DeviceFaultPlan) -> [DeviceFaultPlan] {
    if deviceFaults == .none { return [] }
    var simpler = [DeviceFaultPlan.none]
    if deviceFaults.failingWriteEvery > 0 {
      simpler += (1...deviceFaults.failingWriteEvery).map { DeviceFaultPlan(failingWriteEvery: $0) }
    }
    if deviceFaults.failingSync > 0 {
      simpler += (1...deviceFaults.failingSync).map { DeviceFaultPlan(failingSync: $0) }
    }
    if deviceFaults.shortWriteEvery > 0 {
      simpler += (1...deviceFaults.shortWriteEvery).map { DeviceFaultPlan(shortWriteEvery: $0) }
    }
    return Array(simpler.prefix { $0 != deviceFaults })
  }

  private static func number(
    _ name: String, _ path: any WritableKeyPath<ExplorationWorkload, Int> & Sendable, _ steps: [Int]
  ) -> WorkloadSize {
    WorkloadSize(
      name: name, text: { "\($0[keyPath: path])" },
      smaller: { workload in steps.filter { $0 < workload[keyPath: path] }.map { workload.with(path, $0) } })
  }

  private static func flag(_ name: String, _ path: any WritableKeyPath<ExplorationWorkload, Bool> & Sendable)
    -> WorkloadSize
  {
    WorkloadSize(
      name: name, text: { _ in "none" },
      smaller: { workload in workload[keyPath: path] ? [workload.with(path, false)] : [] })
  }
}

extension ExplorationWorkload {
  fileprivate func with<Value>(_ path: WritableKeyPath<Self, Value>, _ value: Value) -> Self {
    var other = self
    other[keyPath: path] = value
    return other
  }
}
