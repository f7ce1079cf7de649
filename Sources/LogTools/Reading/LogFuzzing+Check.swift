import Glibc
import LogModel

/// What must hold of `LogCheck`, `FormatDetector` and `LogDump`, whatever bytes they are given.
extension LogFuzzing {
  /// What is wrong with how the bytes are checked and printed; nil where all is as it should be.
  ///
  /// - A check that takes sound entries at a glance reports what one reports that looks at each.
  /// - Each valid record that a check counts is printed, as one line.
  /// - Nothing throws but for a file of no format, and an empty one.
  /// - Parameter format: nil to have the file tell.
  package static func complaintOfCheck(_ bytes: [UInt8], format: LogSystem?) -> String? {
    do throws(LogToolError) {
      let descriptor = try FileBytes.unnamedFile(in: memory)
      defer { close(descriptor) }
      var failure: LogToolError?
      bytes.withUnsafeBytes { raw in
        do throws(LogToolError) { try writeAll(raw, to: descriptor, memory) } catch { failure = error }
      }
      if let failure { throw failure }
      return try complaintOfCheck("/proc/self/fd/\(descriptor)", format)
    } catch {
      switch error {
      case .unknownFormat, .emptyFile, .damagedArchive: return nil
      default: return "\(error)"
      }
    }
  }

  /// A folder in memory.
  private static var memory: String { "/dev/shm" }

  private static func complaintOfCheck(_ path: String, _ format: LogSystem?) throws(LogToolError) -> String? {
    let log = LogFiles(name: path, paths: [path])
    let quick = try LogCheck(log, format: format)
    let careful = try LogCheck(log, format: format, glances: false)
    let (found, wanted) = (report(quick), report(careful))
    if found != wanted { return "at a glance: \(found); with care: \(wanted)" }
    guard let system = quick.system else { return nil }
    let printed = try validLines(path, format)
    // Of a batch those messages are printed that fit in it.
    let isBatched = system == .tornlog || system == .chronik
    if isBatched ? printed > quick.messages + quick.entries : printed != quick.entries {
      return "\(printed) valid records are printed; \(found)"
    }
    return nil
  }

  /// How many lines of `dump --json` are of valid records.
  private static func validLines(_ path: String, _ format: LogSystem?) throws(LogToolError) -> Int {
    let descriptor = try FileBytes.unnamedFile(in: memory)
    let text = FileBytes(path: memory, descriptor: descriptor)
    let out = LineBuffer(descriptor)
    var dump = LogDump(to: out)
    dump.style = LogDump.Style.json
    dump.showsBytes = true
    var ordinal: Int64 = 0
    try dump.print(try LogFile(path, format: format), ordinal: &ordinal) { false }
    out.flush()
    if let failure = out.failure { throw failure }
    let window = try ByteWindow(text)
    // Each piece ends with the last line that is whole in it.
    let end = Array(#""state":"valid"}"#.utf8) + [UInt8(ascii: "\n")]
    var (found, at) = (0, Int64(0))
    while at < window.size {
      let piece = window.bytes(at..<window.size)
      guard let last = piece.lastIndex(of: UInt8(ascii: "\n")) else { break }
      for index in 0...last where piece[index] == UInt8(ascii: "\n") && index + 1 >= end.count {
        let line: ArraySlice<UInt8> = piece[(index + 1 - end.count)...index]
        if line.elementsEqual(end) { found += 1 }
      }
      at += Int64(last + 1)
    }
    return found
  }

  private static func report(_ check: LogCheck) -> String {
    let counts = [
      check.findingCount, check.files, Int(check.bytes), check.entries, check.messages, check.damagedEntries,
      Int(check.damagedBytes),
    ]
    return "\(check.verdict) \(check.findings) \(counts) \(String(describing: check.offsets))"
  }
}
