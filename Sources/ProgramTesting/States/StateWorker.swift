import CrashStates
import Drivers
import Glibc
import LogModel
import Volume
import VolumeStates

/// Has a driver open one crash state after the other, each from memory. One worker serves one thread.
final class StateWorker {
  private let spec: ProgramSpec
  private let workload: ProgramWorkload
  private let server: StateServer
  private let patience: Patience
  /// Drivers that wait for the next state: one for each start of the machine, for each sees a boot ID of its own.
  private var sessions: [Boot: DriverSession] = [:]
  /// Drivers that were started.
  private(set) var starts = 0
  /// States that need not be opened.
  private var alike = 0
  /// What `visit` has spent so far.
  private(set) var times = Times()

  /// Nanoseconds, by what they were spent on.
  struct Times {
    var loading: UInt64 = 0
    var starting: UInt64 = 0
    var reading: UInt64 = 0
    var leaving: UInt64 = 0

    static func + (a: Times, b: Times) -> Times {
      Times(
        loading: a.loading + b.loading, starting: a.starting + b.starting, reading: a.reading + b.reading,
        leaving: a.leaving + b.leaving)
    }
  }

  func clearTimes() { times = Times() }
  /// Requests that the kernel has sent and waits for: all but FORGET and its likes.
  var roundTrips: [Int] {
    var requests = server.mount.requests
    for opcode in [2, 42] where requests.indices.contains(opcode) { requests[opcode] = 0 }
    return requests
  }

  init(
    _ spec: ProgramSpec, _ workload: ProgramWorkload, name: String, _ patience: Patience
  ) throws(ProgramTestError) {
    (self.spec, self.workload, self.patience) = (spec, workload, patience)
    do { server = try StateServer(at: spec.directory + "/" + name, memoryLimit: spec.memoryLimit) } catch {
      throw .mount("\(error)")
    }
  }

  deinit { for session in sessions.values { session.process.end() } }

  /// Which start of the machine a program finds itself in, by the boot ID: no two of them have the same.
  enum Boot: Sendable {
    /// That of the recorded run: the program was killed.
    case recorded
    /// After a power cut of the recorded run.
    case second
    /// After a power cut of the life after that.
    case third
  }

  /// What a state leads to.
  struct Visit {
    /// Nil where the state was not opened: the program would read the same as in one that was.
    var reading: StateReading?
    /// Of the reading.
    var hash: UInt64
    /// What the program did to the state while it opened and read it: equal numbers, equal deeds.
    var behaviour: UInt64 = 0
    /// It was opened although it need not be, and another reading came of it.
    var contradicts = false
    /// The time was not over before its turn came.
    var isReached = true
  }

  /// The state at a folder of its own, opened, read and closed.
  /// - Parameters:
  ///   - known: what other states have led to; this one is not opened where nothing that the program asks for differs.
  ///     One of sixteen of these is opened all the same.
  ///   - isRepeat: a hang that was waited for until the limit is tried again: it counts after a shorter wait too.
  /// - Throws: what keeps the machine or the driver from that.
  func visit(
    _ image: DiskImage, of program: RecordedProgram, _ boot: Boot, knowing known: BehaviourCache? = nil,
    isRepeat: Bool = false
  ) throws(ProgramTestError) -> Visit {
    let began = DriverProcess.now
    let answers = known.map { _ in StateServer.answers(image, of: program.recorded) }
    let found = known?.find { [answers] in answers!.answer($0) }
    if let found {
      alike += 1
      if alike % 16 != 1 { return Visit(hash: found.behaviour) }
    }
    let folder = try load(image, of: program.recorded)
    let loaded = DriverProcess.now
    let (session, place) = try driver(for: folder, of: program, boot)
    let started = DriverProcess.now
    var reading = read(place, session)
    if isRepeat, reading.isGivenUp, let request = reading.silent { reading.failure = .hung(request: request) }
    let behaviour = server.behaviour
    let questions = known == nil ? [] : server.questions(of: program.recorded)
    let read = DriverProcess.now
    leave(boot, reading.failure == nil)
    times =
      times
      + Times(
        loading: loaded - began, starting: started - loaded, reading: read - started,
        leaving: DriverProcess.now - read)
    let hash = reading.hash
    if let known, let answers, found == nil, reading.followsFromFiles {
      _ = known.add(questions, answers.answer, hash)
    }
    return Visit(
      reading: reading, hash: hash, behaviour: behaviour,
      contradicts: found.map { $0.behaviour != hash } ?? false)
  }

  /// What becomes of a state over two lives.
  struct SecondVisit {
    var first: StateReading
    /// After an orderly end and another start.
    var again: StateReading
    /// What was written before that, where it was acknowledged.
    var probe: DriverRequest?
    /// What the program did from its first start on.
    var recording: VolumeRecording
    /// Events of the recording when the state was there, and when `probe` was answered.
    var preparedAt: Int
    var probedAt: Int
  }

