import LogModel
import Storage
import Testing

/// Directories of partitions, made one at a time as an opening does.
@Suite struct DurableDirectoriesTests {
  private final class ListingMeter: StorageWrapper, @unchecked Sendable {
    // Owned by the base's loop, as every storage.
    private(set) var listed: [String: Int] = [:]

    override func list(_ path: String) async throws(StorageError) -> [DirectoryEntry] {
      listed[path, default: 0] += 1
      return try await super.list(path)
    }
  }

  /// Metadata with one damaged number names a topic of 10 000 partitions: n listings of n entries took minutes.
  @Test(arguments: [false, true]) func theFolderOfATopicIsListedOnce(_ isThereAlready: Bool) throws {
    let partitions = 50
    try simulate { loop in
      let storage = ListingMeter(MemoryStorage(disk: MemoryDisk(seed: 1), loop: loop, latency: .zero))
      if isThereAlready { try await DurableDirectories(storage).make(for: "orders", 0..<partitions) }
      let before = storage.listed["topics/orders"] ?? 0
      let directories = DurableDirectories(storage)
      for number in 0..<partitions { try await directories.make(for: "orders", number..<number + 1) }
      #expect((storage.listed["topics/orders"] ?? 0) - before == 1)
      #expect(try await storage.list("topics/orders").count == partitions)
    }
  }

  /// As an opening does with a copy of the metadata that cannot be read.
  @Test func aDirectoryThatWasSetAsideIsMadeAnew() throws {
    try simulate { loop in
      let storage = MemoryStorage(disk: MemoryDisk(seed: 1), loop: loop, latency: .zero)
      let directories = DurableDirectories(storage)
      try await directories.make("metadata/old")
      try await storage.rename("metadata", to: "metadata.unreadable-1")
      directories.forget("metadata")
      try await directories.make("metadata/old")
      #expect(try await storage.list("metadata").map(\.name) == ["old"])
    }
  }

  /// A sync that failed leaves the directory to be made anew.
  @Test func aDirectoryWhoseSyncFailedIsListedAgain() throws {
    try simulate { loop in
      let disk = MemoryDisk(seed: 1)
      let storage = FailingOnce(MemoryStorage(disk: disk, loop: loop, latency: .zero))
      let directories = DurableDirectories(storage)
      await #expect(throws: StorageError.self) { try await directories.make("topics/orders") }
      try await directories.make("topics/orders")
      _ = disk.powerLoss(seed: 1, profile: .posixMinimal)
      let after = MemoryStorage(disk: disk, loop: loop, latency: .zero)
      #expect(try await after.list("topics").map(\.name) == ["orders"])
    }
  }

  private final class FailingOnce: StorageWrapper, @unchecked Sendable {
    // Owned by the base's loop, as every storage.
    private var hasFailed = false

    override func syncDirectory(_ path: String) async throws(StorageError) {
      guard hasFailed || path != "topics" else {
        hasFailed = true
        throw StorageError(errno: 5, .syncDirectory, path)
      }
      try await super.syncDirectory(path)
    }
  }
}
