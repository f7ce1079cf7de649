import CProcess
import Defects
import Foundation
import Glibc
import LogModel
import Reporting
import ScenarioFormat
import Storage
import Testing
import Verification

@testable import DefectMatrix
@testable import Trials

/// What the machine does to a trial is no finding on the engine.
@Suite struct MachineLimitTests {
  private func report(_ sender: Int, _ pages: Int) -> String {
    "\(String(cString: tl_death_report()))\(sender) \(pages)\n"
  }

  private func cause(_ signal: Int32?, _ errorOutput: String = "", limit: Int64? = nil) -> WorkerDeath.Cause {
    WorkerDeath(signal: signal, status: signal == nil ? 3 : 0, errorOutput: errorOutput)
      .cause(memory: limit.map { (.addressSpace, $0) })
  }

  private func isOutside(_ cause: WorkerDeath.Cause) -> Bool { if case .outside = cause { true } else { false } }
  private func isShortage(_ cause: WorkerDeath.Cause) -> Bool { if case .shortage = cause { true } else { false } }

  @Test(arguments: [SIGTERM, SIGHUP, SIGINT, SIGKILL, SIGXCPU, SIGXFSZ, SIGSYS, SIGUSR1, SIGALRM, SIGQUIT])
  func `signals that no engine raises come from outside`(signal: Int32) {
    #expect(isOutside(cause(signal)))
    #expect(isOutside(cause(signal, limit: 1 << 20)))
  }

  @Test(arguments: [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP])
  func `a trap is the engine's own, unless somebody has sent the signal`(signal: Int32) {
    #expect(cause(signal) == .own)
    #expect(cause(signal, "Fatal error: Index out of range\n" + report(0, 100)) == .own)
    #expect(isOutside(cause(signal, report(4711, 100))))
    // A report that was cut says nothing.
    #expect(cause(signal, String(cString: tl_death_report()) + "47") == .own)
  }

  @Test func `an exit status is its own`() { #expect(cause(nil) == .own) }

  @Test func `the report is no part of the last words`() {
    let death = WorkerDeath(signal: SIGILL, status: 0, errorOutput: "Fatal error: x\n" + report(7, 2))
    #expect(
      death.words == .fatalError && death.errorOutput == "Fatal error: x\n" && death.sender == 7
        && death.lastWords == ": Fatal error: x")
    #expect(death.mapped == 2 * Int64(sysconf(Int32(_SC_PAGESIZE))))
  }

  @Test func `no memory below a limit is a shortage, a trap below it is not`() {
    let limit = Int64(512 << 20)
    let full = Int(limit / Int64(sysconf(Int32(_SC_PAGESIZE)))) - 100
    for words in [
      "Storage/IOBuffer.swift:23: Fatal error: out of memory: 262144 bytes for an I/O buffer\n",
      "Could not allocate memory.\n",
    ] {
      #expect(isShortage(cause(SIGILL, words + report(0, 100), limit: limit)))
      #expect(cause(SIGILL, words) == .own, "without a limit nobody but the engine has asked for too much")
    }
    #expect(isShortage(cause(SIGSEGV, report(0, full), limit: limit)), "a stack that cannot grow")
    #expect(cause(SIGSEGV, report(0, 100), limit: limit) == .own, "there was memory left")
    #expect(cause(SIGILL, "Fatal error: Index out of range\n" + report(0, full), limit: limit) == .own)
    #expect(cause(SIGSEGV, limit: limit) == .own)
    guard case .shortage(let text) = cause(SIGILL, "out of memory\n" + report(0, 100), limit: limit) else {
      Issue.record("no shortage")
      return
    }
    #expect(text.contains("RLIMIT_AS allows 512 MiB") && text.contains("ulimit -v"), "\(text)")
  }

