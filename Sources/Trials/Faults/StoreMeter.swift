import LogModel
import ObjectStore
import ScenarioFormat
import Storage
import Verification

/// A call to an object store without faults that took longer than the engine waits for it: the machine was slow, and
/// nobody else. Written down when it has taken that long, not when it ends.
struct SlowStoreCall: Codable, Hashable {
  var life: Int
  var call: String
  /// How long the engine waits at most.
  var limit: Duration
}

/// Watches what calls to a store take on the machine's clock. Stands below the faults: what a fault delays is not seen
/// here.
final class StoreMeter: ObjectStore, @unchecked Sendable {
  // Owned by `loop`.

  private let base: any ObjectStore
  private let loop: EventLoop
  private let limit: Duration
  private let life: Int
  private let keep: @Sendable (SlowStoreCall) -> Void
  private(set) var slowCalls = 0

  /// - Parameters:
  ///   - limit: a call that takes longer is written down.
  ///   - keep: writes it down.
  init(
    _ base: any ObjectStore, _ loop: EventLoop, life: Int, limit: Duration,
    keep: @escaping @Sendable (SlowStoreCall) -> Void
  ) {
    (self.base, self.loop, self.life, self.limit, self.keep) = (base, loop, life, limit, keep)
  }

  private final class Call: @unchecked Sendable {
    // Owned by the loop of its meter.
    var isOver = false
  }

  private func watched<Value>(
    _ what: String, _ body: () async throws(ObjectStoreError) -> Value
  ) async throws(ObjectStoreError) -> Value {
    let call = Call()
    let start = loop.now
    loop.spawn { [self] in
      await loop.sleep(until: start + limit)
      if !call.isOver { note(what, call) }
    }
    defer {
      // The timer may be late as well.
      if !call.isOver, loop.now - start >= limit { note(what, call) }
      call.isOver = true
    }
    return try await body()
  }

  private func note(_ what: String, _ call: Call) {
    call.isOver = true
    slowCalls += 1
    keep(SlowStoreCall(life: life, call: what, limit: limit))
  }

  func put(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
    try await watched("put \(name)") { () async throws(ObjectStoreError) in try await base.put(name, bytes) }
  }

  func get(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
    try await watched("get \(name)") { () async throws(ObjectStoreError) in try await base.get(name) }
  }

  func list(_ source: TopicPartition?) async throws(ObjectStoreError) -> [ListedObject] {
    try await watched("list") { () async throws(ObjectStoreError) in try await base.list(source) }
  }

  func delete(_ name: ObjectName) async throws(ObjectStoreError) {
    try await watched("delete \(name)") { () async throws(ObjectStoreError) in try await base.delete(name) }
  }
}

/// An engine that was asked to bring everything to its object store, and did not.
struct FlushFailure: Codable, Hashable {
  var life: Int
  var reason: String
}

/// What a life on real files says of its object store, for the judgement.
struct StoreEvidence {
  var failures: [FlushFailure] = []
  var slowCalls: [SlowStoreCall] = []

  /// The checks that ask whether the store was reached; those that the machine's speed has decided are `unknown`.
  func checks(_ spec: TrialSpec, _ history: History) -> [CheckResult] {
    let reasons = Dictionary(failures.map { ($0.life, $0.reason) }) { first, _ in first }
    guard let check = CheckResult.checkpointCompletes(history, reasons: reasons) else { return [] }
    let failed = history.flushes.first { $0.outcome != .acknowledged }?.incarnation
    return [excused(check, in: slowCalls.filter { $0.life == failed })]
  }

  /// An append that waits for the store is refused in the end: by the machine, where that made the store slow.
  func excused(_ sends: CheckResult, _ spec: TrialSpec) -> CheckResult {
    spec.checkpoint != .none && spec.checkpointTerms.mostWaiting != nil ? excused(sends, in: slowCalls) : sends
  }

  private func excused(_ check: CheckResult, in slow: [SlowStoreCall]) -> CheckResult {
    guard check.verdict == .violated, let first = slow.first else { return check }
    return .unknown(
      check.name,
      because: "no fault was in the way, but this machine took longer than \(DurationText.render(first.limit)) for "
        + "\(first.call), and the engine waits no longer; raise `timeout` or `patience` under `checkpoint`, or run it "
        + "on a quieter machine")
  }
}
