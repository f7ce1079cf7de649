import LogModel
import RecordLogs

/// What must hold of any bytes at all: the fuzzer's property, which tests share.
package enum LogFuzzing {
  /// The bytes with the checksums that they should have, as far as 32 places go.
  package static func sealed(_ bytes: [UInt8], as system: LogSystem) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<32 {
      guard let window = try? ByteWindow(MemoryBytes(bytes)) else { return bytes }
      let reader = LogReader(window, FormatDetector.format(system))
      guard let damage = first(reader), case .checksumMismatch(_, let computed) = damage.fault,
        let length = reader.format.claimedLength(window, damage.range.lowerBound)
      else { return bytes }
      let coverage = reader.format.coverage(damage.range.lowerBound, length)
      for index in 0..<Int(coverage.width) where Int(coverage.field) + index < bytes.count {
        bytes[Int(coverage.field) + index] = UInt8(truncatingIfNeeded: computed >> UInt64(8 * index))
      }
    }
    return bytes
  }

  private static func first(_ reader: LogReader) -> LogDamage? {
    while let step = try? reader.next() {
      switch step {
      case .damage(let damage): return damage
      case .end(let tail): return tail.kind == .nothing || tail.kind == .blank ? nil : tail.damage
      case .entry, .remains: continue
      }
    }
    return nil
  }

  /// What is wrong with how the bytes are read; nil where all is as it should be.
  package static func complaint(
    _ bytes: [UInt8], as system: LogSystem, policy: LogMend.Policy, fixingBits: Bool
  ) -> String? {
    do throws(LogToolError) {
      if let complaint = try complaint(of: bytes, system) { return complaint }
      let (first, second) = (MemorySink(), MemorySink())
      let mend = try LogMend.mend(
        MemoryBytes(bytes), of: system, into: first, policy: policy, fixingBits: fixingBits)
      let again = try LogMend.mend(MemoryBytes(first.bytes), of: system, into: second)
      // Without the head of a segment nothing in it can be judged.
      if system == .tornlog, mend.records == 0 { return nil }
      if again.records != mend.records { return "\(mend.records) records were written, \(again.records) are read" }
      if again.skipped > 0 { return "what was mended is damaged: \(again.lost)" }
      if first.bytes != second.bytes { return "what was mended is mended into something else" }
      return nil
    } catch { return "\(error)" }
  }

  /// Steps go on without a gap or an overlap, and an entry is valid by the engine's codec too.
  private static func complaint(of bytes: [UInt8], _ system: LogSystem) throws(LogToolError) -> String? {
    let window = try ByteWindow(MemoryBytes(bytes))
    let reader = LogReader(window, FormatDetector.format(system))
    var at = reader.head.end
    while true {
      switch try reader.next() {
      case .entry(let entry):
        if entry.position < at || system != .tornlog && entry.position != at {
          return "an entry at \(entry.position), not \(at)"
        }
        at = entry.range.upperBound
        if at > window.size { return "an entry behind the end: \(entry)" }
        if let fault = codecFault(bytes, entry, system) { return "\(entry) is no record by the codec: \(fault)" }
        reader.forEachMessage(of: entry) { _ in true }
      case .damage(let damage):
        if damage.range.lowerBound < at || damage.range.isEmpty { return "damage at \(damage.range), not \(at)" }
        at = damage.range.upperBound
        if at > window.size { return "damage behind the end: \(damage)" }
      case .remains(let range, _): at = range.upperBound
      case .end: return nil
      }
    }
  }

  private static func codecFault(_ bytes: [UInt8], _ entry: LogEntry, _ system: LogSystem) -> RecordFault? {
    switch system {
    case .tornlog: nil
    case .streamhouse: fault(StreamhouseCodec.self, bytes, entry)
    case .airunner: fault(AirunnerCodec.self, bytes, entry)
    case .chronik: fault(ChronikV2Codec.self, bytes, entry)
    case .chronikV1: fault(ChronikV1Codec.self, bytes, entry)
    case .replayBuffer: fault(ReplayCodec.self, bytes, entry)
    }
  }

  private static func fault<Codec: RecordCodec>(
    _ codec: Codec.Type, _ bytes: [UInt8], _ entry: LogEntry
  ) -> RecordFault? {
    bytes.withUnsafeBytes { raw -> RecordFault? in
      let record = UnsafeRawBufferPointer(rebasing: raw[Int(entry.position)..<Int(entry.range.upperBound)])
      do throws(RecordFault) {
        guard let base = record.baseAddress else { return .fieldsDisagree }
        guard try Codec.length(at: base) == record.count else { return .lengthOutOfRange(record.count) }
        try Codec.verify(record)
        return nil
      } catch { return error }
    }
  }
}
