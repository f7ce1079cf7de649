import CProcess
import Glibc

/// How a driver is started.
package struct DriverCommand: Sendable, Hashable {
  package var arguments: [String]
  /// The folder that it is started in; nil is the caller's.
  package var folder: String?

  package init(_ arguments: [String], folder: String? = nil) {
    self.arguments = arguments
    self.folder = folder
  }
}

/// Where a driver runs, and where its replies go.
package struct DriverPlace: Sendable {
  /// A file that takes its standard output, and the descriptor where that can be read; nil is a pipe.
  package var channel: (path: String, descriptor: Int32)?
  /// Namespaces of its own. Needs root.
  package var isIsolated = false
  /// Is called before each sync(2), syncfs(2) and sync_file_range(2) of the driver or of what it starts, which wait for
  /// it; nil where nobody wants to know. On a thread of its own.
  package var onSync: (@Sendable (SyncCall) -> Void)?
  /// Folders that it sees at another path, where it is isolated.
  package var binds: [(folder: String, at: String)] = []
  /// Whether it sees a boot ID of its own (`man 4 random`), where it is isolated: the machine was started anew.
  /// Programs take what stands in their files for good where the boot ID is still the same, as libmdbx does.
  package var isOfAnotherBoot = false
  /// A folder for what is made for it and is gone once it has started.
  package var scratch = "/tmp"

  package init() {}
}

/// A call that FUSE hears nothing of.
package enum SyncCall: Sendable, Hashable {
  case sync
  /// Of the file system of a descriptor of a process: the path of that in /proc.
  case syncfs(path: String)
  /// Promises nothing (`man 2 sync_file_range`, Warning).
  case syncFileRange
}

