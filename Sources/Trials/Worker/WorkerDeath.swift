import CProcess
import Glibc
import Storage

/// How a worker process died, and by whose doing.
package struct WorkerDeath {
  /// Nil where it ended by itself.
  let signal: Int32?
  let status: Int32
  /// What it wrote to standard error, without what the worker's own handler has said.
  let errorOutput: String
  let words: LastWords
  /// The process that sent the signal; nil where nobody did, or nobody knows.
  let sender: Int32?
  /// Bytes that it had mapped when it died; nil where nobody knows.
  let mapped: Int64?

  /// What the runtime had to say as the process ended. No signal and no exit status says that an allocation has failed:
  /// its text does, which is read here and nowhere else.
  package enum LastWords: Equatable {
    case none
    /// `swift_slowAlloc` ("failed to allocate"), libstdc++ ("std::bad_alloc"), glibc ("out of memory").
    case allocationFailed
    /// A Swift trap with a message: "Fatal error: ...".
    case fatalError
    case other

    init(_ text: String) {
      if ["allocat", "out of memory", "bad_alloc"].contains(where: text.contains) {
        self = .allocationFailed
      } else if text.contains("Fatal error") {
        self = .fatalError
      } else {
        self = text.allSatisfy(\.isWhitespace) ? .none : .other
      }
    }
  }

  package enum Cause: Equatable {
    /// It trapped, aborted or ended by itself: whoever was at work in it has done that.
    case own
    /// A signal from outside; the text says which.
    case outside(String)
    /// It had no more memory than a limit allows; the text says which, and what to do.
    case shortage(String)
  }

  package init(signal: Int32?, status: Int32, errorOutput: String) {
    (self.signal, self.status) = (signal, status)
    let lines = errorOutput.split(separator: "\n", omittingEmptySubsequences: false)
    self.errorOutput = lines.filter { !$0.hasPrefix(Self.report) }.joined(separator: "\n")
    words = LastWords(self.errorOutput)
    // The first word of a process on its own death counts: the handler is called once.
    let said = lines.first { $0.hasPrefix(Self.report) }.map { line in
      line.dropFirst(Self.report.count).split(separator: " ").map { Int64($0) ?? 0 }
    }
    let isWhole = said?.count == 2
    sender = isWhole ? said.flatMap { $0[0] > 0 ? Int32(truncatingIfNeeded: $0[0]) : nil } : nil
    mapped = isWhole ? said.flatMap { $0[1] > 0 ? $0[1] * Int64(sysconf(Int32(_SC_PAGESIZE))) : nil } : nil
  }

  /// What a line of `tl_report_death` begins with.
  private static let report = String(cString: tl_death_report())

  /// `signal 9`, `exit status 70`.
  package var how: String { signal.map { "signal \($0)" } ?? "exit status \(status)" }

  /// A colon and the line that says most; empty where there is none.
  package var lastWords: String {
    let lines = errorOutput.split(separator: "\n")
    return (lines.first { $0.contains("Fatal error") || $0.contains("rror") } ?? lines.last).map { ": \($0)" } ?? ""
  }

  /// Whether it may have died for want of memory: a failed allocation aborts or traps and says so; a stack that cannot
  /// grow is a SIGSEGV without a word (`man 2 setrlimit`, RLIMIT_AS). A trap with another message is the engine's own
  /// end.
  var mayBeOfMemory: Bool { words != .fatalError }

  /// Signals that the processor, or the process itself, raises for what it does (`man 7 signal`). All others come from
  /// outside.
  static let ownSignals: Set<Int32> = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP]

  /// - Parameter memory: the limit that it ran under; nil where there is none: then an allocation that fails is its own
  ///   doing, as that of a length that was read from a damaged file is.
  package func cause(memory: (limit: ProcessLimit, bytes: Int64)? = ProcessLimit.memory) -> Cause {
    guard let signal else { return .own }
    guard Self.ownSignals.contains(signal), sender == nil else {
      return .outside(Self.fromOutside(signal, sender: sender))
    }
    guard let memory else { return .own }
    let isFull = mapped.map { $0 + Self.margin >= memory.bytes } ?? false
    guard words == .allocationFailed || isFull && mayBeOfMemory else { return .own }
    let had = mapped.map { ", and it had mapped \($0 >> 20) MiB" } ?? ""
    return .shortage(
      "the worker ran out of memory: \(memory.limit.name) allows \(memory.bytes >> 20) MiB\(had) (raise the limit with "
        + "\(memory.limit.command), lower --jobs, or ask for fewer messages)")
  }

  /// The stack of a thread and a little: what could not be had where nothing is said of its size.
  private static let margin: Int64 = 16 << 20

  private static func fromOutside(_ signal: Int32, sender: Int32?) -> String {
    let by = sender.map { " (by process \($0))" } ?? ""
    return switch signal {
    case SIGKILL:
      "the worker was killed from outside; `dmesg` says whether the kernel ran out of memory"
        + (ProcessLimit.processorTime.hard.map { ", or it had all of the \($0) s that RLIMIT_CPU allows (ulimit -t)" }
          ?? "")
    case SIGXCPU: "the worker had all the processor time that RLIMIT_CPU allows: raise the limit with ulimit -t"
    case SIGXFSZ: "the worker met RLIMIT_FSIZE: raise the limit with ulimit -f"
    case SIGSYS:
      "a seccomp filter ended the worker at a system call; `tornlog doctor` says more, --storage posix needs fewer "
        + "calls"
    default:
      "the worker was ended from outside by signal \(signal) (\(String(cString: strsignal(signal))))\(by); run the "
        + "trial again"
    }
  }
}
