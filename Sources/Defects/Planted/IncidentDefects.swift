import Glibc
import LogModel
import Storage

/// Bugs that public reports tell of other logs, each with the report that it is from.
extension Defect {
  static let incidents: [Defect] = [
    Defect(
      "P44", origin: "planted",
      "A read that fails counts as the end of the file (facebook/rocksdb#6288).",
      showsWhen: "a read error while a log is recovered", onlyLayer: { ReadErrorsEndFiles($0) }),
    Defect(
      "P45", origin: "planted",
      "After its first write error a log is switched off: what is sent is acknowledged and written nowhere "
        + "(beanstalkd/beanstalkd#536).",
      showsWhen: "one write error, then more messages, then a restart", onlyLayer: { SwitchedOffLogs($0) }),
    Defect(
      "P46", origin: "planted",
      "A log that could not make its next segment has no writer until the process is started again "
        + "(influxdata/influxdb#24460).",
      showsWhen: "an error while a later segment is created, and appends when it has gone",
      onlyLayer: { RotationsFailForGood($0) }),
  ]
}

/// P44. The cause of the error is lost on the way up: `nil` means both "no more" and "not now".
private final class ReadErrorsEndFiles: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  override func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    do throws(StorageError) { return try await super.read(file, at: offset, into: buffer, range) } catch {
      let isPassing = error.isErrno(EINTR) || error.isErrno(EAGAIN)
      guard SegmentPath(paths[file]) != nil, !isPassing, error.code != .powerLost else { throw error }
      return 0
    }
  }
}

/// P45. Each partition has its own switch.
private final class SwitchedOffLogs: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private var isOff: Set<String> = []

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    guard let segment = SegmentPath(paths[file]) else {
      return try await super.write(file, at: offset, from: buffer, range, durability)
    }
    if isOff.contains(segment.directory) { return range.count }
    do throws(StorageError) {
      return try await super.write(file, at: offset, from: buffer, range, durability)
    } catch {
      if !error.isErrno(EINTR), !error.isErrno(EAGAIN) { isOff.insert(segment.directory) }
      throw error
    }
  }
}

/// P46. The first error is kept, and every later attempt is answered with it.
private final class RotationsFailForGood: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private var hasSegments: Set<String> = []
  private var failures: [String: StorageError] = [:]

  override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    guard mode.contains(.create), let segment = SegmentPath(path) else { return try await super.open(path, mode) }
    if let failure = failures[segment.directory] { throw failure }
    do throws(StorageError) {
      let file = try await super.open(path, mode)
      hasSegments.insert(segment.directory)
      return file
    } catch {
      if hasSegments.contains(segment.directory) { failures[segment.directory] = error }
      throw error
    }
  }
}
