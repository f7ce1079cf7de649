import Glibc
import LogModel
import Storage

/// A machine on one state of the recorded disk: operations complete in place, reads share the recorded sectors, writes
/// stay here. Made to be loaded with one state after the other, thousands a second.
///
/// It keeps the promises of its profile, and no more: every file and every name has two images, and what a sync covers
/// is the profile's. Nothing is ever in flight.
package final class StateStorage: Storage, @unchecked Sendable {
  // Owned by one worker, and by the loop of the life that runs on it.

  package struct File {
    var sectors: [SectorID]
    var size: Int
    var durable: [SectorID]
    var durableSize: Int
    /// Names that it has.
    var links = 0
    /// Entries of the journal up to its last change there; and up to the last that fdatasync waits for.
    var logged = 0
    var loggedData = 0
    /// When its times were set last; nil before the life.
    var stamped: Instant?
    /// The smallest size that it was cut to, where nothing has made that durable.
    var cut: Int?

    func isUnreadable(_ range: Range<Int>) -> Bool {
      sectors[range.clamped(to: 0..<sectors.count)].contains(SectorStore.unreadable)
    }

    /// The sectors that would have to be read first, since the bytes begin or end inside them, or the file did.
    func edges(_ bytes: Range<Int>) -> [Int] {
      var edges = [bytes.lowerBound, bytes.upperBound]
      if bytes.lowerBound > size { edges.append(size) }
      return edges.filter { $0 % SectorStore.size != 0 }.map { $0 / SectorStore.size }
    }
  }

  package struct Handle {
    var file: Int
    var mode: OpenMode
    var path: Int32
  }

  /// From here on numbers are of sectors that this state's lives have written.
  static let firstOwn: SectorID = 1 << 31
  static let absent: Int32 = -1
  static let isDirectory: Int32 = -2

  let store: SectorStore
  let profile: CrashProfile
  private(set) var table: PathTable
  package var loop: EventLoop
  package var properties: StorageProperties
  /// Every operation fails from now on: the machine is dead.
  var isDead = false
  /// Operations that the running life may still start before it counts as one that never ends.
  var patience = 0
  var files: [File] = []
  /// By path number: a file, or one of the two words above.
  var visible: [Int32] = []
  var durable: [Int32] = []
  /// Changes of metadata since the life before the crash, where the profile has them in one order.
  var journal = Journal()
  var handles: [Handle?] = []
  private var buffers: [Int: [IOBuffer]] = [:]
  /// What the running life has asked of the disk that it began on, and what the first one has.
  package var reads = ReadSet()
  package var firstReads = ReadSet()
  /// Paths of the recording; no state has others.
  let recordedPaths: Int
  private var own: UnsafeMutableRawPointer
  private var ownCapacity = 256
  var ownCount = 0

  /// No life of the workload needs so many.
  static let operationsALife = 100_000

  package init(_ recording: Recording, _ profile: CrashProfile) {
    store = recording.store
    self.profile = profile
    table = recording.table
    recordedPaths = recording.table.count
    loop = EventLoop(simulatedWithSeed: 0)
    properties = StorageProperties(name: "memory", directIO: true, blockSize: 512, bootID: 0)
    own = .allocate(byteCount: ownCapacity * SectorStore.size, alignment: 4096)
  }

  deinit { own.deallocate() }

  // MARK: Sectors

  @inline(__always)
  func bytes(_ id: SectorID) -> UnsafeRawPointer {
    id < Self.firstOwn
      ? store.bytes(id) : UnsafeRawPointer(own + Int(id - Self.firstOwn) * SectorStore.size)
  }

  /// A sector of this state's own, a copy of `id`.
  func newSector(_ id: SectorID, copying: Bool) -> (id: SectorID, bytes: UnsafeMutableRawPointer) {
    if ownCount == ownCapacity {
      let larger = UnsafeMutableRawPointer.allocate(byteCount: ownCapacity * 2 * SectorStore.size, alignment: 4096)
      memcpy(larger, own, ownCount * SectorStore.size)
      own.deallocate()
      own = larger
      ownCapacity *= 2
    }
    let target = own + ownCount * SectorStore.size
    if copying { memcpy(target, bytes(id), SectorStore.size) }
    ownCount += 1
    return (Self.firstOwn + SectorID(ownCount - 1), target)
  }

  private func put(_ source: UnsafeRawPointer, _ count: Int, at offset: Int, in f: Int) {
    var at = 0
    while at < count {
      let sector = (offset + at) / SectorStore.size
      let start = (offset + at) % SectorStore.size
      let n = min(SectorStore.size - start, count - at)
      while files[f].sectors.count <= sector { files[f].sectors.append(SectorStore.zero) }
      let isWhole = n == SectorStore.size
      if !isWhole { reads.sectors(f, sector..<sector + 1, now: files[f].sectors) }
      let new = newSector(files[f].sectors[sector], copying: !isWhole)
      memcpy(new.bytes + start, source + at, n)
      files[f].sectors[sector] = new.id
      at += n
    }
  }

  // MARK: Operations

  // Inlined, each becomes its own witness: a call in between costs as much as the operation.

  /// - Throws: `powerLost`, without a path: whoever hears of it is dead.
  func begin(_ kind: OperationKind) throws(StorageError) {
    patience -= 1
    if isDead || patience < 0 { throw StorageError(.powerLost, kind, "") }
  }

  /// Whether the life has made more operations than any life needs.
  package var isExhausted: Bool { patience < 0 }

  func number(_ path: String) -> Int {
    let number = Int(table.intern(path))
    while visible.count < table.count {
      visible.append(Self.absent)
      durable.append(Self.absent)
    }
    return number
  }

  func checkParent(_ place: Int, _ kind: OperationKind, _ path: String) throws(StorageError) {
    reads.node(Int(table.parents[place]))
    switch visible[Int(table.parents[place])] {
    case Self.isDirectory: return
    case Self.absent: throw StorageError(errno: ENOENT, kind, path)
    default: throw StorageError(errno: ENOTDIR, kind, path)
    }
  }

  private func handle(_ file: FileID, _ kind: OperationKind) throws(StorageError) -> Handle {
    let i = Int(file.rawValue)
    patience -= 1
    if isDead || patience < 0 { throw StorageError(.powerLost, kind, "") }
    guard handles.indices.contains(i), let handle = handles[i] else {
      throw StorageError(errno: EBADF, kind, "file #\(i)")
    }
    return handle
  }

  @inline(__always)
  package func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    try begin(.open)
    let place = number(path)
    try checkParent(place, .open, path)
    reads.node(place)
    switch visible[place] {
    case Self.isDirectory: throw StorageError(errno: EISDIR, .open, path)
    case Self.absent:
      guard mode.contains(.create) else { throw StorageError(errno: ENOENT, .open, path) }
      files.append(File(sectors: [], size: 0, durable: [], durableSize: 0, links: 1))
      name(place, Int32(files.count - 1))
      logged(files.count - 1, withData: true)
    default:
      if mode.isSuperset(of: [.create, .exclusive]) { throw StorageError(errno: EEXIST, .open, path) }
    }
    handles.append(Handle(file: Int(visible[place]), mode: mode, path: Int32(place)))
    return FileID(Int32(handles.count - 1))
  }

  @inline(__always)
  package func close(_ file: FileID) async {
    if !isDead, handles.indices.contains(Int(file.rawValue)) { handles[Int(file.rawValue)] = nil }
  }

  @inline(__always)
  package func size(of file: FileID) async throws(StorageError) -> Int64 {
    let f = try handle(file, .size).file
    reads.size(f)
    return Int64(files[f].size)
  }

  @inline(__always)
  package func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    let handle = try handle(file, .read)
    let f = handle.file
    reads.size(f)
    let count = max(0, min(range.count, files[f].size - Int(offset)))
    guard count > 0 else { return 0 }
    let first = Int(offset) / SectorStore.size
    let sectors = first..<(Int(offset) + count - 1) / SectorStore.size + 1
    reads.sectors(f, sectors, now: files[f].sectors)
    if profile.mostUnreadable > 0, files[f].isUnreadable(sectors) {
      throw StorageError(errno: EIO, .read, table.paths[Int(handle.path)], offset: offset)
    }
    files[f].sectors.withUnsafeBufferPointer {
      copy(of: $0, from: Int(offset), count, to: buffer.base + range.lowerBound)
    }
    return count
  }

  private func copy(
    of sectors: UnsafeBufferPointer<SectorID>, from offset: Int, _ count: Int, to target: UnsafeMutableRawPointer
  ) {
    var at = 0
    while at < count {
      let start = (offset + at) % SectorStore.size
      let index = (offset + at) / SectorStore.size
      var n = SectorStore.size - start
      guard index < sectors.count else { return _ = memset(target + at, 0, count - at) }
      let source = bytes(sectors[index])
      // Sectors that were written together lie together.
      var next = index + 1
      while n < count - at, next < sectors.count, bytes(sectors[next]) == source + (next - index) * SectorStore.size {
        n += SectorStore.size
        next += 1
      }
      memcpy(target + at, source + start, min(n, count - at))
      at += n
    }
  }

  @inline(__always)
  package func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    let handle = try handle(file, .write)
    let f = handle.file
    guard handle.mode.contains(.write) else { throw StorageError(errno: EBADF, .write, table.paths[Int(handle.path)]) }
    let end = Int(offset) + range.count
    reads.size(f)
    if profile.mostUnreadable > 0, hasUnreadableEdge(f, Int(offset)..<end) {
      throw StorageError(errno: EIO, .write, table.paths[Int(handle.path)], offset: offset)
    }
    if profile.syncReach == .journal, !range.isEmpty { noteWrite(f, upTo: end) }
    clearGap(f, before: Int(offset))
    put(buffer.base + range.lowerBound, range.count, at: Int(offset), in: f)
    files[f].size = max(files[f].size, end)
    if durability == .durable, !range.isEmpty {
      coverNames(withData: f)
      if let cut = files[f].cut, cut < end { cutDurable(f, to: cut) }
      for sector in Int(offset) / SectorStore.size...(end - 1) / SectorStore.size {
        while files[f].durable.count <= sector { files[f].durable.append(SectorStore.zero) }
        files[f].durable[sector] = files[f].sectors[sector]
      }
      files[f].durableSize = max(files[f].durableSize, end)
    }
    return range.count
  }

  /// Whether a sector cannot be read that has to be. That it can be is an answer of the disk too.
  private func hasUnreadableEdge(_ f: Int, _ bytes: Range<Int>) -> Bool {
    files[f].edges(bytes).contains { sector in
      reads.sectors(f, sector..<sector + 1, now: files[f].sectors)
      return files[f].isUnreadable(sector..<sector + 1)
    }
  }

  /// Bytes between the end of the file and a write beyond it are zero, whatever a truncation has left there.
  private func clearGap(_ f: Int, before offset: Int) {
    let size = files[f].size
    guard offset > size else { return }
    withUnsafeTemporaryAllocation(byteCount: SectorStore.size, alignment: 8) { zeros in
      memset(zeros.baseAddress!, 0, SectorStore.size)
      let rest = min(offset - size, (SectorStore.size - size % SectorStore.size) % SectorStore.size)
      if rest > 0 { put(zeros.baseAddress!, rest, at: size, in: f) }
    }
    let first = (size + SectorStore.size - 1) / SectorStore.size
    for sector in first..<max(first, files[f].sectors.count) { files[f].sectors[sector] = SectorStore.zero }
  }

  @inline(__always)
  package func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    let f = try handle(file, .sync).file
    // With the file's truncations, which come before its content.
    if scope == .all, profile.syncReach == .journal { cover(upTo: files[f].logged) } else { coverNames(withData: f) }
    files[f].durable = files[f].sectors
    files[f].durableSize = files[f].size
    files[f].cut = nil
  }

  @inline(__always)
  package func lock(_ file: FileID) async throws(StorageError) { _ = try handle(file, .lock) }

  @inline(__always)
  package func linkCount(of file: FileID) async throws(StorageError) -> Int {
    let f = try handle(file, .linkCount).file
    reads.links(f)
    return files[f].links
  }

  @inline(__always)
  package func truncate(_ file: FileID, to size: Int64) async throws(StorageError) {
    let handle = try handle(file, .truncate)
    let f = handle.file
    reads.size(f)
    if Int(size) > files[f].size {
      if profile.mostUnreadable > 0, hasUnreadableEdge(f, files[f].size..<Int(size)) {
        throw StorageError(errno: EIO, .truncate, table.paths[Int(handle.path)], offset: size)
      }
      clearGap(f, before: Int(size))
    }
    if profile.syncReach == .journal {
      journal.entries.append(.truncation(file: f, size: Int(size)))
      logged(f, withData: true)
    } else if profile.sizes == .immediate {
      cutDurable(f, to: Int(size))
    } else {
      files[f].cut = min(files[f].cut ?? .max, Int(size))
    }
    files[f].size = Int(size)
    let kept = (Int(size) + SectorStore.size - 1) / SectorStore.size
    if files[f].sectors.count > kept { files[f].sectors.removeSubrange(kept...) }
  }

  /// Buffers go from life to life: a new one of 512 KiB costs more than a recovery.
  package func makeBuffer(capacity: Int) -> IOBuffer {
    var free = buffers[capacity] ?? []
    buffers[capacity] = []
    defer { buffers[capacity] = free }
    for index in free.indices where isKnownUniquelyReferenced(&free[index]) { return free[index] }
    let buffer = IOBuffer(capacity: capacity)
    free.append(buffer)
    return buffer
  }
}
