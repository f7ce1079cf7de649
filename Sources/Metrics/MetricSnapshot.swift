/// The kinds of OpenMetrics that are used here.
public enum MetricKind: String, Hashable, Sendable {
  case counter, gauge, histogram
}

/// What the metrics of a registry were at one moment.
public struct MetricSnapshot: Sendable {
  public enum Value: Hashable, Sendable {
    case integer(Int)
    case real(Double)
  }

  public struct Sample: Sendable {
    /// With the suffix of the kind: `wal_appends_total`, `wal_append_duration_seconds_bucket`.
    public var name: String
    public var labels: [(name: String, value: String)]
    public var value: Value

    /// `wal_append_duration_seconds_bucket{le="0.01"}`: what tells a series from all others.
    public var series: String {
      if labels.isEmpty { return name }
      return name + "{" + labels.map { "\($0.name)=\"\(OpenMetricsText.escape($0.value))\"" }.joined(separator: ",")
        + "}"
    }
  }

  public struct Family: Sendable {
    public var name: MetricFamilyName
    public var kind: MetricKind
    public var help: String
    public var samples: [Sample]
  }

  public var families: [Family]

  public init(families: [Family]) { self.families = families }
}
