import Glibc

/// How a driver ended.
package enum DriverEnding: Sendable, Hashable, CustomStringConvertible {
  case exited(Int32)
  case killed(signal: Int32)

  /// - Parameter isShell: the status is a shell's: 128 and a signal's number for who was killed.
  init(status: Int32, isShell: Bool) {
    let (signal, code) = (status & 0x7F, status >> 8 & 0xFF)
    if signal != 0 {
      self = .killed(signal: signal)
    } else if isShell, code > 128, code <= 128 + 64 {
      self = .killed(signal: code - 128)
    } else {
      self = .exited(code)
    }
  }

  package var description: String {
    switch self {
    case .exited(let code): "ended with exit code \(code)"
    case .killed(let signal): "was killed by signal \(signal) (\(String(cString: strsignal(signal))))"
    }
  }
}

/// Keeps a process from being signalled once it has been reaped.
final class EndLock: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var hasEnded = false

  init() { pthread_mutex_init(mutex, nil) }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func whileRunning(_ body: () -> Void) {
    pthread_mutex_lock(mutex)
    if !hasEnded { body() }
    pthread_mutex_unlock(mutex)
  }

  func end(_ body: () -> Void) {
    pthread_mutex_lock(mutex)
    body()
    hasEnded = true
    pthread_mutex_unlock(mutex)
  }
}
