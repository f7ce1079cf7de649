/// When an append is acknowledged, and what an acknowledgement promises.
public enum SyncPolicy: Hashable, Sendable {
  /// Acknowledged once it is durable: nothing acknowledged is lost in a power cut.
  case always
  /// Acknowledged once written; synced so that a power cut loses at most what was acknowledged in the
  /// last `Duration` before it. Covers an idle tail too.
  case interval(Duration)
  /// Acknowledged once written, never synced: a power cut leaves some prefix.
  case never
}

extension SyncPolicy: CustomStringConvertible {
  /// `always`, `interval(100ms)`, `never`: the notation of scenarios and reports.
  public var description: String {
    switch self {
    case .always: "always"
    case .interval(let d): "interval(\(DurationText.render(d)))"
    case .never: "never"
    }
  }

  /// Reads the notation of `description`; `interval` alone means `interval(100ms)`, the default of the Streamhouse
  /// runbook. Nil where the text is none of these or the interval is not positive.
  public init?(_ text: String) {
    switch text {
    case "always": self = .always
    case "never": self = .never
    case "interval": self = .interval(.milliseconds(100))
    default:
      guard text.hasPrefix("interval("), text.hasSuffix(")"),
        let d = DurationText.parse(String(text.dropFirst("interval(".count).dropLast())), d > .zero
      else { return nil }
      self = .interval(d)
    }
  }
}

extension SyncPolicy: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let policy = SyncPolicy(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "`\(text)` is no sync policy")
    }
    self = policy
  }

  /// In the notation of `description`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// Durations as people write them: `250us`, `100ms`, `30s`, `10m`.
public enum DurationText {
  private static let units: [(suffix: String, nanoseconds: Int64)] = [
    ("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
  ]

  /// What `parse` reads, as a regular expression.
  public static let pattern = "[0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h)"

  /// Nil for anything but digits (with an optional fraction) and one of ns, us, ms, s, m, h.
  public static func parse(_ text: String) -> Duration? {
    let number = text.prefix { $0.isNumber || $0 == "." }
    let suffix = text.dropFirst(number.count)
    guard let value = Double(number), value.isFinite, value >= 0,
      let unit = units.first(where: { $0.suffix == suffix }), value * Double(unit.nanoseconds) < 9e18
    else { return nil }
    return .nanoseconds(Int64((value * Double(unit.nanoseconds)).rounded()))
  }

  /// The largest unit that divides the duration evenly: `.milliseconds(100)` is `100ms`.
  public static func render(_ duration: Duration) -> String {
    let n = duration.nanoseconds
    let unit = units.last { n != 0 && n % $0.nanoseconds == 0 } ?? units[0]
    return "\(n / unit.nanoseconds)\(unit.suffix)"
  }
}

/// What recovery does where acknowledged data is damaged.
public enum RecoveryPolicy: String, Hashable, Sendable, Codable, CaseIterable {
  /// Report and quarantine the damaged batches, keep everything after them (Streamhouse runbook).
  case skipCorrupted = "skip-corrupted"
  /// Report, keep what stands before the first damage, set the rest aside (airunner runbook).
  case truncateAtCorruption = "truncate-at-corruption"
}

/// The format in which an engine keeps the logs of its partitions: its own, or that of a system of the seed documents.
public enum LogSystem: String, Hashable, Sendable, Codable, CaseIterable {
  /// Batches in segments, with what recovery needs to tell a torn tail from damage.
  case tornlog
  /// Streamhouse runbook: a file of records without offsets.
  case streamhouse
  /// Airunner runbook: a job's log; an event's sequence number is its offset + 1.
  case airunner
  /// Chronik investigation, version 2 of the format: a batch a record.
  case chronik
  /// Chronik investigation, version 1: a message a record.
  case chronikV1 = "chronik-v1"
  /// Replay-buffer plan: a transaction a request.
  case replayBuffer = "replay-buffer"

  /// What the system's document says, or decides where the user does not.
  public var syncPolicy: SyncPolicy { self == .streamhouse ? .interval(.milliseconds(100)) : .always }
  public var recoveryPolicy: RecoveryPolicy { self == .airunner ? .truncateAtCorruption : .skipCorrupted }
  /// Whether a request is one record, with a checksum over all of its messages: they are there together or not at all.
  /// Where it is not, each message is on its own.
  public var requestsAreAtomic: Bool { self == .tornlog || self == .chronik }
}

/// How a trial ends the life of an engine.
public enum CrashKind: String, Hashable, Sendable, Codable, CaseIterable {
  /// The engine is closed in order.
  case none
  /// The process dies; the kernel and its page cache live on.
  case processKill = "process-kill"
  /// The machine dies: what was not synced may be gone.
  case powerLoss = "power-loss"
  /// The process has no memory left, and dies of its next allocation, wherever that is; on real files only. What it
  /// means for a log is what a killed process means: in a history it is one.
  case outOfMemory = "out-of-memory"
  /// The engine is closed in order, and then the machine dies: what the close has promised is put to the test. In a
  /// history it is a power loss behind an answered close.
  case powerLossAfterClose = "power-loss-after-close"

  /// Whether what was not synced may be gone.
  public var losesPower: Bool { self == .powerLoss || self == .powerLossAfterClose }
  /// Whether it cuts the work of the engine off; otherwise the engine has been closed first.
  public var isAbrupt: Bool { self != .none && self != .powerLossAfterClose }
  /// What a history has of it.
  public var recorded: CrashKind {
    switch self {
    case .powerLossAfterClose: .powerLoss
    case .outOfMemory: .processKill
    case .none, .processKill, .powerLoss: self
    }
  }
}
