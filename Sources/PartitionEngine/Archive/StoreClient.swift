import LogModel
import ObjectStore
import Storage

/// Asks the object store, and waits for an answer no longer than it has to.
///
/// A call that was given up goes on, and may yet do what it was asked: all of them can be done twice. While
/// `mostAbandoned` of them go on nothing more is asked, so that a store which never answers costs bounded memory.
final class StoreClient: @unchecked Sendable {
  // Owned by `loop`.

  static let mostAbandoned = 2

  private let store: any ObjectStore
  private let loop: EventLoop
  private let timeout: Duration
  /// In the order of their deadlines.
  private var waiting: [Call] = []
  private var isWatched = false
  /// Given up, and not ended.
  private(set) var abandoned = 0

  private class Call {
    let deadline: Instant
    let answered = AsyncEvent()
    var isAbandoned = false
    init(deadline: Instant) { self.deadline = deadline }
  }

  private final class Answered<Value>: Call, @unchecked Sendable {
    // Owned by the loop of its client.
    var result: Result<Value, ObjectStoreError>?
  }

  init(_ store: any ObjectStore, _ loop: EventLoop, timeout: Duration) {
    (self.store, self.loop, self.timeout) = (store, loop, timeout)
  }

  func put(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
    try await limited { (store) async throws(ObjectStoreError) in try await store.put(name, bytes) }
  }

  func get(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
    try await limited { (store) async throws(ObjectStoreError) in try await store.get(name) }
  }

  func list(_ source: TopicPartition?) async throws(ObjectStoreError) -> [ListedObject] {
    try await limited { (store) async throws(ObjectStoreError) in try await store.list(source) }
  }

  func delete(_ name: ObjectName) async throws(ObjectStoreError) {
    try await limited { (store) async throws(ObjectStoreError) in try await store.delete(name) }
  }

  /// Before a call is repeated.
  func pause() async { await loop.sleep(until: loop.now + .milliseconds(100)) }

  private func limited<Value: Sendable>(
    _ body: @escaping @Sendable (any ObjectStore) async throws(ObjectStoreError) -> Value
  ) async throws(ObjectStoreError) -> Value {
    guard abandoned < Self.mostAbandoned else {
      // Nothing was asked: the calls before this one still hold what they were given.
      await loop.sleep(until: loop.now + timeout)
      guard abandoned < Self.mostAbandoned else { throw .timedOut(timeout) }
      return try await limited(body)
    }
    let call = Answered<Value>(deadline: loop.now + timeout)
    waiting.append(call)
    loop.spawn { [self] in
      do throws(ObjectStoreError) { call.result = .success(try await body(store)) } catch {
        call.result = .failure(error)
      }
      if call.isAbandoned { abandoned -= 1 }
      call.answered.open()
    }
    watch()
    await call.answered.wait()
    waiting.removeAll { $0 === call }
    guard let result = call.result, !call.isAbandoned else { throw .timedOut(timeout) }
    return try result.get()
  }

  /// One timer at a time, and none while nothing is asked.
  private func watch() {
    guard !isWatched, let first = waiting.first else { return }
    isWatched = true
    let deadline = first.deadline
    loop.spawn { [self] in
      await loop.sleep(until: deadline)
      while let call = waiting.first, call.deadline <= loop.now {
        waiting.removeFirst()
        guard call.answered.isOpen == false else { continue }
        call.isAbandoned = true
        abandoned += 1
        call.answered.open()
      }
      isWatched = false
      watch()
    }
  }
}
