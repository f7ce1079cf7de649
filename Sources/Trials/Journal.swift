import Dispatch
import Glibc
import LogModel
import Verification

/// The history of calls and answers, kept where a SIGKILL cannot take it: a file mapped into memory, whose pages belong
/// to the kernel. What a producer was told before the kill is there after it.
///
/// A row is complete once its kind is stored, and an answer once its outcome is: both are the last store of their
/// row, and a killed process never gets half-way through a store.
final class Journal: @unchecked Sendable {
  // Owned by the loop of the trial's storage. Between processes: one at a time, the next after the last one's death.

  enum Kind: UInt32 {
    case unused = 0
    case create, produce, commit, opened, crash
  }

  struct Row {
    var kind: UInt32 = 0
    /// 0: no answer yet; else 1 + `Outcome.rawValue`.
    var outcome: UInt32 = 0
    var partition: Int32 = 0
    var producer: Int32 = 0
    var count: Int64 = 0
    /// First sequence of a produce, offset of a commit, `CrashKind` of a crash.
    var value: Int64 = 0
    var baseOffset: Int64 = 0
    var submittedAt: Int64 = 0
    var answeredAt: Int64 = 0
  }

  struct Head {
    var rows: Int64 = 0
    var capacity: Int64 = 0
    /// Operations in flight at the seam when the process was killed.
    var inFlightAtCrash: Int64 = 0
    /// What the worker was doing, for the case that it dies on its own; see `Stage`.
    var stage: Int64 = 0
    /// Longest operation that the seam has seen to complete, in nanoseconds.
    var slowestSync: Int64 = 0
    /// When the engine last answered, or its storage last completed an operation; on the machine's monotonic clock.
    var progressAt: UInt64 = 0
  }

  /// Who is at work: decides whose fault a death is.
  enum Stage: Int64 {
    case idle, opening, producing, consuming, closing, judging
    var isEngine: Bool { self != .idle && self != .judging }
  }

  private let memory: UnsafeMutableRawPointer
  private let size: Int
  private let head: UnsafeMutablePointer<Head>
  private let rows: UnsafeMutablePointer<Row>

