import Histogram
import LogModel

/// Latencies in nanoseconds, from the moment at which a message was to be sent to its acknowledgement.
public struct LatencyFigures: Hashable, Sendable, Codable {
  public var messages: Int
  public var p50: Int64
  public var p90: Int64
  public var p99: Int64
  public var p999: Int64
  public var longest: Int64
}

extension LatencyFigures {
  init(_ histogram: Histogram<UInt64>) {
    func at(_ percentile: Double) -> Int64 {
      histogram.totalCount == 0 ? 0 : Int64(clamping: histogram.valueAtPercentile(percentile))
    }
    self.init(
      messages: Int(histogram.totalCount), p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), longest: at(100))
  }

  /// - Parameter latencies: in nanoseconds.
  package init(_ latencies: [Int64]) {
    var histogram = Self.histogram()
    for latency in latencies { histogram.record(UInt64(max(1, latency))) }
    self.init(histogram)
  }

  /// From 1 ns to an hour, to three digits.
  static func histogram() -> Histogram<UInt64> {
    Histogram<UInt64>(highestTrackableValue: 3_600_000_000_000, numberOfSignificantValueDigits: .three)
  }
}

/// Values of which the usual, the rare and the worst matter.
public struct Spread: Hashable, Sendable, Codable {
  public var count: Int
  public var median: Int64
  public var p99: Int64
  public var longest: Int64

  /// Of no values: all are zero.
  public init(_ values: [Int64]) {
    let sorted = values.sorted()
    count = sorted.count
    func at(_ share: Double) -> Int64 {
      sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int((Double(sorted.count) * share).rounded(.up)) - 1)]
    }
    (median, p99, longest) = (at(0.5), at(0.99), sorted.last ?? 0)
  }

  /// - Parameter longest: one that was seen in another way; it stands where it is longer than those of the values.
  package init(_ values: [Int64], longest: Int64) { self = Spread(values).with(longest: longest) }

  /// With the longest one that was seen in another way, where that is longer.
  func with(longest other: Int64) -> Spread {
    var spread = self
    spread.longest = max(longest, other)
    return spread
  }
}
