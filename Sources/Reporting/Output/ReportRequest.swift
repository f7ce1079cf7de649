import Glibc

/// One `--report FORMAT[=PATH]`.
public struct ReportRequest: Hashable, Sendable {
  public var format: ReportFormat
  /// Nil: standard output.
  public var path: String?

  public init(_ format: ReportFormat, path: String? = nil) {
    self.format = format
    self.path = path
  }

  /// - Parameter formats: what the command offers.
  /// - Throws: `unknownFormat`, which names them, and `emptyPath`.
  public init(_ text: String, of formats: [ReportFormat] = ReportFormat.allCases) throws(ReportError) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let format = ReportFormat(rawValue: parts[0]), formats.contains(format) else {
      throw .unknownFormat(parts[0], supported: formats.map(\.rawValue))
    }
    if parts.count == 2, parts[1].isEmpty { throw .emptyPath(format: parts[0]) }
    self.format = format
    path = parts.count == 2 ? parts[1] : nil
  }

  /// As the user wrote it.
  public var text: String { format.rawValue + (path.map { "=\($0)" } ?? "") }

  /// The requests of a command. A person who reads standard output gets the terminal's report there, unless something
  /// else goes there, or the terminal's report has been sent to a file.
  public static func completed(_ requests: [Self]) -> [Self] {
    let isTaken = requests.contains { $0.path == nil || $0.format == .terminal }
    return isTaken ? requests : [ReportRequest(.terminal)] + requests
  }

  /// The recorder that serves it. `style` is for the terminal's format; into a file it goes without colour unless
  /// that was asked for.
  public func recorder(style: TerminalStyle = TerminalStyle()) -> any RunRecorder {
    let sequences = format == .terminal ? style.sequences : []
    let sink: any ReportSink =
      path.map { AtomicFileSink(path: $0) }
      ?? DescriptorSink.standardOutput(sequences: sequences, wraps: format == .terminal)
    switch format {
    case .json: return JSONRecorder(sink)
    case .junit: return JUnitRecorder(sink)
    case .markdown: return MarkdownRecorder(sink)
    case .html: return HTMLRecorder(sink)
    case .openmetrics: return OpenMetricsRecorder(sink)
    case .dataLoss: return DataLossRecorder(sink)
    case .recoveryTime: return RecoveryTimeRecorder(sink)
    case .terminal where style.isOfRandomTrials:
      return RandomRunRecorder(path == nil ? sink : CollectingSink(into: sink))
    case .terminal:
      guard path != nil else { return TerminalRecorder(sink, style: style) }
      return TerminalRecorder(CollectingSink(into: sink), style: style)
    }
  }
}

/// Gathers what is written piece by piece, for a sink that takes a whole report.
final class CollectingSink: ReportSink {
  private let target: any ReportSink
  private var text = ""

  init(into target: any ReportSink) { self.target = target }

  func write(_ piece: String) throws(ReportError) { text += piece }

  func finish() throws(ReportError) { try target.write(text) }
}

/// `--color` and `--progress`.
public enum Presence: String, Hashable, Sendable, CaseIterable {
  case auto, always, never

  /// Whether to colour: `auto` does on a terminal, unless NO_COLOR is set and not empty (https://no-color.org) or
  /// TERM is `dumb`.
  public func colours(isTerminal: Bool, environment: [String: String]) -> Bool {
    switch self {
    case .always: true
    case .never: false
    case .auto: isTerminal && environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb"
    }
  }
}
