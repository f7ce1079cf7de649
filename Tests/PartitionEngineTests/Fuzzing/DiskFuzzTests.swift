import Foundation
import Glibc
import LogModel
import Storage
import Synchronization
import Testing

@testable import PartitionEngine

/// No byte on disk ends the process that opens it, or keeps it for ever, or makes it take absurd memory.
///
/// Each world of files runs in processes of its own, which are expected to end by themselves; a seed that ends one is
/// written down before it begins. `TORNLOG_FUZZ=WORLD:SEED` runs one seed in the test's own process and says what was
/// done to the disk.
@Suite struct DiskFuzzTests {
  /// A run by hand takes hundreds of times as many (`TORNLOG_EXHAUSTIVE`).
  private static let blocks: UInt64 = getenv("TORNLOG_EXHAUSTIVE") == nil ? 1 : 100
  private static let blockSize: UInt64 = 40
  /// Operations of the storage that a life may take.
  private static let mostOperations = 3_000_000
  /// Bytes that the process may have resident.
  private static let mostMemory = 2 << 30

  @Test(arguments: DiskFuzzWorld.allCases) func nothingOnDiskEndsAProcess(_ world: DiskFuzzWorld) async throws {
    if getenv("TORNLOG_FUZZ") != nil { return }
    for block in 0..<Self.blocks {
      let place = FileManager.default.temporaryDirectory.path + "/tornlog-fuzz-\(UUID().uuidString)"
      defer { unlink(place) }
      let (name, first) = (world.rawValue, block * Self.blockSize)
      let result = await #expect(processExitsWith: .success) {
        [name = name as String, first = first as UInt64, place = place as String] in
        try DiskFuzzTests.run(name, from: first, noting: place)
      }
      if result == nil {
        let last = (try? String(contentsOfFile: place, encoding: .utf8)) ?? "none was begun"
        Issue.record(
          "TORNLOG_FUZZ=\(world.rawValue):N, the last of the process's seeds and what was done to it: \(last)")
      }
    }
  }

  @Test(.enabled(if: getenv("TORNLOG_FUZZ") != nil)) func oneSeed() throws {
    let words = String(cString: getenv("TORNLOG_FUZZ")).split(separator: ":")
    let world = try #require(DiskFuzzWorld(rawValue: String(words[0])))
    print(try Self.seed(world, try world.build(), try #require(UInt64(words[1]))) { print($0) })
  }

  /// Worlds that are not damaged: all of it is seen, so that a fuzz which sees nothing is noticed.
  @Test(arguments: DiskFuzzWorld.allCases) func aWorldIsFull(_ world: DiskFuzzWorld) throws {
    let disk = try world.build()
    let seen = try DiskFuzzWorld.live(disk, seed: 9, hours: 9) { await world.visit($0) }
    #expect(seen >= 20, "\(seen) of \(disk.paths)")
  }

  // MARK: In a process of its own

  static func run(_ name: String, from first: UInt64, noting place: String) throws {
    guard let world = DiskFuzzWorld(rawValue: name) else { return }
    let watch = Watch()
    watch.start()
    let disk = try world.build()
    var flaws: [String] = []
    for seed in first..<first + blockSize {
      watch.begin()
      flaws += try Self.seed(world, disk, seed) {
        try? "\(seed): \($0)".write(toFile: place, atomically: false, encoding: .utf8)
      }
    }
    let resident = SmallFile.read("/proc/self/status").flatMap { SmallFile.value(of: "VmHWM", in: $0) } ?? ""
    if let kilobytes = Int(resident.prefix { $0.isNumber }), kilobytes << 10 > mostMemory {
      flaws.append("\(resident) were resident")
    }
    guard !flaws.isEmpty else { return }
    try "\(flaws)".write(toFile: place, atomically: false, encoding: .utf8)
    exit(1)
  }

  /// Two lives on what is left of a world.
  /// - Parameter note: told what was done to it, before anybody opens it.
  /// - Returns: what is wrong but ended no process.
  static func seed(_ world: DiskFuzzWorld, _ whole: MemoryDisk, _ seed: UInt64, note: (String) -> Void) throws
    -> [String]
  {
    let disk = whole.snapshot()
    var mutator = DiskFuzzMutator(world, disk, seed: seed)
    note("to be mutated")
    try mutator.mutate()
    note(mutator.story.joined(separator: "; "))
    var flaws: [String] = []
    for life in 0..<2 as Range<UInt64> {
      let operations = Operations()
      do {
        _ = try DiskFuzzWorld.live(disk, seed: seed, hours: 5 + life) { storage in
          await world.visit(CountedStorage(storage, operations, most: mostOperations))
        }
      } catch { flaws.append("\(world.rawValue):\(seed), life \(life): \(error)") }
      if operations.count > mostOperations { flaws.append("\(world.rawValue):\(seed): operations without end") }
      _ = disk.processKill(seed: seed)
    }
    return flaws
  }

  private final class Operations: @unchecked Sendable { var count = 0 }

  /// Fails once there have been too many operations.
  private final class CountedStorage: StorageWrapper, @unchecked Sendable {
    private let operations: Operations
    private let most: Int

    init(_ base: any Storage, _ operations: Operations, most: Int) {
      (self.operations, self.most) = (operations, most)
      super.init(base)
    }

    override func pass<Value>(
      _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
    ) async throws(StorageError) -> Value {
      operations.count += 1
      if operations.count > most { throw StorageError(errno: EIO, call.kind, call.path) }
      return try await operation()
    }
  }

  /// Ends a process whose seed does not end.
  private final class Watch: Sendable {
    private let last = Atomic<Int64>(0)

    func begin() { last.store(Int64(time(nil)), ordering: .relaxed) }

    func start() {
      last.store(Int64(time(nil)), ordering: .relaxed)
      Thread.detachNewThread { [self] in
        while Int64(time(nil)) - last.load(ordering: .relaxed) < 300 { sleep(1) }
        abort()
      }
    }
  }
}
