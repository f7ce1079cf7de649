import Glibc

/// The records, in pieces that never move, and what they carry.
struct TraceStore {
  private static let pieceSize = 4096

  private(set) var count = 0
  var arena: TraceArena
  private var pieces: [UnsafeMutablePointer<TraceRecord>] = []
  private var decisions: [Int: VolumeDecision] = [:]
  private var processes = ProcessNames()

  init(_ memory: VolumeMemory) { arena = TraceArena(memory) }

  subscript(_ sequence: Int) -> TraceRecord {
    get { pieces[sequence / Self.pieceSize][sequence % Self.pieceSize] }
    nonmutating _modify { yield &pieces[sequence / Self.pieceSize][sequence % Self.pieceSize] }
  }

  func decision(at sequence: Int) -> VolumeDecision? { decisions[sequence] }

  /// Adds a record, with the time and the caller's process. -1 where there is no memory for it.
  mutating func append(_ record: TraceRecord, _ decision: VolumeDecision? = nil) -> Int {
    let place = count % Self.pieceSize
    if place == 0, count / Self.pieceSize == pieces.count {
      guard let room = arena.allocate(Self.pieceSize * MemoryLayout<TraceRecord>.stride) else { return -1 }
      pieces.append(room.bindMemory(to: TraceRecord.self, capacity: Self.pieceSize))
    }
    let added = pieces[count / Self.pieceSize] + place
    added.initialize(to: record)
    added.pointee.time = monotonicNanoseconds()
    added.pointee.process = processes.process(of: record.thread, now: added.pointee.time)
    if let decision {
      added.pointee.flags |= VolumeOperationFlags.decided.rawValue
      decisions[count] = decision
    }
    count += 1
    return count - 1
  }

  /// Forgets all records and what they carry, and uses the memory again.
  mutating func clear() {
    count = 0
    pieces.removeAll(keepingCapacity: true)
    decisions.removeAll(keepingCapacity: true)
    arena.rewind()
  }

  /// Keeps up to two names for a record. False where there is no memory.
  mutating func keep(_ name: [UInt8], _ newName: [UInt8] = [], in record: inout TraceRecord) -> Bool {
    guard let made = (name + newName).withUnsafeBytes({ arena.keep($0) }) else { return false }
    record.names = UnsafeRawPointer(made)
    record.nameCount = UInt16(name.count)
    record.newNameCount = UInt16(newName.count)
    return true
  }
}

/// CLOCK_MONOTONIC, nanoseconds.
func monotonicNanoseconds() -> UInt64 {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}

/// The processes of threads. The kernel names the thread only (`fuse_req_init_context`: `task_pid`). A thread is
/// asked for again after a second, for its number may be another's by then.
struct ProcessNames {
  private struct Known {
    var process: UInt32
    var until: UInt64
  }

  private var lastThread: UInt32 = 0
  private var last = Known(process: 0, until: UInt64.max)
  private var known: [UInt32: Known] = [:]

  mutating func process(of thread: UInt32, now: UInt64) -> UInt32 {
    if thread == lastThread, now < last.until { return last.process }
    if thread == 0 { return 0 }
    if let found = known[thread], now < found.until {
      (lastThread, last) = (thread, found)
      return found.process
    }
    if known.count > 10_000 { known.removeAll() }
    let found = Known(process: Self.ask(thread) ?? thread, until: now + 1_000_000_000)
    known[thread] = found
    (lastThread, last) = (thread, found)
    return found.process
  }

  /// `Tgid:` of /proc/THREAD/status (`man 5 proc`).
  private static func ask(_ thread: UInt32) -> UInt32? {
    let file = open("/proc/\(thread)/status", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    let text = withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) { buffer in
      let count = Glibc.read(file, buffer.baseAddress!, buffer.count)
      return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
    guard let start = text.range(of: "\nTgid:\t") else { return nil }
    return UInt32(text[start...].prefix { $0.isNumber })
  }
}

extension String {
  /// The index after the first place of `part`.
  fileprivate func range(of part: String) -> String.Index? {
    var at = startIndex
    while at < endIndex {
      if self[at...].hasPrefix(part) { return index(at, offsetBy: part.count) }
      at = index(after: at)
    }
    return nil
  }
}
