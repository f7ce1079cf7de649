import Glibc

/// Operations that wait because a decider wants it. A process that is killed while the kernel waits for an answer of
/// ours ends only with that answer (`fs/fuse/dev.c`, request_wait_answer): so all of them can be let go.
final class Delays: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var generation = 0

  init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Returns after so long, or when all are let go.
  func wait(_ nanoseconds: UInt64) {
    // A hundred years are as good as any more.
    let until = monotonicNanoseconds() + min(nanoseconds, 3_000_000_000_000_000_000)
    var end = timespec(tv_sec: Int(until / 1_000_000_000), tv_nsec: Int(until % 1_000_000_000))
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    let begun = generation
    while generation == begun {
      if pthread_cond_timedwait(condition, mutex, &end) == ETIMEDOUT { return }
    }
  }

  func end() {
    pthread_mutex_lock(mutex)
    generation += 1
    pthread_cond_broadcast(condition)
    pthread_mutex_unlock(mutex)
  }
}
