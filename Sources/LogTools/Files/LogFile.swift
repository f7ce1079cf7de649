import Glibc
import LogModel

/// One file of a log, open for reading.
public final class LogFile {
  public let path: String
  public let system: LogSystem
  public let compression: Compression
  /// Of the file as it lies there.
  public let packedSize: Int64
  /// When it was written last, seconds since 1970.
  public let modified: Int64
  let source: FileBytes
  public let reader: LogReader

  /// - Parameter format: nil to have the file tell.
  /// - Throws: whatever `FileBytes` does; `emptyFile`, `unknownFormat`, `damagedArchive`.
  public init(_ path: String, format: LogSystem? = nil) throws(LogToolError) {
    self.path = path
    let file = try FileBytes(path)
    let status = try file.status()
    (packedSize, modified) = (Int64(status.st_size), Int64(status.st_mtim.tv_sec))
    var head = [UInt8](repeating: 0, count: 4)
    var got = 0
    var failure: LogToolError?
    head.withUnsafeMutableBytes { raw in
      do throws(LogToolError) { got = try file.read(at: 0, into: raw) } catch { failure = error }
    }
    if let failure { throw failure }
    compression = Compression.of(Array(head[..<got]))
    source = compression == .none ? file : try file.unpacked(compression)
    if let format {
      system = format
    } else if let found = try FormatDetector.detect(source) {
      system = found
    } else {
      throw try source.currentSize() == 0 ? .emptyFile(path: path) : .unknownFormat(path: path)
    }
    reader = LogReader(try ByteWindow(source), FormatDetector.format(system))
  }

  /// Bytes of the file that the device could not read, as far as it has been read.
  public var unreadable: [Range<Int64>] { source.unreadable }
}

/// The files of one log, in their order.
public struct LogFiles: Hashable, Sendable {
  /// What names it: the folder and the name before `.wal`; the folder of segments; the file itself.
  public var name: String
  public var paths: [String]
  /// Where a writer of the log holds a lock; nil where the format has none.
  public var lockPath: String?

  public init(name: String, paths: [String], lockPath: String? = nil) {
    (self.name, self.paths, self.lockPath) = (name, paths, lockPath)
  }
}

/// Finds logs.
public struct LogFolder: Sendable {
  public private(set) var logs: [LogFiles] = []
  /// Files that look like a part of a log and are none: what a recovery has set aside, half-made copies.
  public private(set) var leftAside: [String] = []

  private var found: [String: [(order: String, path: String)]] = [:]
  private var locks: [String: String] = [:]
  private static let deepest = 8

  /// A folder without logs.
  static let empty = LogFolder()
  private init() {}

  /// What a path names: the one file, or every log in the folder and in those below. A link to a folder is followed
  /// where it is named itself, and not below.
  /// - Throws: `noLogs` for a folder without; `system`, `notAFile`.
  public init(_ path: String) throws(LogToolError) {
    var status = stat()
    guard stat(path, &status) == 0 else { throw .system(what: "open", path: path, errno: errno) }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw .notAFile(path: path, kind: FileBytes.kind(status.st_mode))
      }
      let (folder, file) = Self.split(path)
      let lock = Self.place(of: file).map { "\(folder)\($0.log).lock" }
      logs = [LogFiles(name: path, paths: [path], lockPath: file.hasSuffix(".log") ? Self.engineLock(folder) : lock)]
      return
    }
    try scan(path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path, 0)
    for (name, files) in found.sorted(by: { $0.key < $1.key }) {
      let ordered = files.sorted { ($0.order, $0.path) < ($1.order, $1.path) }
      logs.append(LogFiles(name: name, paths: Self.withoutTwins(ordered), lockPath: locks[name]))
    }
    if logs.isEmpty { throw .noLogs(path: path) }
  }

  /// Where a file is there both plain and compressed, the plain one counts.
  private static func withoutTwins(_ files: [(order: String, path: String)]) -> [String] {
    var kept: [(order: String, path: String)] = []
    for file in files {
      if let last = kept.last, last.order == file.order {
        if !isCompressed(file.path) { kept[kept.count - 1] = file }
      } else {
        kept.append(file)
      }
    }
    return kept.map(\.path)
  }

  static func isCompressed(_ path: String) -> Bool { path.hasSuffix(".gz") || path.hasSuffix(".zst") }

  private mutating func scan(_ folder: String, _ depth: Int) throws(LogToolError) {
    guard let stream = opendir(folder) else { throw .system(what: "list", path: folder, errno: errno) }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name == "." || name == ".." { continue }
      let path = "\(folder)/\(name)"
      var status = stat()
      guard lstat(path, &status) == 0 else { continue }
      if status.st_mode & S_IFMT == S_IFDIR {
        if depth < Self.deepest { try scan(path, depth + 1) }
        continue
      }
      guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
      note(name, folder, path)
    }
  }

  private mutating func note(_ name: String, _ folder: String, _ path: String) {
    if let (log, order) = Self.place(of: name) {
      found["\(folder)/\(log)", default: []].append((order, path))
      locks["\(folder)/\(log)"] = "\(folder)/\(log).lock"
    } else if Self.isSegment(name) {
      found[folder, default: []].append((name, path))
      locks[folder] = Self.engineLock(folder + "/")
    } else if name.contains(".wal.") || name.contains(".log.") {
      leftAside.append(path)
    }
  }

  /// The lock of the engine's root, which holds `topics/TOPIC/PARTITION/`.
  private static func engineLock(_ folder: String) -> String? {
    var parts = folder.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    if parts.last == "" { parts.removeLast() }
    let root: [String]
    if parts.count >= 3, parts[parts.count - 3] == "topics" {
      root = parts.dropLast(3)
    } else if let last = parts.last, last.hasPrefix("metadata") {
      root = parts.dropLast()
    } else {
      return nil
    }
    return root.isEmpty ? "lock" : root.joined(separator: "/") + "/lock"
  }

  static func split(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return ("", path) }
    let next = path.index(after: slash)
    return (String(path[..<next]), String(path[next...]))
  }

  static func isSegment(_ name: String) -> Bool {
    let stem = name.hasSuffix(".log") ? name.dropLast(4).split(separator: "-", omittingEmptySubsequences: false) : []
    func isNumber(_ text: Substring) -> Bool { text.utf8.allSatisfy { (48...57).contains($0) } }
    return stem.count == 2 && stem[0].count == 20 && stem[1].count >= 10 && isNumber(stem[0]) && isNumber(stem[1])
  }

  /// The log that a file `NAME.wal`, `NAME.wal.N`, compressed or not, belongs to, and what sorts it there.
  static func place(of file: String) -> (log: String, order: String)? {
    var name = file[...]
    for suffix in [".gz", ".zst"] where name.hasSuffix(suffix) { name = name.dropLast(suffix.count) }
    if name.hasSuffix(".wal"), name.count > 4 { return (String(name.dropLast(4)), "") }
    guard let dot = name.lastIndex(of: "."), let number = Int(name[name.index(after: dot)...]), number > 0 else {
      return nil
    }
    let stem = name[..<dot]
    guard stem.hasSuffix(".wal"), stem.count > 4, name == "\(stem).\(number)" else { return nil }
    let digits = String(number)
    return (String(stem.dropLast(4)), String(repeating: "0", count: max(0, 20 - digits.count)) + digits)
  }
}
