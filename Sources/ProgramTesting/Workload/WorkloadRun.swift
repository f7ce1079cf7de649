import Drivers
import Glibc
import ProgramOracle
import Volume
import VolumeStates

/// Why a workload did not go on.
package enum WorkloadStop: Sendable, Hashable {
  /// The driver or its child is gone.
  case died(String)
  /// No answer to the request within the time limit.
  case silent(request: String)
  /// The program refused to open.
  case refused(String)
  /// The driver's own failure.
  case driver(String)
  /// The caller was told to stop.
  case interrupted

  /// Of a program that does not come back from a restart: what it breaks; nil where nothing is known of it.
  var check: ProgramCheck? {
    switch self {
    case .died, .refused: .opens
    case .silent: .opensInTime
    case .driver, .interrupted: nil
    }
  }

  package var text: String {
    switch self {
    case .died(let how): how
    case .silent(let request): "'\(request)' was not answered in time"
    case .refused(let error): "it refuses to open: \(error)"
    case .driver(let problem): problem
    case .interrupted: "interrupted"
    }
  }
}

/// A program that works on a volume, with all that it does to its files recorded, and all that its caller is told.
final class WorkloadRun {
  let spec: ProgramSpec
  let volume: Volume
  let mount: VolumeMount
  /// The inode of the program's folder.
  let root: UInt64
  let folder: String
  private(set) var events: [CallerEvent] = []
  /// Places in the trace of readings that took what they read.
  private var readings: [Range<Int>] = []
  private(set) var hello: DriverHello?
  /// Where the answer to the first `open` stands in the trace.
  private(set) var openedAt: Int?

  private let patience: Patience
  private var session: DriverSession?
  private var channel: ReplyChannel?
  private var channels = 0
  /// Places in `events` whose reply came as this line of the channel.
  private var pending: [(event: Int, line: Int)] = []
  private var isFirstOpen = true
  /// Requests without an answer: by id, their places in `events`.
  private var flying: [Int: Int] = [:]

  /// - Parameters:
  ///   - keepsCache: see `VolumeOptions`.
  ///   - patience: nil waits for each request until the limit.
  init(
    _ spec: ProgramSpec, name: String, keepsCache: Bool = true, _ patience: Patience? = nil
  ) throws(ProgramTestError) {
    self.spec = spec
    self.patience = patience ?? Patience(spec.requestLimit)
    var options = VolumeOptions()
    options.memoryLimit = spec.memoryLimit
    options.keepsCache = keepsCache
    volume = Volume(options)
    do throws(VolumeFolderError) {
      root = try volume.put([VolumeNode(parent: -1, name: Array("data".utf8), mode: S_IFDIR | 0o777)])[0]
    } catch { throw .machine("\(error)") }
    do throws(VolumeMountError) {
      mount = try VolumeMount(volume, at: spec.directory + "/" + name, cutsConnection: true)
    } catch {
      throw .mount("\(error)")
    }
    folder = mount.folder + "/data"
  }

  deinit { end() }

  /// Starts a driver for the volume.
  func start() throws(ProgramTestError) -> DriverHello {
    session?.process.end()
    session = nil
    flying.removeAll()
    channels += 1
    let channel = try ReplyChannel(mount, number: channels)
    self.channel = channel
    var place = DriverPlace()
    place.channel = (channel.path, channel.reading)
    place.isIsolated = spec.isIsolated
    place.onSync = mount.syncNote
    do throws(DriverError) { session = try DriverSession(spec.command, place, limit: patience.now) } catch {
      throw .driver(error)
    }
    hello = session!.hello
    return session!.hello
  }

  var isRunning: Bool { session != nil }
  /// A request had no answer, and the time limit was not waited for.
  private(set) var isGivenUp = false
  /// The last request was to open again what had been closed in order.
  var isAtRestart: Bool {
    guard case .request(let record)? = events.last, case .open(_, create: false, _) = record.request else {
      return false
    }
    return true
  }
  var lastWords: [String] { session?.process.lastWords() ?? [] }
  /// Kills the driver; any thread may.
  func kill() { session?.process.kill() }
  /// Asks the driver and all that it has started to end; any thread may.
  func terminate() { session?.process.signal(SIGTERM) }

  /// Opens the folder. The first `open` of a folder creates.
  func open() -> WorkloadStop? {
    let isFirst = isFirstOpen
    isFirstOpen = false
    let stop = ask(.open(folder: folder, create: isFirst, config: spec.config))
    if isFirst, stop == nil { openedAt = events.count - 1 }
    return stop
  }

  /// Sends one request, and waits until it and all before it are answered.
  func ask(_ request: DriverRequest) -> WorkloadStop? {
    if let stop = send(request) { return stop }
    return land()
  }

  /// Sends a request. Its caller knows nothing of it yet.
  private func send(_ request: DriverRequest) -> WorkloadStop? {
    guard let session else { return .died("the driver is gone") }
    let submitted = volume.trace.count
    flying[session.send(request)] = events.count
    events.append(
      .request(
        RequestRecord(request: request, submitted: submitted, answered: nil, outcome: .unknown("no reply"))))
    return nil
  }

