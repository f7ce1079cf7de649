import Glibc
import LogModel

/// A disk behind a page cache: what `MemoryStorage` works on, and what survives the machine.
///
/// The model:
/// 1. Every file and every directory has two images. *Settled* is what completed operations have made of it;
///    *durable* is what survives a power cut. New content, new sizes and new entries are volatile at first.
/// 2. A write in flight becomes visible to readers at a seeded moment between its submission and its completion, and
///    settles at its completion. Its bytes are taken out of the caller's buffer at the first of these moments or at the
///    last, by the seed: whoever touches the buffer in between has written something else. A durable write
///    (`RWF_DSYNC`, `man 2 pwritev2`) is also durable then, with the size that makes it reachable.
/// 3. A sync covers exactly the writes and truncations that had completed when it was submitted, and takes effect when
///    it completes (`man 2 fsync`; `man 2 io_uring_enter`: submission is no order of execution).
/// 4. A creation, rename or removal takes effect at its completion and is durable once a sync of its directory,
///    submitted later, has completed (`man 2 fsync`: syncing the file does not sync its entry). A rename between
///    directories is two entries, each durable by its own directory's sync.
/// 5. A *process kill* keeps everything settled; operations in flight happen, or not, or in part, by the seed.
/// 6. A *power loss* keeps everything durable; a `PersistenceProfile` and a seed resolve the rest.
/// 7. After either, every operation of the machine that died, in flight or new, fails with `powerLost`.
///
/// Nothing depends on a clock or on the order of a hash table: the same seed and the same calls give the same bytes.
public final class MemoryDisk: @unchecked Sendable {
  // Owned by the loop of the storage on it, or by whoever holds a snapshot that no storage is on. Content is shared
  // with snapshots and never written while it is.

  static let root = 0

  var files: [MemoryFile?] = []
  var directories: [MemoryDirectory?] = [MemoryDirectory()]
  var pending: [PendingOperation] = []
  var nextOperation: UInt64 = 1
  var mayHaveGarbage = false
  /// Advisory locks by file index; those of an earlier life are void.
  var locks: [Int: Lock] = [:]
  struct Lock: Equatable {
    var life: Int
    var handle: UInt64
  }
  /// Numbers handles of all machines of this disk.
  var nextHandle: UInt64 = 1
  /// Counts crashes: a machine belongs to one life.
  var life = 0
  /// The clock of the machine on this disk, or the moment at which a snapshot was taken.
  var clock: EventLoop?
  private var stoppedAt = Instant(nanoseconds: 0)
  var now: Instant { clock?.now ?? stoppedAt }

  public let seed: UInt64
  /// The boot that the next machine on this disk belongs to: changes with a power loss, not with a process kill.
  public private(set) var bootID: UInt32 = 1
  /// Bytes that files may occupy, in whole pages; nil for no limit. May change at any time: space is freed.
  public var capacity: Int64?

  public init(seed: UInt64 = 0, capacity: Int64? = nil) {
    self.seed = seed
    self.capacity = capacity
  }

  private init(copying disk: MemoryDisk) {
    files = disk.files
    directories = disk.directories
    pending = disk.pending.map { $0.clone() }
    nextOperation = disk.nextOperation
    mayHaveGarbage = disk.mayHaveGarbage
    life = disk.life
    stoppedAt = disk.now
    seed = disk.seed
    bootID = disk.bootID
    capacity = disk.capacity
  }

  /// The disk as it is now, operations in flight included, at the cost of a few references: content is copied when
  /// either of the two is written. The snapshot has no machine: operations in flight end with its first crash.
  public func snapshot() -> MemoryDisk { MemoryDisk(copying: self) }

  /// Whether a write of that number has its bytes taken when it is submitted; otherwise when it completes, or the
  /// machine crashes. No dice: they are there for the latencies.
  func takesAtSubmission(_ number: UInt64) -> Bool { mix64(seed &+ number &* 0x9E37_79B9_7F4A_7C15) & 1 == 0 }

  /// A new boot of the machine: its page cache is gone.
  func reboot() { bootID &+= 1 }

  // MARK: Files

  /// The file for writing: a copy where a snapshot shares it.
  func ownedFile(_ i: Int) -> MemoryFile? {
    guard files[i] != nil else { return nil }
    if !isKnownUniquelyReferenced(&files[i]) { files[i] = files[i]!.clone() }
    return files[i]
  }

  func ownedDirectory(_ i: Int) -> MemoryDirectory? {
    guard directories[i] != nil else { return nil }
    if !isKnownUniquelyReferenced(&directories[i]) { directories[i] = directories[i]!.clone() }
    return directories[i]
  }

