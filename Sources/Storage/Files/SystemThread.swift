import Glibc

/// A thread of the system's. Foundation's `Thread` says nothing where there can be no more of them, and never begins.
public enum SystemThread {
  /// Held by the new thread alone.
  private final class Body {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
  }

  /// Starts a thread that nobody waits for.
  /// - Parameter stack: its size in bytes.
  /// - Returns: 0, or the errno: EAGAIN where the user has as many as it may (`man 3 pthread_create`, RLIMIT_NPROC), or
  ///   where there is no memory for the stack.
  public static func start(stack: Int = 8 << 20, _ body: @escaping () -> Void) -> Int32 {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, stack)
    let box = Unmanaged.passRetained(Body(body))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, &attributes,
      { box in
        guard let box else { return nil }
        Unmanaged<Body>.fromOpaque(box).takeRetainedValue().run()
        return nil
      }, box.toOpaque())
    if code != 0 { box.release() }
    return code
  }
}
