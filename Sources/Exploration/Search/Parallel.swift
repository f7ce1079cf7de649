import Dispatch
import Synchronization

/// Spreads work over threads. What is computed must be a pure function of the index: then the number of threads shows
/// in nothing but the time.
enum Parallel {
  /// Calls `body` with a worker of its own thread and each index, once.
  static func forEach<Worker>(
    _ count: Int, jobs: Int, chunk: Int = 64, worker: @Sendable () -> Worker,
    _ body: @Sendable (Worker, Int) -> Void
  ) {
    let next = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: max(1, jobs)) { _ in
      let own = worker()
      while true {
        let start = next.add(chunk, ordering: .relaxed).oldValue
        if start >= count { return }
        for index in start..<min(start + chunk, count) { body(own, index) }
      }
    }
  }

  /// The values of `body` in the order of their indices.
  static func map<Worker, Value: Sendable>(
    _ count: Int, jobs: Int, chunk: Int = 64, worker: @Sendable () -> Worker,
    _ body: @Sendable (Worker, Int) -> Value
  ) -> [Value] {
    [Value](unsafeUninitializedCapacity: count) { buffer, initialized in
      let slots = Slots(base: buffer.baseAddress)
      forEach(count, jobs: jobs, chunk: chunk, worker: worker) { worker, index in
        (slots.base! + index).initialize(to: body(worker, index))
      }
      initialized = count
    }
  }

  /// Each slot is written by the one thread that got its index.
  private struct Slots<Value>: @unchecked Sendable {
    var base: UnsafeMutablePointer<Value>?
  }
}
