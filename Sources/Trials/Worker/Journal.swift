import Dispatch
import Glibc
import LogClients
import LogModel
import ScenarioFormat
import Synchronization
import Verification

/// The history of calls and answers, kept where a SIGKILL cannot take it: a file mapped into memory, whose pages belong
/// to the kernel. What a producer was told before the kill is there after it.
///
/// A row is complete once its kind is stored, and an answer once its outcome is: both are the last store of their
/// row, and a killed process never gets half-way through a store. They are releasing stores, and acquiring loads where
/// they are read: neither the compiler nor the processor may move them before the data that they stand for.
final class Journal: @unchecked Sendable {
  // Owned by the loop of the trial's storage. Between processes: one at a time, the next after the last one's death.

  private let memory: UnsafeMutableRawPointer
  private let size: Int
  let head: UnsafeMutablePointer<Head>
  let rows: UnsafeMutablePointer<Row>

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

  /// The journal of a trial that has begun; nil where there is none: the worker ended before it made one.
  static func existing(_ path: String) throws(TrialError) -> Journal? {
    access(path, F_OK) == 0 ? try Journal(path: path, capacity: 0) : nil
  }

  /// A word of the mapped memory that other processes, or other threads, read while it is written. `Atomic` has no
  /// other layout than the number in it.
  private static func word<Word: AtomicRepresentable>(
    _ base: UnsafeMutableRawPointer, _ offset: Int, _ type: Word.Type
  ) -> UnsafeMutablePointer<Atomic<Word>> {
    (base + offset).assumingMemoryBound(to: Atomic<Word>.self)
  }

  private static let rowsOffset = MemoryLayout<Head>.offset(of: \.rows)!
  private static let inFlightOffset = MemoryLayout<Head>.offset(of: \.inFlight)!
  private static let killedOffset = MemoryLayout<Head>.offset(of: \.killedAt)!
  private static let slowBankOffset = MemoryLayout<Head>.offset(of: \.slowBank)!
  private static let kindOffset = MemoryLayout<Row>.offset(of: \.kind)!
  private static let outcomeOffset = MemoryLayout<Row>.offset(of: \.outcome)!

  private var rowsWord: UnsafeMutablePointer<Atomic<Int64>> { Self.word(memory, Self.rowsOffset, Int64.self) }
  private var inFlightWord: UnsafeMutablePointer<Atomic<Int64>> { Self.word(memory, Self.inFlightOffset, Int64.self) }
  private var killedWord: UnsafeMutablePointer<Atomic<Int64>> { Self.word(memory, Self.killedOffset, Int64.self) }
  func kindWord(_ row: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
    Self.word(UnsafeMutableRawPointer(rows + row), Self.kindOffset, UInt32.self)
  }
  func outcomeWord(_ row: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
    Self.word(UnsafeMutableRawPointer(rows + row), Self.outcomeOffset, UInt32.self)
  }

  var stage: Stage {
    get { Stage(rawValue: head.pointee.stage) ?? .idle }
    set {
      head.pointee.stage = newValue.rawValue
      head.pointee.owner = process
    }
  }

  private let process = Int64(getpid())

  /// Runs harness code in the middle of the engine's: a trap in it is not the engine's.
  func harness<Value>(_ body: () -> Value) -> Value {
    let interrupted = stage
    stage = .harness
    defer { stage = interrupted }
    return body()
  }

  // MARK: The storage interface

  var inFlight: Int { Int(inFlightWord.pointee.load(ordering: .acquiring)) }
  func startedOperation() { inFlightWord.pointee.add(1, ordering: .acquiringAndReleasing) }

  func completedOperation() {
    inFlightWord.pointee.subtract(1, ordering: .acquiringAndReleasing)
    head.pointee.operationsSinceAnswer += 1
    progressed()
  }

  var held: Int { Int(head.pointee.held) }
  func heldOperation() { head.pointee.held += 1 }

  var deviceDelay: Duration {
    get { .nanoseconds(head.pointee.deviceDelay) }
    set { head.pointee.deviceDelay = newValue.nanoseconds }
  }

  var slowOperations: SlowOperations {
    let bank = Int(head.pointee.slowBank) * 17
    return SlowOperations(
      (0..<Int(head.pointee.slow[bank])).map { n in
        SlowOperation(
          endedAt: Instant(nanoseconds: head.pointee.slow[bank + 1 + 2 * n]),
          took: .nanoseconds(head.pointee.slow[bank + 2 + 2 * n]))
      })
  }

