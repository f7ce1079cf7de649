import LogModel

/// What a matrix can vary, by the names of scenarios and reports.
public enum Axis: String, Hashable, Sendable, CaseIterable {
  case messages, partitions, sync, recovery, crash
  case crashAt = "crash-at"
  case secondCrash = "second-crash"
  case storage, defect, fault, writers, checkpoint, producers, batch
  case messageSize = "message-size"
  case system, client, keys, deletion, readers, pace, preallocation
  case firstOffset = "first-offset"
  case laterSync = "later-sync"

  static let names = allCases.map(\.rawValue)
}

/// A value on an axis, in the one notation that reports, tokens and `-k` share: sizes are bytes.
public enum AxisValue: Hashable, Sendable, CustomStringConvertible {
  case integer(Int)
  case text(String)

  public var description: String {
    switch self {
    case .integer(let n): String(n)
    case .text(let s): s
    }
  }
}

/// One axis of one cell.
public struct AxisSetting: Hashable, Sendable, CustomStringConvertible {
  public var axis: Axis
  public var value: AxisValue

  public init(_ axis: Axis, _ value: AxisValue) {
    self.axis = axis
    self.value = value
  }

  /// `messages=100`
  public var description: String { "\(axis.rawValue)=\(value)" }
}

/// On which storage a cell runs.
public enum StorageName: String, Hashable, Sendable, CaseIterable {
  case ring, posix, memory
}

/// When in the workload the crash comes.
public enum CrashPoint: Hashable, Sendable, CustomStringConvertible {
  /// After the last message was answered.
  case end
  /// As soon as this share of the messages was acknowledged; from 1 to 99.
  case percent(Int)
  /// As soon as this many messages were acknowledged.
  case messages(Int)

  /// `end`, `50%`, `37`
  public init?(_ text: String) {
    if text == "end" {
      self = .end
    } else if text.hasSuffix("%"), let n = Int(text.dropLast()), (1...99).contains(n) {
      self = .percent(n)
    } else if let n = Int(text), n >= 0 {
      self = .messages(n)
    } else {
      return nil
    }
  }

  public var description: String {
    switch self {
    case .end: "end"
    case .percent(let n): "\(n)%"
    case .messages(let n): String(n)
    }
  }

  /// How many acknowledged messages of `total` it waits for.
  public func messages(of total: Int) -> Int {
    switch self {
    case .end: total
    case .percent(let n): total * n / 100
    case .messages(let n): min(n, total)
    }
  }
}

extension Axis {
  /// The numbers that an axis of numbers takes, sizes in bytes; of other axes none.
  public var numbers: ClosedRange<Int> {
    switch self {
    case .messages: 1...1_000_000_000
    case .partitions, .producers: 1...10_000
    case .batch: 1...1_000_000
    case .messageSize: 0...(64 << 20)
    case .preallocation: 0...(64 << 20)
    case .firstOffset: 0...(1 << 62)
    case .readers: 0...8
    case .sync, .recovery, .crash, .crashAt, .secondCrash, .pace, .storage, .defect, .fault, .writers, .checkpoint, .system, .client,
      .keys, .deletion, .laterSync:
      0...0
    }
  }

  /// Reads one value as it stands in a scenario, in `-k` or after an option of the command line.
  public func parse(_ text: String, vocabulary: Vocabulary) throws(ScenarioProblem) -> AxisValue {
    func word(_ noun: String, _ known: [String]) throws(ScenarioProblem) -> AxisValue {
      guard known.contains(text) else { throw .unknownWord(text, of: noun, known: known) }
      return .text(text)
    }
    switch self {
    case .messages, .partitions, .producers, .batch, .readers: return .integer(try number(text, numbers))
    case .messageSize:
      guard let bytes = byteCount(text) else {
        throw .malformed(text, of: rawValue, expected: "a size like 100B, 1KB or 1KiB")
      }
      guard numbers.contains(bytes) else { throw .outOfRange(bytes, of: "message-size", allowed: numbers) }
      return .integer(bytes)
    case .laterSync where text == Self.sameSync: return .text(text)
    case .sync, .laterSync:
      if let policy = SyncPolicy(text) { return .text(policy.description) }
      if text.hasPrefix("interval(") { throw .malformed(text, of: rawValue, expected: "interval(100ms)") }
      throw .unknownWord(text, of: "sync policy", known: ["always", "interval(100ms)", "never"])
    case .recovery: return try word("recovery policy", RecoveryPolicy.allCases.map(\.rawValue))
    case .crash: return try word("crash kind", CrashKind.allCases.map(\.rawValue))
    case .secondCrash: return try word("second crash", [Self.sameCrash] + CrashKind.allCases.map(\.rawValue))
    case .pace: return .text(try readPace(text))
    case .preallocation: return .integer(try readPreallocation(text))
    case .firstOffset: return .integer(try readFirstOffset(text))
    case .storage: return try word("storage", StorageName.allCases.map(\.rawValue))
    case .writers: return try word("writers", WriterSetup.allCases.map(\.rawValue))
    case .system: return try word("system", LogSystem.allCases.map(\.rawValue))
    case .client: return try word("client", ["none"] + TrialClient.allCases.map(\.rawValue))
    case .keys: return try word("keys", MessageKeys.allCases.map(\.rawValue))
    case .deletion: return try word("deletion", DeletionSetup.allCases.map(\.rawValue))
    case .checkpoint: return try word("checkpoint", CheckpointSetup.allCases.map(\.rawValue))
    case .defect:
      // Several at once are `C4+P9`.
      let ids = text.split(separator: "+", omittingEmptySubsequences: false).map(String.init)
      for id in ids where ids.count > 1 && !vocabulary.defects.contains(id) {
        throw .unknownWord(id, of: "defect", known: vocabulary.defects)
      }
      if ids.count > 1, let reason = vocabulary.defectClash(text) { throw .impossibleWord(text, of: "defect", because: reason) }
      return ids.count > 1 ? .text(text) : try word("defect", ["none"] + vocabulary.defects)
    // One of the scenario's own `fault-cases`: its parser checks the name.
    case .fault: return .text(text)
    case .crashAt:
      guard let point = CrashPoint(text) else {
        throw .malformed(text, of: rawValue, expected: "end, a share like 50%, or a number of messages")
      }
      return .text(point.description)
    }
  }

  private func number(_ text: String, _ allowed: ClosedRange<Int>) throws(ScenarioProblem) -> Int {
    try integer(text, of: rawValue, allowed: allowed)
  }
}

/// Digits only: no sign, no underscore, no octal, no 22:30.
func integer(_ text: String, of noun: String, allowed: ClosedRange<Int>) throws(ScenarioProblem) -> Int {
  guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let n = Int(text) else {
    throw .malformed(text, of: noun, expected: "a whole number")
  }
  guard allowed.contains(n) else { throw .outOfRange(n, of: noun, allowed: allowed) }
  return n
}

/// `100`, `100B`, `1KB` (1000), `1KiB` (1024), `1MB`, `1MiB`, `1GB`, `1GiB`; nil for anything else.
public func byteCount(_ text: String) -> Int? {
  let units = ["": 1, "B": 1, "KB": 1000, "KiB": 1024, "MB": 1_000_000, "MiB": 1 << 20, "GB": 1_000_000_000, "GiB": 1 << 30]
  let digits = text.prefix { $0.isASCII && $0.isNumber }
  guard let n = Int(digits), let unit = units[String(text.dropFirst(digits.count))] else { return nil }
  let (bytes, overflow) = n.multipliedReportingOverflow(by: unit)
  return overflow ? nil : bytes
}
