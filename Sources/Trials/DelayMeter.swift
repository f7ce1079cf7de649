import Glibc
import LogModel
import Storage
import Verification

/// Measures what the device delays, as the engine meets it: above every fault, for a stall is a slow device too, and below
/// a defect of the engine's.
///
/// What the device delayed is, for one write or sync, the time from its submission to its completion, less the
/// processor time that the loop's thread used meanwhile. A completion is noticed when the loop comes to it: an engine
/// that computes while its operation is in flight comes to it late, and may not earn a wider loss window by that. What
/// remains is the time in which the thread waited, for the device or for a processor that others had: neither is the
/// engine's doing. An operation that the crash finds in flight counts with the time that it has taken.
///
/// In the model the time is virtual: it passes for the device and for nobody else.
final class DelayMeter: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  private let journal: Journal
  private var waiting: [UInt64: Reading] = [:]
  private var numbers: UInt64 = 0

  init(_ base: any Storage, _ journal: Journal) {
    self.journal = journal
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
  }
}
