import LogModel

/// What one readback, or several merged, came to. Codable: each restart may be judged in a process of its own.
public struct Judgement: Hashable, Sendable, Codable {
  public var verdict: Verdict
  /// In the order of `CheckName.allCases`; a check that the trial gave no occasion for at all is absent.
  public var checks: [CheckResult]
  /// Of the first restart, or of the live readback where that is all there is; `lost`, `duplicated`, `reordered`,
  /// `phantom` and the corrupt are the maximum over all readbacks.
  public var counts: MessageCounts
  /// As found by the readback that `counts` are of.
  public var partitions: [PartitionState]
  /// Distinct messages consumed intact before any crash; nil where nobody looked then.
  public var consumedLive: Int?
  /// Of the same readback, unlike `counts.lost`.
  public var losses: [PartitionLoss]
  /// The restart that `counts`, `partitions` and `losses` are of.
  public var countedRestart: Int
  /// What all readbacks together have seen.
  public var looked = LookedAt()

  public init(
    checks: [CheckResult], counts: MessageCounts = MessageCounts(), partitions: [PartitionState] = [],
    losses: [PartitionLoss] = [], countedRestart: Int = 0
  ) {
    let isOrdered = zip(checks, checks.dropFirst()).allSatisfy { $0.name.place < $1.name.place }
    self.checks = isOrdered ? checks : Judgement.ordered(checks)
    self.counts = counts
    self.partitions = partitions
    self.losses = losses
    self.countedRestart = countedRestart
    verdict = Judgement.verdict(of: checks)
  }

  public subscript(name: CheckName) -> CheckResult? { checks.first { $0.name == name } }

  /// Several results of one check are put together.
  private static func ordered(_ checks: [CheckResult]) -> [CheckResult] {
    checks.reduce([]) { merged($0, [$1]) }
  }

  /// Combines this with the judgement of another readback. Of two violations of one check the earlier readback's is
  /// kept.
  public func merged(with other: Judgement) -> Judgement {
    let base = countsAreBetter(than: other) ? self : other
    var merged = Judgement(
      checks: Judgement.merged(checks, other.checks),
      counts: base.counts, partitions: base.partitions, losses: base.losses, countedRestart: base.countedRestart)
    merged.consumedLive = consumedLive ?? other.consumedLive
    merged.looked = looked + other.looked
    let worse = counts.lost >= other.counts.lost ? counts : other.counts
    (merged.counts.lost, merged.counts.lostLater) = (worse.lost, worse.lostLater)
    merged.counts.duplicated = max(counts.duplicated, other.counts.duplicated)
    merged.counts.reordered = max(counts.reordered, other.counts.reordered)
    merged.counts.phantom = max(counts.phantom, other.counts.phantom)
    merged.counts.corruptServed = max(counts.corruptServed, other.counts.corruptServed)
    merged.counts.corruptReported = max(counts.corruptReported, other.counts.corruptReported)
    return merged
  }

  /// The same with each check as `change` leaves it.
  public func with(_ change: (CheckResult) -> CheckResult) -> Judgement {
    var changed = self
    changed.checks = checks.map(change)
    changed.verdict = Judgement.verdict(of: changed.checks)
    return changed
  }

  /// Adds a check that the runner judges itself.
  public func adding(_ check: CheckResult) -> Judgement {
    merged(with: Judgement(checks: [check], countedRestart: .max))
  }

  /// Of two lists in the order of `CheckName.allCases` the one of both.
  private static func merged(_ first: [CheckResult], _ second: [CheckResult]) -> [CheckResult] {
    var all: [CheckResult] = []
    all.reserveCapacity(max(first.count, second.count))
    var (i, j) = (0, 0)
    while i < first.count || j < second.count {
      let (a, b) = (i < first.count ? first[i].name.place : .max, j < second.count ? second[j].name.place : .max)
      all.append(a == b ? combined(first[i], second[j]) : a < b ? first[i] : second[j])
      if a <= b { i += 1 }
      if b <= a { j += 1 }
    }
    return all
  }

