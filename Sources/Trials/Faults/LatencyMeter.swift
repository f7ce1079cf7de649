import Glibc
import LogModel
import Storage
import Verification

/// Measures what the device delays, as the engine meets it: above every fault, for a stall is a slow device too, and
/// below a defect of the engine's.
///
/// What the device delayed is, for one write or sync, the time from its submission to its completion, less the
/// processor time that the loop's thread used meanwhile. A completion is noticed when the loop comes to it: an engine
/// that computes while its operation is in flight comes to it late, and may not earn a wider loss window by that. What
/// remains is the time in which the thread waited, for the device or for a processor that others had: neither is the
/// engine's doing. An operation that the crash finds in flight counts with the time that it has taken.
///
/// In the model the time is virtual: it passes for the device and for nobody else.
final class LatencyMeter: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  private let journal: Journal
  private var waiting: [UInt64: Reading] = [:]
  private var numbers: UInt64 = 0
  /// What the thread has waited for a processor, now and then; oldest first. Empty where that delays nothing that is
  /// promised.
  private var starvation: [(clock: Int64, waited: Int64)] = []
  /// The loss window of `interval(d)` on real files; nil where no promise depends on the machine's time.
  private let window: Int64?

  /// - Parameter sync: the trial's policy.
  init(_ base: any Storage, _ journal: Journal, sync: SyncPolicy = .always) {
    self.journal = journal
    if case .interval(let window) = sync, !base.loop.isSimulated {
      self.window = window.nanoseconds
    } else {
      window = nil
    }
    super.init(base)
  }

  /// Of the loop's clock and of its thread's processor time, in nanoseconds.
  private struct Reading {
    var clock: Int64
    var processor: Int64 = 0

    init(_ loop: EventLoop) {
      clock = loop.now.nanoseconds
      if loop.isSimulated { return }
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      processor = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
  }

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    guard call.kind == .sync || call.kind == .write else { return try await operation() }
    numbers += 1
    let number = numbers
    waiting[number] = Reading(loop)
    if let window { sampleStarvation(every: window / 8) }
    defer { if let start = waiting.removeValue(forKey: number) { note(start, Reading(loop)) } }
    return try await operation()
  }

  private func note(_ start: Reading, _ now: Reading) {
    let delay = Duration.nanoseconds((now.clock - start.clock) - (now.processor - start.processor))
    if delay > journal.deviceDelay { journal.deviceDelay = delay }
    // No window is so short that a faster one mattered.
    if delay > .microseconds(100) { journal.note(SlowOperation(endedAt: Instant(nanoseconds: now.clock), took: delay)) }
  }

  /// Takes operations into account that the crash, which comes now, finds in flight. On the loop.
  func noteInFlight() {
    let now = Reading(loop)
    for start in waiting.values { note(start, now) }
    noteStarvation(now.clock)
  }

  // MARK: A processor that others have

  /// Nanoseconds that this thread was ready to run and had no processor (Documentation/scheduler/sched-stats: the
  /// second number of `schedstat`); nil where the kernel does not count them.
  private static func starved() -> Int64? {
    PeakMemory.file("/proc/thread-self/schedstat").flatMap { text in
      text.split(separator: " ").dropFirst().first.flatMap { Int64($0) }
    }
  }

  private func sampleStarvation(every step: Int64) {
    let now = loop.now.nanoseconds
    if let last = starvation.last, now - last.clock < step { return }
    guard let waited = Self.starved() else { return }
    starvation.append((now, waited))
    if starvation.count > 256 { starvation.removeFirst(128) }
  }

  /// A timer that fires late because others have the processor is no engine's doing either: what the thread has waited
  /// for one in the last two windows counts as one operation of the device that ends with the crash.
  private func noteStarvation(_ now: Int64) {
    guard let window, let before = starvation.last(where: { $0.clock <= now - 2 * window }) ?? starvation.first,
      let waited = Self.starved()
    else { return }
    let delay = Duration.nanoseconds(waited - before.waited)
    if delay > journal.deviceDelay { journal.deviceDelay = delay }
    journal.note(SlowOperation(endedAt: Instant(nanoseconds: now), took: delay))
  }
}
