import FaultInjection
import Glibc
import LogModel
import Storage
import Testing

/// What faults are laid over: the same expectations hold on each.
enum Base: String, CaseIterable, Sendable {
  case memory, memoryInPlace, posix, ring, powerLossOverMemory, powerLossOverPosix

  static let available = allCases.filter { $0 != .ring || ringWorks }
  /// Bases that know what is durable.
  static let losingPower: [Base] = [.memory, .memoryInPlace, .powerLossOverMemory, .powerLossOverPosix]

  private static var ringWorks: Bool {
    do throws(StorageError) { _ = try RingStorage(root: "/tmp", loop: EventLoop()) } catch { return false }
    return true
  }
}

/// A base with its files, for as long as a test runs on it.
final class Rig: @unchecked Sendable {
  // Owned by the test's thread, which is the loop's.

  let loop: EventLoop
  let storage: any Storage
  let medium: any FileMedium
  private let disk: MemoryDisk?
  private let root: String?
  let losesPower: Bool

  init(_ base: Base, seed: UInt64 = 1) throws {
    losesPower = Base.losingPower.contains(base)
    switch base {
    case .memory, .memoryInPlace, .powerLossOverMemory:
      loop = EventLoop(simulatedWithSeed: seed)
      let disk = MemoryDisk(seed: seed)
      let memory = MemoryStorage(disk: disk, loop: loop, latency: base == .memoryInPlace ? .zero : .disk)
      storage = base == .powerLossOverMemory ? PowerLossStorage(memory) : memory
      (self.disk, medium, root) = (disk, disk, nil)
    case .posix, .ring, .powerLossOverPosix:
      loop = EventLoop()
      // Over `PowerLossStorage` nothing is asked of the device; syncs of a real one cost most of the time.
      let folder = base == .powerLossOverPosix && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
      var template = Array("\(folder)/tornlog-faults-XXXXXX".utf8CString)
      let root = try #require(mkdtemp(&template).map { String(cString: $0) })
      let files: any Storage =
        base == .ring ? try RingStorage(root: root, loop: loop) : try PosixStorage(root: root, loop: loop)
      storage = base == .powerLossOverPosix ? PowerLossStorage(files) : files
      (disk, medium, self.root) = (nil, AtRestFolder(root), root)
    }
  }

  deinit {
    guard let root else { return }
    removeTree(root)
  }

  func run<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
    let (ending, value) = loop.run(limit: .seconds(20)) { () -> Result<Value, any Error> in
      do { return .success(try await body()) } catch { return .failure(error) }
    }
    #expect(ending == .finished)
    return try #require(value).get()
  }

  /// What is not durable is gone.
  func losePower(_ profile: PersistenceProfile = .dropUnsynced, seed: UInt64 = 1) async throws(StorageError) {
    if let powerLoss = storage as? PowerLossStorage {
      _ = try await powerLoss.cutPower(seed: seed, profile: profile)
    } else {
      disk?.powerLoss(seed: seed, profile: profile)
    }
  }

  func content(_ path: String) -> [UInt8]? {
    do throws(StorageError) { return try medium.read(path, 0..<Int64.max) } catch { return nil }
  }

  /// A file, durable where that means anything.
  func fill(_ path: String, _ content: [UInt8]) async throws(StorageError) {
    let file = try await storage.open(path, [.write, .create])
    try await storage.write(file, content, at: 0, losesPower ? .durable : .volatile)
    if losesPower { try await storage.sync(file, .all) }
    await storage.close(file)
    if losesPower { try await storage.syncDirectory(parentOf(path)) }
  }

  private func parentOf(_ path: String) -> String { path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "" }
}

/// What a caller was told.
enum Told: Hashable, Sendable {
  case bytes(Int), error(Int32), powerLost
}

func told(_ operation: () async throws(StorageError) -> Int) async -> Told {
  do throws(StorageError) { return .bytes(try await operation()) } catch {
    if case .errno(let number) = error.code { return .error(number) }
    return .powerLost
  }
}

/// The same for operations without a value.
func toldOf(_ operation: () async throws(StorageError) -> Void) async -> Told {
  await told { () async throws(StorageError) -> Int in
    try await operation()
    return 0
  }
}

extension Array where Element == UInt8 {
  /// These bytes with `value` in `range`, longer where it reaches beyond.
  func with(_ range: Range<Int>, _ value: UInt8) -> [UInt8] {
    var copy = self
    if copy.count < range.upperBound { copy += FaultInjectionTests.bytes(range.upperBound - copy.count, 0) }
    copy.replaceSubrange(range, with: FaultInjectionTests.bytes(range.count, value))
    return copy
  }
}

func ranges(_ path: String, _ list: Range<Int64>...) -> [FileRange] { list.map { FileRange(path, $0) } }

func removeTree(_ path: String) {
  if let directory = opendir(path) {
    var names: [String] = []
    while let entry = readdir(directory) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    closedir(directory)
    for name in names where name != "." && name != ".." { removeTree("\(path)/\(name)") }
  }
  _ = Glibc.remove(path)
}
