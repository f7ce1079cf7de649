import Glibc

/// A lock that its holder may take again: a decider may look into the trace.
final class VolumeLock: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init() {
    var attributes = pthread_mutexattr_t()
    pthread_mutexattr_init(&attributes)
    pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_RECURSIVE))
    pthread_mutex_init(mutex, &attributes)
    pthread_mutexattr_destroy(&attributes)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  /// How often its holder has taken it; only its holder looks.
  private var depth = 0

  func take() {
    pthread_mutex_lock(mutex)
    depth += 1
  }

  func give() {
    depth -= 1
    pthread_mutex_unlock(mutex)
  }

  /// Runs `body` without the lock, however often its holder has taken it.
  func leaving(_ body: () -> Void) {
    let taken = depth
    for _ in 0..<taken { give() }
    body()
    for _ in 0..<taken { take() }
  }

  func holding<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    take()
    defer { give() }
    return try body()
  }
}
