import ArgumentParser
import Foundation
import LogModel
import LogTools
import RecordLogs
import Reporting
import Trials
import Verification

struct WalVerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check every record of a log, and what should stand between them.",
    discussion: """
      Damaged records are named one by one: the bytes, the checksum that is stored and the one that the bytes have, \
      what the \
      record held as far as that can be known, and the one bit that is flipped where exactly one explains the damage. \
      A torn \
      tail is what a crash leaves of an append that was not acknowledged; it is no damage. A file that somebody has \
      cut between \
      two records looks sound: no format but our own says how long it was.

        tornlog wal verify orders-0.wal
        tornlog wal verify --quiet /data/wal || mail -s 'broken log' root

      Exit codes: 0 sound; 1 damaged; 2 cannot tell (unreadable, of no known format, changed while it was read); 64 \
      wrong usage.
      """)

  @Flag(name: .shortAndLong, help: "Print nothing of a sound log, and one line of any other.")
  var quiet = false
  @Flag(help: "Take missing offsets for no damage: of a log that was repaired or compacted.")
  var acceptGaps = false
  @Flag(help: "Take a torn tail for damage: of a log that was closed in order.")
  var strict = false
  @OptionGroup var report: ReportOptions<DocumentFormats>
  @OptionGroup var input: WalInput

  func run() throws {
    report.check()
    var found: [WalVerifyReport.Log] = []
    var worst = LogVerdict.sound
    var lines: [String] = []
    for path in input.paths {
      do throws(LogToolError) {
        let folder = try LogFolder(path)
        let progress = WalProgress(folder.logs.flatMap(\.paths))
        for log in folder.logs {
          let entry = check(log, progress)
          found.append(entry.log)
          lines += entry.lines
          worst = max(worst, entry.verdict)
          if Interruption.isRequested { throw LogToolError.refused(path: path, why: "interrupted") }
        }
        progress.clear()
      } catch {
        if Interruption.isRequested { throw ExitCode(ExitStatus.interrupted) }
        found.append(WalVerifyReport.Log(name: path, verdict: "unknown", error: "\(error)"))
        lines.append("\(path): CANNOT TELL: \(error)")
        worst = max(worst, .unknown)
      }
    }
    write(found, lines, worst)
    throw ExitCode(worst.exitCode)
  }

  private func write(_ found: [WalVerifyReport.Log], _ lines: [String], _ worst: LogVerdict) {
    if quiet {
      for log in found where log.verdict != "sound" {
        Console.print(["\(log.name): \(log.conclusion)"])
      }
      if report.asked.isEmpty { return }
    }
    let whole = WalVerifyReport(logs: found, verdict: worst.rawValue)
    let document = ReportDocument(
      title: "tornlog wal verify", text: lines, conclusion: found.count == 1 ? found[0].conclusion : whole.conclusion,
      json: rendered { try WalReport.text("walVerify", whole) },
      cases: found.map { log in
        ReportCase(
          group: "tornlog wal verify", name: log.name,
          verdict: log.verdict == "sound" ? .held : log.verdict == "damaged" ? .violated : .unknown,
          isExpected: log.verdict == "sound", message: log.conclusion, lines: log.findings.map(\.text))
      })
    document.write(to: quiet ? report.asked : report.requests)
  }

  private func check(_ log: LogFiles, _ progress: WalProgress) -> (
    log: WalVerifyReport.Log, lines: [String], verdict: LogVerdict
  ) {
    do throws(LogToolError) {
      let check = try LogCheck.settled(
        log, format: input.format, acceptsGaps: acceptGaps, progress: { progress.show($0) })
      progress.finish(check.bytes)
      var verdict = check.verdict
      if strict, check.findings.contains(where: { $0.kind == .tornTail }) { verdict = .damaged }
      let entry = WalVerifyReport.Log(check, verdict)
      return (entry, entry.lines, verdict)
    } catch {
      let entry = WalVerifyReport.Log(name: log.name, verdict: "unknown", error: "\(error)")
      return (entry, ["\(log.name): \(entry.conclusion)"], .unknown)
    }
  }
}

/// What `wal verify` says, as JSON has it.
struct WalVerifyReport: Encodable {
  var logs: [Log]
  var verdict: String

  var conclusion: String {
    let bad = logs.count { $0.verdict != "sound" }
    return bad == 0 ? "\(logs.count) logs are sound" : "\(bad) of \(logs.count) logs are not sound"
  }

  struct Log: Encodable {
    var name: String
    var format: String?
    var verdict: String
    var error: String?
    var files: [String] = []
    var bytes: Int64 = 0
    var records = 0
    var messages = 0
    var damagedRecords = 0
    var damagedBytes: Int64 = 0
    var firstOffset: Int64?
    var endOffset: Int64?
    var findings: [Finding] = []
    /// All of them; `findings` has the first 1000.
    var findingCount = 0