  /// An operation of the device has ended, or goes on at the crash.
  func note(_ operation: SlowOperation) {
    var operations = slowOperations
    guard operations.note(operation) else { return }
    let bank = 1 - Int(head.pointee.slowBank)
    head.pointee.slow[bank * 17] = Int64(operations.all.count)
    for (n, operation) in operations.all.enumerated() {
      head.pointee.slow[bank * 17 + 1 + 2 * n] = operation.endedAt.nanoseconds
      head.pointee.slow[bank * 17 + 2 + 2 * n] = operation.took.nanoseconds
    }
    Self.word(memory, Self.slowBankOffset, Int64.self).pointee.store(Int64(bank), ordering: .releasing)
  }

  /// The files of a copy of the metadata log have another size.
  func note(_ change: MetadataGauge.Change) {
    head.pointee.metadataPeak = max(head.pointee.metadataPeak, change.total)
    head.pointee.metadataGrown[change.copy] += change.growth
  }

  var metadata: MetadataFootprint {
    MetadataFootprint(
      peak: head.pointee.metadataPeak, grown: max(head.pointee.metadataGrown[0], head.pointee.metadataGrown[1]))
  }

  var traceFailure: Int32? {
    get { head.pointee.traceFailure == 0 ? nil : Int32(head.pointee.traceFailure) }
    set { head.pointee.traceFailure = Int64(newValue ?? 0) }
  }

  // MARK: Progress

  /// A new life: nothing is in flight, and what its device does is no business of the lives before it.
  func beginLife() {
    head.pointee.inFlight = 0
    head.pointee.held = 0
    head.pointee.deviceDelay = 0
    head.pointee.slow[Int(head.pointee.slowBank) * 17] = 0
    head.pointee.killedAt = 0
    answered()
  }

  /// The engine is getting on.
  func progressed() { head.pointee.progressAt = DispatchTime.now().uptimeNanoseconds }

  /// The engine has answered a request, or has opened.
  func answered() {
    progressed()
    head.pointee.answerAt = head.pointee.progressAt
    head.pointee.operationsSinceAnswer = 0
  }

  /// Seconds since the engine's last progress; nil where there was none yet.
  var secondsWithoutProgress: Double? { Self.seconds(since: head.pointee.progressAt) }
  /// Seconds since the engine last answered or opened; nil where it has not begun.
  var secondsWithoutAnswer: Double? { Self.seconds(since: head.pointee.answerAt) }
  var operationsSinceAnswer: Int { Int(head.pointee.operationsSinceAnswer) }

  private static func seconds(since moment: UInt64) -> Double? {
    let now = DispatchTime.now().uptimeNanoseconds
    return moment == 0 ? nil : now < moment ? 0 : Double(now - moment) / 1e9
  }

  // MARK: Rows

  /// In this process only: the life that was frozen takes no more rows; the next one's journal begins open.
  private var frozen = false

