import LogModel
import Synchronization

/// A count that only grows: events, retries, failures. From any thread, without a lock and without an allocation.
public final class Counter: Sendable {
  private let count = Atomic<Int64>(0)

  public init() {}

  /// - Precondition: `n` is not negative.
  public func add(_ n: Int = 1) {
    precondition(n >= 0, "a counter never goes back")
    count.wrappingAdd(Int64(n), ordering: .relaxed)
  }

  public var value: Int { Int(count.load(ordering: .relaxed)) }
}

/// A number that goes up and down: what is pending, bytes on a disk. From any thread, without an allocation.
public final class Gauge: Sendable {
  private let bits = Atomic<UInt64>(0)

  public init() {}

  public var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

  public func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

  public func set(_ value: some BinaryInteger) { set(Double(value)) }

  public func add(_ n: Double) {
    var seen = bits.load(ordering: .relaxed)
    while true {
      let (done, now) = bits.compareExchange(
        expected: seen, desired: (Double(bitPattern: seen) + n).bitPattern, ordering: .relaxed)
      if done { return }
      seen = now
    }
  }

  public func add(_ n: some BinaryInteger) { add(Double(n)) }
}

/// How often a measurement fell into each of a few classes, and the sum of all. From any thread, without an allocation.
public final class Histogram: Sendable {
  /// The classes at one moment.
  public struct Reading: Hashable, Sendable {
    /// Upper limits, ascending; a class holds what is at or below its limit. The last class, which has none, is not
    /// among them.
    public var limits: [Double]
    /// Measurements of each class alone, one more than limits.
    public var counts: [Int]
    public var sum: Double

    public var count: Int { counts.reduce(0, +) }

    /// The smallest limit below or at which this share of the measurements was, 0 ... 1; nil beyond the last limit, and
    /// where nothing was measured.
    public func limit(ofQuantile quantile: Double) -> Double? {
      let all = count
      var seen = 0
      for (limit, count) in zip(limits, counts) {
        seen += count
        if all > 0, Double(seen) >= quantile * Double(all) { return limit }
      }
      return nil
    }
  }

  private struct State {
    var counts: [Int]
    var sum = 0.0
  }

  public let limits: [Double]
  private let state: Mutex<State>

  /// - Precondition: `limits` ascend, and are finite.
  public init(limits: [Double]) {
    precondition(zip(limits, limits.dropFirst()).allSatisfy { $0 < $1 }, "the limits of a histogram ascend")
    precondition(limits.allSatisfy(\.isFinite), "the class without a limit is there by itself")
    self.limits = limits
    state = Mutex(State(counts: [Int](repeating: 0, count: limits.count + 1)))
  }

  /// - Precondition: `value` is a number, and not negative: a sum of such ones only grows.
  public func note(_ value: Double) {
    precondition(value >= 0 && value.isFinite, "a histogram takes finite numbers from 0 on")
    var place = 0
    while place < limits.count, value > limits[place] { place += 1 }
    state.withLock {
      $0.counts[place] += 1
      $0.sum += value
    }
  }

  /// In seconds.
  public func note(_ duration: Duration) { note(max(0, duration.inSeconds)) }

  public var reading: Reading {
    state.withLock { Reading(limits: limits, counts: $0.counts, sum: $0.sum) }
  }
}
