import LogModel
import Storage

extension EventLoop {
  /// What still waits on the loop of a machine that is dead comes to its end: kept waiting it would keep its memory for ever.
  /// No timer of an engine or a client is longer than its two hours.
  func drain() {
    _ = run(limit: .seconds(10_000)) { await self.sleep(until: self.now + .seconds(7200)) }
  }
}
