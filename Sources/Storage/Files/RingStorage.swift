import CURing
import Glibc
import LogModel

/// Real files through one io_uring, many operations in flight.
///
/// - Direct and durable writes, large buffered writes, reads and syncs go through the ring: they are prepared when
///   they are started and submitted together, once, when the loop has nothing else to do.
/// - Small buffered writes are copied to the page cache in place: the ring would hand them to a kernel worker at
///   several times the cost of the copy (../shared/design/PERFORMANCE.md), and nothing would be gained, since they
///   are done when they are copied. Small reads of what the page cache holds likewise; what it does not hold, the ring
///   reads.
public final class RingStorage: FileStorage, CompletionSource, @unchecked Sendable {
  // Owned by `loop`; `wake` only writes to an eventfd.

  /// Buffered writes, and reads, of fewer bytes are done in place.
  static let inPlaceLimit = 256 * 1024
  /// The largest one is liburing's own (`LIBURING_UDATA_TIMEOUT`).
  private static let wakeTag = UInt64.max - 1
  /// Of the poll of another ring, less its descriptor.
  private static let watchTag = UInt64.max >> 1
  private static let queueDepth: UInt32 = 256
  private static let registeredBuffers = 16
  static let registeredBufferSize = 260 * 1024

  private struct Slot {
    var continuation: UnsafeContinuation<Int32, Never>?
    var buffer: IOBuffer?
    var chain: Chain?
  }

  /// A write and the sync that is linked to it.
  private final class Chain {
    let writeSlot: Int
    var write: Int32?
    var sync: Int32?
    var continuation: UnsafeContinuation<(write: Int32, sync: Int32), Never>?

    init(writeSlot: Int) { self.writeSlot = writeSlot }

    func end(_ slot: Int, _ result: Int32) {
      if slot == writeSlot { write = result } else { sync = result }
      guard let write, let sync else { return }
      continuation?.resume(returning: (write, sync))
    }
  }

  private let ring: OpaquePointer
  private let pool: RegisteredPool
  private let wakeDescriptor: Int32
  private var slots: [Slot] = []
  private var freeSlots: [Int] = []
  private(set) var inFlight = 0
  private var wakeArmed = false
  /// How often it has been armed.
  private(set) var wakesArmed = 0
  /// Rings whose completions end a wait of this one.
  private var watched: Set<Int32> = []
  private var wakeCount: UInt64 = 0
  private let completions: UnsafeMutablePointer<tl_completion>

  /// - Throws: `StorageError` with the kernel's errno where io_uring is refused: EPERM or ENOSYS under a seccomp
  ///   filter (the default of most containers) or with `kernel.io_uring_disabled`, ENOMEM with a low RLIMIT_MEMLOCK.
  public init(root: String, loop: EventLoop) throws(StorageError) {
    var code: Int32 = 0
    guard let ring = tl_ring_open(Self.queueDepth, &code) else {
      throw StorageError(errno: code, .open, "io_uring")
    }
    self.ring = ring
    pool = RegisteredPool(ring: ring, count: Self.registeredBuffers, size: Self.registeredBufferSize)
    wakeDescriptor = tl_eventfd()
    completions = .allocate(capacity: 256)
    do {
      try super.init(root: root, loop: loop, name: "io_uring", notices: [])
    } catch {
      tl_ring_close(ring)
      throw error
    }
    // It is let go of by `deinit`.
    guard wakeDescriptor >= 0 else { throw StorageError(errno: -wakeDescriptor, .open, "io_uring") }
    if let refusal = pool.refusal {
      addNotice(
        "buffers are not registered with the ring (\(errnoText(refusal))); raise ulimit -l for a little more speed")
    }
    loop.attach(self)
  }

  deinit {
    loop.detach(self)
    tl_ring_close(ring)
    if wakeDescriptor >= 0 { Glibc.close(wakeDescriptor) }
    completions.deallocate()
  }

  public override func makeBuffer(capacity: Int) -> IOBuffer {
    pool.take(capacity: capacity) ?? IOBuffer(capacity: capacity)
  }

  // MARK: Operations

  public override func read(
    _ id: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    let descriptor = try descriptor(id, .read)
    if range.count < Self.inPlaceLimit, !isDirect(id),
      tl_pread_cached(descriptor, buffer.base + range.lowerBound, range.count, offset) == range.count
    {
      await loop.nextTurn()
      return range.count
    }
    var got = 0
    // A short read need not be the end of the file (`man 2 read`). One past every page that ends off a sector is.
    repeat {
      let done = got
      let result = await perform(buffer) { ring, tag in
        tl_ring_prepare_read(
          ring, descriptor, buffer.base + range.lowerBound + done, UInt32(range.count - done),
          UInt64(offset) + UInt64(done),
          buffer.registration, tag)
      }
      guard result >= 0 else { throw StorageError(errno: -result, .read, path(of: id), offset: offset + Int64(got)) }
      if result == 0 { break }
      got += Int(result)
    } while got < range.count && (got % 512 == 0 || !isDirect(id))
    return got
  }

  public override func write(
    _ id: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    let descriptor = try descriptor(id, .write)
    if durability == .volatile, range.count < Self.inPlaceLimit, !isDirect(id) {
      return try await super.write(id, at: offset, from: buffer, range, durability)
    }
    let result = await perform(buffer) { ring, tag in
      tl_ring_prepare_write(
        ring, descriptor, buffer.base + range.lowerBound, UInt32(range.count), UInt64(offset),
        durability == .durable ? 1 : 0, buffer.registration, tag)
    }
    guard result >= 0 else { throw StorageError(errno: -result, .write, path(of: id), offset: offset) }
    return Int(result)
  }