/// A driver that runs, with everything that it has started. It ends with this object, and with this process.
package final class DriverProcess: @unchecked Sendable {
  /// What comes of a wait.
  package enum Event {
    /// A line of standard output, without its end.
    case line([UInt8])
    /// It is gone; nothing that it wrote is left to read.
    case ended(DriverEnding)
    case timeout
  }

  /// Bytes of standard error that are kept: the last ones.
  private static let keptLog = 64 << 10

  package let process: pid_t
  private let watched: Int32
  private let input: Int32
  private let output: Int32
  private let errors: Int32
  private let ownsOutput: Bool
  private let isIsolated: Bool
  private var unread: [UInt8] = []
  /// Bytes of `unread` in which there is no end of a line.
  private var searched = 0
  private var begin = 0
  private var log: [UInt8] = []
  private var hasErrors = true
  private var hasOutput = true
  private var ending: DriverEnding?
  private let endLock = EndLock()

  package init(_ command: DriverCommand, _ place: DriverPlace = DriverPlace()) throws(DriverError) {
    let name = command.arguments.first ?? ""
    guard Self.canBeFound(name, from: command.folder) else { throw .notFound(name) }
    var (ins, outs, errs) = ([Int32](repeating: -1, count: 2), [Int32](repeating: -1, count: 2), [Int32(-1), -1])
    var opened: [Int32] = []
    func pipe(_ ends: inout [Int32]) throws(DriverError) {
      let code = tl_pipe(&ends)
      if code != 0 {
        for descriptor in opened { close(descriptor) }
        throw .system("pipe2", code)
      }
      opened += ends
    }
    try pipe(&ins)
    try pipe(&errs)
    if place.channel == nil { try pipe(&outs) }
    var place = place
    let bootID = place.isIsolated && place.isOfAnotherBoot ? Self.makeBootID(in: place.scratch) : nil
    if let bootID { place.binds.append((bootID, "/proc/sys/kernel/random/boot_id")) }
    defer { if let bootID { unlink(bootID) } }
    var arguments = command.arguments
    if command.folder == nil { arguments[0] = VersionShim.target(of: name) }
    if place.isIsolated { arguments = ["/bin/sh", "-c", "\"$@\"; exit $?", "sh"] + arguments }
    let started = Self.start(arguments, command.folder, place, ins[0], outs[1], errs[1])
    for descriptor in [ins[0], outs[1], errs[1]] where descriptor >= 0 { close(descriptor) }
    switch started {
    case .failure(let failure):
      for descriptor in [ins[1], outs[0], errs[0]] where descriptor >= 0 { close(descriptor) }
      throw .notStarted(name, step: failure.step, failure.code)
    case .success(let child):
      (process, watched) = (child.process, child.descriptor)
      if let onSync = place.onSync, child.listener >= 0 { Self.watch(child.listener, onSync) }
    }
    (input, errors) = (ins[1], errs[0])
    output = place.channel?.descriptor ?? outs[0]
    ownsOutput = place.channel == nil
    isIsolated = place.isIsolated
    for descriptor in [output, errors] {
      _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }
  }

  deinit {
    end()
    close(watched)
    close(input)
    close(errors)
    if ownsOutput { close(output) }
  }

  /// A file with a random UUID, as the kernel makes them. `doctor` knows its name.
  /// - Returns: nil where none can be made: then the program sees the machine's own.
  private static func makeBootID(in folder: String) -> String? {
    var template = Array("\(folder)/tornlog-boot-\(getpid())-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    fchmod(descriptor, 0o444)
    var source = [CChar](repeating: 0, count: 64)
    let random = open("/proc/sys/kernel/random/uuid", O_RDONLY | O_CLOEXEC)
    let count = random < 0 ? -1 : read(random, &source, source.count)
    if random >= 0 { close(random) }
    guard count > 0, Glibc.write(descriptor, source, count) == count else {
      unlink(template)
      return nil
    }
    return template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  private struct StartFailure: Error {
    var step: String
    var code: Int32
  }

  private static func start(
    _ arguments: [String], _ folder: String?, _ place: DriverPlace, _ input: Int32, _ output: Int32, _ errors: Int32
  ) -> Result<(process: pid_t, descriptor: Int32, listener: Int32), StartFailure> {
    let texts = arguments.map { strdup($0) }
    let binds = place.binds.flatMap { [strdup($0.folder), strdup($0.at)] }
    defer { for text in texts + binds { free(text) } }
    var program = tl_program()
    return (texts + [nil]).withUnsafeBufferPointer { arguments in
      (binds + [nil]).map { UnsafePointer($0) }.withUnsafeBufferPointer { binds in
        withOptionalCString(folder) { folder in
          withOptionalCString(place.channel?.path) { path in
            program.arguments = arguments.baseAddress
            program.environment = UnsafePointer(environ)
            program.folder = folder
            program.output_path = path
            (program.standard_input, program.standard_output, program.standard_error) = (input, output, errors)
            program.isolated = place.isIsolated ? 1 : 0
            program.binds = binds.baseAddress
            program.watches_syncs = place.onSync == nil ? 0 : 1
            let started = SpawnThread.shared.start(program)
            if started.code == 0 { return .success((started.process, started.descriptor, started.listener)) }
            return .failure(StartFailure(step: String(cString: tl_spawn_step(started.step)), code: started.code))
          }
        }
      }
    }
  }

  /// Answers the kernel until nothing is left of the program.
  private static func watch(_ listener: Int32, _ onSync: @escaping @Sendable (SyncCall) -> Void) {
    Thread.start {
      var call = tl_sync_call()
      while tl_next_sync(listener, &call) == 0 {
        switch call.call {
        case 0: onSync(.sync)
        case 1: onSync(.syncfs(path: "/proc/\(call.process)/fd/\(call.descriptor)"))
        default: onSync(.syncFileRange)
        }
        tl_let_sync(listener, call.id)
      }
      close(listener)
    }
  }

  private static func canBeFound(_ name: String, from folder: String?) -> Bool {
    if name.isEmpty { return false }
    if name.contains("/") {
      let path = name.hasPrefix("/") || folder == nil ? name : folder! + "/" + name
      return access(path, X_OK) == 0
    }
    let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
    return folders.split(separator: ":").contains { access("\($0)/\(name)", X_OK) == 0 }
  }

  // MARK: Talking

  /// Sends a line. One that is gone takes nothing, which the next wait tells.
  package func send(_ line: String) {
    var line = line
    line.withUTF8 { bytes in
      var done = 0
      while done < bytes.count {
        let count = tl_write_to_program(input, bytes.baseAddress! + done, UInt(bytes.count - done))
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return }
        done += count
      }
    }
  }

  /// Ends its standard input: a driver ends then.
  package func endInput() { if ending == nil { _ = dup2(errors, input) } }

  /// The next line.
  /// - Parameter deadline: CLOCK_MONOTONIC, nanoseconds.
  package func next(until deadline: UInt64) -> Event {
    while true {
      if let line = takeLine() { return .line(line) }
      if let ending, !hasOutput { return .ended(ending) }
      let now = Self.now
      if now >= deadline { return .timeout }
      var polled = [
        pollfd(fd: hasOutput ? output : -1, events: Int16(POLLIN), revents: 0),
        pollfd(fd: hasErrors ? errors : -1, events: Int16(POLLIN), revents: 0),
        pollfd(fd: ending == nil ? watched : -1, events: Int16(POLLIN), revents: 0),
      ]
      guard tl_poll(&polled, 3, deadline - now) > 0 else { continue }
      if polled[1].revents != 0 { readErrors() }
      if polled[0].revents != 0 { readOutput() }
      // Once it is gone, what it has written is all there.
      if polled[2].revents != 0, polled[0].revents == 0 {
        reap()
        readErrors()
        readOutput()
        hasOutput = false
      }
    }
  }

  /// CLOCK_MONOTONIC, nanoseconds.
  package static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  private func takeLine() -> [UInt8]? {
    guard let end = unread[(begin + searched)...].firstIndex(of: 0x0A) else {
      searched = unread.count - begin
      if begin > 1 << 16 {
        unread.removeFirst(begin)
        begin = 0
      }
      return nil
    }
    let line = Array(unread[begin..<end])
    begin = end + 1
    searched = 0
    if begin == unread.count {
      unread.removeAll(keepingCapacity: true)
      begin = 0
    }
    return line
  }

  private func readOutput() {
    withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { buffer in
      let count = read(output, buffer.baseAddress, buffer.count)
      if count > 0 {
        unread.append(contentsOf: buffer[..<count])
      } else if count == 0 {
        hasOutput = false
      }
    }
  }

  private func readErrors() {
    withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 16) { buffer in
      while true {
        let count = read(errors, buffer.baseAddress, buffer.count)
        if count == 0 { hasErrors = false }
        if count <= 0 { return }
        log.append(contentsOf: buffer[..<count])
        if log.count > 2 * Self.keptLog { log.removeFirst(log.count - Self.keptLog) }
      }
    }
  }

  /// The last lines that it wrote on standard error.
  package func lastWords(_ count: Int = 8) -> [String] {
    if hasErrors { readErrors() }
    let lines = String(decoding: log.suffix(Self.keptLog), as: UTF8.self).split(separator: "\n")
    return lines.suffix(count).map { String($0.prefix(300)) }
  }

  // MARK: Ending

  /// Kills it with everything that it has started. It may be in the middle of anything. Any thread may call this.
  package func kill() {
    endLock.whileRunning {
      // The group first: its members do nothing more, not even what they were about to do. Isolated, the first of it is
      // the process 1 of its namespace: the kernel kills all that are in there, a little later.
      Glibc.kill(-process, SIGKILL)
    }
  }

  /// Sends a signal to the driver and what it has started.
  package func signal(_ number: Int32) {
    endLock.whileRunning { _ = Glibc.kill(-process, number) }
  }

  /// Kills it and waits until it is gone.
  @discardableResult package func end() -> DriverEnding {
    kill()
    reap()
    return ending!
  }

  /// Waits until it ends by itself, and reads what it says meanwhile.
  /// - Returns: nil where it goes on beyond the deadline.
  package func waitForEnd(until deadline: UInt64) -> DriverEnding? {
    while ending == nil {
      switch next(until: deadline) {
      case .ended(let ending): return ending
      case .timeout: return nil
      case .line: continue
      }
    }
    return ending
  }

  private func reap() {
    guard ending == nil else { return }
    var status: Int32 = 0
    // The group's others first: once it is reaped its number may be another's.
    endLock.end {
      var polled = pollfd(fd: watched, events: Int16(POLLIN), revents: 0)
      while poll(&polled, 1, -1) < 0 {}
      if !isIsolated { Glibc.kill(-process, SIGKILL) }
      status = tl_reap(process)
    }
    ending = DriverEnding(status: status, isShell: isIsolated)
  }
}

private func withOptionalCString<Value>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Value) -> Value {
  guard let text else { return body(nil) }
  return text.withCString { body($0) }
}
