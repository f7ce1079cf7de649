import LogModel

/// What a bench run found. `tornlog bench` exits with `exitCode`.
public struct BenchTable: Hashable, Sendable {
  public var directory: String
  /// `ext4`, `tmpfs` ...
  public var fileSystem: String
  public var rows: [BenchRow] = []
  public var openings: [OpeningRow] = []
  public var recoveries: [RecoveryRow] = []
  var count: Int { rows.count + openings.count + recoveries.count }
  /// What the reader must know about the references: what could be registered, what was left out.
  public var notices: [String] = []

  public init(directory: String, fileSystem: String) {
    self.directory = directory
    self.fileSystem = fileSystem
  }

  public var missed: [BenchRow] { rows.filter { $0.verdict == .missed } }
  /// 1 where a target is missed, otherwise 0 (COMMANDS).
  public var exitCode: Int32 { missed.isEmpty && openings.allSatisfy(\.isMet) ? 0 : 1 }
}

/// One subject under one load, against its references.
public struct BenchRow: Hashable, Sendable {
  public struct Target: Hashable, Sendable {
    public var minimum: Double
    /// The name of the reference that the target is a multiple of.
    public var reference: String

    public init(minimum: Double, reference: String) {
      self.minimum = minimum
      self.reference = reference
    }
  }

  public enum TargetVerdict: String, Hashable, Sendable, Encodable {
    case met, missed
  }

  public var subject: String
  /// nil: a scan.
  public var load: AppendLoad?
  /// Messages a second, or bytes a second for a scan.
  public var rate: Sample
  /// The first is the one that the row is read by, unless a target names another.
  public var ratios: [Ratio]
  public var target: Target?
  var explanations: [RawReference]

  init(
    subject: String, load: AppendLoad?, rate: Sample, ratios: [Ratio], target: Target?,
    explanations: [RawReference] = []
  ) {
    self.subject = subject
    self.load = load
    self.rate = rate
    self.ratios = ratios
    self.target = target
    self.explanations = explanations
  }

  /// The ratio that the target is about; without a target, the first.
  public var primary: Ratio? {
    guard let target else { return ratios.first }
    return ratios.first { $0.reference == target.reference }
  }

  /// By the median. A target whose reference was not measured is missed: nothing shows that it is met.
  public var verdict: TargetVerdict? {
    guard let target else { return nil }
    guard let primary else { return .missed }
    return primary.sample.median >= target.minimum ? .met : .missed
  }
}

extension AppendLoad: CustomStringConvertible {
  /// `always, 16 producers, 1 KB, batches of 100`
  public var description: String {
    let size = recordSize == 1024 ? "1 KB" : "\(recordSize) B"
    return "\(policy), \(producers) producer\(producers == 1 ? "" : "s"), \(size), "
      + (batch == 1 ? "single messages" : "batches of \(batch)")
  }
}

/// How much more a load gets through under one policy than under `always`, both measured in this run; minutes may lie between
/// them.
public struct PolicyRatio: Hashable, Sendable {
  /// With the faster policy.
  public var load: AppendLoad
  public var timesAlways: Double
}

extension BenchTable {
  public var policyRatios: [PolicyRatio] {
    rows.compactMap { row in
      guard let load = row.load, load.policy != .always else { return nil }
      var strict = load
      strict.policy = .always
      guard let always = rows.first(where: { $0.load == strict && $0.subject == row.subject }) else { return nil }
      return PolicyRatio(load: load, timesAlways: row.rate.median / always.rate.median)
    }
  }
}
