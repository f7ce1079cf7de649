/// One timed slice: how much was done, and how long it took.
public struct Measure: Hashable, Sendable {
  /// Records for appends, bytes for scans.
  public var units: Double
  /// On the monotonic clock, more than 0.
  public var nanoseconds: Int64

  public init(units: Double, nanoseconds: Int64) {
    precondition(units > 0 && nanoseconds > 0, "a measure of nothing has no rate")
    self.units = units
    self.nanoseconds = nanoseconds
  }

  /// Units a second.
  public var rate: Double { units * 1e9 / Double(nanoseconds) }
}

/// The values of several rounds. The median speaks for them: one disturbed round does not move it.
public struct Sample: Hashable, Sendable, Encodable {
  public let median: Double
  public let minimum: Double
  public let maximum: Double
  public let rounds: Int

  public init(_ values: [Double]) {
    precondition(!values.isEmpty, "a sample has at least one value")
    let sorted = values.sorted()
    let middle = sorted.count / 2
    median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    minimum = sorted[0]
    maximum = sorted[sorted.count - 1]
    rounds = sorted.count
  }

  /// Half the way from the lowest to the highest round, as a part of the median: 0.1 reads as ± 10 %.
  public var spread: Double { median == 0 ? 0 : (maximum - minimum) / 2 / median }
}

/// How a subject compares with one reference over interleaved rounds.
public struct Ratio: Hashable, Sendable {
  public var reference: String
  public var sample: Sample
  /// The reference's own rate, units a second.
  public var referenceRate: Sample

  /// The reference is measured once more than the subject, before and after each of its rounds. A round's ratio is
  /// the subject's rate over the mean of the two references beside it, so that a machine that slows down or speeds
  /// up during the run slows both.
  public init(reference: String, subject: [Measure], around references: [Measure]) {
    precondition(references.count == subject.count + 1, "a reference before and after each round")
    self.reference = reference
    sample = Sample(
      subject.indices.map { i in subject[i].rate / ((references[i].rate + references[i + 1].rate) / 2) })
    referenceRate = Sample(references.map(\.rate))
  }

  init(reference: String, sample: Sample, referenceRate: Sample) {
    self.reference = reference
    self.sample = sample
    self.referenceRate = referenceRate
  }
}
