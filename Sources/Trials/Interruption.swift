import Glibc
import Synchronization

/// Ctrl-C and its like: the first asks everything to end in order; the second ends the process at once.
public enum Interruption {
  private static let requested = Atomic<Int32>(0)

  /// The signal that asked, or 0.
  public static var signal: Int32 { requested.load(ordering: .relaxed) }
  public static var isRequested: Bool { signal != 0 }

  /// Asks everything to end in order, as if `signal` had come.
  public static func request(_ signal: Int32) { requested.store(signal, ordering: .relaxed) }

  /// Takes over SIGINT, SIGTERM and SIGHUP.
  public static func install() {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { number in
      if Interruption.requested.load(ordering: .relaxed) != 0 { _exit(130) }
      Interruption.requested.store(number, ordering: .relaxed)
    }
    for number in [SIGINT, SIGTERM, SIGHUP] { sigaction(number, &action, nil) }
    // A worker that has died must be an error of the write, not the end of this process.
    Glibc.signal(SIGPIPE, SIG_IGN)
  }
}