  /// The first restart is what the counts are of; then the live readback, then the earliest there is.
  private func countsAreBetter(than other: Judgement) -> Bool {
    func rank(_ restart: Int) -> Int { restart == 1 ? 0 : restart == 0 ? 1 : restart }
    return rank(countedRestart) <= rank(other.countedRestart)
  }

  private static func combined(_ a: CheckResult, _ b: CheckResult) -> CheckResult {
    let verdict = a.verdict.combined(with: b.verdict)
    switch (a.verdict == verdict, b.verdict == verdict) {
    case (true, true):
      // A remark counts more than a check that had something to find, and that more than a vacuous one.
      if verdict == .held { return a.remark != nil || (b.remark == nil && a.detail.isEmpty) ? a : b }
      return (a.divergence?.restart ?? 0) <= (b.divergence?.restart ?? 0) ? a : b
    case (true, false): return a
    default: return b
    }
  }

  static func verdict(of checks: [CheckResult]) -> Verdict {
    checks.isEmpty ? .unknown : checks.reduce(.held) { $0.combined(with: $1.verdict) }
  }
}

extension CheckResult {
  /// The detail of a check that held because there was nothing that could have been wrong.
  static let vacuous = "the trial gave this check nothing to judge"

  /// What the reader must know of a check that held; nil for most.
  public var remark: String? { verdict == .held && !detail.isEmpty && detail != Self.vacuous ? detail : nil }
}

/// The checks that only the runner can judge.
extension CheckResult {
  /// - Parameters:
  ///   - restart: 0 for the first opening, of an empty directory.
  ///   - refusal: why the engine did not open; nil where it opened.
  ///   - files: that the refusal is about.
  public static func recoveryCompletes(restart: Int, refusal: String?, files: [String] = []) -> CheckResult {
    let moment = restart == 0 ? "on an empty directory" : "after restart \(restart)"
    var check = CheckResult.found(
      .recoveryCompletes, refusal == nil ? .held : .violated,
      refusal.map { "the engine must open \(moment), found: \($0)" } ?? "")
    if check.verdict == .violated { (check.restart, check.files) = (restart, files) }
    return check
  }

  /// Of an engine that refused to open while both copies of its metadata were damaged at one place, as it must where
  /// nobody can know what stood there, and that opened once one of them had been put back.
  /// - Parameter refusal: why it had not opened.
  public static func recoveryCompletes(restart: Int, oncePutBack refusal: String) -> CheckResult {
    CheckResult(
      .recoveryCompletes, .held,
      "both copies of the metadata were damaged at one record; the engine refused to open after restart \(restart) "
        + "(\(refusal)), "
        + "and opened once one copy had been put back")
  }

  /// Of a log that is larger than what a recovery may take; a smaller one says nothing.
  /// - Parameters:
  ///   - used: bytes, the most while the engine opened, above what there was before.
  ///   - limit: what it may take.
  ///   - log: bytes that it has read.
  public static func boundedMemory(used: Int, limit: Int, log: Int) -> CheckResult {
    .found(
      .boundedMemory, used <= limit ? .held : .violated,
      used <= limit ? "" : "recovery of \(log) bytes of log may take at most \(limit) bytes of memory, found \(used)")
  }

  /// - Parameter death: how the engine's process ended by itself (`signal 11`); nil where it lived.
  public static func noEngineCrash(death: String?) -> CheckResult {
    .found(
      .noEngineCrash, death == nil ? .held : .violated,
      death.map { "the engine's process must live until the trial ends it, found: \($0)" } ?? "")
  }

  /// A result of a check that no readback is needed for.
  static func found(
    _ name: CheckName, _ verdict: Verdict, _ detail: String, file: StaticString = #fileID, line: UInt = #line
  ) -> CheckResult {
    #if DEBUG
      if OracleMutation.isSilent(file, line) { return CheckResult(name, .held) }
    #endif
    return CheckResult(name, verdict, detail)
  }

  /// A check that nobody could judge.
  public static func unknown(_ name: CheckName, because reason: String) -> CheckResult {
    CheckResult(name, .unknown, reason)
  }
}
