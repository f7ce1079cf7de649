import LogModel

/// What a bench run found. `tornlog bench` exits with `exitCode`.
public struct BenchTable: Hashable, Sendable {
  public var directory: String
  /// `ext4`, `tmpfs` ...
  public var fileSystem: String
  public var rows: [BenchRow] = []
  public var openings: [OpeningRow] = []
  public var commits: [CommitRow] = []
  public var recoveries: [RecoveryRow] = []
  var count: Int { rows.count + openings.count + commits.count + recoveries.count }
  /// What the reader must know about the references: what could be registered, what was left out.
  public var notices: [String] = []
  /// Rows that there were to be.
  public var planned: Int?
  /// Whether the run was interrupted before all of them had been measured.
  public var isInterrupted = false

  public init(directory: String, fileSystem: String) {
    self.directory = directory
    self.fileSystem = fileSystem
  }

  public var missed: [BenchRow] { rows.filter { $0.verdict == .missed } }
  public var noisy: [BenchRow] { rows.filter { $0.verdict == .noisy } }
  /// 1 where a target is missed, 2 where the rounds of a row disagree too much, 130 after an interruption, otherwise 0.
  public var exitCode: Int32 {
    isInterrupted
      ? 130
      : Noise.exitCode(
        rows.compactMap(\.verdict) + peerRatios.compactMap(\.verdict) + openings.map(\.verdict) + commits.map(\.verdict)
          + recoveries.compactMap(\.verdict)
      )
  }
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
    /// The rounds disagree too much; see `Noise`.
    case noisy
  }

  public var subject: String
  /// nil: a scan.
  public var load: AppendLoad?
  /// Messages a second, or bytes a second for a scan.
  public var rate: Sample
  /// The first is the one that the row is read by, unless a target names another.
  public var ratios: [Ratio]
  public var target: Target?
  /// How often it was measured; the calmest measurement is shown.
  public var measurements = 1
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

  /// By the median, where the rounds agree. A target whose reference was not measured is missed: nothing shows that it
  /// is met. A row without a target is noisy, or has no verdict.
  public var verdict: TargetVerdict? {
    guard let target else { return Noise.isNoisy(primary?.sample.spread ?? 0) ? .noisy : nil }
    guard let primary else { return .missed }
    return Noise.verdict(spread: primary.sample.spread, isReached: primary.sample.median >= target.minimum)
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

/// How much more a load gets through under one policy than under `always`, both measured in this run; minutes may lie
/// between them.
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
