import LogModel
import Metrics
import Storage

/// What the metrics of a run were every 15 seconds of its clock, as a scraper would have found them.
package final class MetricSeries: @unchecked Sendable {
  // Touched on the loop of the run, and after it.

  /// Seconds between two scrapes.
  package static let interval = 15

  private var names: [String] = []
  private var values: [String: [String]] = [:]
  private var scrapes = 0
  private var isOver = false

  package init() {}

  /// Takes a snapshot at once, and then at each interval until `end`.
  /// - Parameter before: called before each snapshot, for what nobody counts as it happens.
  package func begin(_ registry: MetricRegistry, _ loop: EventLoop, before: @escaping @Sendable () -> Void = {}) {
    let start = loop.now
    loop.spawn { [self] in
      while !isOver {
        before()
        take(registry.snapshot)
        await loop.sleep(until: start + .seconds(Self.interval * scrapes))
      }
    }
  }

  /// Takes no more.
  package func end() { isOver = true }

  private func take(_ snapshot: MetricSnapshot) {
    for sample in snapshot.families.flatMap(\.samples) {
      let name = sample.series
      if values[name] == nil {
        names.append(name)
        // It was not there before.
        values[name] = [String](repeating: "_", count: scrapes)
      }
      switch sample.value {
      case .integer(let n): values[name]?.append("\(n)")
      case .real(let x): values[name]?.append("\(x)")
      }
    }
    scrapes += 1
  }

  /// A series that no run has made: for rules about what is none of Tornlog's.
  package func add(_ name: String, _ notation: String) {
    names.append(name)
    values[name] = [notation]
  }

  /// As `promtool test rules` reads it.
  package var text: String {
    names.map { name in "  - series: '\(name)'\n    values: '\((values[name] ?? []).joined(separator: " "))'\n" }
      .joined()
  }
}
