/// The formats of reports. A command offers those that make sense for it.
public enum ReportFormat: String, Hashable, Sendable, CaseIterable {
  case terminal, json, markdown, junit, openmetrics, html
  case dataLoss = "data-loss"
  case recoveryTime = "recovery-time"

  /// What a command offers that runs trials.
  public static let ofTrials: [Self] = allCases.filter { $0 != .html }
  /// What a command offers whose document has a page with plots.
  public static let ofPlots: [Self] = ofDocuments + [.html]
  /// What a command offers that found one document.
  public static let ofDocuments: [Self] = [.terminal, .json, .markdown, .junit]

  /// Whether a program reads it: on standard output it must stand alone.
  public var isForPrograms: Bool {
    switch self {
    case .json, .junit, .openmetrics, .markdown, .html: true
    case .terminal, .dataLoss, .recoveryTime: false
    }
  }
}
