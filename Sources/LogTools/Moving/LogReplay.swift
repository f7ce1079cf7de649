import CZlib
import Glibc
import LogModel
import RecordLogs

/// Sends the events of a job's log again: airunner's `wal replay <job-id>.wal --server=...`.
///
/// Events go in the order of the log, each number once, and those that were sent or refused for good not at all. What
/// the receiver has taken is noted beside the log after each batch (`STATE`, see `Cursor`), so that a replay which was
/// cut off goes on there. The log itself is only read.
public struct LogReplay: Sendable {
  public struct Options: Sendable {
    /// Events a second; nil for as many as go.
    public var rate: Double?
    public var batchEvents = 100
    public var batchBytes = 256 << 10
    /// A receiver that takes nothing for so long ends the replay.
    public var patience = Duration.seconds(300)
    public var firstPause = Duration.seconds(1)
    public var longestPause = Duration.seconds(60)
    public init() {}
  }

  /// What a replay came to.
  public struct Outcome: Hashable, Sendable {
    public var sent = 0
    /// Events that the receiver will never take.
    public var refused = 0
    /// Events that an earlier replay had sent.
    public var sentBefore = 0
    /// Events that are left, because the receiver takes none, or somebody interrupted.
    public var left = 0
    /// How often a batch had to be sent again.
    public var retries = 0
    /// How often the receiver asked for a pause.
    public var pauses = 0
    /// Places of the log that hold no record: their events are lost.
    public var damaged = 0
    /// Why it ended early.
    public var failure: String?
  }

  /// How far a replay has come, in a file of one line: `tornlog-replay 1 BYTE SERVER CRC`. Events before BYTE are
  /// settled.
  struct Cursor: Equatable {
    var byte: Int64
    var server: String

    private static func checksum(_ text: String) -> UInt32 {
      Array(text.utf8).withUnsafeBytes { tl_crc32(0, $0.baseAddress, $0.count) }
    }

    var text: String {
      let line = "tornlog-replay 1 \(byte) \(server)"
      return "\(line) \(Self.checksum(line))\n"
    }

    init(byte: Int64, server: String) { (self.byte, self.server) = (byte, server) }

    init?(_ text: String) {
      let fields = text.split(separator: "\n").first?.split(separator: " ").map(String.init) ?? []
      guard fields.count == 5, fields[0] == "tornlog-replay", fields[1] == "1", let byte = Int64(fields[2]),
        UInt32(fields[4]) == Self.checksum(fields[..<4].joined(separator: " "))
      else { return nil }
      (self.byte, server) = (byte, fields[3])
    }
  }

  private let path: String
  private let statePath: String
  private let server: String
  private let options: Options
  private let transport: any Transport
  private let isStopped: @Sendable () -> Bool
  /// Waits; a test's own.
  private let sleep: @Sendable (Duration) async -> Void

  /// - Parameters:
  ///   - server: what the state names, without spaces.
  ///   - statePath: nil for `<log>.replayed`.
  public init(
    _ path: String, over transport: any Transport, server: String, statePath: String? = nil, _ options: Options,
    isStopped: @escaping @Sendable () -> Bool = { false },
    sleep: @escaping @Sendable (Duration) async -> Void = { try? await Task.sleep(for: $0) }
  ) {
    (self.path, self.transport, self.server, self.options) = (path, transport, server, options)
    self.statePath = statePath ?? path + ".replayed"
    (self.isStopped, self.sleep) = (isStopped, sleep)
  }

  /// The job and the execution that a log's name stands for: `<job>.wal`, `<job>.2.wal`.
  static func job(of path: String) throws(LogToolError) -> JobID {
    let name = LogFolder.place(of: LogFolder.split(path).name)?.log ?? LogFolder.split(path).name
    do throws(JobLogError) {
      if let dot = name.lastIndex(of: "."), let execution = Int(name[name.index(after: dot)...]), execution >= 2 {
        return try JobID(String(name[..<dot]), execution: execution)
      }
      return try JobID(name)
    } catch { throw .refused(path: path, why: "is not named after a job: \(error)") }
  }

  /// Sends what is to be sent.
  /// - Throws: what keeps the log from being read, or the state from being written. A receiver that takes nothing is in
  ///   the outcome.
  public func run() async throws(LogToolError) -> Outcome {
    let job = try Self.job(of: path)
    var cursor = try readCursor()
    let file = try LogFile(path, format: nil)
    guard file.system == .airunner else {
      throw .refused(path: path, why: "is \(file.system.rawValue); events are in airunner's format (`wal convert`)")
    }
    var outcome = Outcome()
    let unsettled = try Self.unsettled(file, &outcome)
    var remaining = unsettled.count
    var sent = SequenceRanges()
    try file.reader.resume(at: file.reader.head.end)
    var batch = EventBatch(job: job, events: [])
    var (bytes, end) = (0, cursor.byte)
    let begun = ContinuousClock.now
    var isOver = false
    while !isOver {
      var event: Event?
      switch try file.reader.next() {
      case .entry(let entry):
        event = Self.event(entry, file, unsettled, &sent)
        if event != nil, entry.range.upperBound <= cursor.byte {
          (outcome.sentBefore, remaining, event) = (outcome.sentBefore + 1, remaining - 1, nil)
        }
        if event == nil, batch.events.isEmpty { end = max(end, entry.range.upperBound) }
        if let event, !batch.events.isEmpty, isFull(batch, bytes + event.payload.count) {
          guard await send(batch, &outcome) else { return stopped(outcome, remaining) }
          remaining -= batch.events.count
          try advance(&cursor, to: end)
          await keepRate(outcome, since: begun)
          (batch.events, bytes) = ([], 0)
        }
        if let event {
          batch.events.append(event)
          bytes += event.payload.count
          end = entry.range.upperBound
        }
      case .damage, .remains: continue
      case .end: isOver = true
      }
    }
    if !batch.events.isEmpty {
      guard await send(batch, &outcome) else { return stopped(outcome, remaining) }
    }
    try advance(&cursor, to: max(end, cursor.byte))
    return outcome
  }

