import LogModel
import ObjectStore
import Storage

/// Applies a plan of faults to what passes between an engine and its object store, on any base.
public final class FaultyObjectStore: ObjectStore, @unchecked Sendable {
  // Owned by `loop`.

  private let base: any ObjectStore
  private let loop: EventLoop
  private let onFired: @Sendable (ObjectFaultReceipt) -> Void
  public let plan: [PlannedObjectFault]
  /// Everything that has fired, in order.
  public private(set) var receipts: [ObjectFaultReceipt] = []
  /// Calls that matched each fault's trigger, and how often it has fired.
  private var counts: [Int]
  private var firings: [Int]
  /// Calls by operation, hit or not.
  public private(set) var calls: [ObjectOperation: Int] = [:]
  /// Calls that have had no answer, and get none until the faults are lifted.
  public private(set) var hanging = 0
  private var isLifted = false
  /// Opens when hanging calls may go on.
  private let released = AsyncEvent()

  /// - Parameter onFired: given each receipt before the call that was hit goes on.
  public init(
    _ base: any ObjectStore, plan: [PlannedObjectFault], loop: EventLoop,
    onFired: @escaping @Sendable (ObjectFaultReceipt) -> Void = { _ in }
  ) {
    (self.base, self.plan, self.loop, self.onFired) = (base, plan, loop, onFired)
    counts = Array(repeating: 0, count: plan.count)
    firings = counts
  }

  /// Calls that matched each fault of the plan.
  public var matched: [Int] { counts }

  /// Indices of the plan's faults that have not fired, ascending: where one should have, the trial is `unknown`.
  public var unfired: [Int] { firings.indices.filter { firings[$0] == 0 } }

  /// All faults are over. Calls that hang are refused now.
  public func lift() {
    isLifted = true
    released.open()
  }

  // MARK: The course of a call

  /// Counts the call.
  /// - Returns: the first fault that it meets; another one stays armed.
  private func met(_ operation: ObjectOperation, _ path: String) -> ObjectFault? {
    calls[operation, default: 0] += 1
    if isLifted { return nil }
    var found: ObjectFault?
    for (index, planned) in plan.enumerated() where planned.matches(operation, path) {
      counts[index] += 1
      guard found == nil, counts[index] >= planned.occurrence, firings[index] < planned.times else { continue }
      firings[index] += 1
      found = planned.fault
      let receipt = ObjectFaultReceipt(
        number: receipts.count, planned: index, fault: planned.fault, operation: operation, path: path,
        occurrence: counts[index], instant: loop.now, isFirst: firings[index] == 1)
      receipts.append(receipt)
      onFired(receipt)
    }
    return found
  }

  /// - Parameter partial: does the call in part.
  private func pass<Value>(
    _ operation: ObjectOperation, _ path: String,
    partial: ((_ percent: Int) async throws(ObjectStoreError) -> Value)? = nil,
    _ body: () async throws(ObjectStoreError) -> Value
  ) async throws(ObjectStoreError) -> Value {
    switch met(operation, path) {
    case nil: return try await body()
    case .refusal: throw .refused("injected")
    case .lostAnswer:
      _ = try await body()
      throw .failed("injected: the answer was lost")
    case .late(let delay):
      let value = try await body()
      await loop.sleep(until: loop.now + delay)
      return value
    case .slow(let delay):
      await loop.sleep(until: loop.now + delay)
      return try await body()
    case .hang:
      hanging += 1
      defer { hanging -= 1 }
      await released.wait()
      throw .failed("injected: the connection was cut")
    case .partialUpload(let percent, let isTold):
      guard let partial else { return try await body() }
      let value = try await partial(percent)
      if isTold { throw .failed("injected: the upload was cut") }
      return value
    }
  }

  /// Told of each object that is stored whole.
  public var onStored: ((ObjectName) -> Void)?

  public func put(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
    try await pass(
      .put, name.path,
      partial: { (percent) async throws(ObjectStoreError) in
        try await self.base.put(name, Array(bytes.prefix(bytes.count * percent / 100)))
      }
    ) { () async throws(ObjectStoreError) in
      try await base.put(name, bytes)
      onStored?(name)
    }
  }

  public func get(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
    try await pass(.get, name.path) { () async throws(ObjectStoreError) in try await base.get(name) }
  }

  public func list(_ source: TopicPartition?) async throws(ObjectStoreError) -> [ListedObject] {
    try await pass(.list, source.map { "\($0)" } ?? "") { () async throws(ObjectStoreError) in
      try await base.list(source)
    }
  }

  public func delete(_ name: ObjectName) async throws(ObjectStoreError) {
    try await pass(.delete, name.path) { () async throws(ObjectStoreError) in try await base.delete(name) }
  }
}
