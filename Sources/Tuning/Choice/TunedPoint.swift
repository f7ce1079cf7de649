import LogModel

/// One setting, measured.
public struct TunedPoint<Setting: TunedSetting>: Hashable, Sendable, Codable {
  /// One of several short runs, between which the other settings ran.
  public struct Round: Hashable, Sendable, Codable {
    public var capacity: Double
    public var p99: Int64

    private enum CodingKeys: String, CodingKey {
      case capacity
      case p99 = "p99Nanoseconds"
    }

    public init(capacity: Double, p99: Int64) { (self.capacity, self.p99) = (capacity, p99) }
  }

  public var setting: Setting
  /// Messages a second with producers that never pause.
  public var capacity: Double
  /// `capacity` beside that of the setting that promises most, with the same load, in the same run.
  public var timesAlways: Double?
  /// At the rate that was asked for.
  public var atRate: LoadFigures
  /// The rounds by themselves, in order: a disturbed machine shows here.
  public var rounds: [Round]
  /// Of simulated power cuts; nil where none was made.
  public var loss: LossFigures?
  /// Promises that were broken, other than by a loss that is too long; nil for none.
  public var broken: [String]?

  public init(
    setting: Setting, capacity: Double, timesAlways: Double?, atRate: LoadFigures, rounds: [Round], loss: LossFigures?
  ) {
    (self.setting, self.capacity, self.timesAlways) = (setting, capacity, timesAlways)
    (self.atRate, self.rounds, self.loss) = (atRate, rounds, loss)
  }

  /// The longest loss that was seen, by exposure or by a cut, in nanoseconds; nil where there is no limit.
  public var worstTime: Int64? {
    setting.promisedLoss == nil
      ? nil : max(Setting.countsExposure ? atRate.exposedTime.longest : 0, loss?.time.longest ?? 0)
  }

  public var worstMessages: Int64? {
    setting.promisedLoss == nil
      ? nil : max(Setting.countsExposure ? atRate.exposedMessages.longest : 0, loss?.messages.longest ?? 0)
  }

  /// What a report shows as lost: where there is no limit, and exposure does not count, what cuts have taken. Nil for
  /// all.
  var shownTime: Int64? { worstTime ?? (Setting.countsExposure ? nil : loss?.time.longest) }
  var shownMessages: Int64? { worstMessages ?? (Setting.countsExposure ? nil : loss?.messages.longest) }

  /// Whether the longest loss that was seen is within the promise. On a disk whose flush takes longer than an interval
  /// no engine can keep that interval.
  public var keepsPromise: Bool {
    guard let promise = setting.promisedLoss, let worst = worstTime, let messages = worstMessages else { return true }
    return promise == .zero ? messages == 0 : worst <= promise.nanoseconds
  }

  /// Whether it did what it promises, however slow the disk: power cuts took no more than its promise and its syncs
  /// explain, what the storage interface saw explains each loss, and nothing else was broken.
  public var isSound: Bool {
    (loss?.beyond ?? 0) == 0 && (loss?.widestGap ?? 0) == 0 && (setting.promisedLoss != .zero || keepsPromise)
      && (broken ?? []).isEmpty
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
      && (broken ?? []).isEmpty
  }
}

/// A setting of the engine, measured.
public typealias TuningPoint = TunedPoint<LoadSetting>
