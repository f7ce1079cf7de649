import Glibc
import LogModel
import RecordLogs

/// Removes old archives, and nothing else: `find archive -name '*.wal.zst' -mtime +30 -delete`, but for what is still
/// needed.
public struct LogCleanup {
  public struct Kept: Hashable, Sendable {
    public var path: String
    public var why: String
  }

  /// Archives that are gone, or would be.
  public private(set) var removed: [String] = []
  public private(set) var freedBytes: Int64 = 0
  /// Files that are old enough, and stay.
  public private(set) var kept: [Kept] = []
  /// Files that are not old enough.
  public private(set) var young = 0

  /// - Parameters:
  ///   - age: in seconds. A file is old enough when it was written longer ago.
  ///   - now: seconds since 1970.
  ///   - isDryRun: nothing is removed.
  public init(_ folder: String, olderThan age: Int64, now: Int64, isDryRun: Bool) throws(LogToolError) {
    let found = try Self.files(folder)
    for log in found.logs {
      let needed = try Self.unfinished(log)
      for path in log.paths {
        var status = stat()
        guard stat(path, &status) == 0 else { continue }
        guard now - Int64(status.st_mtim.tv_sec) > age else {
          young += 1
          continue
        }
        if let why = reason(path, log, needed) {
          kept.append(Kept(path: path, why: why))
          continue
        }
        if !isDryRun {
          guard unlink(path) == 0 else { throw .system(what: "remove", path: path, errno: errno) }
        }
        removed.append(path)
        freedBytes += Int64(status.st_size)
      }
    }
    if !isDryRun { for folder in Set(removed.map { LogFolder.split($0).folder }) { try Folders.sync(folder) } }
  }

  /// A folder without logs is clean.
  private static func files(_ folder: String) throws(LogToolError) -> LogFolder {
    do throws(LogToolError) { return try LogFolder(folder) } catch {
      if case .noLogs = error { return LogFolder.empty }
      throw error
    }
  }

  private func reason(_ path: String, _ log: LogFiles, _ unfinished: Set<String>) -> String? {
    guard LogFolder.isCompressed(path) else {
      return LogFolder.isSegment(LogFolder.split(path).name)
        ? "a segment: nothing tells that it was uploaded, and the engine removes those that were"
        : "active: it is no archive"
    }
    if unfinished.contains(path) { return "it has transactions that were neither committed nor rolled back" }
    do throws(LogToolError) {
      try LogArchive.requireSettled(path)
      return nil
    } catch {
      if case .refused(_, let why) = error { return why }
      return "\(error)"
    }
  }

  /// Files of a replay buffer's log in which a transaction begins that has not come to an end anywhere.
  private static func unfinished(_ log: LogFiles) throws(LogToolError) -> Set<String> {
    var begun: [UInt64: String] = [:]
    for path in log.paths {
      guard let file = try? LogFile(path), file.system == .replayBuffer else { continue }
      reading: while true {
        switch try file.reader.next() {
        case .entry(let entry):
          guard case .operation(let operation) = entry.note, let number = entry.firstOffset else { continue }
          let key = UInt64(bitPattern: number)
          switch operation {
          case .startBuffer: begun[key] = path
          case .commit, .rollback: begun[key] = nil
          case .addMeasurement, .endBuffer, .checkpoint: continue
          }
        case .damage, .remains: continue
        case .end: break reading
        }
      }
    }
    return Set(begun.values)
  }
}

/// "Migrate WAL Directory" of the airunner runbook: copied, compared, switched over by a link, and the old one kept.
public struct LogMigrate: Hashable, Sendable {
  public let from: String
  public let to: String
  /// Where the old folder is now.
  public let kept: String
  public private(set) var files = 0
  public private(set) var bytes: Int64 = 0

  /// - Parameters:
  ///   - folder: becomes a link to `target`.
  ///   - target: a folder that is not there yet, or empty.
  /// - Throws: `inUse`, `exists`. Up to the switch a failure leaves the old folder as it was.
  public init(_ folder: String, to target: String, isForced: Bool = false) throws(LogToolError) {
    (from, to) = (folder, target)
    kept = folder + ".before-migration"
    var status = stat()
    guard lstat(folder, &status) == 0 else { throw .system(what: "open", path: folder, errno: errno) }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw .refused(path: folder, why: "is no folder; where it is a link already, name the folder that it leads to")
    }
    guard lstat(kept, &status) != 0 else { throw .exists(path: kept) }
    guard target.hasPrefix("/") else {
      throw .refused(path: target, why: "is no absolute path; the link would lead somewhere else")
    }
    guard !(target + "/").hasPrefix(folder + "/") else { throw .refused(path: target, why: "lies in \(folder)") }
    var locks: [LogLock] = []
    for log in try Self.logs(folder) { if let lock = try LogLock.take(log, isForced: isForced) { locks.append(lock) } }
    defer { withExtendedLifetime(locks) {} }
    try Folders.make(target)
    guard try Self.names(target).isEmpty else { throw .exists(path: target) }
    try copy(folder, target)
    guard rename(folder, kept) == 0 else { throw .system(what: "rename", path: folder, errno: errno) }
    guard symlink(target, folder) == 0 else {
      let code = errno
      rename(kept, folder)
      throw .system(what: "link", path: folder, errno: code)
    }
    try Folders.sync(of: folder)
  }

  private static func logs(_ folder: String) throws(LogToolError) -> [LogFiles] {
    do throws(LogToolError) { return try LogFolder(folder).logs } catch {
      if case .noLogs = error { return [] }
      throw error
    }
  }

  private static func names(_ folder: String) throws(LogToolError) -> [String] {
    guard let stream = opendir(folder) else { throw .system(what: "list", path: folder, errno: errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  private mutating func copy(_ folder: String, _ target: String) throws(LogToolError) {
    for name in try Self.names(folder) {
      let (path, place) = ("\(folder)/\(name)", "\(target)/\(name)")
      var status = stat()
      guard lstat(path, &status) == 0 else { throw .system(what: "open", path: path, errno: errno) }
      switch status.st_mode & S_IFMT {
      case S_IFDIR:
        try Folders.make(place)
        chmod(place, status.st_mode & 0o7777)
        try copy(path, place)
      case S_IFREG: try copyFile(path, place)
      default: throw .refused(path: path, why: "is neither a file nor a folder; move it away first")
      }
    }
  }

  private mutating func copyFile(_ path: String, _ place: String) throws(LogToolError) {
    let source = try FileBytes(path)
    let target = try NewFile(place)
    let window = try ByteWindow(source)
    try window.forEachPiece(0..<window.size) { (piece: UnsafeRawBufferPointer) throws(LogToolError) in
      try target.write(piece)
    }
    if let failure = window.failure { throw failure }
    let copy = try ByteWindow(try target.written())
    guard source.unreadable.isEmpty, try source.currentSize() == copy.size,
      copy.crc32(0, 0..<copy.size) == window.crc32(0, 0..<copy.size)
    else { throw .differs(path: place, why: "the file was written to, or cannot be read; stop its writer") }
    target.takeAttributes(of: try source.status())
    try target.finish()
    files += 1
    bytes += copy.size
  }
}
