import LogModel

/// What power cuts took from a setting.
public struct LossFigures: Hashable, Sendable, Codable {
  public var cuts: Int
  /// Acknowledged messages that were gone after recovery.
  public var messages: Spread
  /// Nanoseconds from the acknowledgement of the oldest lost message to the cut.
  public var time: Spread
  /// What was exposed at the same moments, as the storage interface shows it.
  public var exposedMessages: Spread
  public var exposedTime: Spread
  /// The most, in nanoseconds, by which a loss was longer than what was exposed, or shorter than it would be if every
  /// sync in flight had reached the medium. Zero: recovery and storage agree.
  public var widestGap: Int64
  /// The most, in nanoseconds, by which a loss was longer than the promise, the slowest sync of that life and the
  /// machine's delays explain.
  public var beyond: Int64

  package init(
    cuts: Int, messages: Spread, time: Spread, exposedMessages: Spread, exposedTime: Spread, widestGap: Int64,
    beyond: Int64
  ) {
    (self.cuts, self.messages, self.time) = (cuts, messages, time)
    (self.exposedMessages, self.exposedTime) = (exposedMessages, exposedTime)
    (self.widestGap, self.beyond) = (widestGap, beyond)
  }

  private enum CodingKeys: String, CodingKey {
    case cuts, messages, exposedMessages
    case time = "nanoseconds"
    case exposedTime = "exposedNanoseconds"
    case widestGap = "widestGapNanoseconds"
    case beyond = "beyondNanoseconds"
  }
}

extension LossFigures {
  init(_ losses: [PowerCut]) {
    self.init(
      cuts: losses.count, messages: Spread(losses.map { Int64($0.messages) }),
      time: Spread(losses.map(\.time.nanoseconds)),
      exposedMessages: Spread(losses.map { Int64($0.exposed.messages) }),
      exposedTime: Spread(losses.map(\.exposed.time.nanoseconds)),
      widestGap: losses.map(\.gap).max() ?? 0, beyond: losses.map(\.beyond.nanoseconds).max() ?? 0)
  }
}
