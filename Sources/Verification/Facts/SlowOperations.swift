import LogModel

/// An operation that the device kept from completing for some time.
public struct SlowOperation: Hashable, Sendable, Codable {
  public var endedAt: Instant
  public var took: Duration

  public init(endedAt: Instant, took: Duration) { (self.endedAt, self.took) = (endedAt, took) }
}

/// The slowest operations of a life: each took longer than all that ended after it. Others decide no loss window.
public struct SlowOperations: Hashable, Sendable {
  /// Kept at the most; of more the oldest two count as one that ended with the second and took as long as the first.
  public static let most = 8
  /// By rising end, and falling time.
  public private(set) var all: [SlowOperation]

  public init(_ all: [SlowOperation] = []) { self.all = all }

  /// The longest time of all; zero for none.
  public var longest: Duration { all.first?.took ?? .zero }

  /// - Returns: whether it changed anything.
  @discardableResult
  public mutating func note(_ operation: SlowOperation) -> Bool {
    if all.contains(where: { $0.endedAt >= operation.endedAt && $0.took >= operation.took }) { return false }
    all.removeAll { $0.endedAt <= operation.endedAt && $0.took <= operation.took }
    all.insert(operation, at: all.firstIndex { $0.endedAt > operation.endedAt } ?? all.count)
    if all.count > Self.most {
      all[1].took = all[0].took
      all.removeFirst()
    }
    return true
  }
}

extension Crash {
  /// The longest that the device kept an operation which ended after `instant`: only such a one can have kept the
  /// engine from syncing in time what was acknowledged then.
  func delay(after instant: Instant) -> Duration {
    guard let slowOperations else { return deviceDelay }
    return slowOperations.lazy.filter { $0.endedAt > instant }.map(\.took).max() ?? .zero
  }
}
