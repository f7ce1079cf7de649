import Glibc
import LogModel
import RecordLogs

/// Prints a log, one line a record.
public struct LogDump {
  public enum Style: Hashable, Sendable {
    case text
    /// One JSON object a line.
    case json
    /// As the Streamhouse runbook has it: `Record 0: offset=0, crc=0xdeadbeef, key_size=12, value_size=128`.
    case runbook
  }

  public var style = Style.text
  /// Prints keys and values too, in hexadecimal.
  public var showsBytes = false
  /// Messages with these offsets only. Bytes that are no record are left out then.
  public var offsets: Range<Int64>?
  /// Messages with this key only.
  public var key: [UInt8]?
  /// Names the file in each line: there are several.
  public var namesFile = false

  let out: LineBuffer
  /// Of the record at hand in its file.
  private(set) var number = 0

  public init(to out: LineBuffer) { self.out = out }

  private var selects: Bool { offsets != nil || key != nil }

  /// Prints a file to its end.
  /// - Parameter ordinal: the offset of its first message, where the format carries none.
  /// - Returns: what stands behind its last record.
  @discardableResult
  public mutating func print(_ file: LogFile, ordinal: inout Int64, isStopped: () -> Bool) throws(LogToolError)
    -> LogReader.Tail?
  {
    number = 0
    file.reader.ordinal = ordinal
    for damage in file.reader.head.damage where !selects && !damage.range.isEmpty {
      printDamage(damage, "damaged", file)
    }
    defer { ordinal = file.reader.ordinal }
    let tail = try printRest(file, isStopped)
    if let tail, !selects { printTail(tail, file) }
    return tail
  }

  /// Prints a file, and what is added to it, until it is told to stop. A last record that is not whole yet is waited
  /// for.
  public mutating func follow(_ file: LogFile, isStopped: () -> Bool) throws(LogToolError) {
    number = 0
    while !isStopped(), !out.isOver {
      let tail = try printRest(file, isStopped)
      out.flush()
      guard let tail, !isStopped(), !out.isOver else { return }
      var begin = tail.kind == .nothing ? file.reader.position : tail.damage.range.lowerBound
      var size = file.reader.size
      while !isStopped(), size == file.reader.size {
        usleep(100_000)
        size = try file.source.currentSize()
      }
      // A log that was begun anew is printed from its head on.
      if size < begin { begin = file.reader.head.end }
      try file.reader.resume(at: begin)
    }
  }

  /// - Returns: nil where it was stopped.
  private mutating func printRest(_ file: LogFile, _ isStopped: () -> Bool) throws(LogToolError) -> LogReader.Tail? {
    while !out.isOver, !isStopped() {
      switch try file.reader.next() {
      case .entry(let entry): printEntry(entry, file)
      case .damage(let damage):
        if !selects { printDamage(damage, "damaged", file) }
        number += 1
      case .remains(let range, _):
        if !selects { printDamage(LogDamage(range, .wrongMagic(0)), "remains", file) }
      case .end(let tail): return tail
      }
    }
    return nil
  }

  private func printTail(_ tail: LogReader.Tail, _ file: LogFile) {
    switch tail.kind {
    case .nothing, .blank: return
    case .torn: printDamage(tail.damage, "torn", file)
    case .damaged: printDamage(tail.damage, "damaged", file)
    case .undecided: printDamage(tail.damage, "undecided", file)
    }
  }

  // MARK: Records

  private mutating func printEntry(_ entry: LogEntry, _ file: LogFile) {
    let isBatch = file.system == .tornlog || file.system == .chronik
    if !isBatch || entry.count == 0 {
      let message = LogMessage(
        offset: entry.firstOffset, position: entry.position, length: entry.length, key: entry.key, value: entry.value)
      if isWanted(message, file) { printMessage(message, entry, nil, file) }
      number += 1
      return
    }
    if let offsets, let first = entry.firstOffset, let next = entry.nextOffset,
      first >= offsets.upperBound || next <= offsets.lowerBound
    {
      number += entry.count
      return
    }
    var local = number
    file.reader.forEachMessage(of: entry) { message in
      number = local
      if isWanted(message, file) { printMessage(message, entry, entry.position, file) }
      local += 1
      return !out.isOver
    }
    number = local
  }

  private func isWanted(_ message: LogMessage, _ file: LogFile) -> Bool {
    if let offsets {
      guard let offset = message.offset, offsets.contains(offset) else { return false }
    }
    guard let key else { return true }
    guard let range = message.key, range.count == key.count else { return false }
    return file.reader.window.bytes(range).elementsEqual(key)
  }
}

extension AirunnerCodec.Status {
  /// As the runbook has it.
  var word: StaticString {
    switch self {
    case .pending: "pending"
    case .sent: "sent"
    case .failed: "failed"
    }
  }
}

extension ReplayCodec.Operation {
  /// As the plan has it.
  var word: StaticString {
    switch self {
    case .startBuffer: "START_BUFFER"
    case .addMeasurement: "ADD_MEASUREMENT"
    case .endBuffer: "END_BUFFER"
    case .checkpoint: "CHECKPOINT"
    case .commit: "COMMIT"
    case .rollback: "ROLLBACK"
    }
  }
}
