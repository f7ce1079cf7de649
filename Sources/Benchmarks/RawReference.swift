import CRawLoops
import Glibc
import LogModel

/// A raw loop in C that a figure is compared with: the least that a program on this machine must pay for the same
/// bytes. Rates are in records a second for appends and in bytes a second for scans.
public enum RawReference: Hashable, Sendable {
  /// How the file stands before the timed part.
  public enum File: Hashable, Sendable {
    /// Every write extends it, and a sync writes metadata too.
    case growing
    /// Zero-filled and synced beforehand; for unsynced loops: in the page cache.
    case zeroFilled
  }

  /// `pwrite` of `batch` records at once, then `fdatasync`.
  case syncedWrites(File, batch: Int)
  /// liburing, O_DIRECT + RWF_DSYNC, `group` records a write, one write in flight: what a commit of all waiting
  /// records costs at least.
  case ringWrites(group: Int)
  /// The same with `depth` writes of one record in flight.
  case ringQueue(depth: Int)
  /// Records copied into 64 KiB blocks, each checksummed by zlib and written, never synced.
  case checksummedBlocks(File)
  /// `pread` of a cached file in pieces of 256 KiB.
  case cachedRead
  /// zlib's crc32 over 64 KiB blocks in memory.
  case checksum

  /// pwrite + fdatasync of single records on a zero-filled file: what the design calls REF.
  public static let ref = RawReference.syncedWrites(.zeroFilled, batch: 1)

  /// The word for it in a table.
  public var name: String {
    switch self {
    case .syncedWrites(.zeroFilled, batch: 1): "REF"
    case .syncedWrites(.growing, batch: 1): "REF-growing"
    case .syncedWrites(.zeroFilled, let batch): "REF/\(batch)"
    case .syncedWrites(.growing, let batch): "REF-growing/\(batch)"
    case .ringWrites(let group): group == 1 ? "ring" : "ring/\(group)"
    case .ringQueue(let depth): "ring-qd\(depth)"
    case .checksummedBlocks(.growing): "blocks"
    case .checksummedBlocks(.zeroFilled): "blocks-cached"
    case .cachedRead: "cached-read"
    case .checksum: "crc32"
    }
  }

  /// One line for the legend below the table.
  public var explanation: String {
    switch self {
    case .syncedWrites(let file, let batch):
      "pwrite of \(batch == 1 ? "one record" : "\(batch) records at once") + fdatasync, "
        + (file == .growing ? "growing file" : "zero-filled file")
    case .ringWrites(let group):
      "liburing, O_DIRECT + RWF_DSYNC, \(group == 1 ? "one record" : "\(group) records") a write, zero-filled file"
    case .ringQueue(let depth):
      "liburing, O_DIRECT + RWF_DSYNC, one record a write, \(depth) in flight, zero-filled file"
    case .checksummedBlocks(let file):
      "records copied into 64 KiB blocks, zlib crc32, pwrite, no sync, "
        + (file == .growing ? "growing file" : "zero-filled cached file")
    case .cachedRead: "pread of a cached file in pieces of 256 KiB"
    case .checksum: "zlib crc32 over 64 KiB blocks in memory"
    }
  }
}

extension RawReference {
  /// Writes at least `count` records of `recordSize` bytes to a file of its own in `directory`.
  /// - Returns: the measure, whose `units` are the records that were written.
  public func append(count: Int, recordSize: Int, in directory: String) throws(RawReferenceError) -> Measure {
    let path = directory + "/reference.tmp"
    var records = count
    let result: Int64
    switch self {
    case .syncedWrites(let file, let batch):
      let writes = max(1, count / batch)
      records = writes * batch
      result = rl_synced_writes(path, file.raw, recordSize * batch, UInt64(writes))
    case .ringWrites(let group):
      records = (count + group - 1) / group * group
      result = Self.ring(path, recordSize, group: group, depth: 1, records)
    case .ringQueue(let depth):
      result = Self.ring(path, recordSize, group: 1, depth: depth, records)
    case .checksummedBlocks(let file):
      result = rl_checksummed_blocks(path, file.raw, recordSize, UInt64(count))
    case .cachedRead, .checksum:
      preconditionFailure("\(name) measures bytes, not records")
    }
    return try measure(result, units: Double(records), path)
  }

