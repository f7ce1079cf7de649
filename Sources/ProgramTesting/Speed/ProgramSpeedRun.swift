import CrashStates
import Dispatch
import Drivers
import Foundation
import Glibc
import LogModel
import ProgramOracle
import Synchronization
import Volume
import VolumeStates

/// How `ProgramSpeedRun` measures.
package struct ProgramSpeedOptions: Sendable {
  package var jobs = 2
  package var rounds = 7
  /// In each round; the bare engine opens a copy of each.
  package var states = 150
  package var profiles: [CrashProfile] = [.ext4Ordered, .posixMinimal]
  /// On tmpfs: where the bare engine's copies are.
  package var copies = "/dev/shm"
  package var isCancelled: @Sendable () -> Bool = { false }

  package init() {}
}

/// Measures the harness in pairs with the engine alone, in one run: the same driver, the same protocol, the same
/// states. The engine alone has them as plain folders on tmpfs, and no volume.
package final class ProgramSpeedRun {
  private let spec: ProgramSpec
  private let options: ProgramSpeedOptions
  private let note: (String) -> Void

  package init(_ spec: ProgramSpec, _ options: ProgramSpeedOptions, note: @escaping (String) -> Void) {
    (self.spec, self.options, self.note) = (spec, options, note)
  }

  package func run() throws(ProgramTestError) -> ProgramSpeed {
    note("recording \(spec.requests) requests")
    let program = try ProgramTest(spec, ProgramTestOptions(), note: { _ in }).record(numbered: nil)
    let name = "tornlog-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    let pool = try StatePool(spec, program.workload, name: name + "-states", jobs: options.jobs)
    let bare = BareEngines(spec, program, jobs: options.jobs, in: options.copies + "/" + name)
    let history = CallerHistory(program.events, spec, program)
    var source = StateSource(program, options.profiles, seed: spec.seed)
    var speed = ProgramSpeed(
      name: program.hello.name, program: "\(program.hello.name) \(program.hello.version)",
      model: program.workload.model.rawValue, jobs: options.jobs)
    var (choosing, judging, count) = (UInt64(0), UInt64(0), 0)
    var requests: [Int: Int] = [:]
    // The first one starts drivers, and counts for nothing.
    for round in 0...options.rounds where !options.isCancelled() {
      note("round \(round) of \(options.rounds)")
      if round == 1 { pool.clearTimes() }
      let before = pool.roundTrips
      let began = DriverProcess.now
      let states = source.next(round == 0 ? 2 * options.jobs : options.states)
      let chosen = DriverProcess.now
      if states.isEmpty { break }
      let readings = try pool.read(states.map(\.image), of: program, .second)
      let opened = DriverProcess.now
      for (state, reading) in zip(states, readings) { _ = history.judge(reading, at: state.event) }
      let ended = DriverProcess.now
      let own = zip(pool.roundTrips, before).map { $0 - $1 }
      try bare.prepare(states.map(\.image))
      let all = try bare.open(jobs: options.jobs)
      let one = try bare.open(jobs: 1)
      guard round > 0 else { continue }
      choosing += chosen - began
      judging += ended - opened
      count += states.count
      let rate = { (nanoseconds: UInt64) in Double(states.count) * 1e9 / Double(nanoseconds) }
      speed.rounds.append(
        ProgramSpeed.Round(
          states: states.count, harness: rate(ended - began), bare: rate(all), bareOnce: rate(one),
          roundTrips: Double(own.reduce(0, +)) / Double(states.count)))
      for opcode in own.indices { requests[opcode, default: 0] += own[opcode] }
    }
    let times = pool.times
    func each(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1000 / Double(max(1, count)) }
    speed.parts = [
      ProgramSpeed.Part(name: "choosing and making the image", microseconds: each(choosing)),
      ProgramSpeed.Part(name: "putting it into the volume", microseconds: each(times.loading)),
      ProgramSpeed.Part(name: "starting drivers", microseconds: each(times.starting)),
      ProgramSpeed.Part(name: "open, read, check", microseconds: each(times.reading)),
      ProgramSpeed.Part(name: "close", microseconds: each(times.leaving)),
      ProgramSpeed.Part(name: "judging", microseconds: each(judging)),
    ]
    speed.requests = requests.filter { $0.value > 0 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
      ProgramSpeed.Request(
        name: ProgramSpeed.requestNames[$0.key] ?? "opcode \($0.key)", each: Double($0.value) / Double(max(1, count)))
    }
    return speed
  }
}

/// Different states of a recording, a few more each time.
private struct StateSource {
  private let program: RecordedProgram
  private let seed: UInt64
  private var moments: [(profile: CrashProfile, event: Int)] = []
  private var walks: [String: CrashPointWalk] = [:]
  private var seen: Set<UInt64> = []
  private var left: [(image: DiskImage, event: Int)] = []

