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

  /// A round's ratio is the subject's rate over the mean of the reference's rates before and after it, so that a
  /// machine that slows down or speeds up during the run slows both.
  public init(reference: String, subject: [Measure], before: [Measure], after: [Measure]) {
    precondition(before.count == subject.count && after.count == subject.count, "a reference on both sides of a round")
    self.reference = reference
    sample = Sample(subject.indices.map { i in subject[i].rate / ((before[i].rate + after[i].rate) / 2) })
    referenceRate = Sample((before + after).map(\.rate))
  }

  /// A reference that is measured once more than the subject: each of its slices is the end of one round and the
  /// beginning of the next.
  public init(reference: String, subject: [Measure], around references: [Measure]) {
    self.init(
      reference: reference, subject: subject, before: Array(references.dropLast()), after: Array(references.dropFirst())
    )
    referenceRate = Sample(references.map(\.rate))
  }

  init(reference: String, sample: Sample, referenceRate: Sample) {
    self.reference = reference
    self.sample = sample
    self.referenceRate = referenceRate
  }
}
