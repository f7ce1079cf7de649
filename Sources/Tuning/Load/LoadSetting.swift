import LogModel

/// What producers send, whatever the engine's settings are.
public struct Workload: Hashable, Sendable, Codable {
  /// Messages a second, all producers together.
  public var rate: Double
  /// Bytes of one message.
  public var messageSize: Int
  public var partitions: Int

  public init(rate: Double, messageSize: Int, partitions: Int) {
    (self.rate, self.messageSize, self.partitions) = (rate, messageSize, partitions)
  }

  /// Bytes of the largest produce request that is measured: the engine takes some more.
  public static let largestRequest = 240_000

  /// Whether the engine takes requests of so many of these messages.
  public func fits(batch: Int) -> Bool { batch * (messageSize + 8) <= Self.largestRequest }

  /// Seconds from one request of a producer to its next: its batch has to fill.
  public func secondsToFill(_ setting: LoadSetting) -> Double { Double(setting.batch * setting.producers) / rate }
}

/// One way of running the engine.
public struct LoadSetting: Hashable, Sendable, Codable {
  public var policy: SyncPolicy
  /// How long a commit waits for more batches, in nanoseconds; see `LogConfiguration.commitWindow`.
  public var commitWindow: Int64
  /// Messages in one produce request.
  public var batch: Int
  /// Callers that each wait for the acknowledgement of a request before they send the next.
  public var producers: Int

  private enum CodingKeys: String, CodingKey {
    case policy, batch, producers
    case commitWindow = "commitWindowNanoseconds"
  }

  public init(_ policy: SyncPolicy, commitWindow: Duration = .zero, batch: Int, producers: Int) {
    self.policy = policy
    self.commitWindow = commitWindow.nanoseconds
    (self.batch, self.producers) = (batch, producers)
  }

  /// What a power cut may take, as the policy promises; nil for no limit.
  public var promisedLoss: Duration? {
    switch policy {
    case .always: .zero
    case .interval(let limit): limit
    case .never: nil
    }
  }

  /// `interval(20ms)`, `always, 500us window`.
  public var name: String {
    commitWindow == 0 ? "\(policy)" : "\(policy), \(DurationText.render(.nanoseconds(commitWindow))) window"
  }
}