  public override func sync(_ id: FileID, _ scope: SyncScope) async throws(StorageError) {
    let file = try file(id, .sync)
    let result = await perform(nil) { ring, tag in
      tl_ring_prepare_fsync(ring, file.descriptor, scope == .data ? 1 : 0, tag)
    }
    guard result >= 0 else { throw StorageError(errno: -result, .sync, file.path) }
  }

  /// One submission: the kernel starts the sync itself.
  public override func writeThenSync(
    _ id: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ scope: SyncScope
  ) async throws(StorageError) -> Int {
    let file = try file(id, .write)
    let (write, sync) = await withUnsafeContinuation {
      (continuation: UnsafeContinuation<(write: Int32, sync: Int32), Never>) in
      let slot = takeSlot(Slot(buffer: buffer))
      let chain = Chain(writeSlot: slot)
      let syncSlot = takeSlot(Slot(chain: chain))
      chain.continuation = continuation
      slots[slot].chain = chain
      while tl_ring_prepare_write_then_fsync(
        ring, file.descriptor, buffer.base + range.lowerBound, UInt32(range.count), UInt64(offset), buffer.registration,
        scope == .data ? 1 : 0, UInt64(slot), UInt64(syncSlot)) != 0
      { tl_ring_submit(ring) }
    }
    guard write >= 0 else { throw StorageError(errno: -write, .write, file.path, offset: offset) }
    if write == range.count, sync < 0 { throw StorageError(errno: -sync, .sync, file.path) }
    return Int(write)
  }

  private func perform(_ buffer: IOBuffer?, _ prepare: (OpaquePointer, UInt64) -> Int32) async -> Int32 {
    await withUnsafeContinuation { continuation in
      let slot = takeSlot(Slot(continuation: continuation, buffer: buffer))
      while prepare(ring, UInt64(slot)) != 0 { tl_ring_submit(ring) }
    }
  }

  private func takeSlot(_ slot: Slot) -> Int {
    inFlight += 1
    if let index = freeSlots.popLast() {
      slots[index] = slot
      return index
    }
    slots.append(slot)
    return slots.count - 1
  }

  // MARK: Completions

  func poll() {
    tl_ring_submit(ring)
    reap()
  }

  func wait(timeout: Duration?) {
    armWake()
    tl_ring_submit_and_wait(ring, timeout.map { max(0, $0.nanoseconds) } ?? -1)
    reap()
  }

  private func reap() {
    while true {
      let count = Int(tl_ring_reap(ring, completions, 256))
      for completion in UnsafeBufferPointer(start: completions, count: count) {
        if completion.tag > Self.watchTag - UInt64(Int32.max), completion.tag <= Self.watchTag {
          watched.remove(Int32(Self.watchTag - completion.tag))
          continue
        }
        if completion.tag == Self.wakeTag {
          wakeArmed = false
          _ = Glibc.read(wakeDescriptor, &wakeCount, 8)
          continue
        }
        let index = Int(completion.tag)
        let (continuation, chain) = (slots[index].continuation, slots[index].chain)
        slots[index] = Slot()
        freeSlots.append(index)
        inFlight -= 1
        continuation?.resume(returning: completion.result)
        chain?.end(index, completion.result)
      }
      if count < 256 { return }
    }
  }

  var descriptor: Int32 { tl_ring_descriptor(ring) }

  /// From now on it waits as on a kernel before 5.11.
  func forgetTimedWaits() { tl_ring_forget_timed_waits(ring) }

  func watch(_ other: any CompletionSource) {
    let other = other.descriptor
    guard watched.insert(other).inserted else { return }
    if tl_ring_prepare_poll(ring, other, Self.watchTag - UInt64(other)) != 0 { watched.remove(other) }
  }

  func forget(_ other: any CompletionSource) { watched.remove(other.descriptor) }

  private func armWake() {
    guard !wakeArmed else { return }
    wakesArmed += 1
    wakeArmed = tl_ring_prepare_poll(ring, wakeDescriptor, Self.wakeTag) == 0
  }

  func wake() {
    var one: UInt64 = 1
    _ = Glibc.write(wakeDescriptor, &one, 8)
  }
}

/// Buffers that the ring knows by number, so that the kernel need not pin their pages for each operation.
final class RegisteredPool: @unchecked Sendable {
  // Owned by the loop of its storage. Buffers hold the pool, the pool holds the memory.

  /// The errno of a refused registration; the pool is then empty.
  private(set) var refusal: Int32?
  private let size: Int
  private let memory: IOBuffer
  private var free: [Int32] = []

  init(ring: OpaquePointer, count: Int, size: Int) {
    self.size = size
    memory = IOBuffer(capacity: count * size)
    let bases = (0..<count).map { UnsafeMutableRawPointer?(memory.base + $0 * size) }
    let lengths = [Int](repeating: size, count: count)
    let result = tl_ring_register_buffers(ring, bases, lengths, UInt32(count))
    if result == 0 { free = (0..<Int32(count)).reversed() } else { refusal = -result }
  }

  func take(capacity: Int) -> IOBuffer? {
    guard capacity <= size, let index = free.popLast() else { return nil }
    return IOBuffer(base: memory.base + Int(index) * size, capacity: size, registration: index) { [self] _, _, index in
      free.append(index)
    }
  }
}
