import Foundation
import Glibc
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Synchronization
import Verification

/// What `tornlog run` was asked to do, all decided.
public struct RunPlan: Sendable {
  public enum Keep: String, Sendable, CaseIterable { case never, onFailure = "on-failure", always }

  public var trials: [PlannedTrial]
  public var jobs: Int
  /// Parent of the run's folder.
  public var directory: String
  public var keep: Keep
  public var failFast: Bool
  /// Seconds for the whole run; nil for none.
  public var deadline: Double?
  public var executable: String
  /// For reports: the scenarios that the trials are of.
  public var cases: [CaseDescription]

  public init(
    trials: [PlannedTrial], jobs: Int, directory: String, keep: Keep, failFast: Bool, deadline: Double?,
    executable: String, cases: [CaseDescription] = []
  ) {
    self.trials = trials
    self.jobs = jobs
    self.directory = directory
    self.keep = keep
    self.failFast = failFast
    self.deadline = deadline
    self.executable = executable
    self.cases = cases
  }
}

public struct PlannedTrial: Sendable {
  public var spec: TrialSpec
  public var expectation: Expectation
  public var axes: Axes
  public var claims: [Claim]

  public init(spec: TrialSpec, expectation: Expectation, axes: Axes, claims: [Claim] = []) {
    self.spec = spec
    self.expectation = expectation
    self.axes = axes
    self.claims = claims
  }
}

/// Runs a plan: a thread and a worker process a job, one stream of events in the order of the trials.
public final class Run: @unchecked Sendable {
  // `state` is the only thing that threads share; events are handed on under its lock.

  private struct State {
    var next = 0
    var waiting: [Int: TrialResult] = [:]
    var reported = 0
    var summary = RunSummary()
    /// Why no further trial is started.
    var stoppedBy: RunSummary.Stop?
    var failure: (any Error)?
    var notices: Set<String> = []
    /// Folders of trials that are to be removed at the end.
    var unremoved: [String] = []
  }

  private let plan: RunPlan
  private let emit: (RunEvent) throws -> Void
  private let state = NSLock()
  private var shared = State()
  private let started = ContinuousClock.now

  public init(_ plan: RunPlan, emit: @escaping (RunEvent) throws -> Void) {
    self.plan = plan
    self.emit = emit
  }

  /// - Parameter notices: what the user should know before anything runs.
  /// - Throws: `TrialError` where the directory cannot be used, and whatever a recorder throws.
  public func execute(_ description: RunDescription, notices: [String] = []) throws -> RunSummary {
    let workspace = try Workspace(in: plan.directory)
    defer {
      do {
        for folder in shared.unremoved { try Workspace.remove(folder) }
        if plan.keep == .never { try workspace.removeAll() } else { workspace.removeIfEmpty() }
      } catch let problem {
        // Where nobody reads standard error there is nobody to tell.
        do throws(ReportError) { try DescriptorSink.standardError().write("tornlog: \(problem)\n") } catch {}
      }
    }
    try emit(.started(description))
    for notice in notices { try announce(notice) }
    JobThread.run(max(1, min(plan.jobs, plan.trials.count))) { [self] _ in job(workspace) }
    try reportStragglers()
    shared.summary.seconds = (ContinuousClock.now - started).inSeconds
    // A signal, or a limit, that came when everything had run has cut nothing short.
    if shared.summary.trials < plan.trials.count {
      shared.summary.stoppedBy = Interruption.isRequested ? .signal : shared.stoppedBy ?? .failure
    }
    do {
      try emit(.finished(shared.summary))
    } catch {
      shared.failure = shared.failure ?? error
    }
    // What has run until a failure is reported all the same.
    if let failure = shared.failure { throw failure }
    return shared.summary
  }

  private func job(_ workspace: Workspace) {
    let runner = TrialRunner(executable: plan.executable)
    defer { runner.end() }
    while let index = take() {
      do {
        let result = try one(index, runner, workspace)
        if let result { try report(index, result) }
      } catch {
        state.withLock {
          shared.failure = shared.failure ?? error
          shared.stoppedBy = .failure
        }
      }
    }
  }

  private func take() -> Int? {
    state.withLock {
      guard shared.next < plan.trials.count, shared.stoppedBy == nil, !Interruption.isRequested else { return nil }
      if let deadline = plan.deadline, (ContinuousClock.now - started).inSeconds > deadline {
        shared.stoppedBy = .deadline
        return nil
      }
      shared.next += 1
      return shared.next - 1
    }
  }

