import Foundation
import LogModel
import Storage
import Testing

/// Two storages on one loop: a log on one disk, its object store on another.
@Suite struct TwoRingsTests {
  @Test(arguments: [1, 2, 3]) func eachGetsItsCompletions(_ count: Int) throws {
    let folder = FileManager.default.temporaryDirectory.path + "/tornlog-rings-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let loop = EventLoop()
    var storages: [any Storage] = []
    for number in 0..<count {
      try FileManager.default.createDirectory(atPath: "\(folder)/\(number)", withIntermediateDirectories: true)
      do throws(StorageError) { storages.append(try RingStorage(root: "\(folder)/\(number)", loop: loop)) } catch {
        try Test.cancel("io_uring is refused here: \(error)")
      }
    }
    let all = storages
    // One is made and goes again: the others are served on.
    do { _ = try RingStorage(root: folder, loop: loop) }
    let (ending, result) = loop.run(limit: .seconds(20)) { () async -> Result<Int, any Error> in
      do {
        let written = Written()
        try await withThrowingTaskGroup(of: Void.self) { group in
          for storage in all {
            group.addTask(executorPreference: loop) {
              let file = try await storage.open("f", [.write, .create])
              let buffer = storage.makeBuffer(capacity: 4096)
              for n in 0..<50 {
                _ = try await storage.write(file, at: Int64(n) * 4096, from: buffer, 0..<4096, .durable)
                written.count += 1
              }
              await storage.close(file)
            }
          }
          try await group.waitForAll()
        }
        // Only the last one has something to do, and then only the first.
        for storage in [all[all.count - 1], all[0]] {
          let file = try await storage.open("g", [.write, .create])
          let buffer = storage.makeBuffer(capacity: 4096)
          for n in 0..<50 {
            _ = try await storage.write(file, at: Int64(n) * 4096, from: buffer, 0..<4096, .durable)
            written.count += 1
          }
          await storage.close(file)
        }
        return .success(written.count)
      } catch { return .failure(error) }
    }
    #expect(ending == .finished, "\(count) storages")
    #expect(try #require(result).get() == count * 50 + 100)
  }

  /// Owned by the loop.
  private final class Written: @unchecked Sendable { var count = 0 }
}
