/// How far a tuning run is.
public struct TuningProgress: Sendable {
  public var title: String
  /// Of the whole run, from 0 to 1.
  public var share: Double
  public var secondsLeft: Double

  public init(title: String, share: Double, secondsLeft: Double) {
    (self.title, self.share, self.secondsLeft) = (title, share, secondsLeft)
  }
}

/// Everything that a tuning run found.
public struct TunedResult<Setting: TunedSetting>: Sendable, Codable {
  public var requirements: Requirements
  public var isThorough: Bool
  /// Nil for a simulated disk.
  public var disk: DiskFigures?
  public var points: [TunedPoint<Setting>] = []
  public var recommendation = Recommendation()
  /// Indices into `points`.
  public var front: [Int] = []
  public var seconds = 0.0
  /// A signal ended it: there are fewer points, and no recommendation.
  public var isInterrupted = false
  /// Whether every setting did what it promises.
  public var isSound: Bool { points.allSatisfy(\.isSound) }
  /// `signal`; nil where everything was measured.
  public var stoppedBy: String?
  /// What a reader must know beside the figures; nil for nothing.
  public var notes: [String]?

  private enum CodingKeys: String, CodingKey {
    case requirements, disk, points, recommendation, front, seconds, stoppedBy, notes
    case isThorough = "thorough"
    case isInterrupted = "interrupted"
  }

  /// Nothing is measured yet.
  public init(_ requirements: Requirements, isThorough: Bool) {
    (self.requirements, self.isThorough) = (requirements, isThorough)
  }

  public mutating func addNote(_ note: String) { notes = (notes ?? []) + [note] }

  /// Recommends, by the points that there are.
  public mutating func choose() {
    recommendation = Recommendation(points, requirements)
    front = Recommendation.front(points, requirements)
  }

  public mutating func interrupt() { (isInterrupted, stoppedBy) = (true, "signal") }
}

/// What a tuning run of the engine found.
public typealias TuningResult = TunedResult<LoadSetting>