  private func one(_ index: Int, _ runner: TrialRunner, _ workspace: Workspace) throws -> TrialResult? {
    let trial = plan.trials[index]
    try state.withLock {
      try emit(.trialStarted(index: index, title: "\(trial.spec.scenario) \(trial.axes)"))
    }
    let start = ContinuousClock.now
    let folder = workspace.trialFolder(index)
    var findings: TrialRunner.Findings
    do throws(TrialError) {
      try workspace.makeTrialFolder(index)
      findings = try runner.run(trial.spec, in: folder)
    } catch {
      if error.isShortage {
        findings = TrialRunner.Findings(hinderedBy: "\(error)")
      } else {
        if plan.keep != .always { try clear(folder) }
        throw error
      }
    }
    if findings.interrupted {
      try clear(folder)
      return nil
    }
    let seconds = (ContinuousClock.now - start).inSeconds
    let (judgement, verdict) = findings.judged()
    for notice in findings.storageNotices {
      try announce(notice.replacing(TrialFolder.anywhere, with: plan.directory))
    }
    for check in judgement.checks {
      if let remark = check.remark { findings.notices.append("\(check.name.rawValue) held: \(remark)") }
    }
    let expected = trial.expectation.isMet(by: verdict, checks: judgement.checks)
    let kept = plan.keep == .always || (plan.keep == .onFailure && !expected)
    if !kept { try clear(folder) }
    var result = TrialResult(
      scenario: trial.spec.scenario, file: trial.spec.file, seed: trial.spec.seed, verdict: verdict,
      expectation: trial.expectation, axes: trial.axes, counts: judgement.counts, partitions: judgement.partitions,
      checks: judgement.checks,
      faults: findings.receipts.reduce(into: []) { list, receipt in
        if let at = list.firstIndex(where: { $0.kind == receipt.kind }) {
          list[at].fired += receipt.fired
          list[at].places += receipt.places
        } else {
          list.append(FaultReceipt(kind: receipt.kind, fired: receipt.fired, places: receipt.places))
        }
      }, recovery: findings.recovery, losses: judgement.losses, append: findings.append,
      notices: findings.voids + findings.doubts + findings.notices,
      reproduce: "tornlog reproduce \(Token.encode(trial.spec))", seconds: seconds, keptAt: kept ? folder : nil)
    result.engineCounts = findings.engineCounts
    result.observed = findings.observed
    result.consumedLive = judgement.consumedLive
    result.countedRestart = judgement.countedRestart
    result.looked = judgement.looked
    result.claims = trial.claims.map { $0.judged(by: result, isVirtual: trial.spec.storage == .memory) }
    return result
  }

  /// Removes a trial's folder. What a limit of the machine keeps from being removed now is removed at the end.
  private func clear(_ folder: String) throws(TrialError) {
    guard access(folder, F_OK) == 0 else { return }
    do throws(TrialError) { try Workspace.remove(folder) } catch {
      guard error.isShortage else { throw error }
      state.withLock { shared.unremoved.append(folder) }
    }
  }

  /// Tells the user something of the run, once.
  private func announce(_ notice: String) throws {
    try state.withLock {
      if shared.notices.insert(notice).inserted { try emit(.notice(notice)) }
    }
  }

  /// Hands results on in the order of the trials.
  private func report(_ index: Int, _ result: TrialResult) throws {
    try state.withLock {
      shared.waiting[index] = result
      while let ready = shared.waiting.removeValue(forKey: shared.reported) {
        count(ready)
        try emit(.trialFinished(index: shared.reported, ready))
        shared.reported += 1
      }
      if plan.failFast, !result.isExpected { shared.stoppedBy = shared.stoppedBy ?? .failFast }
    }
  }

  /// After an early end there are gaps that will not be filled any more: what has run is reported all the same.
  private func reportStragglers() throws {
    for index in shared.waiting.keys.sorted() {
      guard let late = shared.waiting.removeValue(forKey: index) else { continue }
      count(late)
      try emit(.trialFinished(index: index, late))
    }
  }

  private func count(_ result: TrialResult) {
    shared.summary.trials += 1
    switch result.verdict {
    case .held: shared.summary.held += 1
    case .violated: shared.summary.violated += 1
    case .unknown: shared.summary.unknown += 1
    }
    if !result.isExpected { shared.summary.unexpected += 1 }
  }
}

/// A thread that can be waited for.
package final class JobThread: @unchecked Sendable {
  // The semaphore orders the two threads.
  private let done = DispatchSemaphore(value: 0)

  /// - Throws: `TrialError` where there can be no more threads.
  init(_ body: @escaping () -> Void) throws(TrialError) {
    nonisolated(unsafe) let body = body
    let done = done
    let code = SystemThread.start {
      body()
      done.signal()
    }
    guard code == 0 else { throw .system("start a thread in", "this process", code) }
  }

  func join() { done.wait() }

  /// Runs `body` on so many threads, and waits for them. Where there can be no more threads those that there are do it
  /// all, or this one.
  package static func run(_ count: Int, _ body: @escaping (_ job: Int) -> Void) {
    var threads: [JobThread] = []
    for job in 0..<count {
      do throws(TrialError) { threads.append(try JobThread { body(job) }) } catch { break }
    }
    if threads.isEmpty { body(0) }
    for thread in threads { thread.join() }
  }
}
