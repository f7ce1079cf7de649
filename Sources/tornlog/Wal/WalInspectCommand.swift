import ArgumentParser
import Foundation
import LogModel
import LogTools
import RecordLogs
import Reporting
import Trials
import Verification

struct WalInspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Say what is in a log: files, offsets, times, sizes, compression.",
    discussion: """
      Every file is read to its end. `wal verify` judges it, `wal dump` shows its records.

      Exit codes: 0 the log was read; 64 wrong usage; 69 it could not be read.
      """)

  @OptionGroup var report: ReportOptions<DocumentFormats>
  @OptionGroup var input: WalInput

  func run() throws {
    report.check()
    var found = WalInspectReport()
    do throws(LogToolError) {
      for path in input.paths {
        let folder = try LogFolder(path)
        found.leftAside += folder.leftAside.sorted()
        for log in folder.logs {
          var ordinal: Int64 = 0
          for path in log.paths {
            let file = try LogFile(path, format: input.format)
            found.files.append(WalInspectReport.File(try LogSummary(file, ordinal: &ordinal), log.name))
            if Interruption.isRequested { break }
          }
        }
      }
    } catch {
      WalExit.fail(error)
    }
    if Interruption.isRequested { throw ExitCode(ExitStatus.interrupted) }
    ReportDocument(
      title: "tornlog wal inspect", text: found.lines, json: rendered { try WalReport.text("walInspect", found) },
      cases: found.files.map {
        ReportCase(
          group: "tornlog wal inspect", name: $0.file, verdict: .held, isExpected: true, message: $0.lines[1],
          lines: $0.lines)
      }
    ).write(to: report.requests)
  }
}

/// What `wal inspect` says, as JSON has it.
struct WalInspectReport: Encodable {
  var files: [File] = []
  /// Files beside the logs that are no part of one.
  var leftAside: [String] = []

  var lines: [String] {
    var lines = files.flatMap(\.lines)
    if !leftAside.isEmpty {
      lines.append("no part of a log, set aside by somebody: \(leftAside.joined(separator: ", "))")
    }
    let records = files.reduce(0) { $0 + $1.records }
    let bytes = files.reduce(Int64(0)) { $0 + $1.fileBytes }
    lines.append("\(files.count) \(files.count == 1 ? "file" : "files"), \(records) records, \(SizeText.render(bytes))")
    return lines
  }

  struct File: Encodable {
    var file: String
    var log: String
    var format: String
    var compression: String
    var fileBytes: Int64
    var bytes: Int64
    /// Seconds since 1970.
    var modified: Int64
    var records: Int
    var messages: Int
    var damagedRecords: Int
    var damagedBytes: Int64
    var tailBytes: Int64
    var tail: String
    var firstOffset: Int64?
    var endOffset: Int64?
    /// Milliseconds since 1970.
    var firstTimestamp: Int64?
    var lastTimestamp: Int64?
    var firstEpoch: UInt64?
    var lastEpoch: UInt64?
    var keyBytes: Int64
    var valueBytes: Int64
    var pendingEvents: Int?
    var operations: [String: Int]?

    init(_ summary: LogSummary, _ log: String) {
      (file, self.log, format) = (summary.path, log, summary.system.rawValue)
      (compression, fileBytes, bytes) = (summary.compression.rawValue, summary.packedBytes, summary.bytes)
      (modified, records, messages) = (summary.modified, summary.entries, summary.messages)
      (damagedRecords, damagedBytes, tailBytes) = (summary.damaged, summary.damagedBytes, summary.tailBytes)
      tail = "\(summary.tail)"
      (firstOffset, endOffset) = (summary.offsets?.lowerBound, summary.offsets?.upperBound)
      (firstTimestamp, lastTimestamp) = (summary.times?.lowerBound, summary.times?.upperBound)
      (firstEpoch, lastEpoch) = (summary.epochs?.lowerBound, summary.epochs?.upperBound)
      (keyBytes, valueBytes, pendingEvents) = (summary.keyBytes, summary.valueBytes, summary.pending)
      if !summary.operations.isEmpty {
        operations = Dictionary(uniqueKeysWithValues: summary.operations.map { ("\($0.key)", $0.value) })
      }
    }

    var lines: [String] {
      var lines = ["\(file): \(format)"]
      let offsets = firstOffset.map { ", offsets \($0)..<\(endOffset ?? $0)" } ?? ""
      lines.append("  records    \(records), \(messages) messages\(offsets)")
      var size = SizeText.render(fileBytes)
      if compression != "none", bytes > 0 {
        let ratio = Int((Double(fileBytes) * 1000 / Double(bytes)).rounded())
        size += " of \(compression), \(SizeText.render(bytes)) unpacked, ratio \(ratio / 10).\(ratio % 10) %"
      }
      lines.append("  size       \(size); keys \(SizeText.render(keyBytes)), values \(SizeText.render(valueBytes))")
      if let firstTimestamp, let lastTimestamp {
        lines.append("  times      \(Self.time(firstTimestamp)) to \(Self.time(lastTimestamp))")
      }
      if let firstEpoch, let lastEpoch { lines.append("  epochs     \(firstEpoch) to \(lastEpoch)") }
      if let pendingEvents { lines.append("  unsent     \(pendingEvents) events are neither sent nor refused") }
      if let operations {
        lines.append(
          "  operations "
            + operations.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
      }
      if damagedRecords > 0 { lines.append("  damaged    \(damagedRecords), \(SizeText.render(damagedBytes))") }
      if tailBytes > 0 { lines.append("  tail       \(SizeText.render(tailBytes)), \(tail)") }
      return lines
    }

    private static func time(_ milliseconds: Int64) -> String {
      let format = ISO8601DateFormatter()
      return format.string(from: Date(timeIntervalSince1970: Double(milliseconds) / 1000))
    }
  }
}
