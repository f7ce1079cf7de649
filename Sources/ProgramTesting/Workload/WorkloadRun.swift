import Drivers
import Glibc
import ProgramOracle
import Volume

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
  private(set) var hello: DriverHello?
  /// Where the answer to the first `open` stands in the trace.
  private(set) var openedAt: Int?

  private var session: DriverSession?
  private var channel: ReplyChannel?
  private var channels = 0
  /// Places in `events` whose reply came as this line of the channel.
  private var pending: [(event: Int, line: Int)] = []
  private var isFirstOpen = true

  init(_ spec: ProgramSpec, name: String) throws(ProgramTestError) {
    self.spec = spec
    var options = VolumeOptions()
    options.memoryLimit = spec.memoryLimit
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
    channels += 1
    let channel = try ReplyChannel(mount, number: channels)
    self.channel = channel
    var place = DriverPlace()
    place.channel = (channel.path, channel.reading)
    place.isIsolated = spec.isIsolated
    place.onSync = mount.syncNote
    do throws(DriverError) { session = try DriverSession(spec.command, place, limit: spec.requestLimit) } catch {
      throw .driver(error)
    }
    hello = session!.hello
    return session!.hello
  }

  var isRunning: Bool { session != nil }
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

  /// Opens the folder. The first `open` of a folder creates.
  func open() -> WorkloadStop? {
    let isFirst = isFirstOpen
    isFirstOpen = false
    let stop = ask(.open(folder: folder, create: isFirst, config: spec.config))
    if isFirst, stop == nil { openedAt = events.count - 1 }
    return stop
  }

  /// Sends one request and keeps what its caller knows of it.
  func ask(_ request: DriverRequest) -> WorkloadStop? {
    guard let session else { return .died("the driver is gone") }
    let submitted = volume.trace.count
    // Making everything anew may take long: a database cluster, a schema.
    let isCreation = if case .open(_, create: true, _) = request { true } else { false }
    let answer = session.ask(request, limit: isCreation ? max(spec.requestLimit, 60_000_000_000) : nil)
    var record = RequestRecord(request: request, submitted: submitted, answered: nil, outcome: .unknown("no reply"))
    var stop: WorkloadStop?
    switch answer {
    case .done(let reply): record.outcome = .done(position: reply.position, value: reply.value)
    case .failed(.driver, let error): stop = .driver("the driver could not carry out '\(request.name)': \(error)")
    case .failed(.failed, let error): record.outcome = .failed(error)
    case .failed(.unknown, let error): record.outcome = .unknown(error)
    case .died(let how): stop = .died(how)
    case .silent: stop = .silent(request: request.name)
    case .garbled(let complaint): stop = .driver(complaint)
    }
    if case .open = request, stop == nil {
      switch record.outcome {
      case .failed(let error), .unknown(let error): stop = .refused(error)
      case .done: break
      }
    }
    if stop == nil { pending.append((events.count, session.linesRead - 1)) }
    events.append(.request(record))
    return stop
  }

  /// Carries out steps until they are done or it cannot go on.
  func run(_ steps: some Sequence<WorkloadStep>, isCancelled: () -> Bool = { false }) -> WorkloadStop? {
    for step in steps {
      if isCancelled() { return .interrupted }
      switch step {
      case .request(let request): if let stop = ask(request) { return stop }
      case .reopen:
        if let stop = ask(.close) { return stop }
        if session?.hello.reopens != true, session?.hello.forks != true {
          settle()
          do throws(ProgramTestError) { _ = try start() } catch { return .driver("\(error)") }
        }
        if let stop = open() { return stop }
      }
    }
    return nil
  }

  /// Everything is read back, and checked by the program itself.
  func read(_ workload: ProgramWorkload) -> StateReading {
    guard let session else { return StateReading(failure: .died("the driver is gone", request: "scan")) }
    var reading = StateReading()
    reading.read(session, workload)
    return reading
  }

  /// Puts what was read after a crash among what happened: it settles what nobody knew.
  func noteReading(_ reading: StateReading) { events.append(.read(reading, at: volume.trace.count)) }

  /// Ends the driver and everything that it has started.
  /// - Parameter isCrash: its caller must take what has no answer yet as lost.
  func end(isCrash: Bool = false) {
    session?.process.end()
    session = nil
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
}
