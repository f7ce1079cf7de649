import LogModel

/// The storage interface: everything that the engine persists or reads passes here, and nothing else does.
///
/// The shape is io_uring's. Operations are started, many at once from different tasks, and completed in any
/// order; an `async` call is one operation from its submission to its completion. Wrappers (`TracingStorage`,
/// the fault layer) are storages around a storage.
///
/// All calls are made on `loop`. Paths are relative to the storage's root, `/`-separated, without `.` or `..`.
/// A write or a sync that is in progress when power is lost never returns success.
public protocol Storage: AnyObject, Sendable {
  /// The executor that every caller runs on, and the clock.
  var loop: EventLoop { get }
  var properties: StorageProperties { get }

  /// Opens a regular file. `man 2 open`.
  func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID
  /// Releases the handle. Says nothing about durability (`man 2 close`).
  func close(_ file: FileID) async
  /// The file's size in bytes.
  func size(of file: FileID) async throws(StorageError) -> Int64
  /// Reads up to `range.count` bytes from `offset` into `buffer[range]`; fewer only at the end of the file.
  func read(_ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>) async throws(StorageError)
    -> Int
  /// Writes `buffer[range]` at `offset` and returns how many bytes were taken: fewer than asked is a *short write*,
  /// which the caller must handle. With `.durable` the bytes, and the size that makes them reachable, are on the
  /// medium when the call returns (`RWF_DSYNC`, `man 2 pwritev2`). `buffer` must not change until then.
  func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int
  /// Makes every write to `file` that *completed before this call was submitted* durable. `man 2 fsync`: the
  /// directory entry is not covered.
  func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError)
  /// Writes, then syncs, as one chain: the sync starts once the write has taken all bytes. Where it took fewer the
  /// chain is broken: nothing has been synced, and the number of bytes says so (`man 2 io_uring_enter`, IOSQE_IO_LINK).
  ///
  /// For what survives a power cut this is `write` and, once it has returned, `sync`, and no more: a link orders
  /// execution, so that the sync is submitted, in the sense above, when the write has completed. A wrapper that does
  /// not say otherwise sees these two operations. Two calls that are started together are another thing: that sync
  /// covers nothing of that write. The same goes for a drained sync (IOSQE_IO_DRAIN), which starts when everything
  /// before it has completed: whoever wants one waits for its operations, and syncs. Neither flag promises anything of
  /// the medium.
  /// - Throws: the error of the write, or that of the sync.
  func writeThenSync(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ scope: SyncScope
  ) async throws(StorageError) -> Int
  /// Takes an exclusive advisory lock on the file, held until the handle is closed or its process ends. An
  /// open-file-description lock (`man 2 fcntl`, F_OFD_SETLK): other handles of the same process are shut out too, and
  /// closing one of them does not release it.
  /// - Throws: EAGAIN where another handle holds it.
  func lock(_ file: FileID) async throws(StorageError)
  /// How many directory entries name the file: 0 once it has been removed, though it is still open (`man 2 fstat`).
  func linkCount(of file: FileID) async throws(StorageError) -> Int
  /// Cuts or extends the file to `size`.
  func truncate(_ file: FileID, to size: Int64) async throws(StorageError)

  /// Creates a directory and its parents; existing ones are left alone.
  func makeDirectory(_ path: String) async throws(StorageError)
  /// Makes creations, renames and removals in the directory durable.
  func syncDirectory(_ path: String) async throws(StorageError)
  func rename(_ path: String, to newPath: String) async throws(StorageError)
  func unlink(_ path: String) async throws(StorageError)
  /// The names in the directory, sorted by their bytes; `.` and `..` left out.
  func list(_ path: String) async throws(StorageError) -> [DirectoryEntry]

  /// Memory for I/O, aligned for `properties.directIO`; registered with the device where that is possible.
  func makeBuffer(capacity: Int) -> IOBuffer
  /// Tells the trace something that no operation shows: an acknowledgement, a phase.
  func note(_ note: TraceNote)
}

extension Storage {
  public func writeThenSync(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ scope: SyncScope
  ) async throws(StorageError) -> Int {
    let taken = try await write(file, at: offset, from: buffer, range, .volatile)
    if taken == range.count { try await sync(file, scope) }
    return taken
  }

  public func note(_ note: TraceNote) {}
}

/// A handle on an open file, valid until it is closed.
public struct FileID: Hashable, Sendable {
  public var rawValue: Int32
  public init(_ rawValue: Int32) { self.rawValue = rawValue }
}

public struct OpenMode: OptionSet, Hashable, Sendable {
  public var rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// For reading and writing; without it, for reading only.
  public static let write = OpenMode(rawValue: 1)
  /// Create the file if there is none.
  public static let create = OpenMode(rawValue: 2)
  /// With `create`: fail with EEXIST if there is one.
  public static let exclusive = OpenMode(rawValue: 4)
  /// Past the page cache (`O_DIRECT`), where `properties.directIO`; ignored elsewhere. Offsets, lengths and
  /// buffer positions of writes must then be multiples of `properties.blockSize`.
  public static let direct = OpenMode(rawValue: 8)
}

public enum WriteDurability: UInt8, Hashable, Sendable {
  /// Done when the page cache (or the device's cache) has it.
  case volatile
  /// Done when it would survive a power cut.
  case durable
}

public enum SyncScope: UInt8, Hashable, Sendable {
  /// `fdatasync`: the data and what is needed to read it back.
  case data
  /// `fsync`: all metadata too.
  case all
}

public struct DirectoryEntry: Hashable, Sendable {
  public var name: String
  public var isDirectory: Bool

  public init(name: String, isDirectory: Bool) {
    self.name = name
    self.isDirectory = isDirectory
  }
}

public struct StorageProperties: Hashable, Sendable {
  /// `io_uring`, `posix` or `memory`, as in the report.
  public var name: String
  /// Whether `OpenMode.direct` is honoured.
  public var directIO: Bool
  /// The unit of direct I/O and of atomic persistence in bytes: 512, or 4096 on a disk with 4 KiB sectors.
  public var blockSize: Int
  /// Names the boot of the machine: two equal values mean that no power was lost between them. 0: nobody knows which
  /// boot it is.
  public var bootID: UInt32
  /// What the user should know about the choice of this storage, for instance why it is not io_uring.
  public var notices: [String]

  public init(name: String, directIO: Bool, blockSize: Int, bootID: UInt32, notices: [String] = []) {
    self.name = name
    self.directIO = directIO
    self.blockSize = blockSize
    self.bootID = bootID
    self.notices = notices
  }

  /// Whether it is certain that no power was lost since the boot of that number. One that nobody knows is never the
  /// same: what a power cut has torn would count as damage, and be reported, though nobody had been promised anything.
  public func isSameBoot(as other: UInt32) -> Bool { bootID != 0 && bootID == other }
}
