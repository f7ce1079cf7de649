import LogModel
import Storage

/// When something is to happen: at the first pass that matches, and meets the condition, in the chosen moment.
public struct CrashTrigger: Sendable {
  /// The moment in the course of an operation.
  public enum Moment: String, Hashable, Sendable, CaseIterable {
    /// Before it is passed on: it has not happened.
    case submission
    /// Once the base has started it: after two idle turns, so that a ring has been told of it. A base that completes
    /// in place has ended it by then.
    case inFlight = "in-flight"
    /// Once the base has ended it, and before the caller knows.
    case completion
  }

  public enum Condition: Hashable, Sendable {
    /// The nth matching pass, from 1.
    case occurrence(Int)
    /// The matching pass with which the bytes of all matching passes reach this many.
    case bytes(Int64)
    /// The first matching pass this long after the storage was made.
    case elapsed(Duration)
    /// Each matching pass with this probability in a million, under the seed.
    case chance(perMillion: Int, seed: UInt64)
  }

  /// Empty for every kind.
  public var kinds: Set<OperationKind>
  /// A part of the path, or of a rename's new path; empty for every path.
  public var pathContains: String
  /// The phase that a note has announced; nil for any.
  public var phase: String?
  public var condition: Condition
  public var moment: Moment

  public init(
    _ kinds: Set<OperationKind> = [], pathContains: String = "", phase: String? = nil,
    _ condition: Condition = .occurrence(1), _ moment: Moment = .submission
  ) {
    self.kinds = kinds
    self.pathContains = pathContains
    self.phase = phase
    self.condition = condition
    self.moment = moment
  }

  func matches(_ call: StorageCall, phase current: String) -> Bool {
    (kinds.isEmpty || kinds.contains(call.kind))
      && (phase == nil || phase == current)
      && (pathContains.isEmpty || contains(call.path) || contains(call.destination ?? ""))
  }

  private func contains(_ path: String) -> Bool {
    let (text, part) = (Array(path.utf8), Array(pathContains.utf8))
    guard part.count <= text.count else { return false }
    return (0...text.count - part.count).contains { text[$0..<$0 + part.count].elementsEqual(part) }
  }
}

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
    let trigger: CrashTrigger
    let handler: Handler
    let start: Instant
    var count = 0
    var bytes: Int64 = 0
    var hasFired = false
    var random: SeededGenerator

    init(_ trigger: CrashTrigger, _ handler: @escaping Handler, at start: Instant) {
      self.trigger = trigger
      self.handler = handler
      self.start = start
      if case .chance(_, let seed) = trigger.condition {
        random = SeededGenerator(seed: seed, stream: "trigger")
      } else {
        random = SeededGenerator(seed: 0)
      }
    }

    func isMet(at now: Instant) -> Bool {
      switch trigger.condition {
      case .occurrence(let n): count >= n
      case .bytes(let n): bytes >= n
      case .elapsed(let duration): now - start >= duration
      case .chance(let perMillion, _): random.chance(perMillion, in: 1_000_000)
      }
    }
  }

  private var armed: [Armed] = []
  private var phase = ""
  /// Passes by kind, matched or not.
  public private(set) var passes: [OperationKind: Int] = [:]

  public override init(_ base: any Storage) { super.init(base) }

  public func arm(_ trigger: CrashTrigger, _ handler: @escaping Handler) {
    armed.append(Armed(trigger, handler, at: loop.now))
  }

  /// How many triggers have fired: a trial whose trigger never fired is `unknown`.
  public var fired: Int { armed.reduce(0) { $0 + ($1.hasFired ? 1 : 0) } }

  /// Counts the pass.
  /// - Returns: the triggers that it meets, each with what its handler is told.
  private func met(_ call: StorageCall) -> [(armed: Armed, pass: TriggeredPass)] {
    passes[call.kind, default: 0] += 1
    var found: [(armed: Armed, pass: TriggeredPass)] = []
    for one in armed where !one.hasFired && one.trigger.matches(call, phase: phase) {
      one.count += 1
      one.bytes += Int64(call.length)
      guard one.isMet(at: loop.now) else { continue }
      one.hasFired = true
      let pass = TriggeredPass(
        kind: call.kind, path: call.path, offset: call.offset, length: call.length, occurrence: one.count)
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
    if met.isEmpty { return try await operation() }
    try begin(met)
    let value = try await operation()
    for (one, pass) in met where one.trigger.moment == .completion { try one.handler(pass) }
    return value
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
    if case .phase(let name) = note { phase = name }
    super.note(note)
  }
}
