import Glibc

/// Places values along a line, by their logarithm: latencies and rates spread over decades.
public struct LogAxis: Sendable {
  let low: Double
  let high: Double
  let start: Double
  let end: Double

  /// - Parameters:
  ///   - values: greater than zero; others are left aside.
  ///   - start: the coordinate of the lowest decade, `end` that of the highest.
  init(_ values: [Double], from start: Double, to end: Double) {
    let positive = values.filter { $0 > 0 && $0.isFinite }
    let (least, most) = (positive.min() ?? 1, positive.max() ?? 10)
    low = pow(10, floor(log10(least)))
    let top = pow(10, ceil(log10(most)))
    high = top > low ? top : low * 10
    (self.start, self.end) = (start, end)
  }

  func place(_ value: Double) -> Double {
    let share = log10(max(value, low) / low) / log10(high / low)
    return start + min(1, share) * (end - start)
  }

  /// Powers of ten; every second one where there are many.
  var ticks: [Double] {
    let decades = Int(log10(high / low).rounded())
    let step = decades > 8 ? 2 : 1
    return stride(from: 0, through: decades, by: step).map { low * pow(10, Double($0)) }
  }
}
