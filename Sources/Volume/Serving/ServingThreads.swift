import CFuse
import Glibc

/// The connection to the kernel, and the threads that answer it.
final class ServingThreads: @unchecked Sendable {
  private let volume: Volume
  private let session: OpaquePointer
  private let operations: UnsafeMutablePointer<tl_operations>
  private let lock = VolumeLock()
  private var running = 0
  private let ended = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
  /// Who calls the kernel to have it forget something, for which the connection has to stay.
  private var isOpen = true
  private let openLock = VolumeLock()

  init(_ volume: Volume, at folder: String) throws(VolumeMountError) {
    self.volume = volume
    operations = .allocate(capacity: 1)
    operations.initialize(to: .all())
    sem_init(ended, 0, 0)
    let pointer = Unmanaged.passUnretained(volume).toOpaque()
    let (keepsCache, hearsOpens): (Int32, Int32) = (
      volume.options.keepsCache ? 1 : 0, volume.options.hearsOpens ? 1 : 0
    )
    guard let opened = tl_session_open(operations, pointer, keepsCache, hearsOpens) else {
      operations.deallocate()
      ended.deallocate()
      throw .failed("libfuse: \(String(cString: tl_session_said()))", EINVAL)
    }
    session = opened
    var hasDevice: Int32 = 0
    let code = tl_session_mount(session, folder, &hasDevice)
    if code != 0 {
      let said = String(cString: tl_session_said())
      tl_session_close(opened)
      if hasDevice == 0 { throw .noDevice(code) }
      if code == EPERM || code == EACCES { throw .notPermitted(said: said) }
      throw code == EBUSY ? .busy(folder) : .failed("mounting at \(folder)", code)
    }
    volume.lock.holding {
      volume.forgetCache = { [weak self] in self?.forget($0) }
      volume.forgetName = { [weak self] in self?.forget($1, in: $0) }
      volume.replaceWorker = { [weak self] in self?.replaceWorker() }
    }
    for _ in 0..<max(1, volume.options.workers) {
      let code = start()
      if code != 0 {
        _ = tl_unmount(folder, 2)
        end()
        throw .failed("starting a thread", code)
      }
    }
  }

  deinit {
    sem_destroy(ended)
    ended.deallocate()
    operations.deallocate()
  }

  /// Waits for the threads, which end with the mount, and closes the connection. Where it could not be cut (no root,
  /// no file for it in sysfs), and somebody has something open for more than five seconds, it and its threads stay
  /// until that is closed.
  func end() {
    let isServing = lock.holding { running > 0 }
    var limit = timespec()
    clock_gettime(CLOCK_REALTIME, &limit)
    limit.tv_sec += 5
    var hasEnded = !isServing
    while !hasEnded {
      hasEnded = sem_timedwait(ended, &limit) == 0
      if !hasEnded, errno != EINTR { break }
    }
    volume.lock.holding {
      volume.forgetCache = nil
      volume.forgetName = nil
      volume.replaceWorker = nil
    }
    openLock.holding {
      isOpen = false
      if hasEnded { tl_session_close(session) }
    }
  }

  /// Requests of the kernel so far, by their opcodes (`linux/fuse.h`).
  var requests: [Int] {
    openLock.holding { isOpen ? (0..<UInt32(TL_OPCODES)).map { Int(tl_session_taken(session, $0)) } : [] }
  }

  private func forget(_ inode: UInt64) {
    openLock.holding { if isOpen { _ = tl_session_forget_cache(session, inode) } }
  }

  private func forget(_ name: [UInt8], in directory: UInt64) {
    name.withUnsafeBytes { name in
      openLock.holding {
        if isOpen { _ = tl_session_forget_name(session, directory, name.baseAddress, name.count) }
      }
    }
  }

  /// Has another thread serve; the calling one ends with the request that it has.
  private func replaceWorker() {
    // Where there are no more threads the others wait as well.
    if start() == 0 { tl_session_retire() }
  }

  private func start() -> Int32 {
    lock.holding { running += 1 }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(self)
    let code = pthread_create(
      &thread, nil,
      { box in
        Unmanaged<ServingThreads>.fromOpaque(box!).takeRetainedValue().serve()
        return nil
      }, box.toOpaque())
    if code == 0 {
      pthread_detach(thread)
    } else {
      box.release()
      lock.holding { running -= 1 }
    }
    return code
  }

  private func serve() {
    _ = tl_session_serve(session)
    let isLast = lock.holding { () -> Bool in
      running -= 1
      return running == 0
    }
    if isLast { sem_post(ended) }
  }
}
