import Synchronization

/// All metrics of a process, in the order in which they were asked for first.
///
/// A series is there, with 0, from the moment on in which it was asked for: an alert on the increase of a counter
/// cannot see the first event of a counter that only comes with it.
public final class MetricRegistry: Sendable {
  private enum Instrument: Sendable {
    case counter(Counter)
    case gauge(Gauge)
    case histogram(Histogram)
  }

  private struct Family: Sendable {
    var name: MetricFamilyName
    var kind: MetricKind
    var help: String
    var series: [(labels: MetricLabels, instrument: Instrument)]
  }

  private let families = Mutex<[Family]>([])

  public init() {}

  /// The counter of this name and these labels; its sample is `<name>_total`.
  /// - Precondition: nobody has asked for the name as another kind, or with another unit.
  public func counter(_ name: MetricFamilyName, help: String, labels: MetricLabels = [:]) -> Counter {
    let found = instrument(name, .counter, help, labels) { .counter(Counter()) }
    guard case .counter(let counter) = found else { preconditionFailure("\(name) is no counter") }
    return counter
  }

  /// The gauge of this name and these labels.
  /// - Precondition: as for `counter`.
  public func gauge(_ name: MetricFamilyName, help: String, labels: MetricLabels = [:]) -> Gauge {
    let found = instrument(name, .gauge, help, labels) { .gauge(Gauge()) }
    guard case .gauge(let gauge) = found else { preconditionFailure("\(name) is no gauge") }
    return gauge
  }

  /// The histogram of this name and these labels.
  /// - Precondition: as for `counter`; `limits` are those that the series was asked for with first, and no label is
  ///   `le`.
  public func histogram(
    _ name: MetricFamilyName, help: String, limits: [Double], labels: MetricLabels = [:]
  ) -> Histogram {
    precondition(!labels.pairs.contains { $0.name == "le" }, "the label le is the histogram's own")
    let found = instrument(name, .histogram, help, labels) { .histogram(Histogram(limits: limits)) }
    guard case .histogram(let histogram) = found, histogram.limits == limits else {
      preconditionFailure("\(name) is no histogram with these limits")
    }
    return histogram
  }

  private func instrument(
    _ name: MetricFamilyName, _ kind: MetricKind, _ help: String, _ labels: MetricLabels, _ make: () -> Instrument
  ) -> Instrument {
    families.withLock { families in
      guard let at = families.firstIndex(where: { $0.name.text == name.text }) else {
        let instrument = make()
        families.append(Family(name: name, kind: kind, help: help, series: [(labels, instrument)]))
        return instrument
      }
      precondition(
        families[at].kind == kind && families[at].name == name,
        "\(name) is \(families[at].kind.rawValue) already, or has another unit")
      if let known = families[at].series.first(where: { $0.labels == labels }) { return known.instrument }
      let instrument = make()
      families[at].series.append((labels, instrument))
      return instrument
    }
  }

  /// What all metrics are now. Each series is consistent in itself.
  public var snapshot: MetricSnapshot {
    families.withLock { families in
      MetricSnapshot(
        families: families.map { family in
          MetricSnapshot.Family(
            name: family.name, kind: family.kind, help: family.help,
            samples: family.series.flatMap { Self.samples(of: family.name.text, $0.labels, $0.instrument) })
        })
    }
  }

  private static func samples(
    of name: String, _ labels: MetricLabels, _ instrument: Instrument
  ) -> [MetricSnapshot.Sample] {
    switch instrument {
    case .counter(let counter):
      return [.init(name: name + "_total", labels: labels.pairs, value: .integer(counter.value))]
    case .gauge(let gauge): return [.init(name: name, labels: labels.pairs, value: .real(gauge.value))]
    case .histogram(let histogram):
      let reading = histogram.reading
      var below = 0
      var samples = zip(reading.limits + [.infinity], reading.counts).map { limit, count in
        below += count
        return MetricSnapshot.Sample(
          name: name + "_bucket", labels: labels.pairs + [(name: "le", value: OpenMetricsText.render(limit))],
          value: .integer(below))
      }
      samples.append(.init(name: name + "_count", labels: labels.pairs, value: .integer(below)))
      samples.append(.init(name: name + "_sum", labels: labels.pairs, value: .real(reading.sum)))
      return samples
    }
  }
}
