import CProcess
import Glibc

/// The thread that starts programs. It never ends: the kernel kills a program when the thread that started it does.
final class SpawnThread: @unchecked Sendable {
  static let shared = SpawnThread()

  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var waiting: [() -> Void] = []

  private init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
    Thread.start { [unowned self] in serve() }
  }

  private func serve() {
    while true {
      pthread_mutex_lock(mutex)
      while waiting.isEmpty { pthread_cond_wait(changed, mutex) }
      let job = waiting.removeFirst()
      pthread_mutex_unlock(mutex)
      job()
    }
  }

  /// What a start gave.
  struct Started {
    var process: pid_t = 0
    var descriptor: Int32 = -1
    /// Tells of syncs; -1 where nobody asked for that.
    var listener: Int32 = -1
    /// 0, or an errno, and the step that failed.
    var code: Int32 = 0
    var step: Int32 = 0
  }

  private final class Box {
    var started = Started()
    let done = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(done, 0, 0) }

    deinit {
      sem_destroy(done)
      done.deallocate()
    }
  }

  /// Starts a program there, and waits for that.
  func start(_ program: tl_program) -> Started {
    let box = Box()
    pthread_mutex_lock(mutex)
    waiting.append {
      var program = program
      let started = UnsafeMutablePointer<Started>.allocate(capacity: 1)
      defer { started.deallocate() }
      started.initialize(to: Started())
      started.pointee.code = tl_spawn(
        &program, &started.pointee.process, &started.pointee.descriptor, &started.pointee.listener,
        &started.pointee.step)
      box.started = started.pointee
      sem_post(box.done)
    }
    pthread_cond_signal(changed)
    pthread_mutex_unlock(mutex)
    while sem_wait(box.done) != 0 {}
    return box.started
  }
}