  /// Maps `path`, creating it with room for `capacity` rows where there is none.
  init(path: String, capacity: Int) throws(TrialError) {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .system("open the journal", path, errno) }
    defer { Glibc.close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system("read the size of the journal", path, errno) }
    let isNew = status.st_size == 0
    size = isNew ? MemoryLayout<Head>.stride + capacity * MemoryLayout<Row>.stride : Int(status.st_size)
    // Space is taken now: a full disk must be an error here and not a SIGBUS later.
    if isNew, case let code = posix_fallocate(descriptor, 0, off_t(size)), code != 0 {
      throw .system("reserve \(size) bytes for the journal", path, code)
    }
    guard let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), memory != MAP_FAILED else {
      throw .system("map the journal", path, errno)
    }
    self.memory = memory
    head = memory.assumingMemoryBound(to: Head.self)
    rows = (memory + MemoryLayout<Head>.stride).assumingMemoryBound(to: Row.self)
    if isNew { head.pointee.capacity = Int64(capacity) }
  }

  deinit { munmap(memory, size) }

  var stage: Stage {
    get { Stage(rawValue: head.pointee.stage) ?? .idle }
    set { head.pointee.stage = newValue.rawValue }
  }

  var inFlightAtCrash: Int {
    get { Int(head.pointee.inFlightAtCrash) }
    set { head.pointee.inFlightAtCrash = Int64(newValue) }
  }

  var slowestSync: Duration {
    get { .nanoseconds(head.pointee.slowestSync) }
    set { head.pointee.slowestSync = newValue.nanoseconds }
  }

  /// The engine is getting on.
  func progressed() { head.pointee.progressAt = DispatchTime.now().uptimeNanoseconds }

  /// Seconds since the engine's last progress; nil where there was none yet.
  var secondsWithoutProgress: Double? {
    guard head.pointee.progressAt > 0 else { return nil }
    return Double(DispatchTime.now().uptimeNanoseconds - head.pointee.progressAt) / 1e9
  }

  /// In this process only: the life that was frozen takes no more rows; the next one's journal begins open.
  private var frozen = false

  private func add(_ kind: Kind, _ row: Row) -> Int {
    if frozen { return -1 }
    let index = Int(head.pointee.rows)
    precondition(index < Int(head.pointee.capacity), "the journal has no room for another row")
    rows[index] = row
    rows[index].kind = kind.rawValue
    head.pointee.rows += 1
    return index
  }

  func create(_ partition: PartitionID, at time: Instant) -> Int {
    add(.create, Row(partition: partition.rawValue, submittedAt: time.nanoseconds))
  }

  func produce(_ partition: PartitionID, producer: Int, first: Int, count: Int, at time: Instant) -> Int {
    add(
      .produce,
      Row(
        partition: partition.rawValue, producer: Int32(producer), count: Int64(count), value: Int64(first),
        submittedAt: time.nanoseconds))
  }

  func commit(_ partition: PartitionID, _ offset: Offset, at time: Instant) -> Int {
    add(.commit, Row(partition: partition.rawValue, value: offset.rawValue, submittedAt: time.nanoseconds))
  }

  func answer(_ row: Int, _ outcome: Outcome, baseOffset: Offset = 0, at time: Instant) {
    if frozen || row < 0 { return }
    rows[row].baseOffset = baseOffset.rawValue
    rows[row].answeredAt = time.nanoseconds
    rows[row].outcome = UInt32(outcome.rawValue) + 1
    progressed()
  }

  func opened(at time: Instant) { _ = add(.opened, Row(submittedAt: time.nanoseconds)) }

  func crash(_ kind: CrashKind, at time: Instant) {
    _ = add(.crash, Row(value: Int64(CrashKind.allCases.firstIndex(of: kind) ?? 0), submittedAt: time.nanoseconds))
  }

  /// The power is off: the crash is the last row, and no answer after it was ever given.
  func freeze(_ kind: CrashKind, at time: Instant) {
    crash(kind, at: time)
    frozen = true
  }

  /// The machine runs again.
  func thaw() { frozen = false }

  /// Rows that one trial can need.
  static func rowsNeeded(_ spec: TrialSpec) -> Int {
    func requests(_ messages: Int) -> Int { messages / spec.batch + spec.partitions }
    return requests(spec.messages) + requests(spec.appendBetween * spec.partitions) + 4 * spec.partitions + 32
  }

  var rowCount: Int { Int(head.pointee.rows) }

  /// The latest moment in the journal: virtual time goes on from here in the next life.
  var lastInstant: Instant {
    guard rowCount > 0 else { return Instant(nanoseconds: 0) }
    return Instant(nanoseconds: (0..<rowCount).reduce(0) { max($0, rows[$1].submittedAt, rows[$1].answeredAt) })
  }

  /// Whether the last life's crash is written down.
  var endsInCrash: Bool {
    head.pointee.rows > 0 && rows[Int(head.pointee.rows) - 1].kind == Kind.crash.rawValue
  }

  /// Everything so far, as the oracle reads it.
  /// - Parameter damages: each with the row that it came before.
  func history(seed: UInt64, topic: String, group: String, damages: [(row: Int, damage: Damage)]) -> History {
    var history = History(seed: seed)
    let count = Int(head.pointee.rows)
    history.reserveOperations(count)
    for index in 0..<count {
      for (at, damage) in damages where at == index { history.damage(damage) }
      let row = rows[index]
      let submitted = Instant(nanoseconds: row.submittedAt)
      let answered = Instant(nanoseconds: row.answeredAt)
      let outcome = row.outcome == 0 ? Outcome.indeterminate : Outcome(rawValue: UInt8(row.outcome - 1)) ?? .indeterminate
      let slot = PartitionSlot(Int(row.partition))
      switch Kind(rawValue: row.kind) {
      case .create:
        history.create(TopicPartition(topic, PartitionID(Int(row.partition))), outcome, at: max(submitted, answered))
      case .produce:
        let operation = history.submit(
          slot, producer: Int(row.producer), firstSequence: Int(row.value), count: Int(row.count), at: submitted)
        switch outcome {
        case .acknowledged: history.acknowledge(operation, baseOffset: Offset(row.baseOffset), at: answered)
        case .failed: history.fail(operation, certainly: true, at: answered)
        case .indeterminate: if row.outcome != 0 { history.fail(operation, certainly: false, at: answered) }
        }
      case .commit:
        history.commit(group: group, slot, offset: Offset(row.value), outcome, at: max(submitted, answered))
      case .opened: history.opened(at: submitted)
      case .crash: history.crash(CrashKind.allCases[Int(row.value)], at: submitted)
      case .unused, nil: break
      }
    }
    for (at, damage) in damages where at >= count { history.damage(damage) }
    return history
  }
}
