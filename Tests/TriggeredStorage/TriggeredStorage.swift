import FaultInjection
import LogModel
import Storage

/// The pass that a trigger has met.
public struct TriggeredPass: Sendable {
  public var kind: OperationKind
  public var path: String
  public var offset: Int64
  public var length: Int
  /// Its number among the passes that matched, from 1.
  public var occurrence: Int
}

/// Counts passes, and calls a handler when a trigger is met: once each.
///
/// The handler decides what happens: it kills the process, cuts the power of a model, freezes a `PowerLossStorage`.
/// At submission an error that it throws ends the operation in place of the base; at completion it takes the place of
/// the base's answer; in flight, where nobody waits for it, it is without effect.
public final class TriggeredStorage: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  public typealias Handler = @Sendable (TriggeredPass) throws(StorageError) -> Void

  private final class Armed {
    let trigger: FaultTrigger
    let handler: Handler
    var counter: TriggerCounter
    var hasFired = false

    init(_ trigger: FaultTrigger, _ handler: @escaping Handler, at start: Instant) {
      self.trigger = trigger
      self.handler = handler
      counter = TriggerCounter(trigger, at: start)
    }
  }

  private var armed: [Armed] = []
  private var phases = PassPhases()
  /// How much of the workload has been done, in percent, as whoever runs it says.
  public var progress = 0.0
  /// Passes by kind, matched or not.
  public private(set) var passes: [OperationKind: Int] = [:]

  public override init(_ base: any Storage) { super.init(base) }

  public func arm(_ trigger: FaultTrigger, _ handler: @escaping Handler) {
    armed.append(Armed(trigger, handler, at: loop.now))
  }

  /// How many triggers have fired: a trial whose trigger never fired is `unknown`.
  public var fired: Int { armed.reduce(0) { $0 + ($1.hasFired ? 1 : 0) } }

  /// Counts the pass.
  /// - Returns: the triggers that it meets, each with what its handler is told.
  private func met(_ call: StorageCall) -> [(armed: Armed, pass: TriggeredPass)] {
    passes[call.kind, default: 0] += 1
    var found: [(armed: Armed, pass: TriggeredPass)] = []
    let surroundings = TriggerCounter.Surroundings(now: loop.now, percent: progress)
    let phases = self.phases.begin(call)
    for one in armed where !one.hasFired && one.trigger.matches(call, in: phases) {
      guard let hit = one.counter.count(call, in: surroundings) else { continue }
      one.hasFired = true
      let pass = TriggeredPass(
        kind: call.kind, path: call.path, offset: call.offset, length: call.length, occurrence: hit.occurrence)
      found.append((one, pass))
    }
    return found
  }

  private func begin(_ met: [(armed: Armed, pass: TriggeredPass)]) throws(StorageError) {
    for (one, pass) in met {
      switch one.trigger.moment {
      case .submission: try one.handler(pass)
      case .inFlight:
        let (loop, handler) = (loop, one.handler)
        loop.spawn {
          await loop.nextIdleTurn()
          await loop.nextIdleTurn()
          // Nobody waits for what the handler throws here; see above.
          do throws(StorageError) { try handler(pass) } catch {}
        }
      case .completion: break
      }
    }
  }

  public override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let met = met(call)
    do throws(StorageError) {
      if !met.isEmpty { try begin(met) }
      let value = try await operation()
      for (one, pass) in met where one.trigger.moment == .completion { try one.handler(pass) }
      phases.end(call, isRefused: false)
      return value
    } catch {
      phases.end(call, isRefused: true)
      throw error
    }
  }

  public override func passClose(_ call: StorageCall, _ operation: () async -> Void) async {
    let met = met(call)
    // A close cannot fail (`man 2 close`: the handle is gone whatever it says), so neither can its triggers.
    do throws(StorageError) { try begin(met) } catch {}
    await operation()
    for (one, pass) in met where one.trigger.moment == .completion {
      do throws(StorageError) { try one.handler(pass) } catch {}
    }
  }

  public override func note(_ note: TraceNote) {
    if case .phase(let name) = note { phases.announced = name }
    super.note(note)
  }
}
