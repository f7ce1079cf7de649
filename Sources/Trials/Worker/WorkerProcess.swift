import CProcess
import Foundation
import Glibc

/// A child process that is asked one thing at a time, a line of JSON each, and answers with another. It dies with its
/// parent.
package final class WorkerProcess: @unchecked Sendable {
  // Owned by the thread of the job that started it.

  /// How a request came back.
  package enum Ending<Reply> {
    case replied(Reply)
    /// The process ended; by `signal`, or with an exit `status`.
    case died(signal: Int32?, status: Int32, errorOutput: String)
    case timedOut
    case interrupted
  }

  let process: pid_t
  private let input: Int32
  private let output: Int32
  private let errors: Int32
  private var buffer: [UInt8] = []
  private var errorText: [UInt8] = []
  package private(set) var isAlive = true
  /// Of the main thread, on which the engine's loop runs, now and then since it was last asked something.
  private var uses: [(at: UInt64, use: ProcessorUse)] = []

  /// Starts `executable` with `arguments`.
  package init(executable: String, arguments: [String]) throws(TrialError) {
    var toChild: [Int32] = [0, 0]
    var fromChild: [Int32] = [0, 0]
    var errorPipe: [Int32] = [0, 0]
    let code = [tl_pipe(&toChild), tl_pipe(&fromChild), tl_pipe(&errorPipe)].max() ?? 0
    guard code == 0 else {
      for descriptor in toChild + fromChild + errorPipe where descriptor > 0 { Glibc.close(descriptor) }
      throw .system("make a pipe for", "a worker", code)
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
    posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
    posix_spawn_file_actions_adddup2(&actions, errorPipe[1], 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A group of its own: Ctrl-C reaches the parent only, which then ends its workers in order.
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    var argv: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) }
    argv.append(nil)
    defer { for case let text? in argv { free(text) } }
    // Swift's tool for backtraces would outlive a process that has no memory for it, and keep its pipes open.
    let environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") }
    variables.append(nil)
    defer { for case let text? in variables { free(text) } }
    var pid: pid_t = 0
    let spawned = posix_spawn(&pid, executable, &actions, &attributes, argv, variables)
    Glibc.close(toChild[0])
    Glibc.close(fromChild[1])
    Glibc.close(errorPipe[1])
    guard spawned == 0 else {
      for descriptor in [toChild[1], fromChild[0], errorPipe[0]] { Glibc.close(descriptor) }
      throw .system("start a worker from", executable, spawned)
    }
    process = pid
    input = toChild[1]
    output = fromChild[0]
    errors = errorPipe[0]
  }

  deinit {
    if isAlive { end() }
    for descriptor in [input, output, errors] { Glibc.close(descriptor) }
  }

  /// Memory that it holds, in bytes; 0 where nobody knows (`man 5 proc`: `statm` counts pages).
  var residentBytes: Int {
    guard isAlive, let text = PeakMemory.file("/proc/\(process)/statm") else { return 0 }
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// Nil where the kernel does not count it (Documentation/scheduler/sched-stats: `schedstat` has nanoseconds on a
  /// processor, and nanoseconds of being ready to run without one).
  private func noteUse() {
    guard isAlive, let text = PeakMemory.file("/proc/\(process)/task/\(process)/schedstat") else { return }
    let numbers = text.split(separator: " ").compactMap { Double($0) }
    guard numbers.count >= 2 else { return }
    let use = ProcessorUse(ran: numbers[0] / 1e9, starved: numbers[1] / 1e9)
    uses.append((DispatchTime.now().uptimeNanoseconds, use))
  }

  /// What its main thread has had of a processor in the last `seconds` of the time since it was asked something.
  func use(inTheLast seconds: Double) -> ProcessorUse {
    guard let last = uses.last else { return ProcessorUse() }
    let since = last.at - min(last.at, UInt64(max(0, seconds) * 1e9))
    let before = uses.last { $0.at <= since } ?? uses[0]
    return ProcessorUse(ran: last.use.ran - before.use.ran, starved: last.use.starved - before.use.starved)
  }

  /// Ends the process at once and reaps it.
  package func end() {
    guard isAlive else { return }
    // Its whole group: a tool that it has started goes with it.
    kill(-process, SIGKILL)
    _ = reap()
  }

  private func reap() -> Int32 {
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    isAlive = false
    return status
  }

  /// How often the limit of a request, in addition to itself, it may have for the time that it waited for a processor.
  private static let mostExtensions = 3.0

  /// Has the worker do one thing.
  /// - Parameter seconds: the limit. Time without a processor does not count, up to three times the limit: how many
  ///   others use the machine decides no verdict.
  package func perform<Reply: Decodable>(
    _ request: some Encodable, replying: Reply.Type, seconds: Double
  ) throws(TrialError) -> Ending<Reply> {
    errorText.removeAll()
    uses.removeAll(keepingCapacity: true)
    noteUse()
    do {
      var line = try JSONEncoder().encode(request)
      line.append(UInt8(ascii: "\n"))
      var sent = 0
      try line.withUnsafeBytes { bytes in
        while sent < bytes.count {
          let n = Glibc.write(input, bytes.baseAddress! + sent, bytes.count - sent)
          if n < 0 && errno == EINTR { continue }
          guard n > 0 else { throw TrialError.workerIsDeaf }
          sent += n
        }
      }
    } catch let error as TrialError {
      if error == .workerIsDeaf, isAlive { return death() }
      throw error
    } catch {
      throw .notEncodable("a request to the worker", reason: "\(error)")
    }
    return try receive(from: DispatchTime.now().uptimeNanoseconds, seconds: seconds)
  }

  private func receive<Reply: Decodable>(from start: UInt64, seconds: Double) throws(TrialError) -> Ending<Reply> {
    var deadline = start + UInt64(seconds * 1e9)
    while true {
      if let newline = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        let line = Data(buffer[..<newline])
        buffer.removeSubrange(...newline)
        noteUse()
        do {
          return .replied(try JSONDecoder().decode(Reply.self, from: line))
        } catch {
          throw .damagedFile("the answer of the worker", FileDamage(error))
        }
      }
      if Interruption.isRequested {
        end()
        return .interrupted
      }
      let now = DispatchTime.now().uptimeNanoseconds
      if now >= deadline {
        noteUse()
        let starved = min(use(inTheLast: Double(now - start) / 1e9).starved, seconds * Self.mostExtensions)
        deadline = start + UInt64((seconds + starved) * 1e9)
        guard now < deadline else {
          end()
          return .timedOut
        }
      }
      var polled = [
        pollfd(fd: output, events: Int16(POLLIN), revents: 0), pollfd(fd: errors, events: Int16(POLLIN), revents: 0),
      ]
      _ = poll(&polled, 2, Int32(min(200, (deadline - now) / 1_000_000 + 1)))
      if let last = uses.last, DispatchTime.now().uptimeNanoseconds - last.at >= 200_000_000 { noteUse() }
      if polled[1].revents & Int16(POLLIN) != 0 { drainErrors() }
      if polled[0].revents != 0 {
        var chunk = [UInt8](repeating: 0, count: 65536)
        let n = Glibc.read(output, &chunk, chunk.count)
        if n < 0 && errno == EINTR { continue }
        if n <= 0 { return death() }
        buffer.append(contentsOf: chunk[..<n])
      }
    }
  }

  private func drainErrors() {
    var chunk = [UInt8](repeating: 0, count: 4096)
    let n = Glibc.read(errors, &chunk, chunk.count)
    if n > 0 { errorText.append(contentsOf: chunk[..<n]) }
    if errorText.count > 65536 { errorText.removeFirst(errorText.count - 65536) }
  }

  private func death<Reply>() -> Ending<Reply> {
    var polled = [pollfd(fd: errors, events: Int16(POLLIN), revents: 0)]
    while poll(&polled, 1, 0) > 0, polled[0].revents & Int16(POLLIN) != 0 {
      let before = errorText.count
      drainErrors()
      if errorText.count == before { break }
    }
    let status = reap()
    let signal = status & 0x7f
    return .died(
      signal: signal == 0 ? nil : signal, status: (status >> 8) & 0xff,
      errorOutput: String(decoding: errorText, as: UTF8.self))
  }
}