  init(_ program: RecordedProgram, _ profiles: [CrashProfile], seed: UInt64) {
    (self.program, self.seed) = (program, seed)
    moments = profiles.flatMap { profile in program.powerCuts(profile).map { (profile, $0) } }.reversed()
  }

  mutating func next(_ count: Int) -> [(image: DiskImage, event: Int)] {
    while left.count < count, let (profile, event) = moments.popLast() {
      var walk = walks[profile.name] ?? CrashPointWalk(program.recording, profile, seed: seed)
      let point = walk.point(at: event)
      walks = [profile.name: walk]
      var resolver = StateResolver(point)
      let limits = StateEnumeration.Limits(bound: 1, statesPerPoint: 64, samples: 2)
      StateEnumeration(point, limits).forEach(seed: seed) { choice, _ in
        if seen.insert(resolver.contentHash(choice)).inserted { left.append((resolver.image(choice), event)) }
      }
    }
    let taken = Array(left.prefix(count))
    left.removeFirst(taken.count)
    return taken
  }
}

/// Drivers that open copies of states on tmpfs.
private final class BareEngines {
  private let spec: ProgramSpec
  private let program: RecordedProgram
  private let folder: String
  private let takesMany: Bool
  private let sessions: UnsafeMutableBufferPointer<DriverSession?>
  private var count = 0

  init(_ spec: ProgramSpec, _ program: RecordedProgram, jobs: Int, in folder: String) {
    (self.spec, self.program, self.folder) = (spec, program, folder)
    takesMany = program.hello.reopens || program.hello.forks
    sessions = .allocate(capacity: jobs)
    sessions.initialize(repeating: nil)
  }

  deinit {
    for session in sessions { session?.process.end() }
    sessions.deinitialize()
    sessions.deallocate()
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// Two copies of each state: each loop has those that nobody has opened.
  func prepare(_ images: [DiskImage]) throws(ProgramTestError) {
    try? FileManager.default.removeItem(atPath: folder)
    guard mkdir(folder, 0o755) == 0 else { throw .machine("\(folder): \(String(cString: strerror(errno)))") }
    count = images.count
    loops = 0
    do throws(VolumeFolderError) {
      for (place, image) in images.enumerated() {
        let volume = Volume()
        try volume.put(StateServer.rootNodes(image, program.recorded))
        for loop in 0..<2 { try volume.export(to: "\(folder)/\(loop)-\(place)") }
      }
    } catch { throw .machine("\(error)") }
  }

  private var loops = 0

  private struct Shared: @unchecked Sendable {
    // Each session is used by one thread at a time.
    let sessions: UnsafeMutableBufferPointer<DriverSession?>
    let spec: ProgramSpec
    let program: RecordedProgram
    let takesMany: Bool

    func open(_ place: String, job: Int) throws(ProgramTestError) {
      do throws(DriverError) {
        var own = DriverPlace()
        own.isIsolated = spec.isIsolated
        if spec.isIsolated, !takesMany { own.binds = [(place, program.folder)] }
        if sessions[job] == nil { sessions[job] = try DriverSession(spec.command, own, limit: spec.requestLimit) }
        let session = sessions[job]!
        let seen = own.binds.isEmpty ? place : program.folder
        let reading = StateReading.take(opening: seen, spec.config, session, program.workload)
        var goesOn = reading.failure == nil && takesMany
        if goesOn { if case .done = session.ask(.close) {} else { goesOn = false } }
        if !goesOn {
          session.process.end()
          sessions[job] = nil
        }
      } catch { throw .driver(error) }
    }
  }

  /// Nanoseconds that it takes to open, read and close a copy of each state.
  func open(jobs: Int) throws(ProgramTestError) -> UInt64 {
    let shared = Shared(sessions: sessions, spec: spec, program: program, takesMany: takesMany)
    let places = (0..<count).map { "\(folder)/\(loops)-\($0)" }
    loops += 1
    let next = Atomic<Int>(0)
    let failure = Mutex<ProgramTestError?>(nil)
    let began = DriverProcess.now
    DispatchQueue.concurrentPerform(iterations: jobs) { job in
      while true {
        let index = next.add(1, ordering: .relaxed).oldValue
        guard index < places.count else { return }
        do throws(ProgramTestError) { try shared.open(places[index], job: job) } catch {
          failure.withLock { $0 = error }
        }
      }
    }
    let ended = DriverProcess.now
    if let failure = failure.withLock({ $0 }) { throw failure }
    return ended - began
  }
}
