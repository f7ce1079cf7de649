import LogModel

/// The messages of a log in their order, each offset once: what a reader of the log would see.
struct LogWalk {
  /// A message, and the bytes that it stands in.
  struct Found {
    var message: LogMessage
    var entry: LogEntry
    var window: ByteWindow

    func bytes(_ range: Range<Int64>?) -> [UInt8]? {
      guard let range else { return nil }
      var bytes: [UInt8] = []
      bytes.reserveCapacity(range.count)
      window.forEachPiece(range) { (piece: UnsafeRawBufferPointer) in bytes.append(contentsOf: piece) }
      return bytes
    }
  }

  private(set) var system: LogSystem?
  /// Places that hold no entry, the torn tail among them.
  private(set) var damaged = 0
  private(set) var messages = 0

  /// Goes through a log. `body` gets valid messages; of airunner's events and of the replay buffer's entries every one,
  /// whatever it says.
  /// - Throws: what reading throws, and what `body` does.
  mutating func run(
    _ log: LogFiles, format: LogSystem? = nil, _ body: (LogFile, Found) throws(LogToolError) -> Void
  ) throws(LogToolError) {
    let order = try SegmentOrder(log.paths)
    var ordinal: Int64 = 0
    var due: Int64 = -1
    for path in log.paths where order.void[path] == nil {
      let file = try LogFile(path, format: format)
      guard system == nil || system == file.system else {
        throw .refused(path: path, why: "has another format than the files before it; name one file")
      }
      system = file.system
      file.reader.ordinal = ordinal
      damaged += file.reader.head.damage.count { !$0.range.isEmpty }
      reading: while true {
        switch try file.reader.next() {
        case .entry(let entry): try take(entry, file, order.bound[path], &due, body)
        case .damage: damaged += 1
        case .remains: continue
        case .end(let tail):
          if tail.kind != .nothing, tail.kind != .blank { damaged += 1 }
          break reading
        }
      }
      guard file.reader.window.shrunkTo == nil else {
        throw .refused(path: path, why: "was cut while it was read; run this again when nobody writes to it")
      }
      ordinal = file.reader.ordinal
    }
  }

  private mutating func take(
    _ entry: LogEntry, _ file: LogFile, _ bound: Int64?, _ due: inout Int64,
    _ body: (LogFile, Found) throws(LogToolError) -> Void
  ) throws(LogToolError) {
    if file.system == .tornlog, let next = entry.nextOffset {
      if let bound, next > bound { return }
      if next <= due { return }
    }
    var failure: LogToolError?
    func hand(_ message: LogMessage) {
      do throws(LogToolError) {
        try body(file, Found(message: message, entry: entry, window: file.reader.window))
      } catch { failure = error }
    }
    if entry.count == 0 {
      hand(
        LogMessage(
          offset: entry.firstOffset, position: entry.position, length: entry.length, key: entry.key, value: entry.value)
      )
    }
    var count = 0
    let first = due
    file.reader.forEachMessage(of: entry) { message in
      // Of a batch that begins before what is due, the rest counts.
      if file.system != .tornlog || (message.offset ?? 0) >= first {
        count += 1
        hand(message)
      }
      return failure == nil
    }
    messages += count
    if let failure { throw failure }
    if entry.count > 0, let next = entry.nextOffset { due = max(due, next) }
  }
}