  @Test func `what checks found under a limit is no violation`() throws {
    var findings = TrialRunner.Findings()
    findings.judgement = Judgement(checks: [
      CheckResult(.noUnjustifiedRejection, .violated, "3 refused"), CheckResult(.noHang, .held),
    ])
    #expect(findings.judged().verdict == .violated)
    findings.hinder("too many open files")
    let (judgement, verdict) = findings.judged()
    #expect(verdict == .unknown && !judgement.checks.contains { $0.verdict == .violated })
    let check = try #require(judgement[.noUnjustifiedRejection])
    #expect(
      check.verdict == .unknown && check.detail.contains("too many open files") && check.detail.contains("3 refused"))
  }

  /// The life that met it was killed before it could reply.
  @Test func `the journal keeps the first failure of the machine`() throws {
    let scratch = try TrialScratch()
    let journal = try Journal(path: scratch.folder.journal, capacity: 1)
    #expect(journal.deviceFailure == nil)
    journal.note(Journal.DeviceFailure(code: EMFILE, operation: .linkCount, isShortage: true))
    journal.note(Journal.DeviceFailure(code: ENOSPC, operation: .write, isShortage: false))
    let later = try #require(try Journal.existing(scratch.folder.journal)?.deviceFailure)
    #expect(later == Journal.DeviceFailure(code: EMFILE, operation: .linkCount, isShortage: true))
    #expect("\(later)".contains("Too many open files (raise the limit with ulimit -n"))
  }

  @Test func `the storage interface writes it there`() async throws {
    let scratch = try TrialScratch()
    let journal = try Journal(path: scratch.folder.journal, capacity: 1)
    let base = Meddling(try StorageChoice.posix.openFiles(root: scratch.folder.data, loop: EventLoop()))
    base.onPass = { (call, _) async throws(StorageError) in throw StorageError(errno: EMFILE, call.kind, call.path) }
    let meter = InFlightMonitor(base, journal, spec())
    _ = base.loop.run { () async -> Void in
      do { _ = try await meter.open("file", [.write, .create]) } catch { return }
    }
    #expect(meter.isHindered && journal.deviceFailure?.code == EMFILE && journal.deviceFailure?.isShortage == true)
  }

  @Test func `the stage of a process that has not begun is not its own`() throws {
    let scratch = try TrialScratch()
    let journal = try Journal(path: scratch.folder.journal, capacity: 1)
    journal.stage = .producing
    #expect(journal.stage(of: getpid()) == .producing)
    #expect(journal.stage(of: getpid() + 1) == nil)
  }

  @Test(arguments: [EMFILE, ENFILE, EFBIG, ENOMEM, EDQUOT, EAGAIN, ENOBUFS, ECANCELED])
  func `shortages leave the trial without a verdict and say what to do`(code: Int32) throws {
    for error in [
      TrialError.system("write", "readback-1.json", code),
      .directory(StorageError(errno: code, .makeDirectory, "trial-1")),
    ] {
      #expect(error.isShortage && error.isEnvironment && "\(error)".hasSuffix(")"), "\(error)")
      var reply = PhaseReply()
      reply.fail(error)
      #expect(reply.shortage != nil && reply.machineFailure == nil && reply.failure == nil && reply.isHindered)
    }
    let remedy = try #require(Shortage.remedy(code))
    #expect("\(TrialError.system("write", "x", code))".contains(remedy))
    let met = Shortage.text(StorageError(errno: code, .write, "orders-0.log"))
    #expect(met.contains("(raise") || met.contains("(\(remedy))"), "\(met)")
  }

  @Test(arguments: [ENOSPC, EACCES, EROFS, EIO])
  func `other failures of the machine end the run`(code: Int32) {
    var reply = PhaseReply()
    reply.fail(.system("write", "readback-1.json", code))
    #expect(reply.machineFailure != nil && reply.shortage == nil)
  }

  // MARK: Files of the harness

  @Test func `half a file is told in words`() throws {
    let scratch = try TrialScratch()
    let path = scratch.folder.path + "/half.json"
    for text in ["[{\"kind\": \"bit-fl", "", "[{}]", "[{\"kind\": 3, \"fired\": 1, \"places\": []}]"] {
      try Data(text.utf8).write(to: URL(fileURLWithPath: path))
      let error = #expect(throws: TrialError.self) { _ = try JSONFile.read([Receipt].self, from: path) }
      #expect(
        error.map { "\($0)" }?.contains("DecodingError") == false && "\(error!)".contains(path),
        "\(String(describing: error))")
    }
    try Data("{\"fault\": 1, \"li".utf8).write(to: URL(fileURLWithPath: scratch.folder.storageFaults.path))
    let error = #expect(throws: TrialError.self) { _ = try scratch.folder.storageFaults.read() }
    #expect("\(error!)".contains("stopped in the middle") && !"\(error!)".contains("DecodingError"))
  }

  // MARK: Beforehand

  private func plan(_ specs: TrialSpec..., jobs: Int = 2) -> RunPlan {
    RunPlan(
      trials: specs.map { PlannedTrial(spec: $0, expectation: .held, axes: $0.axes) }, jobs: jobs, directory: "/tmp",
      keep: .never,
      failFast: false, deadline: nil, executable: "")
  }

  private func complaint(_ plan: RunPlan, _ limits: Preflight.Limits) -> String? {
    do throws(TrialError) {
      try Preflight.checkLimits(plan, limits)
      return nil
    } catch { return "\(error)" }
  }

  private static let none = Preflight.Limits(openFiles: nil, fileSize: nil, memory: nil, available: nil)

  @Test func `what is certain to be refused is refused beforehand`() {
    let many = plan(spec(partitions: 600))
    var limits = Self.none
    #expect(complaint(many, limits) == nil)
    limits.openFiles = 600
    #expect(
      complaint(many, limits)?.contains(
        "RLIMIT_NOFILE is 600 and a trial (test) needs 610: raise the limit with ulimit -n") == true)
    limits.openFiles = 610
    #expect(complaint(many, limits) == nil)
    limits = Self.none
    limits.fileSize = 64 << 10
    #expect(
      complaint(plan(spec()), limits)?.contains("RLIMIT_FSIZE is 65536 and a file of a trial (test) needs 262144")
        == true)
    #expect(complaint(plan(spec(sync: "never")), limits) == nil)
    #expect(
      complaint(plan(spec(messages: 100_000, sync: "never")), limits)?.contains("ulimit -f") == true, "the journal")
  }

  @Test func `memory is counted for trials in memory`() {
    var large = spec(messages: 1_000_000_000, storage: .memory)
    large.messageSize = 1000
    var limits = Self.none
    limits.memory = (.addressSpace, 6_000_000 << 10)
    #expect(
      complaint(plan(large), limits)?.contains("RLIMIT_AS allows 5859 MiB: raise the limit with ulimit -v") == true)
    limits = Self.none
    limits.available = 8 << 30
    #expect(complaint(plan(large), limits)?.contains("the machine has 8192 MiB") == true)
    var half = spec(messages: 5_000_000, storage: .memory)
    half.messageSize = 1000
    #expect(complaint(plan(half, half, jobs: 1), limits) == nil)
    #expect(complaint(plan(half, half, jobs: 2), limits)?.contains("lower --jobs") == true)
    half.storage = .posix
    #expect(complaint(plan(half, half, jobs: 2), limits) == nil, "on files it does not stand in memory")
  }

  @Test func `a worker cannot be started in a machine that has no processes left: no verdict`() throws {
    let scratch = try TrialScratch()
    // What cannot be executed is no shortage.
    #expect(throws: TrialError.self) {
      _ = try TrialRunner(executable: "/nonexistent/tornlog").run(spec(), in: scratch.folder.path)
    }
    #expect(TrialError.system("start a worker from", "x", EAGAIN).isShortage)
  }

  // MARK: Defects

  private func row(_ defect: Bool, _ cells: DefectCell...) -> DefectRow {
    DefectRow(defect: defect ? .all[0] : nil, wanted: defect ? [[.noAcknowledgedLoss]] : [], cells: cells)
  }

  private func report(_ rows: DefectRow...) -> DefectReport {
    DefectReport(rows: rows, ways: [.dedicatedScenario], seconds: 1, effort: .smoke, seed: 1)
  }

  @Test func `a cell that was cut short leaves its row undecided`() throws {
    func cell(_ check: CheckName?, _ undecided: String?) -> DefectCell {
      DefectCell(
        way: .dedicatedScenario, check: check, findings: check.map { [DefectFinding(check: $0, reproduce: nil)] } ?? [],
        trials: 1, seconds: 1,
        unknown: 0, undecided: undecided)
    }
    let caught = row(true, cell(.noAcknowledgedLoss, nil))
    let cut = row(true, cell(nil, "no descriptors"))
    let missed = row(true, cell(nil, nil))
    #expect(report(caught, cut).verdict == .unknown && !report(caught, cut).isExpected)
    #expect(report(missed, cut).verdict == .violated && report(missed).verdict == .violated)
    #expect(report(caught).verdict == .held && report(caught).isExpected)
    let sound = row(false, cell(nil, "no descriptors"))
    #expect(
      !sound.isExpected && report(sound).verdict == .unknown, "a sound engine that was not looked at has not held")
    #expect(report(row(false, cell(.noHang, nil))).verdict == .violated)
    #expect(report(cut).text.contains { $0.hasPrefix("UNDECIDED") && $0.contains("no descriptors") })
    #expect(try report(cut).json().contains("\"undecided\" : \"no descriptors\""))
  }
}
