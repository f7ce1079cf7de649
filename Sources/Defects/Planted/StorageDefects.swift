import Glibc
import LogModel
import Storage

/// Bugs that are an edit of the operations between the engine and its storage: a call that is never made, made again,
/// or whose answer is misread. The parts of the engine are the sound ones.
extension Defect {
  static let storage: [Defect] = [
    Defect(
      "A4", origin: "airunner",
      "A crash between creating a segment and writing its header: the log can never be reopened.",
      showsWhen: "power loss at the first operations on a new segment", onlyLayer: { HeaderDemanded($0) }),
    Defect(
      "H3", origin: "Streamhouse",
      "A size field under the minimum, as in a zero-filled tail, keeps recovery from ending.",
      showsWhen: "a crash with a zero-filled tail: it never opens again", onlyLayer: { ZeroFilledTailRefused($0) }),
    Defect(
      "R1", origin: "replay buffer", "The caller is told \"durable\" at once, and the sync comes later.",
      showsWhen: "power loss inside the window", onlyLayer: { DurableWritesPostponed($0) }),
    Defect(
      "P1", origin: "planted", "The directory is not synced after a segment is created.",
      showsWhen: "power loss after a rotation", onlyLayer: { SegmentDirectoriesNeverSynced($0) }),
    Defect(
      "P2", origin: "planted", "An fsync that failed is called again, and its success believed (\"fsyncgate\").",
      showsWhen: "fsync EIO once, then power loss", onlyLayer: { FailedSyncsRepeated($0) }
    ).ofEveryProgram(),
    Defect(
      "P7", origin: "planted", "Recovery rewrites the tail in place: cut off itself, it loses what it would have kept.",
      showsWhen: "a crash during recovery", onlyLayer: { TailRewrittenInPlace($0) }),
    Defect(
      "P8", origin: "planted", "A short write is taken for a full one.",
      showsWhen: "a short completion", onlyLayer: { ShortWritesBelieved($0) }
    ).ofEveryProgram(),
    Defect(
      "P11", origin: "planted",
      "One buffer serves the commits of all partitions: it is filled again before the write of it has ended.",
      showsWhen: "commits of two partitions in flight at once", onlyLayer: { CommitsShareABuffer($0) }),
    Defect(
      "P12", origin: "planted",
      "A record of length zero moves the reader nowhere: recovery keeps the processor for ever.",
      showsWhen: "a crash with a zero-filled tail: a hang, not an error", onlyLayer: { ZeroLengthsBelieved($0) }),
  ]
}

/// A4. A file that is too short for a header is an error of its own, which nobody handles.
private final class HeaderDemanded: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  static let headerSize = 4096

  override func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    let got = try await super.read(file, at: offset, into: buffer, range)
    if offset == 0, range.count == Self.headerSize, got < range.count, paths[file].hasSuffix(".log") {
      throw StorageError(errno: ENODATA, .read, paths[file], offset: offset)
    }
    return got
  }
}

/// H3. The project's process ended with a trap; here the error that stands for it is as final, since it comes at every
/// opening, before anything is repaired.
private final class ZeroFilledTailRefused: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  static let smallestRecord = 64

  override func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    let got = try await super.read(file, at: offset, into: buffer, range)
    let tail = range.lowerBound + max(0, got - Self.smallestRecord)..<range.lowerBound + got
    if offset >= HeaderDemanded.headerSize, got >= Self.smallestRecord, paths[file].hasPrefix("topics/"),
      buffer[tail].allSatisfy({ $0 == 0 })
    {
      throw StorageError(errno: EBADMSG, .read, paths[file], offset: offset)
    }
    return got
  }
}

/// P12. The position after a record is the position before it and its length.
private final class ZeroLengthsBelieved: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  override func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    let got = try await super.read(file, at: offset, into: buffer, range)
    var at = range.lowerBound
    let end = range.lowerBound + got / 512 * 512
    guard offset >= HeaderDemanded.headerSize, paths[file].hasPrefix("topics/") else { return got }
    while at < end {
      let isZero = buffer[at..<at + 512].allSatisfy { $0 == 0 }
      at += isZero ? 0 : 512
    }
    return got
  }
}

/// R1. Nothing ever syncs what has been written: the window is as long as the log.
private final class DurableWritesPostponed: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    try await super.write(file, at: offset, from: buffer, range, .volatile)
  }
}

/// P1. `man 2 fsync`: "Calling fsync() does not necessarily ensure that the entry in the directory containing the file
/// has also reached disk. For that an explicit fsync() on a file descriptor for the directory is also needed."
private final class SegmentDirectoriesNeverSynced: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  override func syncDirectory(_ path: String) async throws(StorageError) {
    // topics/TOPIC/PARTITION
    if path.hasPrefix("topics/"), path.utf8.count(where: { $0 == UInt8(ascii: "/") }) == 2 { return }
    try await super.syncDirectory(path)
  }
}

/// P2.
private final class FailedSyncsRepeated: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    do throws(StorageError) { try await super.sync(file, scope) } catch {
      if error.isPowerLost { throw error }
      try await super.sync(file, scope)
    }
  }
}

/// P7. Reads what stands before the cut, empties the file, writes it back.
private final class TailRewrittenInPlace: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  override func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    guard paths[file].hasPrefix("topics/"), size > 0 else { return try await super.truncate(file, to: size) }
    let copy = makeBuffer(capacity: Int(size))
    let got = try await super.read(file, at: 0, into: copy, 0..<Int(size))
    try await super.truncate(file, to: 0)
    try await super.sync(file, .all)
    var done = 0
    while done < got {
      let written = try await super.write(file, at: Int64(done), from: copy, done..<got, .volatile)
      if written == 0 { throw StorageError(errno: ENOSPC, .write, paths[file], offset: Int64(done)) }
      done += written
    }
  }
}

/// P8.
private final class ShortWritesBelieved: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    _ = try await super.write(file, at: offset, from: buffer, range, durability)
    return range.count
  }
}

/// P11. `man 2 io_uring_enter`: until a request has completed its buffer belongs to the kernel, which may read it at
/// any moment.
private final class CommitsShareABuffer: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private lazy var shared = makeBuffer(capacity: 256 << 10)

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    guard paths[file].hasPrefix("topics/"), range.count <= shared.capacity else {
      return try await super.write(file, at: offset, from: buffer, range, durability)
    }
    memcpy(shared.base, buffer.base + range.lowerBound, range.count)
    return try await super.write(file, at: offset, from: shared, 0..<range.count, durability)
  }
}