    init(name: String, verdict: String, error: String) {
      (self.name, self.verdict, self.error) = (name, verdict, error)
    }

    init(_ check: LogCheck, _ verdict: LogVerdict) {
      (name, format, self.verdict) = (check.log.name, check.system?.rawValue, verdict.rawValue)
      (files, bytes, records, messages) = (check.log.paths, check.bytes, check.entries, check.messages)
      (damagedRecords, damagedBytes) = (check.damagedEntries, check.damagedBytes)
      (firstOffset, endOffset) = (check.offsets?.lowerBound, check.offsets?.upperBound)
      (findings, findingCount) = (check.findings.map(Finding.init), check.findingCount)
    }

    var conclusion: String {
      if let error { return "CANNOT TELL: \(error)" }
      let offsets = firstOffset.map { ", offsets \($0)..<\(endOffset ?? $0)" } ?? ""
      let counted = "\(records) \(records == 1 ? "record" : "records")\(offsets), \(SizeText.render(bytes))"
      switch verdict {
      case "sound": return bytes == 0 ? "sound: empty" : "sound: \(counted)"
      case "damaged":
        return "DAMAGED: \(damagedRecords) damaged \(damagedRecords == 1 ? "record" : "records") of "
          + "\(SizeText.render(damagedBytes)), \(findingCount) \(findingCount == 1 ? "finding" : "findings"); "
          + "valid: \(counted)"
      default: return "CANNOT TELL: \(findings.first { $0.isUnknown }?.text ?? ""); valid: \(counted)"
      }
    }

    var lines: [String] {
      var lines = findings.map { "  \($0.line(in: files))" }
      if findingCount > findings.count { lines.append("  and \(findingCount - findings.count) more") }
      return ["\(name): \(format ?? "no format"), \(files.count) \(files.count == 1 ? "file" : "files")"] + lines
        + ["  \(conclusion)"]
    }
  }

  struct Finding: Encodable {
    var kind: String
    var file: String
    var from: Int64
    var to: Int64
    var record: Int?
    var firstOffset: Int64?
    var endOffset: Int64?
    var stored: String?
    var computed: String?
    var keySize: Int64?
    var valueSize: Int64?
    var timestamp: Int64?
    var epoch: UInt64?
    var flippedByte: Int64?
    var flippedBit: Int?
    var text: String

    init(_ finding: LogFinding) {
      (kind, file, text, record) = (finding.kind.rawValue, finding.file, finding.text, finding.number)
      (from, to) = (finding.bytes.lowerBound, finding.bytes.upperBound)
      (firstOffset, endOffset) = (finding.offsets?.lowerBound, finding.offsets?.upperBound)
      guard let damage = finding.damage else { return }
      if case .checksumMismatch(stored: let one, computed: let other) = damage.fault {
        let digits = damage.entry?.checksumDigits ?? 8
        (stored, computed) = (Self.hexadecimal(one, digits), Self.hexadecimal(other, digits))
      }
      (flippedByte, flippedBit) = (damage.flip?.at, damage.flip?.bit)
      guard let entry = damage.entry else { return }
      (keySize, valueSize, timestamp, epoch) = (entry.keySize, entry.valueSize, entry.timestamp, entry.epoch)
    }

    private static func hexadecimal(_ value: UInt64, _ digits: Int) -> String {
      let text = String(value, radix: 16)
      return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    var isUnknown: Bool { LogFinding.Kind(rawValue: kind)?.verdict == .unknown }

    func line(in files: [String]) -> String {
      var parts = [kind]
      if files.count > 1 { parts.append(file) }
      if let record { parts.append("record \(record)") }
      if to > from { parts.append("bytes \(from)..<\(to)") }
      if let firstOffset { parts.append("offsets \(firstOffset)..<\(endOffset ?? firstOffset)") }
      var line = parts.joined(separator: " ") + ": \(text)"
      if kind == "damaged", let valueSize {
        line += "; it held a key of \(keySize ?? 0) and a value of \(valueSize) bytes"
      }
      if let flippedByte, let flippedBit {
        line += "; bit \(flippedBit) of byte \(flippedByte) is flipped, `wal repair --fix-single-bit` turns it back"
      }
      return line
    }
  }
}

/// JSON of the tools.
enum WalReport {
  private struct Key: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
  }

  private struct Whole<Value: Encodable>: Encodable {
    var name: String
    var value: Value

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Key.self)
      try container.encode(1, forKey: Key("version"))
      try container.encode("tornlog", forKey: Key("tool"))
      try container.encode(value, forKey: Key(name))
    }
  }

  static func text(_ name: String, _ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(Whole(name: name, value: value)), as: UTF8.self) + "\n"
  }
}
