import LogModel

/// The metrics `wal.*` of seed 001, over all jobs of a process.
public final class DeliveryMetrics: @unchecked Sendable {
  // Owned by the loop of the logs that it counts for.

  /// `wal.appends.total`
  public private(set) var appends = 0
  /// `wal.append.duration`: upper limits of the buckets, and the appends in each; the last bucket has no limit.
  public private(set) var appendDurations = [Int](repeating: 0, count: buckets.count + 1)
  public private(set) var appendDurationSum = Duration.zero
  /// `wal.pending.events`
  public internal(set) var pendingEvents = 0
  /// `wal.retries.total`
  public internal(set) var retries = 0
  /// `wal.failures.total`: events that the receiver has refused for good.
  public internal(set) var failures = 0
  /// `wal.archive.size.bytes`
  public internal(set) var archiveBytes: Int64 = 0

  /// The seed's limits, 10 ms (alert) and 20 ms (red), are among them.
  public static let buckets: [Duration] = [1, 2, 5, 10, 20, 50, 100, 1000].map { .milliseconds($0) }

  public init() {}

  func noteAppend(_ duration: Duration) {
    appends += 1
    appendDurationSum += duration
    appendDurations[Self.buckets.firstIndex { duration <= $0 } ?? Self.buckets.count] += 1
  }

  /// The smallest limit of a bucket below or at which this share of the appends was, 0 ... 1; nil beyond the last limit, and
  /// where there was no append.
  public func appendDuration(quantile: Double) -> Duration? {
    var seen = 0
    for (limit, count) in zip(Self.buckets, appendDurations) {
      seen += count
      if appends > 0, Double(seen) >= quantile * Double(appends) { return limit }
    }
    return nil
  }
}
