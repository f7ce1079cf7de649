import Foundation
import Glibc
import LogModel
import Storage
import Testing

/// A write and the sync behind it as one chain, on all storages.
@Suite struct WriteThenSyncTests {
  private static let isRingRefused: Bool = {
    do throws(StorageError) {
      _ = try RingStorage(root: NSTemporaryDirectory(), loop: EventLoop())
      return false
    } catch { return true }
  }()

  /// Runs `body` on a real storage in a folder that is removed.
  private func real(_ isRing: Bool, _ body: @escaping @Sendable (any Storage, String) async throws -> Void) throws {
    var template = Array("/tmp/tornlog-chain-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    let root = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    defer { try? FileManager.default.removeItem(atPath: root) }
    let loop = EventLoop()
    let storage: any Storage =
      isRing ? try RingStorage(root: root, loop: loop) : try PosixStorage(root: root, loop: loop)
    let (ending, value) = loop.run(limit: .seconds(60)) { () async -> Result<Void, any Error> in
      do { return .success(try await body(storage, root)) } catch { return .failure(error) }
    }
    #expect(ending == .finished)
    try #require(value).get()
  }

  @Test(arguments: [false, true]) func itWritesAndSyncs(isRing: Bool) throws {
    if isRing && Self.isRingRefused { try Test.cancel("io_uring is refused here") }
    try real(isRing) { storage, root in
      let file = try await storage.open("f", [.write, .create])
      let buffer = storage.makeBuffer(capacity: 8192)
      memset(buffer.base, 7, 8192)
      // More than a ring holds at a time.
      for n in 0..<600 {
        let value1 = try await storage.writeThenSync(file, at: Int64(n % 4) * 8192, from: buffer, 0..<8192, .data)
        #expect(value1 == 8192)
      }
      let value2 = try await storage.size(of: file)
      #expect(value2 == 4 * 8192)
      let value3 = try await storage.read(file, 8192, at: 3 * 8192)
      #expect(value3 == bytes(8192, 7))
    }
  }

  /// A write that fails takes the sync with it; the ring goes on.
  @Test(arguments: [false, true]) func anErrorOfTheWriteIsTold(isRing: Bool) throws {
    if isRing && Self.isRingRefused { try Test.cancel("io_uring is refused here") }
    try real(isRing) { storage, root in
      try #require(symlink("/dev/full", root + "/full") == 0)
      let full = try await storage.open("full", [.write])
      let file = try await storage.open("f", [.write, .create])
      let buffer = storage.makeBuffer(capacity: 4096)
      for _ in 0..<3 {
        await #expect(throws: StorageError(errno: ENOSPC, .write, "full", offset: 0)) {
          _ = try await storage.writeThenSync(full, at: 0, from: buffer, 0..<4096, .all)
        }
        let value4 = try await storage.writeThenSync(file, at: 0, from: buffer, 0..<4096, .all)
        #expect(value4 == 4096)
      }
    }
  }

  /// An error of the sync alone: a character device takes every byte, and has nothing to sync.
  @Test(arguments: [false, true]) func anErrorOfTheSyncIsTold(isRing: Bool) throws {
    if isRing && Self.isRingRefused { try Test.cancel("io_uring is refused here") }
    try real(isRing) { storage, root in
      try #require(symlink("/dev/null", root + "/null") == 0)
      let null = try await storage.open("null", [.write])
      let buffer = storage.makeBuffer(capacity: 4096)
      await #expect(throws: StorageError(errno: EINVAL, .sync, "null")) {
        _ = try await storage.writeThenSync(null, at: 0, from: buffer, 0..<4096, .data)
      }
    }
  }

  /// In the model: whole, it is durable; short, nothing is. And with many in flight each sync covers its own write.
  @Test func inTheModelAShortWriteBreaksTheChain() throws {
    try simulate { loop in
      let disk = MemoryDisk(capacity: 12288)
      let storage = MemoryStorage(disk: disk, loop: loop)
      let file = try await storage.open("f", [.write, .create])
      let buffer = storage.makeBuffer(capacity: 8192)
      memset(buffer.base, 7, 8192)
      let value5 = try await storage.writeThenSync(file, at: 0, from: buffer, 0..<8192, .data)
      #expect(value5 == 8192)
      #expect(disk.readDurable("f") == bytes(8192, 7))
      let value6 = try await storage.writeThenSync(file, at: 8192, from: buffer, 0..<8192, .data)
      #expect(value6 == 4096)
      #expect(disk.readDurable("f")?.count == 8192)
    }
  }

  /// Two operations that are started together are no chain: that sync covers nothing of that write.
  @Test func aSyncThatIsStartedBesideTheWriteCoversNothingOfIt() throws {
    var uncovered = 0
    for seed in UInt64(1)...40 {
      uncovered += try simulate(seed: seed) { loop in
        let disk = MemoryDisk(seed: seed)
        let storage = MemoryStorage(disk: disk, loop: loop)
        let file = try await storage.open("f", [.write, .create])
        let left = Shared(1)
        loop.spawn {
          do { try await storage.write(file, bytes(512, 1), at: 0) } catch { Issue.record(error) }
          left.value -= 1
        }
        // The write has been submitted.
        await loop.sleep(until: loop.now + .nanoseconds(1))
        try await storage.sync(file, .all)
        while left.value > 0 { await loop.sleep(until: loop.now + .microseconds(10)) }
        return disk.readDurable("f") == [] ? 1 : 0
      }
    }
    #expect(uncovered == 40)
  }
}