  private func add(_ kind: Kind, _ row: Row) -> Int {
    if frozen { return -1 }
    return harness {
      let index = Int(head.pointee.rows)
      precondition(index < Int(head.pointee.capacity), "the journal has no room for another row")
      rows[index] = row
      kindWord(index).pointee.store(kind.rawValue, ordering: .releasing)
      rowsWord.pointee.store(Int64(index + 1), ordering: .releasing)
      return index
    }
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

  /// - Parameter group: its number; see `history`.
  func commit(_ partition: PartitionID, _ offset: Offset, group: Int = 0, at time: Instant) -> Int {
    add(
      .commit,
      Row(partition: partition.rawValue, producer: Int32(group), value: offset.rawValue, submittedAt: time.nanoseconds))
  }

  func answer(_ row: Int, _ outcome: Outcome, baseOffset: Offset = 0, at time: Instant) {
    if frozen || row < 0 { return }
    rows[row].baseOffset = baseOffset.rawValue
    rows[row].answeredAt = time.nanoseconds
    outcomeWord(row).pointee.store(UInt32(outcome.rawValue) + 1, ordering: .releasing)
    answered()
  }

  func opened(at time: Instant) {
    _ = add(.opened, Row(submittedAt: time.nanoseconds))
    answered()
  }

  func close(at time: Instant) -> Int { add(.close, Row(submittedAt: time.nanoseconds)) }

  /// The engine says that everything before `end` is in the object store.
  func archived(_ partition: PartitionID, before end: Offset, at time: Instant) {
    _ = add(.archived, Row(partition: partition.rawValue, value: end.rawValue, submittedAt: time.nanoseconds))
  }

  /// Everything before `offset` is to be deleted.
  func trim(_ partition: PartitionID, before offset: Offset, at time: Instant) -> Int {
    add(.trim, Row(partition: partition.rawValue, value: offset.rawValue, submittedAt: time.nanoseconds))
  }

  /// What a consumer beside the producers was answered, in one row, and its messages, in one for each run.
  func read(_ answer: ConcurrentReaders.Answer) {
    let number = Int32(answer.partition)
    _ = add(
      .read,
      Row(
        partition: number, producer: Int32(answer.reader), count: answer.logStartOffset.rawValue,
        value: answer.asked.rawValue,
        baseOffset: answer.highWatermark.rawValue, submittedAt: answer.at.nanoseconds))
    for run in answer.runs {
      _ = add(
        .served,
        Row(
          partition: number, count: Int64(run.count), value: run.offset.rawValue,
          baseOffset: run.sequence.map { Int64(clamping: $0) } ?? -1, submittedAt: answer.at.nanoseconds))
    }
  }

  /// It is asked to bring everything there.
  func flush(at time: Instant) -> Int { add(.flush, Row(submittedAt: time.nanoseconds)) }

  /// Ends a life, with what its device delayed.
  func crash(_ kind: CrashKind, at time: Instant) {
    for operation in slowOperations.all {
      _ = add(.slow, Row(count: operation.took.nanoseconds, value: operation.endedAt.nanoseconds))
    }
    _ = add(
      .crash,
      Row(
        count: head.pointee.deviceDelay, value: Int64(CrashKind.allCases.firstIndex(of: kind.recorded) ?? 0),
        submittedAt: time.nanoseconds))
  }

  /// The process is killed now: what `crashKilled` will write down. From any thread, just before the kill.
  func markKill(at time: Instant) {
    killedWord.pointee.store(time.nanoseconds, ordering: .releasing)
  }

  /// Writes down, in the next life, the kill that ended the one before: at the moment of the kill, not of the new
  /// life's start. The engine may have answered between `markKill` and its death: then the last answer counts, as it
  /// does where the kill came from outside.
  func crashKilled() {
    let killed = Instant(nanoseconds: killedWord.pointee.load(ordering: .acquiring))
    crash(.processKill, at: max(killed, lastInstant))
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
    let share = spec.system.requestsAreAtomic ? spec.batch : 1
    func requests(_ messages: Int) -> Int { messages / share + spec.partitions }
    if spec.delivery != nil {
      // Each event is a request.
      return spec.messages + spec.appendBetween * spec.partitions + 2 * spec.partitions + 32 + 3 * SlowOperations.most
    }
    let second = spec.writers == .one ? 0 : requests(spec.messages) + spec.partitions
    let sent = second + requests(spec.messages) + requests(spec.appendBetween * spec.partitions)
    // With each answer, and at the end of each life, the engine may say how far it has archived.
    let archived = spec.checkpoint == .none ? 0 : sent + 4 * spec.partitions
    return sent + archived + (spec.committers > 0 ? sent : 0) + Incarnation.readRows(spec) + 8 * spec.partitions + 32
      + 3 * SlowOperations.most
  }

  var rowCount: Int { Int(rowsWord.pointee.load(ordering: .acquiring)) }

  /// The latest moment in the journal: virtual time goes on from here in the next life.
  var lastInstant: Instant {
    guard rowCount > 0 else { return Instant(nanoseconds: 0) }
    return Instant(nanoseconds: (0..<rowCount).reduce(0) { max($0, rows[$1].submittedAt, rows[$1].answeredAt) })
  }

  /// Whether it is written down how each of the first `lives` lives has ended.
  func hasEndings(of lives: Int) -> Bool { crashRows.count >= lives }

  /// The rows of the crashes so far, orderly closes among them.
  var crashRows: [Int] { (0..<rowCount).filter { rows[$0].kind == Kind.crash.rawValue } }

  /// Produce requests so far: operations of the history.
  var operationCount: Int { (0..<rowCount).count { rows[$0].kind == Kind.produce.rawValue } }
}
