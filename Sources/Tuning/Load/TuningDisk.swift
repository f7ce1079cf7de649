import FaultInjection
import Glibc
import LogModel
import PartitionEngine
import Storage

/// Where a tuning run works.
public struct TuningDisk: Sendable {
  public enum Kind: Sendable {
    /// A folder on a real disk, and the storage that works there.
    case folder(String, StorageChoice)
    /// A disk in memory, in virtual time: its latencies are known, so the right answer is too.
    case simulated(MemoryLatency)
  }

  public var kind: Kind
  /// Slower flushes than the disk has; nil for those that it has.
  public var timing: FlushTiming?

  public init(_ kind: Kind, timing: FlushTiming? = nil) {
    (self.kind, self.timing) = (kind, timing)
  }

  /// A loop with a storage on an empty folder, or on a new disk in memory.
  /// - Throws: `TuningError.disk`.
  func machine(seed: UInt64) throws(TuningError) -> TuningMachine {
    switch kind {
    case .folder(let path, let choice):
      do throws(StorageError) {
        let folder = try TuningFolder(in: path)
        let loop = EventLoop()
        return TuningMachine(loop, try choice.openFiles(root: folder.path, loop: loop), timing, folder)
      } catch {
        throw TuningError(error)
      }
    case .simulated(let latency):
      let loop = EventLoop(simulatedWithSeed: seed)
      return TuningMachine(loop, MemoryStorage(disk: MemoryDisk(seed: seed), loop: loop, latency: latency), timing, nil)
    }
  }
}

/// A loop, and a storage on it that one engine at a time works on.
struct TuningMachine {
  let loop: EventLoop
  let storage: any Storage
  /// Removed with the machine.
  private let folder: TuningFolder?

  init(_ loop: EventLoop, _ base: any Storage, _ timing: FlushTiming?, _ folder: TuningFolder?) {
    self.loop = loop
    storage = timing.map { SlowFlushes(base, $0) } ?? base
    self.folder = folder
  }

  /// Runs `body` on the loop.
  /// - Throws: `TuningError`; `.hung` where the body does not end.
  func run<Value: Sendable>(
    _ what: String, _ body: @escaping @Sendable (any Storage) async throws -> Value
  ) throws(TuningError) -> Value {
    let storage = UncheckedStorage(storage)
    let ended = loop.run(limit: Self.limit) { () async -> Result<Value, TuningError> in
      do { return .success(try await body(storage.storage)) } catch { return .failure(TuningError(error)) }
    }
    guard let result = ended.value else { throw TuningError.hung(what, "\(ended.ending)") }
    return try result.get()
  }

  /// Storages belong to their loop, and the body runs on it.
  private struct UncheckedStorage: @unchecked Sendable {
    let storage: any Storage
    init(_ storage: any Storage) { self.storage = storage }
  }

  /// No run of one setting takes so long.
  private static let limit = Duration.seconds(300)
}

/// A folder that is removed when nobody holds it any more.
package final class TuningFolder: Sendable {
  package let path: String
  private let lock: WorkFolder?

  package init(in directory: String) throws(StorageError) {
    path = try WorkFolder.make(in: directory)
    lock = WorkFolder(locking: path)
  }

  /// Makes a folder in it that every user may write to.
  /// - Returns: its path.
  package func open(to name: String) throws(StorageError) -> String {
    let inner = path + "/" + name
    // A server may run as a user of its own.
    guard mkdir(inner, 0o777) == 0, chmod(inner, 0o777) == 0, chmod(path, 0o755) == 0 else {
      throw StorageError(.errno(errno), .makeDirectory, inner)
    }
    return inner
  }

  deinit { WorkFolder.removeTree(path) }
}
