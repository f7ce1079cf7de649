import ArgumentParser
import Foundation
import Reporting

/// The formats that a command offers.
protocol OfferedFormats: SendableMetatype {
  static var formats: [ReportFormat] { get }
}

/// Of commands that run trials.
enum TrialFormats: OfferedFormats { static let formats = ReportFormat.ofTrials }

/// Of all others.
enum DocumentFormats: OfferedFormats { static let formats = ReportFormat.ofDocuments }

/// Of commands whose report has plots.
enum PlotFormats: OfferedFormats { static let formats = ReportFormat.ofPlots }

/// `--report`, the same in every command.
struct ReportOptions<Offered: OfferedFormats>: ParsableArguments {
  @Option(
    name: .customLong("report"),
    help: ArgumentHelp(
      "Write a report: \(Offered.formats.map(\.rawValue).joined(separator: ", ")). With =PATH it goes to a file, else "
        + "to standard "
        + "output. Repeatable.",
      valueName: "format[=path]"),
    transform: { try ReportRequest($0, of: Offered.formats) })
  var asked: [ReportRequest] = []

  /// With the terminal's summary, where a person reads standard output.
  var requests: [ReportRequest] { ReportRequest.completed(asked) }

  /// Whether standard output is for a person: a document that a program reads must stand there alone.
  var isForPeople: Bool { !asked.contains { $0.path == nil && $0.format.isForPrograms } }

  /// Ends the program where a report cannot be written: before minutes of work, and not after them.
  func check() { OutputPaths.check(asked.map { ($0.text, $0.path) }) }

  /// Writes what a command has found in every format that was asked for.
  func write(_ document: ReportDocument) { document.write(to: requests) }
}

extension ReportDocument {
  /// Ends the program where a report cannot be written.
  func write(to requests: [ReportRequest]) {
    do {
      try Recorders(requests.map { $0.recorder() }).record(.document(self))
    } catch {
      fail("\(error)", ExitStatus.unavailable)
    }
  }
}

/// The JSON of a report, or the end of the program.
func rendered(_ text: () throws -> String) -> String {
  do { return try text() } catch { fail("the report cannot be written as JSON: \(error)", ExitStatus.internalError) }
}