  /// Reads or checksums `bytes` bytes.
  /// - Returns: the measure, whose `units` are bytes.
  public func scan(bytes: Int, in directory: String) throws(RawReferenceError) -> Measure {
    let path = directory + "/reference.tmp"
    switch self {
    case .cachedRead: return try measure(rl_cached_read(path, bytes, 1), units: Double(bytes), path)
    case .checksum:
      var checksum: UInt32 = 0
      return try measure(rl_checksum(bytes, 1, &checksum), units: Double(bytes), path)
    default: preconditionFailure("\(name) measures records, not bytes")
    }
  }

  /// What the ring loop could register and the unit of its writes; written out for the report.
  public static func ringFeatures(in directory: String) throws(RawReferenceError) -> String {
    var features: UInt32 = 0
    let path = directory + "/reference.tmp"
    let result = rl_ring_writes(path, 1024, 1, 1, 1, &features)
    _ = try RawReference.ringWrites(group: 1).measure(result, units: 1, path)
    let file = features & RL_REGISTERED_FILE.rawValue != 0 ? "registered file" : "file not registered"
    let buffer = features & RL_REGISTERED_BUFFER.rawValue != 0 ? "registered buffer" : "buffer not registered"
    return "\(file), \(buffer), \(features & RL_ALIGNED_512.rawValue != 0 ? 512 : 4096)-byte units"
  }

  private static func ring(_ path: String, _ size: Int, group: Int, depth: Int, _ records: Int) -> Int64 {
    var features: UInt32 = 0
    return rl_ring_writes(path, size, UInt32(group), UInt32(depth), UInt64(records), &features)
  }

  private func measure(_ result: Int64, units: Double, _ path: String) throws(RawReferenceError) -> Measure {
    guard result > 0 else { throw RawReferenceError(errno: Int32(-result), reference: self, path: path) }
    return Measure(units: units, nanoseconds: result)
  }
}

extension RawReference.File {
  fileprivate var raw: rl_file { self == .growing ? RL_GROWING : RL_ZERO_FILLED }
}

/// A raw loop could not run.
public struct RawReferenceError: Error, Hashable, Sendable {
  public var errno: Int32
  public var reference: RawReference
  public var path: String

  /// The file system refuses O_DIRECT, or the kernel io_uring: the other references still stand.
  public var isUnsupported: Bool {
    switch reference {
    case .ringWrites, .ringQueue:
      [EINVAL, ENOSYS, EPERM, ENOMEM, EOPNOTSUPP].contains(errno)
    default: false
    }
  }
}

extension RawReferenceError: CustomStringConvertible {
  public var description: String {
    "\(reference.name) (\(reference.explanation)) on \(path): \(String(cString: strerror(errno)))\(remedy)"
  }

  private var remedy: String {
    switch errno {
    case EINVAL where isUnsupported: " (O_DIRECT is refused there; choose a disk file system with --dir)"
    case ENOSYS, EPERM: isUnsupported ? " (io_uring is refused; `tornlog doctor` says why)" : Self.access
    case ENOMEM: " (free memory, or raise the limit with ulimit -l)"
    case ENOSPC, EDQUOT: " (free space there, or choose another place with --dir)"
    case EACCES: Self.access
    case EROFS: " (the file system is read-only; choose another place with --dir)"
    case ENOENT, ENOTDIR: " (name an existing directory with --dir)"
    case EEXIST: " (left by a run that was killed; remove it)"
    default: ""
    }
  }

  private static let access = " (give this user access, or choose another place with --dir)"
}
