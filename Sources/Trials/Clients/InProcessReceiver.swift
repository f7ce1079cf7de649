import EventReceivers
import Foundation
import HTTPServing
import LogModel
import Storage

/// The receiver of a trial on real files: behind a socket in the runner's process, so that it lives on when the worker
/// is killed, and with a thread that changes its behavior at the times that the scenario says.
final class InProcessReceiver: @unchecked Sendable {
  // `lock` guards `isOver`; `failure` is read once the thread has been joined.

  private let spec: TrialSpec
  private let receiver: HTTPReceiver
  private let lock = NSLock()
  private var isOver = false
  private var failure: HTTPListenerError?
  private var thread: JobThread?

  /// Listens, and writes down where.
  init(_ spec: TrialSpec, _ folder: TrialFolder) throws(TrialError) {
    self.spec = spec
    let schedule = try ReceiverFaultGrammar.schedule(spec)
    do throws(HTTPListenerError) { receiver = try HTTPReceiver() } catch { throw .listener(error) }
    let clock = EventLoop()
    let start = clock.now
    do throws(TrialError) {
      try JSONFile.write(ReceiverAddress(url: "http://\(receiver.address)", start: start), to: folder.receiver)
      thread = try JobThread { [self] in follow(clock, since: start) { schedule.behavior(at: $0) } }
    } catch {
      receiver.stop()
      throw error
    }
  }

  /// Changes the behavior, until it is over.
  private func follow(_ clock: EventLoop, since start: Instant, _ behavior: (Duration) -> ReceiverBehavior) {
    var last = ReceiverBehavior.accepts
    while lock.withLock({ !isOver }) {
      let behavior = behavior(clock.now - start)
      if behavior != last {
        do throws(HTTPListenerError) { try receiver.set(behavior) } catch {
          lock.withLock { failure = failure ?? error }
        }
        last = behavior
      }
      usleep(2000)
    }
  }

  /// Closes it, once.
  func close() {
    guard let thread else { return }
    lock.withLock { isOver = true }
    thread.join()
    self.thread = nil
    receiver.stop()
  }

  /// Closes it, and writes down what it has.
  func writeDown(_ folder: TrialFolder) throws(TrialError) {
    close()
    if let failure { throw .listener(failure) }
    try JSONFile.write(try DeliveryEvidence(receiver.received, spec), to: folder.received)
  }
}

extension TrialError {
  /// What a listener of the harness's own met.
  static func listener(_ error: HTTPListenerError) -> TrialError {
    if case .cannotListen(let address, let code) = error {
      .system("listen at", address, code)
    } else {
      .machine("\(error)")
    }
  }
}
