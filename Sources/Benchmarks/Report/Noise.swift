/// What a row of a bench run is worth. The median of a row's rounds says something only where the rounds agree. On a
/// disk that others use too, rounds have differed by 60 % under targets that the same machine met an hour later.
public enum Noise {
  /// Half the way from the lowest to the highest round, as a part of the median; a row above it is not judged.
  public static let limit = 0.3
  /// How often one row is measured at the most.
  public static let mostMeasurements = 3

  public enum Decision: Hashable, Sendable {
    /// This measurement, by its index, stands for the row.
    case take(Int)
    case measureAgain
    /// None of them can be judged; the calmest, by its index, is shown.
    case noisy(calmest: Int)
  }

  /// - Parameter spreads: of the measurements of one row so far, in their order; at least one.
  public static func decide(_ spreads: [Double]) -> Decision {
    precondition(!spreads.isEmpty, "a row that was measured")
    // By its spread and never by its ratio: the one that looks best would be chosen otherwise.
    let calmest = spreads.indices.min { spreads[$0] < spreads[$1] } ?? 0
    if spreads[calmest] <= limit { return .take(calmest) }
    return spreads.count < mostMeasurements ? .measureAgain : .noisy(calmest: calmest)
  }

  public static func isNoisy(_ spread: Double) -> Bool { spread > limit }

  /// - Parameter isReached: whether the median reaches the target.
  public static func verdict(spread: Double, isReached: Bool) -> BenchRow.TargetVerdict {
    isNoisy(spread) ? .noisy : isReached ? .met : .missed
  }

  /// The verdict of all rows together, as an exit code (COMMANDS): 1 a target was missed, 2 there is no verdict on one.
  public static func exitCode(_ verdicts: [BenchRow.TargetVerdict]) -> Int32 {
    verdicts.contains(.missed) ? 1 : verdicts.contains(.noisy) ? 2 : 0
  }
}
