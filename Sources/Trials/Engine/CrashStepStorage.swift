import FaultInjection
import LogModel
import Storage

/// Stands between engine and storage, and has the crash come in the middle of a step: behind the submission of the
/// operation that was named, while that is in flight.
final class CrashStepStorage: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private let step: CrashStep
  private var phases = PassPhases()
  private var passed = 0
  private var hasCome = false
  /// Makes the crash; called once, on the loop. Nil once the life is over.
  var crash: (@Sendable () -> Void)?

  init(_ base: any Storage, _ step: CrashStep) {
    self.step = step
    super.init(base)
  }

  override func note(_ note: TraceNote) {
    super.note(note)
    guard case .phase(let name) = note else { return }
    phases.announced = name
    if case .elapsed(let time) = step.condition, name == step.phase.rawValue { come(after: time) }
  }

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    count(call)
    do throws(StorageError) {
      let value = try await super.pass(call, traced: traced, operation)
      phases.end(call, isRefused: false)
      return value
    } catch {
      phases.end(call, isRefused: true)
      throw error
    }
  }

  override func passClose(_ call: StorageCall, _ operation: () async -> Void) async {
    count(call)
    await super.passClose(call, operation)
    phases.end(call, isRefused: false)
  }

  private func count(_ call: StorageCall) {
    guard phases.begin(call).contains(step.phase.rawValue), case .operation(let number) = step.condition else { return }
    passed += 1
    if passed == number { come(after: .zero) }
  }

  private func come(after time: Duration) {
    guard !hasCome else { return }
    hasCome = true
    loop.spawn { [self] in
      if time > .zero { await loop.sleep(until: loop.now + time) }
      crash?()
    }
  }
}
