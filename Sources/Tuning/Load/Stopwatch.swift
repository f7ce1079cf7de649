import LogModel

/// Seconds on the machine's own clock.
package struct Stopwatch {
  private let start = ContinuousClock.now
  package var seconds: Double { (ContinuousClock.now - start).inSeconds }

  package init() {}
}
