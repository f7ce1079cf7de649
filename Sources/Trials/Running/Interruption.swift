import Glibc
import Synchronization

/// Ctrl-C and its like: the first asks everything to end in order; one that comes a second later or more ends the
/// process at once. What comes sooner is the same request again: `timeout` signals its child and then the child's
/// group.
public enum Interruption {
  private static let requested = Atomic<Int32>(0)
  /// When, on the monotonic clock; nanoseconds.
  private static let requestedAt = Atomic<Int64>(0)
  private static let patience: Int64 = 1_000_000_000

  /// The signal that asked, or 0.
  public static var signal: Int32 { requested.load(ordering: .relaxed) }
  public static var isRequested: Bool { signal != 0 }

  /// Asks everything to end in order, as if `signal` had come.
  public static func request(_ signal: Int32) { requested.store(signal, ordering: .relaxed) }

  /// Takes over SIGINT, SIGTERM and SIGHUP, and SIGXCPU, which says that the time of RLIMIT_CPU is up: also where the
  /// parent has blocked them by accident, as threads of some libraries do for the processes they start. SIGHUP stays
  /// ignored under `nohup`.
  public static func install() {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { number in
      // Nothing here but what a handler may call; see `man 7 signal-safety`.
      var time = timespec()
      clock_gettime(CLOCK_MONOTONIC, &time)
      let now = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
      if Interruption.requested.load(ordering: .relaxed) == 0 {
        Interruption.requestedAt.store(now, ordering: .relaxed)
        Interruption.requested.store(number, ordering: .relaxed)
      } else if now - Interruption.requestedAt.load(ordering: .relaxed) >= Interruption.patience {
        _exit(130)
      }
    }
    var taken = sigset_t()
    sigemptyset(&taken)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGXCPU] {
      var inherited = sigaction()
      sigaction(number, nil, &inherited)
      if number == SIGHUP, isIgnored(inherited) { continue }
      sigaction(number, &action, nil)
      sigaddset(&taken, number)
    }
    sigprocmask(SIG_UNBLOCK, &taken, nil)
    // A worker that has died must be an error of the write, not the end of this process.
    Glibc.signal(SIGPIPE, SIG_IGN)
    // So must a file be that RLIMIT_FSIZE lets grow no more.
    Glibc.signal(SIGXFSZ, SIG_IGN)
  }

  private static func isIgnored(_ action: sigaction) -> Bool {
    // SIG_IGN is the address 1.
    unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
  }
}
