import CrashStates
import Foundation
import Glibc
import Synchronization
import Verification

/// Work of which nothing more is heard.
public struct Hang: Sendable {
  /// What was at work.
  public var work: String
  /// The violation of `no-hang`.
  public var check: CheckResult
  /// The crash state that the engine never came back from, with its story; nil where it was at work on none.
  public var finding: StateViolation?

  init(work: String, seconds: Int, finding: (CheckResult) -> StateViolation?) {
    self.work = work
    check = CheckResult(
      .noHang, .violated, "\(work) has kept the processor for \(seconds) s; the longest takes less than one")
    self.finding = finding(check)
  }
}

/// Looks after lives that keep the processor to themselves. In virtual time nothing takes time but an endless loop,
/// which no loop of events can end and no limit on operations: a thread of its own sees it, and tells.
///
/// What runs for the whole limit is a hang: a life takes less than a millisecond, a case of the error matrix less than
/// a second. What counts is the processor's time of the thread at work: on a machine that has too much to do, or
/// sleeps, nobody is accused of it. What does not move and takes no processor either is a hang after ten times the
/// limit, counted in the watch's own wakings.
public final class HangWatch: Sendable {
  private struct Post {
    var work: String
    var order: Int
    var finding: @Sendable (CheckResult) -> StateViolation?
    /// Wakings that it has seen.
    var age = 0
    /// Who is at work, and the processor's time that it had taken before, in seconds.
    var thread: pthread_t
    var before: Double

    /// In ticks of the watch.
    func ripeness(_ tick: Double) -> Int { max(Int((HangWatch.processorTime(of: thread) - before) / tick), age / 10) }
  }

  private struct State {
    var posts: [Int: Post] = [:]
    var next = 0
  }

  private let state = Mutex(State())

  /// The default limit: ten thousand times what the slowest life takes.
  public static let defaultLimit = Duration.seconds(60)
  private static let wakings = 40

  private let tick: Double
  private let seconds: Int

  /// - Parameters:
  ///   - limit: 100 ms at least.
  ///   - onHang: is told the first hang, on the watch's thread, and no other. What hangs goes on hanging: a command
  ///     ends.
  public init(limit: Duration = HangWatch.defaultLimit, onHang: @escaping @Sendable (Hang) -> Void) {
    let all = max(0.1, Double(limit.components.seconds) + Double(limit.components.attoseconds) / 1e18)
    (tick, seconds) = (all / Double(Self.wakings), Int(all.rounded()))
    let thread = Thread { [weak self, tick] in
      while true {
        Thread.sleep(forTimeInterval: tick)
        // Whoever has let go of the watch has nothing to watch.
        guard let self else { return }
        guard let hang = self.wake() else { continue }
        return onHang(hang)
      }
    }
    thread.start()
  }

  /// What hangs at the same time as the first is given a quarter of the limit more to be seen.
  private static let grace = wakings / 4

  /// Runs `body`, with somebody who looks at how long it takes.
  /// - Parameters:
  ///   - work: what it is.
  ///   - order: of several that hang at the same time the lowest is told, so that threads show in nothing.
  ///   - finding: describes it where it hangs; called from the watch's thread, and only then.
  public func during<Value, Failure: Error>(
    _ work: String, order: Int = 0, finding: @escaping @Sendable (CheckResult) -> StateViolation? = { _ in nil },
    _ body: () throws(Failure) -> Value
  ) throws(Failure) -> Value {
    let thread = pthread_self()
    let number = state.withLock { state in
      state.next += 1
      state.posts[state.next] = Post(
        work: work, order: order, finding: finding, thread: thread, before: Self.processorTime(of: thread))
      return state.next
    }
    defer { state.withLock { _ = $0.posts.removeValue(forKey: number) } }
    return try body()
  }

  /// Seconds; 0 where the system does not tell (`man 3 pthread_getcpuclockid`).
  private static func processorTime(of thread: pthread_t) -> Double {
    var (clock, time) = (clockid_t(), timespec())
    guard pthread_getcpuclockid(thread, &clock) == 0, clock_gettime(clock, &time) == 0 else { return 0 }
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private func wake() -> Hang? {
    let first: Post? = state.withLock { state in
      for number in state.posts.keys { state.posts[number]!.age += 1 }
      // A thread stands here as long as it is at work, and no longer.
      guard state.posts.values.contains(where: { $0.ripeness(tick) > Self.wakings + Self.grace }) else { return nil }
      return state.posts.values.filter { $0.ripeness(tick) > Self.wakings }.min { $0.order < $1.order }
    }
    return first.map { Hang(work: $0.work, seconds: seconds, finding: $0.finding) }
  }
}

extension Hang {
  /// The report of an exploration that ended here; nil where no state is known.
  public var report: ExplorationReport? {
    guard let finding, let state = finding.state else { return nil }
    var result = ProfileResult(profile: state.profile)
    (result.crashPoints, result.visited, result.unique, result.groups, result.bound) = (1, 1, 1, 1, 0)
    (result.violatedStates, result.violations) = (1, [finding])
    return ExplorationReport(profiles: [result], depth: state.depth)
  }

  public var text: [String] { report?.text ?? ["VIOLATED \(check.name.rawValue)", "  \(check.detail)"] }

  /// The report as JSON; where no state is known only what was violated.
  public func json() throws -> String {
    if let report { return try report.json() }
    return try ReportText.json(Document(hang: ["check": check.name.rawValue, "detail": check.detail]))
  }

  private struct Document: Encodable {
    var version = 1
    var tool = "tornlog"
    var hang: [String: String]
  }
}

extension Exploration {
  /// Runs a life on a state that `scene` builds again.
  func watching<Value>(
    _ profile: CrashProfile, order: Int = 0, _ scene: @escaping @Sendable () -> CrashScene, _ body: () -> Value
  ) -> Value {
    guard let watch = options.watch else { return body() }
    return watch.during(
      "the engine, on what a power cut has left,", order: order,
      finding: { StateExaminer.Violation(scene: scene(), check: $0).described(self, profile, states: 1) }, body)
  }
}

extension HangWatch? {
  /// Without a watch nobody looks.
  func during<Value, Failure: Error>(
    _ work: @autoclosure () -> String, order: Int = 0, _ body: () throws(Failure) -> Value
  ) throws(Failure) -> Value {
    guard let self else { return try body() }
    return try self.during(work(), order: order, finding: { _ in nil }, body)
  }
}
