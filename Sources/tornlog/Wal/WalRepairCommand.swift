import ArgumentParser
import Foundation
import LogModel
import LogTools
import Reporting
import Trials
import Verification

extension LogMend.Policy: ExpressibleByArgument {}

struct WalRepairCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "repair",
    abstract: "Write what is valid in a damaged log to a new file.",
    discussion: """
      The input is never touched. The output is written beside its place, synced, read back and checked, and named \
      last; a file \
      that stands there already is not written over. Offsets stay as they are where records carry them. Streamhouse's \
      carry \
      none: what follows a record that is left out gets a lower offset, and the command says so. A segment of \
      Tornlog's own \
      keeps its batches where they are.

        tornlog wal repair --input ./corrupted.wal --output ./repaired.wal --skip-corrupted
        tornlog wal repair --input ./corrupted.wal --output ./repaired.wal --fix-single-bit

      Exit codes: 0 the output is there and sound; 2 it is there, and `wal verify` cannot call it sound; 64 wrong \
      usage, or the \
      output exists; 69 the input could not be read, or the output not be written; then there is no output.
      """)

  @Option(help: ArgumentHelp("The damaged file.", valueName: "file"), completion: .file())
  var input: String
  @Option(help: ArgumentHelp("The new file.", valueName: "file"), completion: .file())
  var output: String
  @Option(help: "What becomes of records behind the first damage: kept, or left out.")
  var policy = LogMend.Policy.skipCorrupted
  @Flag(help: "The same as --policy skip-corrupted, as the Streamhouse runbook has it.")
  var skipCorrupted = false
  @Flag(help: "Turn a flipped bit back where exactly one explains the damage.")
  var fixSingleBit = false
  @Option(
    help: ArgumentHelp(
      "The format: \(LogSystem.allCases.map(\.rawValue).joined(separator: ", ")). Without it the file tells.",
      valueName: "name"))
  var format: LogSystem?
  @Flag(help: "Read a log that somebody has open. What is written meanwhile may be missing in the output.")
  var force = false
  @OptionGroup var report: ReportOptions<DocumentFormats>

  func validate() throws {
    if skipCorrupted, policy == .truncateAtCorruption {
      throw ValidationError("--skip-corrupted and --policy truncate-at-corruption contradict each other")
    }
  }

  func run() throws {
    report.check()
    let repair: LogRepair
    do throws(LogToolError) {
      repair = try LogRepair(
        input, into: output, format: format, policy: policy, fixingBits: fixSingleBit, isForced: force)
    } catch {
      WalExit.fail(error)
    }
    let found = WalRepairReport(repair)
    ReportDocument(
      title: "tornlog wal repair", text: found.lines, json: rendered { try WalReport.text("walRepair", found) },
      cases: [
        ReportCase(
          group: "tornlog wal repair", name: output, verdict: repair.isSound ? .held : .unknown,
          isExpected: repair.isSound, message: found.lines.last ?? "", lines: found.lines)
      ]
    ).write(to: report.requests)
    throw ExitCode(repair.isSound ? 0 : ExitStatus.unknown)
  }
}

/// What `wal repair` has done, as JSON has it.
struct WalRepairReport: Encodable {
  struct Place: Encodable {
    var from: Int64
    var to: Int64
    var text: String
  }

  struct Bit: Encodable {
    var byte: Int64
    var bit: Int
  }

  var input: String
  var output: String
  var format: String
  var records: Int
  var messages: Int
  var bytes: Int64
  var corrected: [Bit]
  var lost: [Place]
  var lostPlaces: Int
  var lostBytes: Int64
  /// Valid records behind the first damage that truncation has left out.
  var leftOut: Int
  var keepsOffsets: Bool
  var missing: [[Int64]]
  var sound: Bool

  init(_ repair: LogRepair) {
    let mend = repair.mend
    (input, output, format) = (repair.input, repair.output, repair.system.rawValue)
    (records, messages, bytes) = (mend.records, mend.messages, repair.size)
    corrected = mend.corrected.map { Bit(byte: $0.at, bit: $0.bit) }
    lost = mend.lost.map { Place(from: $0.range.lowerBound, to: $0.range.upperBound, text: "\($0.fault)") }
    (lostPlaces, lostBytes, leftOut) = (mend.skipped, mend.skippedBytes, mend.leftOut)
    keepsOffsets = !mend.movesOffsets
    missing = repair.missing.map { [$0.lowerBound, $0.upperBound] }
    sound = repair.isSound
  }

  var lines: [String] {
    var lines = ["\(output): \(records) \(records == 1 ? "record" : "records"), \(SizeText.render(bytes)) (\(format))"]
    for bit in corrected { lines.append("  corrected: bit \(bit.bit) of byte \(bit.byte) of the input") }
    for place in lost { lines.append("  lost: bytes \(place.from)..<\(place.to): \(place.text)") }
    if lostPlaces > lost.count { lines.append("  and \(lostPlaces - lost.count) more places") }
    if leftOut > 0 { lines.append("  left out: \(leftOut) valid records behind the first damage") }
    for range in missing { lines.append("  missing: offsets \(range[0])..<\(range[1])") }
    if !keepsOffsets {
      lines.append("  this format carries no offsets: what followed each loss has a lower offset now")
    }
    let bytes = SizeText.render(lostBytes)
    let loss = lostPlaces == 0 ? "nothing lost" : "\(lostPlaces) places lost, \(bytes)"
    lines.append(
      sound
        ? "repaired: \(records) records recovered, \(loss); the output is sound"
          + (missing.isEmpty ? "" : " but for these offsets (`wal verify --accept-gaps`)")
        : "written, but not sound: run `tornlog wal verify \(output)`")
    return lines
  }
}
