import Defects
import FaultInjection
import LogModel
import Storage
import Verification

/// What one scenario of the error matrix runs, under one plan of faults after the other.
protocol ErrorMatrixSubject: Sendable {
  var scenario: ErrorScenario { get }
  /// One run: a life under errors, then two without; the power goes in between.
  func tell(_ faults: [PlannedFault], _ watch: FaultHitRecorder) -> ErrorRunResult
}

extension ErrorFixture: ErrorMatrixSubject {
  func tell(_ faults: [PlannedFault], _ watch: FaultHitRecorder) -> ErrorRunResult { ErrorRun(self, watch).run(faults) }
}

/// The same for a client: its disk, and its script so far.
final class ClientMatrixSubject: ErrorMatrixSubject, @unchecked Sendable {
  // Nothing of it changes once it has been made.

  let scenario: ErrorScenario
  private let defect: Defect?
  private let disk: MemoryDisk
  private let script: any ClientScript
  private let start: Instant

  /// - Throws: `neverEnds` where the life before hangs.
  init(_ client: LogClient, _ scenario: ErrorScenario, _ defect: Defect?) throws(ExplorationError) {
    self.scenario = scenario
    self.defect = defect
    disk = MemoryDisk(seed: scenario.workload.seed)
    script = client.begin(messages: 8, seed: scenario.workload.seed, defect)
    var now = Instant(nanoseconds: 0)
    for (number, life) in scenario.past.enumerated() {
      let loop = EventLoop(simulatedWithSeed: scenario.workload.seed &+ 100 &+ UInt64(number), startingAt: now)
      let machine = MemoryStorage(disk: disk, loop: loop)
      let (script, layered) = (script, defect?.layer(on: machine) ?? machine)
      let ending = loop.run(limit: type(of: script).limit) { await script.live(.work, on: layered) }.ending
      if ending != .finished { throw .neverEnds("\(scenario.name), life \(number): \(ending)") }
      now = loop.now + type(of: script).pause
      script.crash(at: loop.now)
      _ =
        life.ending == .powerLoss
        ? disk.powerLoss(seed: UInt64(number), profile: .dropUnsynced) : disk.processKill(seed: UInt64(number))
    }
    start = now
  }

  func tell(_ faults: [PlannedFault], _ watch: FaultHitRecorder) -> ErrorRunResult {
    var result = ErrorRunResult()
    let disk = disk.snapshot()
    var script = script.copy()
    let seed = scenario.workload.seed
    // Of a device that never answers nobody expects the end of anything.
    let isStuck = faults.contains { $0.fault == .stall(nil) }
    var now = start
    for life in 0..<3 {
      let loop = EventLoop(simulatedWithSeed: seed &+ UInt64(life), startingAt: now)
      let machine = MemoryStorage(disk: disk, loop: loop)
      var faulty: FaultyStorage?
      if life == 0 {
        faulty = FaultyStorage(machine, plan: FaultPlan(faults, seed: seed), onFired: { watch.fired($0) })
      }
      let meter = StorageMonitor(faulty ?? machine, limit: ErrorRun.mostOperations) { call, number, site in
        watch.ended(call, number, from: site)
      }
      let layered = defect?.layer(on: meter) ?? meter
      let ending = loop.run(limit: type(of: script).limit) { [script] in
        await script.live(life == 0 ? .work : .check, on: layered)
      }.ending
      if let faulty {
        result.unfired = faulty.unfired
        (result.opened, result.wentOn) = (ending == .finished, ending == .finished)
      }
      if meter.isExhausted || (ending != .finished && !(isStuck && life == 0)) {
        script.hang(
          "life \(life) never ends: "
            + "\(meter.isExhausted ? "more than \(ErrorRun.mostOperations) operations" : "\(ending)")"
        )
      }
      now = loop.now + type(of: script).pause
      script.crash(at: loop.now)
      // What the dead machine still does it does in another script.
      script = script.copy()
      _ = disk.powerLoss(seed: mix64(seed &+ UInt64(life)), profile: .dropUnsynced)
      faulty?.cut()
      loop.drain()
    }
    result.firings = watch.firings
    result.judgement = script.judge()
    return result
  }
}
