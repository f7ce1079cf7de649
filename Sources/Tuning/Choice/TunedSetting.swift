import LogModel

/// One way of running what is tuned, as the choice and the report know it.
public protocol TunedSetting: Hashable, Sendable, Codable {
  /// Sets it apart from the others.
  var name: String { get }
  /// What a power cut may take, as it promises; nil for no limit.
  var promisedLoss: Duration? { get }
  /// The one that the others are compared with: it promises that nothing is lost.
  var isReference: Bool { get }
  /// Nanoseconds that it waits for more work, whatever it promises.
  var wait: Int64 { get }
  /// Whether it is one that can be recommended.
  func isAsked(_ requirements: Requirements) -> Bool

  /// The key of the whole in the JSON report.
  static var reportKey: String { get }
  /// The command, for titles.
  static var command: String { get }
  /// Whether what was exposed under load counts as lost: whether it is exactly what a power cut would have taken.
  static var countsExposure: Bool { get }
  /// What to do about a finding.
  static var inquiry: String { get }
  /// What is said of a setting without a limit of loss.
  static var endlessPromise: String { get }
  /// The load of the requirements in words.
  static func load(_ requirements: Requirements) -> String
  /// Rows for `TunedResult.comparisonHead`: other batches and producers.
  static func comparison(of points: [TunedPoint<Self>]) -> [[String]]
  /// What documents say, and what it is here.
  static func claims(of result: TunedResult<Self>) -> [DocumentClaim]
}

extension TunedSetting {
  public var wait: Int64 { 0 }
  public func isAsked(_ requirements: Requirements) -> Bool { true }
  public static func comparison(of points: [TunedPoint<Self>]) -> [[String]] { [] }
  public static func claims(of result: TunedResult<Self>) -> [DocumentClaim] { [] }

  /// Colours of plots.
  var series: Int {
    switch promisedLoss {
    case .zero?: 2
    case nil: 1
    default: 0
    }
  }
}
