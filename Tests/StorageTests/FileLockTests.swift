import Foundation
import Glibc
import LogModel
import Testing

@testable import Storage

/// The lock of a file ends with its close.
@Suite struct FileLockTests {
  /// A process that is forked holds copies of all descriptors up to its `exec`, and the lock belongs to the copies too.
  @Test func aCopyOfTheDescriptorKeepsNoLock() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/tornlog-lock-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let loop = EventLoop()
    let (first, second) = (try PosixStorage(root: folder, loop: loop), try PosixStorage(root: folder, loop: loop))
    let (ending, result) = loop.run(limit: .seconds(60)) { () async -> Result<Bool, StorageError> in
      do throws(StorageError) {
        let locked = try await first.open("lock", [.write, .create])
        try await first.lock(locked)
        let copy = dup(try first.descriptor(locked, .lock))
        defer { Glibc.close(copy) }
        let other = try await second.open("lock", [.write])
        var isRefused = false
        do throws(StorageError) { try await second.lock(other) } catch { isRefused = error.isErrno(EAGAIN) }
        await first.close(locked)
        try await second.lock(other)
        await second.close(other)
        return .success(isRefused)
      } catch { return .failure(error) }
    }
    #expect(ending == .finished)
    #expect(try result?.get() == true, "the lock holds while its file is open")
  }
}