  /// Waits for the next answer, and keeps what the caller knows by it.
  private func takeAnswer() -> WorkloadStop? {
    guard let session else { return .died("the driver is gone") }
    let waiting = flying.values.min().flatMap { place in
      if case .request(let record) = events[place] { record.request } else { nil }
    }
    // Making everything anew may take long: a database cluster, a schema.
    let isCreation = if case .open(_, create: true, _) = waiting { true } else { false }
    session.limit = patience.now
    let began = DriverProcess.now
    let (id, answer) = session.wait(limit: isCreation ? max(spec.requestLimit, 60_000_000_000) : nil)
    guard let id, let place = flying.removeValue(forKey: id), case .request(var record) = events[place] else {
      flying.removeAll()
      switch answer {
      case .died(let how): return .died(how)
      case .silent: return silence(waiting?.name ?? "", session.limit)
      case .garbled(let complaint): return .driver(complaint)
      case .done, .failed: return .driver("a reply to nothing")
      }
    }
    if !isCreation { patience.noteAnswer(after: DriverProcess.now - began) }
    switch answer {
    case .done(let reply): record.outcome = .done(position: reply.position, value: reply.value)
    case .failed(.driver, let error):
      return .driver("the driver could not carry out '\(record.request.name)': \(error)")
    case .failed(.failed, let error): record.outcome = .failed(error)
    case .failed(.unknown, let error): record.outcome = .unknown(error)
    case .died(let how): return .died(how)
    case .silent: return silence(record.request.name, session.limit)
    case .garbled(let complaint): return .driver(complaint)
    }
    if case .open = record.request {
      switch record.outcome {
      case .failed(let error), .unknown(let error): return .refused(error)
      case .done: break
      }
    }
    pending.append((place, session.linesRead - 1))
    events[place] = .request(record)
    return nil
  }

  /// - Parameter waited: nothing came in so many nanoseconds.
  private func silence(_ request: String, _ waited: UInt64) -> WorkloadStop {
    if !patience.noteSilence(after: waited) { isGivenUp = true }
    return .silent(request: request)
  }

  /// Waits until so many requests at the most are without an answer.
  private func land(_ most: Int = 0) -> WorkloadStop? {
    while flying.count > most { if let stop = takeAnswer() { return stop } }
    return nil
  }

  /// Carries out steps until they are done or it cannot go on.
  func run(_ steps: some Sequence<WorkloadStep>, isCancelled: () -> Bool = { false }) -> WorkloadStop? {
    for step in steps {
      if isCancelled() { return .interrupted }
      switch step {
      case .request(let request):
        if let stop = send(request) ?? land(spec.concurrency - 1) { return stop }
      case .reopen:
        if let stop = land() ?? ask(.close) { return stop }
        if session?.hello.reopens != true, session?.hello.forks != true {
          settle()
          do throws(ProgramTestError) { _ = try start() } catch { return .driver("\(error)") }
        }
        if let stop = open() { return stop }
      }
    }
    return land()
  }

  /// Everything is read back, and checked by the program itself.
  func read(_ workload: ProgramWorkload) -> StateReading {
    guard let session else { return StateReading(failure: .died("the driver is gone", request: "scan")) }
    var reading = StateReading()
    session.limit = patience.now
    reading.read(session, workload)
    if case .hung = reading.failure, !patience.noteSilence(after: session.limit) { isGivenUp = true }
    return reading
  }

  /// Puts what was read after a crash among what happened: it settles what nobody knew.
  /// - Parameter begin: the place in the trace at which it began. Where it took what it read, nothing is known of the
  ///   moments in it.
  func noteReading(_ reading: StateReading, since begin: Int) {
    let end = volume.trace.count
    // Its last answer is among what happened: once that has, all of the reading is known.
    events.append(.read(reading, at: max(begin, end - 1)))
    if reading.isDrained, begin + 1 < end { readings.append(begin + 1..<end) }
  }

  /// Ends the driver and everything that it has started.
  /// - Parameter isCrash: its caller must take what has no answer yet as lost.
  func end(isCrash: Bool = false) {
    session?.process.end()
    session = nil
    flying.removeAll()
    settle()
    if isCrash { events.append(.crash(at: volume.trace.count)) }
    channel = nil
  }

  /// Finds where the replies stand in the trace.
  private func settle() {
    guard let channel, !pending.isEmpty else { return }
    let ends = volume.trace.lineEnds(of: channel.inode)
    for (event, line) in pending where line < ends.count {
      guard case .request(var record) = events[event] else { continue }
      record.answered = ends[line]
      record.answeredTime = Int64(volume.trace[ends[line]].time)
      events[event] = .request(record)
    }
    pending.removeAll()
  }

  /// Where the first `open` was answered; nil before.
  var firstOpen: Int? {
    guard let openedAt, case .request(let record) = events[openedAt] else { return nil }
    return record.answered
  }

  /// What was done up to now, as crash states are made of it.
  /// - Parameters:
  ///   - stepNumbers: of the steps of the spec's workload that were carried out; nil for all.
  ///   - end: what was done from this place in the trace on is left out.
  func recorded(_ workload: ProgramWorkload, _ stepNumbers: [Int]?, end: Int? = nil) -> RecordedProgram {
    let recorded = VolumeRecording(volume.trace, root: root, end: end)
    return RecordedProgram(
      hello: hello!, workload: workload, stepNumbers: stepNumbers, seed: spec.seed, recorded: recorded, events: events,
      begin: recorded.event(at: firstOpen ?? 0) + 1, folder: folder, mount: mount, readings: readings,
      root: root)
  }
}
