import Glibc
import LogModel
import Synchronization

/// What completes operations for an `EventLoop`: an io_uring, or nothing at all where operations complete in place.
protocol CompletionSource: AnyObject {
  /// Operations that have been prepared or submitted and not completed.
  var inFlight: Int { get }
  /// Submits what is prepared, all at once, without waiting, and resumes whoever awaits a completion that is ready.
  func poll()
  /// As `poll`, but blocks until a completion, `timeout` (nil: no limit) or `wake`.
  func wait(timeout: Duration?)
  /// Ends a `wait`; from any thread.
  func wake()
  /// Readable while completions are ready.
  var descriptor: Int32 { get }
  /// Has the next `wait` end, too, when `other` has completions that are ready.
  func watch(_ other: any CompletionSource)
  /// `other` goes: its descriptor may soon be another's.
  func forget(_ other: any CompletionSource)
}

/// One thread that owns a storage *and* is the `TaskExecutor` of everything that runs on it: engine, producers,
/// consumers. Nothing there needs a lock, and no wake-up stands between a completion and the task that awaits it.
///
/// When the queue of jobs runs dry, the tasks that wait in `nextIdleTurn` run: a partition's commit loop waits
/// there, so that every producer that is ready puts its batch into the commit first. When the queue is dry again,
/// all that was prepared is submitted in one call.
///
/// In a simulation the same loop is drained by hand: the seed, or a `ScheduleChooser`, picks the next job, and time is
/// virtual, moving on only when nothing is left to do at the present moment.
public final class EventLoop: TaskExecutor, @unchecked Sendable {
  // All state but `outside` belongs to the thread inside `run`; `enqueue` tells that thread by `owner`.

  private struct Timer {
    var due: Instant
    var order: UInt64
    var action: UnsafeContinuation<Void, Never>
  }

  private var ready: [UnownedJob] = []
  private var running: [UnownedJob] = []
  private var idle: [UnsafeContinuation<Void, Never>] = []
  private var released: [UnsafeContinuation<Void, Never>] = []
  private var turns: [UnsafeContinuation<Void, Never>] = []
  private var leisure: [() -> Void] = []
  private var timers: [Timer] = []
  private var timerOrder: UInt64 = 0
  private let outside = Mutex<[UnownedJob]>([])
  private let hasOutside = Atomic<Bool>(false)
  private let owner = Atomic<UInt>(0)
  /// Ends a wait of the loop where no source does; a simulation waits for nobody.
  private let doorbell: WakeupDescriptor?
  /// Holds this loop; takes itself away when it goes.
  private unowned(unsafe) var source: (any CompletionSource)?
  /// Those of further storages on this loop, each with the same rights: the first one waits for all of them.
  private var others: [OtherSource] = []
  private struct OtherSource {
    unowned(unsafe) let source: any CompletionSource
  }
  private var simulation: Simulation?
  /// The line that starts the next operation, where it says so; see `Storage.here`. What carries an operation on after
  /// a pause puts it back.
  public var callSite: CallSite?

  private struct Simulation {
    var random: SeededGenerator
    var now: Instant
    var chooser: (any ScheduleChooser)?
  }

  /// A loop on the machine's clock.
  public init() {
    doorbell = WakeupDescriptor()
    reserve()
  }

  /// A loop in virtual time, whose schedule follows from `seed`, and whose clock begins at `start`.
  public init(simulatedWithSeed seed: UInt64, startingAt start: Instant = Instant(nanoseconds: 0)) {
    doorbell = nil
    simulation = Simulation(random: SeededGenerator(seed: seed, stream: "schedule"), now: start)
    reserve()
  }

  /// A loop in virtual time, whose schedule `chooser` decides.
  public init(scheduledBy chooser: any ScheduleChooser, startingAt start: Instant = Instant(nanoseconds: 0)) {
    doorbell = nil
    simulation = Simulation(random: SeededGenerator(seed: 0), now: start, chooser: chooser)
    reserve()
  }

  /// Begins a simulation anew, as a loop just made would, but for its memory.
  /// - Returns: false where something still waits on this loop, which is left as it was.
  public func restart(simulatedWithSeed seed: UInt64, startingAt start: Instant) -> Bool {
    guard simulation != nil, ready.isEmpty, idle.isEmpty, turns.isEmpty, leisure.isEmpty, timers.isEmpty,
      !hasOutside.load(ordering: .acquiring)
    else { return false }
    simulation = Simulation(random: SeededGenerator(seed: seed, stream: "schedule"), now: start)
    timerOrder = 0
    return true
  }

  private func reserve() {
    ready.reserveCapacity(1024)
    running.reserveCapacity(1024)
    idle.reserveCapacity(64)
  }

  func attach(_ added: any CompletionSource) {
    if source == nil { source = added } else { others.append(OtherSource(source: added)) }
  }

  func detach(_ removed: any CompletionSource) {
    others.removeAll { $0.source === removed }
    guard source === removed else {
      source?.forget(removed)
      return
    }
    source = others.first?.source
    if !others.isEmpty { others.removeFirst() }
  }