  /// Opens a state, reads it, writes once more, closes, opens and reads again.
  func visitTwice(
    _ image: DiskImage, of program: RecordedProgram, _ boot: Boot
  ) throws(ProgramTestError) -> SecondVisit {
    let folder = try load(image, of: program.recorded)
    var (session, place) = try driver(for: folder, of: program, boot)
    let first = read(place, session)
    var probe: DriverRequest?
    var failure: StateReading.Failure?
    if first.failure == nil {
      let request = workload.probe(1)
      switch StateReading.outcome(session, request) {
      case .success: probe = request
      case .failure(.hung(let request)) where !patience.noteSilence(after: session.limit):
        failure = .driver("\(request): \(Patience.reason)")
      case .failure(let problem): failure = problem
      }
    }
    let probedAt = server.volume.trace.count
    leave(boot, first.failure == nil && failure == nil, mustClose: true)
    let closedAt = server.volume.trace.count
    var again = StateReading(failure: failure)
    if first.failure == nil, failure == nil {
      (session, place) = try driver(for: folder, of: program, boot)
      again = read(place, session)
      leave(boot, again.failure == nil)
    }
    // A reading that takes what it reads is no part of what is explored: nobody is told of its takes.
    let recording = server.recording(sharing: program.recording.store, end: again.isDrained ? closedAt : nil)
    return SecondVisit(
      first: first, again: again, probe: probe, recording: recording,
      preparedAt: recording.event(at: server.prepared), probedAt: recording.event(at: probedAt))
  }

  /// Opens what is at a place and reads it, with the patience that there is.
  private func read(_ place: String, _ session: DriverSession) -> StateReading {
    session.limit = patience.now
    let began = DriverProcess.now
    var reading = StateReading.take(opening: place, spec.config, session, workload)
    if case .hung(let request) = reading.failure {
      if !patience.noteSilence(after: session.limit) { reading.giveUp(request) }
    } else {
      patience.noteAnswer(after: DriverProcess.now - began)
    }
    return reading
  }

  private func load(_ image: DiskImage, of recorded: VolumeRecording) throws(ProgramTestError) -> String {
    do { return try server.load(image, of: recorded) } catch { throw .machine("\(error)") }
  }

  /// A driver that takes `open` of a state.
  /// An isolated one finds it where the program's folder was while it was recorded.
  /// - Returns: also where it finds the state.
  private func driver(
    for folder: String, of program: RecordedProgram, _ boot: Boot
  ) throws(ProgramTestError) -> (DriverSession, String) {
    if let session = sessions[boot] { return (session, folder) }
    var place = DriverPlace()
    place.isIsolated = spec.isIsolated
    place.scratch = spec.directory
    place.onSync = server.mount.syncNote
    place.isOfAnotherBoot = boot != .recorded
    starts += 1
    // Which of both it is the first driver says.
    let keeps = takesMany ?? false
    if spec.isIsolated, !keeps { place.binds = [(folder, program.folder)] }
    do {
      let made = try DriverSession(spec.command, place, limit: spec.requestLimit)
      sessions[boot] = made
      takesMany = made.hello.reopens || made.hello.forks
      return (made, place.binds.isEmpty ? folder : program.folder)
    } catch { throw .driver(error) }
  }

  private var takesMany: Bool?

  /// Has the driver leave the state. One that does not answer, or that takes one state only, is killed.
  /// - Parameter mustClose: also where the driver takes no other state, and could as well be killed.
  private func leave(_ boot: Boot, _ isWell: Bool, mustClose: Bool = false) {
    guard let session = sessions[boot] else { return }
    var goesOn = isWell
    if isWell, mustClose || takesMany == true {
      switch session.ask(.close) {
      case .done: break
      default: goesOn = false
      }
    }
    if !goesOn || takesMany != true {
      session.process.end()
      sessions[boot] = nil
    }
  }
}

extension StateServer {
  /// What was done to the state so far, as a number.
  var behaviour: UInt64 {
    var hash: UInt64 = 0
    let trace = volume.trace
    for operation in trace.operations(from: prepared) {
      switch operation.kind {
      case .open, .flush, .release, .mark, .setTimes: continue
      case let kind where kind.isRead: continue
      default: break
      }
      hash = mix64(hash ^ UInt64(operation.kind.rawValue) ^ operation.offset << 8 ^ operation.length << 24)
      hash = mix64(hash ^ stableHash(operation.nameText) ^ UInt64(UInt32(bitPattern: operation.error)))
      hash = trace.withPayload(of: operation.sequence) { bytes in
        var hash = hash
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
      }
    }
    return hash
  }
}
