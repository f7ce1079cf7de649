import LogModel

/// One setting, measured.
public struct TuningPoint: Hashable, Sendable, Codable {
  /// One of several short runs, between which the other settings ran.
  public struct Round: Hashable, Sendable, Codable {
    public var capacity: Double
    public var p99: Int64

    private enum CodingKeys: String, CodingKey {
      case capacity
      case p99 = "p99Nanoseconds"
    }
  }

  public var setting: LoadSetting
  /// Messages a second with producers that never pause.
  public var capacity: Double
  /// `capacity` beside that of `always` with the same producers and batches, in the same run.
  public var timesAlways: Double?
  /// At the rate that was asked for.
  public var atRate: LoadFigures
  /// The rounds by themselves, in order: a disturbed machine shows here.
  public var rounds: [Round]
  /// Of simulated power cuts; nil where none was made.
  public var loss: LossFigures?

  /// The longest loss that was seen, by exposure or by a cut, in nanoseconds; nil where there is no limit.
  public var worstTime: Int64? {
    setting.promisedLoss == nil ? nil : max(atRate.exposedTime.longest, loss?.time.longest ?? 0)
  }

  public var worstMessages: Int64? {
    setting.promisedLoss == nil ? nil : max(atRate.exposedMessages.longest, loss?.messages.longest ?? 0)
  }

  /// Whether the longest loss that was seen is within the promise. On a disk whose flush takes longer than an interval
  /// no engine can keep that interval.
  public var keepsPromise: Bool {
    guard let promise = setting.promisedLoss, let worst = worstTime, let messages = worstMessages else { return true }
    return promise == .zero ? messages == 0 : worst <= promise.nanoseconds
  }

  /// Whether the engine did what its policy says, however slow the disk: power cuts took no more than its promise
  /// and its syncs explain, and what the storage interface saw explains each loss.
  public var isSound: Bool {
    (loss?.beyond ?? 0) == 0 && (loss?.widestGap ?? 0) == 0 && (setting.policy != .always || keepsPromise)
  }

  /// Whether anything was measured at the rate, and whether power cuts were made.
  var isMeasured: Bool { atRate.latency.messages > 0 && (loss != nil || setting.promisedLoss == nil) }

  /// Whether it carries the rate with room to spare.
  public func carries(_ requirements: Requirements) -> Bool {
    capacity >= requirements.workload.rate * Requirements.headroom
  }

  public func isFastEnough(_ requirements: Requirements) -> Bool {
    atRate.latency.p99 <= requirements.p99.nanoseconds
  }

  /// By its promise and by what was seen: either alone may be luck.
  public func isSafeEnough(_ requirements: Requirements) -> Bool {
    guard let promise = setting.promisedLoss, let time = worstTime, let messages = worstMessages else { return false }
    switch requirements.loss {
    case .nothing: return promise == .zero && messages == 0
    case .time(let limit): return promise <= limit && time <= limit.nanoseconds
    case .messages(let limit):
      return messages <= Int64(limit) && promise.inSeconds * requirements.workload.rate <= Double(limit)
    }
  }

  /// In how many of its rounds it carried the rate and was fast enough.
  func goodRounds(_ requirements: Requirements) -> Int {
    rounds.count {
      $0.capacity >= requirements.workload.rate * Requirements.headroom && $0.p99 <= requirements.p99.nanoseconds
    }
  }

  public func meets(_ requirements: Requirements) -> Bool {
    isMeasured && carries(requirements) && isFastEnough(requirements) && isSafeEnough(requirements) && keepsPromise
  }
}
