import Foundation
import Glibc
import LogModel
import Testing

@testable import Storage

/// What ends the wait of a loop that has nothing to do.
@Suite struct WakeTests {
  /// On a kernel before 5.11 a wait with a limit is an operation, whose completion is nobody's: it is no ring of the
  /// doorbell.
  @Test(arguments: [false, true]) func aWaitThatIsOverArmsNoSecondPoll(_ isOldKernel: Bool) throws {
    let folder = FileManager.default.temporaryDirectory.path + "/tornlog-wake-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let loop = EventLoop()
    let storage: RingStorage
    do throws(StorageError) { storage = try RingStorage(root: folder, loop: loop) } catch {
      try Test.cancel("io_uring is refused here: \(error)")
    }
    if isOldKernel { storage.forgetTimedWaits() }
    let (ending, result) = loop.run(limit: .seconds(60)) { () async -> Result<Void, StorageError> in
      do throws(StorageError) {
        let file = try await storage.open("f", [.write, .create])
        let buffer = storage.makeBuffer(capacity: 4096)
        for n in 0..<40 as Range<Int64> {
          await loop.sleep(until: loop.now + .milliseconds(1))
          _ = try await storage.write(file, at: n * 4096, from: buffer, 0..<4096, .durable)
        }
        await storage.close(file)
        return .success(())
      } catch { return .failure(error) }
    }
    #expect(ending == .finished)
    try result?.get()
    #expect(storage.wakesArmed == 1, "nobody has rung")
  }

  /// Somebody outside has something to do while the loop waits for a timer: it is done at once, each time. liburing
  /// takes a completion with its own tag for that of a limit, and nobody hears of it.
  @Test(arguments: [false, true]) func aRingIsHeardWhileAWaitHasALimit(_ isOldKernel: Bool) throws {
    let folder = FileManager.default.temporaryDirectory.path + "/tornlog-wake-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let loop = EventLoop()
    let storage: RingStorage
    do throws(StorageError) { storage = try RingStorage(root: folder, loop: loop) } catch {
      try Test.cancel("io_uring is refused here: \(error)")
    }
    if isOldKernel { storage.forgetTimedWaits() }
    let start = ContinuousClock.now
    let (ending, _) = loop.run(limit: .seconds(60)) {
      loop.spawn { await loop.sleep(until: loop.now + .seconds(20)) }
      for _ in 0..<5 {
        await withUnsafeContinuation { continuation in
          Thread.detachNewThread {
            usleep(20_000)
            continuation.resume()
          }
        }
      }
    }
    #expect(ending == .finished)
    #expect(ContinuousClock.now - start < .seconds(10), "it was heard when a timer was due")
  }

  /// Without a descriptor for it nobody hears a ring: whoever waits looks now and then.
  @Test func aDoorbellWithoutADescriptor() {
    let bell = WakeupDescriptor(-EMFILE)
    bell.ring()
    let start = ContinuousClock.now
    bell.wait(timeout: .seconds(60))
    #expect(ContinuousClock.now - start < .seconds(10))
  }

  /// Directories, files, links to either, a link to nothing: what a listing says, from a file system that tells the
  /// kinds of entries and from one that does not.
  @Test(arguments: [DT_UNKNOWN, -1]) func kindsOfEntries(_ kind: Int) throws {
    let folder = FileManager.default.temporaryDirectory.path + "/tornlog-kinds-\(UUID().uuidString)"
    let files = FileManager.default
    try files.createDirectory(atPath: folder + "/directory", withIntermediateDirectories: true)
    defer { try? files.removeItem(atPath: folder) }
    #expect(files.createFile(atPath: folder + "/file", contents: Data()))
    for target in ["directory", "file", "nothing"] {
      try files.createSymbolicLink(atPath: "\(folder)/link-to-\(target)", withDestinationPath: "\(folder)/\(target)")
    }
    let loop = EventLoop()
    let storage = try PosixStorage(root: folder, loop: loop)
    if kind >= 0 { storage.kindOfEntry = { _ in UInt8(kind) } }
    let (_, result) = loop.run { () async -> Result<[DirectoryEntry], StorageError> in
      do throws(StorageError) { return .success(try await storage.list("")) } catch { return .failure(error) }
    }
    let found = try #require(result).get()
    #expect(found.map(\.name) == ["directory", "file", "link-to-directory", "link-to-file", "link-to-nothing"])
    #expect(found.map(\.isDirectory) == [true, false, true, false, false])
  }
}
