import Foundation
import LogModel
import ObjectStore
import Storage
import Testing

/// An object's size is no reason to believe it.
@Suite struct LargeObjectTests {
  @Test func aSparseObjectOfATebibyteIsDamaged() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/tornlog-object-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let loop = EventLoop()
    let storage = try PosixStorage(root: folder, loop: loop)
    let (ending, result) = loop.run(limit: .seconds(60)) { () async -> Result<Int, any Error> in
      do {
        let store = DirectoryObjectStore(storage)
        let name = ObjectName(TopicPartition("orders", 0), base: 0, end: 10, epoch: Epoch(1))
        try await store.put(name, Array("no object, but a put is a put".utf8))
        let file = try await storage.open("objects/\(name.path)", [.write])
        try await storage.truncate(file, to: 1 << 40)
        await storage.close(file)
        let bytes = try await store.get(name)
        do throws(ObjectStoreError) {
          _ = try SegmentObject(bytes, expecting: name)
          Issue.record("it is no object")
        } catch {
          guard case .damaged = error else { throw error }
        }
        return .success(bytes.count)
      } catch { return .failure(error) }
    }
    #expect(ending == .finished)
    #expect(try #require(result).get() < 80 << 20)
  }
}
