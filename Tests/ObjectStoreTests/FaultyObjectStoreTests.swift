import FaultInjection
import LogModel
import Storage
import Testing

@testable import ObjectStore

/// Each fault does what it says, and leaves a receipt.
@Suite struct FaultyObjectStoreTests {
  private static let name = DirectoryObjectStoreTests.name(0)

  private static func attempt(
    _ fault: ObjectFault,
    _ check: @escaping @Sendable (FaultyObjectStore, DirectoryObjectStore, EventLoop) async throws -> Void
  ) throws {
    try DirectoryObjectStoreTests.boot(MemoryDisk(seed: 1)) { storage in
      let base = DirectoryObjectStore(storage)
      let store = FaultyObjectStore(base, plan: [PlannedObjectFault(fault, on: .put)], loop: storage.loop)
      try await check(store, base, storage.loop)
      #expect(store.unfired == [])
      #expect(store.receipts.map(\.fault) == [fault])
      // It fires once.
      try await store.put(name, [1, 2, 3, 4])
      #expect(try await base.get(name) == [1, 2, 3, 4])
    }
  }

  private static func put(_ store: FaultyObjectStore) async -> ObjectStoreError? {
    await DirectoryObjectStoreTests.failure { () async throws(ObjectStoreError) in
      try await store.put(name, [1, 2, 3, 4])
    }
  }

  @Test func refusalAndLostAnswer() throws {
    try Self.attempt(.refusal) { store, base, _ in
      #expect(await Self.put(store)?.isCertainFailure == true)
      let listing = try await base.list(nil)
      #expect(listing == [])
    }
    try Self.attempt(.lostAnswer) { store, base, _ in
      #expect(await Self.put(store)?.isCertainFailure == false)
      let stored = try await base.get(Self.name)
      #expect(stored == [1, 2, 3, 4])
    }
  }

  @Test(arguments: [true, false])
  func partialUpload(_ isTold: Bool) throws {
    try Self.attempt(.partialUpload(percent: 50, isTold: isTold)) { store, base, _ in
      #expect(await (Self.put(store) != nil) == isTold)
      let stored = try await base.get(Self.name)
      #expect(stored == [1, 2])
    }
  }

  @Test func lateSlowAndHanging() throws {
    for fault in [ObjectFault.late(.seconds(5)), .slow(.seconds(5))] {
      try Self.attempt(fault) { store, base, loop in
        let start = loop.now
        loop.spawn {
          await loop.sleep(until: start + .seconds(4))
          do {
            let isEmpty = try await base.list(nil).isEmpty
            #expect(isEmpty == (fault == .slow(.seconds(5))))
          } catch { Issue.record("\(error)") }
        }
        #expect(await Self.put(store) == nil)
        #expect(loop.now >= start + .seconds(5))
      }
    }
    try Self.attempt(.hang) { store, base, loop in
      loop.spawn {
        await loop.sleep(until: loop.now + .seconds(100))
        store.lift()
      }
      #expect(await Self.put(store) != nil)
      let listing = try await base.list(nil)
      #expect(listing == [])
    }
  }
}