  /// Operations of all sources that have not completed.
  private var inFlight: Int { others.reduce(source?.inFlight ?? 0) { $0 + $1.source.inFlight } }

  private func poll() {
    source?.poll()
    for other in others { other.source.poll() }
  }

  /// - Parameter timeout: nil for no limit.
  private func wait(for source: any CompletionSource, timeout: Duration?) {
    if !others.isEmpty {
      for other in others {
        other.source.poll()
        source.watch(other.source)
      }
      // What they had ready comes first.
      if !ready.isEmpty { return source.poll() }
    }
    source.wait(timeout: timeout)
    for other in others { other.source.poll() }
  }

  public var isSimulated: Bool { simulation != nil }

  public var now: Instant {
    if let simulation { return simulation.now }
    return Instant(of: CLOCK_MONOTONIC)
  }

  /// Traps, in debug builds, when called off the loop.
  @inlinable public func assertOwned() { assert(isCurrent, "called off the event loop") }

  public var isCurrent: Bool { owner.load(ordering: .relaxed) == UInt(pthread_self()) }

  // MARK: Jobs

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isCurrent {
      ready.append(job)
      return
    }
    outside.withLock { $0.append(job) }
    hasOutside.store(true, ordering: .releasing)
    if let source { source.wake() } else { doorbell?.ring() }
  }

  /// Suspends until no other job is ready; in a simulation the seed may end the wait earlier.
  public func nextIdleTurn() async {
    await withUnsafeContinuation { idle.append($0) }
  }

  /// Runs `work` once everything that is ready has been submitted and the loop would only wait: what need not delay
  /// an operation is done while the device is at it. No promise when; whoever needs it done earlier does it himself.
  public func atLeisure(_ work: @escaping () -> Void) { leisure.append(work) }

  private func enjoyLeisure() {
    let works = leisure
    leisure.removeAll(keepingCapacity: true)
    for work in works { work() }
  }

  /// Suspends until everybody else who is ready, and every timer that is due, has had a turn: for operations that
  /// complete in place, so that a task which only makes such operations cannot keep the loop to itself.
  public func nextTurn() async {
    await withUnsafeContinuation { turns.append($0) }
  }

  /// Resumes `continuation` at the next idle turn: for a task that already waits for something else.
  public func resumeWhenIdle(_ continuation: UnsafeContinuation<Void, Never>) {
    idle.append(continuation)
  }

  /// Suspends until `due` on this loop's clock.
  public func sleep(until due: Instant) async {
    await withUnsafeContinuation { continuation in
      timerOrder += 1
      let timer = Timer(due: due, order: timerOrder, action: continuation)
      let at = timers.firstIndex { ($0.due, $0.order) < (due, timerOrder) } ?? timers.endIndex
      timers.insert(timer, at: at)  // latest first: the next one due is the last
    }
  }

  /// A task on this loop. The loop must be in `run` for it to get on.
  public func spawn(_ body: @escaping @Sendable () async -> Void) {
    Task(executorPreference: self) { await body() }
  }

  // MARK: Driving

  public enum Ending: Hashable, Sendable {
    case finished
    /// Nothing is ready, in flight or due, and the body has not ended: it waits for ever.
    case stalled
    /// The limit passed on this loop's clock.
    case timedOut
  }

  /// Makes the calling thread the loop's until `body` has returned. Not re-entrant.
  /// - Parameter limit: on the loop's own clock, virtual in a simulation; nil for none.
  public func run<Value: Sendable>(
    limit: Duration? = nil, _ body: @escaping @Sendable () async -> Value
  ) -> (ending: Ending, value: Value?) {
    precondition(owner.load(ordering: .relaxed) == 0, "the loop is already running")
    owner.store(UInt(pthread_self()), ordering: .relaxed)
    defer {
      // Kept, it would keep this loop and everything on it alive for ever.
      enjoyLeisure()
      owner.store(0, ordering: .relaxed)
    }
    let box = ResultBox<Value>()
    Task(executorPreference: self) { box.value = await body() }
    let deadline = limit.map { now + $0 }
    while box.value == nil {
      if let deadline, now >= deadline { return (.timedOut, nil) }
      if simulation != nil {
        if !simulateStep() { return (.stalled, nil) }
      } else if !realStep(deadline: deadline, hasEnded: { box.value != nil }) {
        return (.stalled, nil)
      }
    }
    return (.finished, box.value)
  }

  /// Written by one task on the loop, read by the loop's thread.
  private final class ResultBox<Value>: @unchecked Sendable {
    var value: Value?
  }

  private func runReadyJobs() {
    while !ready.isEmpty {
      swap(&ready, &running)
      let me = asUnownedTaskExecutor()
      for job in running { job.runSynchronously(on: me) }
      running.removeAll(keepingCapacity: true)
    }
  }

  private func takeOutsideJobs() {
    guard hasOutside.exchange(false, ordering: .acquiring) else { return }
    outside.withLock { jobs in
      ready.append(contentsOf: jobs)
      jobs.removeAll(keepingCapacity: true)
    }
  }

  private func realStep(deadline: Instant?, hasEnded: () -> Bool) -> Bool {
    takeOutsideJobs()
    if !turns.isEmpty { releaseTurns() }
    runReadyJobs()
    if !idle.isEmpty {
      releaseIdle()
      runReadyJobs()
    }
    if hasEnded() { return true }
    if !timers.isEmpty { fireTimers(at: now) }
    if !ready.isEmpty || !idle.isEmpty || !turns.isEmpty || hasOutside.load(ordering: .acquiring) {
      poll()
      return true
    }
    if !leisure.isEmpty {
      poll()
      enjoyLeisure()
      return true
    }
    if inFlight == 0 && timers.isEmpty { return false }
    let next = timers.last?.due
    if let source {
      wait(for: source, timeout: next.map { max($0 - now, .zero) })
    } else if let next {
      doorbell?.wait(timeout: max(next - now, .zero))
    }
    return true
  }

  private func releaseTurns() {
    let waiting = turns
    turns.removeAll(keepingCapacity: true)
    for continuation in waiting { continuation.resume() }
  }

  private func releaseIdle() {
    // Two arrays that change places: none is allocated for a turn.
    swap(&idle, &released)
    for continuation in released { continuation.resume() }
    released.removeAll(keepingCapacity: true)
  }

  private func fireTimers(at moment: Instant) {
    while let timer = timers.last, timer.due <= moment {
      timers.removeLast()
      timer.action.resume()
    }
  }

  /// - Returns: whether anybody waited for the queue of jobs to run dry.
  private func serveTheWaiting() -> Bool {
    if idle.isEmpty && leisure.isEmpty { return false }
    if !idle.isEmpty { releaseIdle() } else { enjoyLeisure() }
    return true
  }

  private func simulateStep() -> Bool {
    takeOutsideJobs()
    if !turns.isEmpty { releaseTurns() }
    if let chooser = simulation?.chooser { return chosenStep(chooser) }
    if !ready.isEmpty {
      // Sometimes the commit loops run before every producer is through: a schedule that real threads allow.
      if !idle.isEmpty, simulation!.random.chance(1, in: 16) { releaseIdle() }
      let pick = ready.count == 1 ? 0 : Int.random(in: 0..<ready.count, using: &simulation!.random)
      let job = ready[pick]
      ready.swapAt(pick, ready.count - 1)
      ready.removeLast()
      job.runSynchronously(on: asUnownedTaskExecutor())
      return true
    }
    if serveTheWaiting() { return true }
    guard let due = timers.last?.due else { return false }
    simulation!.now = max(simulation!.now, due)
    fireTimers(at: simulation!.now)
    return true
  }

  /// What still waits on the loop of a machine that is dead, timers however long among it, comes to its end: kept
  /// waiting it would keep its memory for ever. What goes on without end is left after a while. In a simulation only.
  public func drain() {
    precondition(simulation != nil, "only a simulated machine can be dead while its loop is not")
    precondition(owner.load(ordering: .relaxed) == 0, "the loop is running")
    owner.store(UInt(pthread_self()), ordering: .relaxed)
    defer { owner.store(0, ordering: .relaxed) }
    for _ in 0..<Self.mostStepsOfTheDead where !simulateStep() { return }
  }

  private static let mostStepsOfTheDead = 20_000

  // MARK: Chosen schedules

  /// How far apart two timers may be due for a chooser to change their order.
  private static let timerWindow = Duration.milliseconds(5)
  private static let mostTimers = 4

  /// The default order is that of arrival, and of time. Every other one could have happened: jobs of different tasks
  /// know no order; a timer may fire late, and a device may take longer.
  private func chosenStep(_ chooser: any ScheduleChooser) -> Bool {
    if !ready.isEmpty {
      // The last possibility: commit loops run before every producer is through.
      let count = ready.count + (idle.isEmpty ? 0 : 1)
      let pick = count == 1 ? 0 : chooser.choose(count)
      if pick == ready.count {
        releaseIdle()
      } else {
        ready.remove(at: pick).runSynchronously(on: asUnownedTaskExecutor())
      }
      return true
    }
    if serveTheWaiting() { return true }
    guard let first = timers.last?.due else { return false }
    let near = timers.suffix(Self.mostTimers).count { $0.due - first <= Self.timerWindow }
    let timer = timers.remove(at: timers.count - 1 - (near == 1 ? 0 : chooser.choose(near)))
    simulation!.now = max(simulation!.now, timer.due)
    timer.action.resume()
    return true
  }
}

/// Decides what happens next in a simulation, wherever several things may.
public protocol ScheduleChooser: AnyObject {
  /// - Parameter count: how many possibilities there are, at least 2.
  /// - Returns: one of them, from 0, which is the default order.
  func choose(_ count: Int) -> Int
}
