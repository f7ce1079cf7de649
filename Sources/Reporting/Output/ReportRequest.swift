import Glibc

/// One `--report FORMAT[=PATH]`.
public struct ReportRequest: Hashable, Sendable {
  public enum Format: String, Hashable, Sendable, CaseIterable {
    case terminal, json, junit, openmetrics
    case dataLoss = "data-loss"
    case recoveryTime = "recovery-time"
  }

  public var format: Format
  /// Nil: standard output.
  public var path: String?

  public init(_ text: String) throws(ReportError) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let format = Format(rawValue: parts[0]) else {
      throw .unknownFormat(parts[0], supported: Format.allCases.map(\.rawValue))
    }
    if parts.count == 2, parts[1].isEmpty { throw .emptyPath(format: parts[0]) }
    self.format = format
    path = parts.count == 2 ? parts[1] : nil
  }

  /// Finds out before the run what would otherwise cost its report afterwards: that the path cannot be written.
  public func checkPath() throws(ReportError) {
    if let path { try ReportPath.check(path) }
  }

  /// The recorder that serves it. `style` is for the terminal's format; into a file it goes without colour unless
  /// that was asked for.
  public func recorder(style: TerminalStyle) -> any RunRecorder {
    let sequences = format == .terminal ? style.sequences : []
    let sink: any ReportSink =
      path.map { AtomicFileSink(path: $0) } ?? DescriptorSink.standardOutput(sequences: sequences)
    switch format {
    case .json: return JSONRecorder(sink)
    case .junit: return JUnitRecorder(sink)
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
