/// What `tornlog bench` was asked for.
public struct BenchOptions: Hashable, Sendable {
  public enum Part: String, Hashable, Sendable, CaseIterable {
    case append, scan, recovery, partitions, commits
  }

  /// Where the files are written: an existing directory on the disk that the figures are about.
  public var directory: String
  public var quick: Bool
  /// nil: everything.
  public var only: Part?
  /// Rounds of subject and references for each row.
  public var rounds: Int
  /// Nanoseconds that one timed slice should take; a slice below the timer's and the scheduler's noise says nothing.
  public var slice: Int64
  /// Bytes of the log that is scanned.
  public var scanBytes: Int

  public static let roundLimits = 1...1000

  /// - Parameter rounds: nil for the default, 5, or 3 with `quick`.
  public init(directory: String = ".", quick: Bool = false, only: Part? = nil, rounds: Int? = nil) throws(BenchError) {
    if let rounds, !Self.roundLimits.contains(rounds) {
      throw .invalidOption("--rounds", value: String(rounds), expected: "a number from 1 to 1000")
    }
    self.directory = directory
    self.quick = quick
    self.only = only
    self.rounds = rounds ?? (quick ? 3 : 5)
    slice = quick ? 40_000_000 : 80_000_000
    scanBytes = quick ? 128 << 20 : 500 << 20
  }
}