  private func stopped(_ outcome: Outcome, _ remaining: Int) -> Outcome {
    var outcome = outcome
    outcome.left = remaining
    return outcome
  }

  private func isFull(_ batch: EventBatch, _ bytes: Int) -> Bool {
    batch.events.count >= options.batchEvents || bytes > options.batchBytes
  }

  /// The numbers of events that are neither sent nor refused.
  private static func unsettled(_ file: LogFile, _ outcome: inout Outcome) throws(LogToolError) -> SequenceRanges {
    var unsettled = UnsettledEvents()
    while true {
      switch try file.reader.next() {
      case .entry(let entry):
        if case .status(let status) = entry.note { unsettled.note(entry.firstOffset ?? -1, status) }
      case .damage: outcome.damaged += 1
      case .remains: continue
      case .end(let tail):
        if tail.kind == .damaged || tail.kind == .undecided { outcome.damaged += 1 }
        guard let ranges = unsettled.ranges else {
          throw .refused(path: file.path, why: "its numbers are too scattered to be followed")
        }
        return ranges
      }
    }
  }

  /// The event of an entry, if it is to be sent; each number once.
  private static func event(
    _ entry: LogEntry, _ file: LogFile, _ unsettled: SequenceRanges, _ sent: inout SequenceRanges
  ) -> Event? {
    guard case .status(.pending) = entry.note, let offset = entry.firstOffset, unsettled.contains(offset),
      sent.insert(offset)
    else { return nil }
    var payload: [UInt8] = []
    payload.reserveCapacity(entry.value.count)
    file.reader.window.forEachPiece(entry.value) { (piece: UnsafeRawBufferPointer) in payload.append(contentsOf: piece)
    }
    return Event(sequence: offset + 1, timestamp: entry.timestamp ?? 0, payload: payload)
  }

  // MARK: Sending

  /// - Returns: false where the receiver takes nothing any more, or somebody has stopped the replay.
  private func send(_ batch: EventBatch, _ outcome: inout Outcome) async -> Bool {
    var rest = batch.events
    var most = rest.count
    var pause = options.firstPause
    var waited = Duration.zero
    while !rest.isEmpty {
      if isStopped() {
        outcome.failure = "interrupted"
        return false
      }
      let part = EventBatch(job: batch.job, events: Array(rest.prefix(most)))
      var wait = Duration.zero
      switch await transport.deliver(part) {
      case .accepted:
        outcome.sent += part.events.count
        rest.removeFirst(part.events.count)
        (pause, waited) = (options.firstPause, .zero)
      case .refused(let status):
        // One by one, to find the event that is refused.
        if part.events.count > 1 {
          most = 1
          continue
        }
        outcome.refused += 1
        outcome.failure = "the receiver refused event \(part.events[0].sequence) with \(status)"
        rest.removeFirst()
      case .tooManyRequests(let retryAfter):
        outcome.pauses += 1
        wait = max(retryAfter ?? .zero, pause)
      case .notConnected(let why), .unavailable(let why):
        outcome.failure = why
        wait = pause
      }
      guard wait > .zero else { continue }
      outcome.retries += 1
      if waited + wait > options.patience {
        outcome.failure = outcome.failure ?? "the receiver asks for ever longer pauses"
        return false
      }
      await sleep(wait)
      waited += wait
      pause = min(pause * 2, options.longestPause)
    }
    return true
  }

  private func keepRate(_ outcome: Outcome, since begun: ContinuousClock.Instant) async {
    guard let rate = options.rate, rate > 0 else { return }
    let due = Duration.seconds(Double(outcome.sent + outcome.refused) / rate)
    let passed = ContinuousClock.now - begun
    if due > passed { await sleep(due - passed) }
  }

  // MARK: State

  private func readCursor() throws(LogToolError) -> Cursor {
    var status = stat()
    guard lstat(statePath, &status) == 0 else { return Cursor(byte: 0, server: server) }
    let window = try ByteWindow(try FileBytes(statePath), limit: 4096)
    guard let cursor = Cursor(String(decoding: window.bytes(0..<window.size), as: UTF8.self)) else {
      throw .refused(path: statePath, why: "is no state of a replay; move it away to begin anew")
    }
    guard cursor.server == server else {
      throw .refused(path: statePath, why: "is of a replay to \(cursor.server); move it away to send all again")
    }
    return cursor
  }

  private func advance(_ cursor: inout Cursor, to byte: Int64) throws(LogToolError) {
    cursor.byte = byte
    let temporary = "\(statePath).tmp"
    unlink(temporary)
    let file = try NewFile(temporary)
    var failure: LogToolError?
    Array(cursor.text.utf8).withUnsafeBytes { bytes in
      do throws(LogToolError) { try file.write(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
    try file.finish()
    guard rename(temporary, statePath) == 0 else { throw .system(what: "write", path: statePath, errno: errno) }
    try Folders.sync(of: statePath)
  }
}
