import Dispatch
import Foundation
import Glibc
import LogModel
import Storage

/// Kills this process while operations are in flight at its storage interface.
///
/// From the moment that it is fired the storage interface holds back from the engine that operations have ended, as a
/// process does that is killed before it has come to look: what is left of the workload may take less time than a
/// thread takes to wake up, and may not run out meanwhile. A thread of its own waits until operations are in flight,
/// then a seeded moment, so that the device is hit anywhere in their course, and looks again right before the kill. It
/// waits no longer than `patience`. What was in flight at the death is in the journal, which the loop keeps up to date
/// until then, with how many of these the device had ended; a trial that finds 0 in flight is unknown.
final class AimedKill: @unchecked Sendable {
  // The two semaphores order the loop's thread and the killing one.

  /// Longest wait for an operation to be in flight, in nanoseconds.
  static let patience: UInt64 = 1_000_000_000

  private let journal: Journal
  private let delay: UInt64
  private let ready = DispatchSemaphore(value: 0)
  private let fire = DispatchSemaphore(value: 0)

  /// Starts the thread, which waits to be fired.
  /// - Parameter delay: the longest seeded moment between an operation's start and the kill, nanoseconds.
  /// - Throws: `TrialError` where there can be no more threads.
  init(_ journal: Journal, delay: UInt64) throws(TrialError) {
    self.journal = journal
    self.delay = delay
    let code = SystemThread.start(stack: 1 << 20) { [self] in
      fire.wait()
      ready.signal()
      aim()
    }
    guard code == 0 else { throw .system("start a thread in", "a worker", code) }
  }

  /// Lets the thread aim; returns when it is at it, and not only on its way: what is left of the workload may be over
  /// in less than a thread takes to wake up.
  func release() {
    fire.signal()
    ready.wait()
  }

  private func aim() {
    let start = DispatchTime.now().uptimeNanoseconds
    while DispatchTime.now().uptimeNanoseconds - start < Self.patience {
      guard journal.inFlight > 0 else { continue }
      let due = DispatchTime.now().uptimeNanoseconds + delay
      while DispatchTime.now().uptimeNanoseconds < due {}
      if journal.inFlight > 0 { break }
    }
    Self.kill(journal)
  }

  /// From 1 to 256 microseconds, short ones as often as long ones: a write to the page cache is over in 20, a sync
  /// takes a thousand.
  static func delay(_ seed: UInt64, life: Int) -> UInt64 {
    var random = SeededGenerator(seed: seed, stream: "kill-\(life)")
    return UInt64.random(in: 500...1000, using: &random) << UInt64.random(in: 1...8, using: &random)
  }

  /// Kills this process now; the moment is in the journal.
  static func kill(_ journal: Journal) {
    journal.markKill(at: EventLoop().now)
    Glibc.kill(getpid(), SIGKILL)
  }
}
