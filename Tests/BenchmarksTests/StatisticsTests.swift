import LogModel
import Testing

@testable import Benchmarks

@Suite struct StatisticsTests {
  @Test func `the median of an odd and of an even number of rounds`() {
    #expect(Sample([3, 1, 2]).median == 2)
    #expect(Sample([4, 1, 2, 3]).median == 2.5)
    #expect(Sample([7]).median == 7)
  }

  @Test func `the spread is half of the range as a part of the median`() {
    let sample = Sample([90, 100, 110, 100])
    #expect(sample.spread == 0.1)
    #expect((sample.minimum, sample.maximum, sample.rounds) == (90, 110, 4))
  }

  @Test func `one disturbed round does not move the median`() {
    #expect(Sample([1.0, 1.1, 90, 1.05, 1.02]).median == 1.05)
  }

  @Test func `a machine that slows down during the run slows both, and the ratio stays`() {
    // The subject always does twice the rate of the machine at its moment; the machine's rate falls evenly.
    let references = [100.0, 80, 60, 40].map { Measure(units: $0, nanoseconds: 1_000_000_000) }
    let subject = [180.0, 140, 100].map { Measure(units: $0, nanoseconds: 1_000_000_000) }
    let ratio = Ratio(reference: "REF", subject: subject, around: references)
    #expect(ratio.sample == Sample([2, 2, 2]))
    #expect(ratio.referenceRate.median == 70)
  }

  @Test(arguments: [(0.9999, "0.99"), (1.0, "1.00"), (0.29, "0.29"), (12.345, "12.34"), (0.05, "0.05")])
  func `a ratio is cut and never rounded up to its target`(value: Double, text: String) {
    #expect(fixed(value, 2) == text)
  }

  @Test func `thousands are grouped`() {
    #expect(grouped(999) == "999")
    #expect(grouped(1_234_567.4) == "1 234 567")
    #expect(grouped(1_000_005) == "1 000 005")
  }
}
