import Glibc

/// What a child process writes to its pipes.
enum ChildOutput {
  /// How often it is asked whether to stop; milliseconds.
  private static let patience: Int32 = 50

  /// Reads all pipes to their ends. A signal that interrupts a call (`man 7 signal`, EINTR) is no end and no error.
  /// - Parameters:
  ///   - stopWhen: asked now and then; once true, `stop` is called, once, and what the child writes until its end is
  ///     still read.
  ///   - isEnough: asked with all text of the first pipe whenever it grew; true stops the child too.
  ///   - stop: ends the child, so that its pipes end.
  static func read(
    _ pipes: [Int32], stopWhen: () -> Bool, isEnough: (String) -> Bool = { _ in false }, stop: () -> Void
  ) -> [String] {
    var texts = [[UInt8]](repeating: [], count: pipes.count)
    var open = Set(pipes.indices)
    var isStopped = false
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while !open.isEmpty {
      if !isStopped, stopWhen() {
        isStopped = true
        stop()
      }
      // A negative descriptor is passed over (`man 2 poll`).
      var watched = pipes.indices.map {
        pollfd(fd: open.contains($0) ? pipes[$0] : -1, events: Int16(POLLIN), revents: 0)
      }
      guard poll(&watched, nfds_t(watched.count), patience) > 0 else { continue }
      for index in pipes.indices where watched[index].revents != 0 {
        let count = Glibc.read(pipes[index], &buffer, buffer.count)
        if count > 0 { texts[index] += buffer[..<count] } else if count == 0 || errno != EINTR { open.remove(index) }
        if count > 0, index == 0, !isStopped, isEnough(String(decoding: texts[0], as: UTF8.self)) {
          isStopped = true
          stop()
        }
      }
    }
    return texts.map { String(decoding: $0, as: UTF8.self) }
  }
}