  /// Bytes that files occupy: those that have a name or are open.
  public var usedBytes: Int64 {
    files.reduce(0) { sum, file in
      guard let file, file.isLinked || file.openCount > 0 else { return sum }
      return sum + Int64(file.settledPages * MemoryPage.size)
    }
  }

  /// How many of `count` bytes at `offset` there is room for.
  private func room(for count: Int, at offset: Int64, in file: MemoryFile) -> Int {
    guard let capacity else { return count }
    var free = (capacity - usedBytes) / Int64(MemoryPage.size)
    var at = Int(offset)
    let end = at + count
    while at < end {
      if file.page(at >> MemoryPage.shift) == nil {
        if free <= 0 { break }
        free -= 1
      }
      at = min((at >> MemoryPage.shift + 1) << MemoryPage.shift, end)
    }
    return at - Int(offset)
  }

  /// Settles a write, and makes it durable where it is to be.
  /// - Returns: bytes taken, fewer where the disk is full; nil where there is no such file any more.
  func settleWrite(file i: Int, _ source: UnsafeRawPointer, _ count: Int, at offset: Int64, durable: Bool) -> Int? {
    guard let file = ownedFile(i) else { return nil }
    let taken = room(for: count, at: offset, in: file)
    file.write(source, taken, at: offset, to: durable ? .both : .settled)
    if durable && !pending.isEmpty {
      for operation in pending {
        if case .sync(i, let capture) = operation.work { capture.patch(source, taken, at: offset) }
      }
    }
    return taken
  }

  func settleSync(file i: Int, _ capture: MemoryFile.Capture, submittedAs number: UInt64) {
    ownedFile(i)?.apply(capture)
    // A sync that was submitted earlier and completes later covers nothing that this one has not covered better.
    for operation in pending where operation.number < number {
      guard case .sync(i, let earlier) = operation.work else { continue }
      earlier.pages = []
      earlier.size = capture.size
    }
  }

  func settleDirectorySync(_ i: Int, _ capture: MemoryDirectory.Capture, submittedAs number: UInt64) {
    guard let directory = ownedDirectory(i) else { return }
    for change in capture.changes { directory.apply(change) }
    for operation in pending where operation.number < number {
      if case .syncDirectory(i, let earlier) = operation.work { earlier.changes = [] }
    }
    collectGarbage()
  }

  // MARK: For tests and faults at rest

  /// Paths of all files that can be seen, sorted by their bytes.
  public var paths: [String] { visibleFiles().map(\.path) }

  /// The settled content of a file; nil where there is none.
  public func read(_ path: String) -> [UInt8]? {
    guard case .file(let i)? = node(at: path) else { return nil }
    return files[i]?.settledBytes()
  }

  /// The durable content of the file that is seen at `path`, whether or not its entry is durable.
  public func readDurable(_ path: String) -> [UInt8]? {
    guard case .file(let i)? = node(at: path) else { return nil }
    return files[i]?.durableBytes()
  }

  /// Inverts a bit on the medium and in the cache: damage at rest. False where the file has no such byte.
  @discardableResult
  public func flipBit(_ path: String, byte: Int64, bit: Int) -> Bool {
    precondition((0..<8).contains(bit))
    guard case .file(let i)? = node(at: path), let file = ownedFile(i) else { return false }
    guard byte >= 0, byte < max(file.settledSize, file.durableSize) else { return false }
    file.flip(byte: byte, bit: bit)
    return true
  }
}

/// An operation between its submission and its completion.
struct PendingOperation {
  enum Work {
    case write(PendingWrite)
    case sync(file: Int, MemoryFile.Capture)
    case truncate(file: Int, size: Int64)
    case names(NameChange)
    case syncDirectory(Int, MemoryDirectory.Capture)
  }

  var number: UInt64
  var work: Work

  /// For a snapshot: the caller's buffer will change, so its bytes are copied.
  func clone() -> PendingOperation {
    var copy = self
    switch work {
    case .write(let write):
      let buffer = IOBuffer(capacity: write.range.count)
      memcpy(buffer.base, write.buffer.base + write.range.lowerBound, write.range.count)
      var own = write
      own.buffer = buffer
      own.range = 0..<write.range.count
      copy.work = .write(own)
    case .sync(let file, let capture): copy.work = .sync(file: file, capture.clone())
    case .syncDirectory(let directory, let capture): copy.work = .syncDirectory(directory, capture.clone())
    case .truncate, .names: break
    }
    return copy
  }
}

struct PendingWrite {
  var file: Int
  var offset: Int64
  var buffer: IOBuffer
  var range: Range<Int>
  var durable: Bool
  /// From here on readers see it.
  var visibleFrom: Instant
  var due: Instant

  var end: Int64 { offset + Int64(range.count) }
  var bytes: UnsafeRawPointer { UnsafeRawPointer(buffer.base + range.lowerBound) }
}
