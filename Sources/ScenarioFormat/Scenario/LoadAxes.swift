import LogModel

/// The axes `second-crash`, `later-sync`, `pace`, `preallocation` and `first-offset`: how the load goes on, and on
/// what.
extension Axis {
  /// Of `second-crash`: the second life ends as the first.
  static let sameCrash = "same"
  /// Of `later-sync`: the lives behind the first have its policy too.
  static let sameSync = "same"
  /// Bytes of the first zero-fill, where nothing else is said.
  public static let usualPreallocation = 256 << 10
  /// Zero-fills begin and end at multiples of it.
  static let preallocationUnit = 512
  /// A longer pause between two requests is no load.
  static let longestPace = Duration.seconds(60)

  /// `none`, or a duration.
  public static func text(pace: Duration) -> String { pace == .zero ? "none" : DurationText.render(pace) }

  /// The reverse of `text(pace:)`; nil for anything else.
  public static func duration(ofPace text: String) -> Duration? {
    if text == "none" { return .zero }
    guard let pace = DurationText.parse(text), pace > .zero, pace <= longestPace else { return nil }
    return pace
  }

  func readPace(_ text: String) throws(ScenarioProblem) -> String {
    guard let pace = Self.duration(ofPace: text) else {
      let longest = DurationText.render(Self.longestPace)
      throw .malformed(text, of: rawValue, expected: "none, or a duration like 5ms, at most \(longest)")
    }
    return Self.text(pace: pace)
  }

  func readPreallocation(_ text: String) throws(ScenarioProblem) -> Int {
    guard let bytes = byteCount(text), bytes % Self.preallocationUnit == 0 else {
      throw .malformed(
        text, of: rawValue, expected: "0, or a size that is a multiple of \(Self.preallocationUnit) bytes, like 8KiB")
    }
    guard numbers.contains(bytes) else { throw .outOfRange(bytes, of: rawValue, allowed: numbers) }
    return bytes
  }

  /// `2147483600`, `2^31`, `2^31-48`, `2^31+5`
  func readFirstOffset(_ text: String) throws(ScenarioProblem) -> Int {
    guard text.hasPrefix("2^") else { return try integer(text, of: rawValue, allowed: numbers) }
    let words = text.dropFirst(2)
    let exponent = words.prefix { $0.isASCII && $0.isNumber }
    let rest = words.dropFirst(exponent.count)
    guard let power = Int(exponent), (0...62).contains(power), rest.isEmpty || "+-".contains(rest.first ?? " ") else {
      throw .malformed(text, of: rawValue, expected: "a whole number, or one like 2^31-48")
    }
    var offset = 1 << power
    if let sign = rest.first {
      let distance = try integer(String(rest.dropFirst()), of: rawValue, allowed: 0...(1 << 61))
      offset += sign == "-" ? -distance : distance
    }
    guard numbers.contains(offset) else { throw .outOfRange(offset, of: rawValue, allowed: numbers) }
    return offset
  }
}

/// What a trial says on these axes, and on those that they depend on.
public struct LoadSettings: Hashable, Sendable {
  public var crash: CrashKind
  public var crashAtEnd: Bool
  public var secondCrash: CrashKind?
  public var pace: Duration
  public var preallocation: Int
  public var firstOffset: Int
  public var sync: SyncPolicy
  public var laterSync: SyncPolicy?
  public var system: LogSystem
  public var checkpoint: CheckpointSetup
  /// A job's log and its sender, or another program, stand in the place of an engine with partitions.
  public var isOfAnotherProgram: Bool

  public init(
    crash: CrashKind, crashAtEnd: Bool, secondCrash: CrashKind?, pace: Duration, preallocation: Int, firstOffset: Int,
    sync: SyncPolicy, laterSync: SyncPolicy?, system: LogSystem, checkpoint: CheckpointSetup, isOfAnotherProgram: Bool
  ) {
    (self.crash, self.crashAtEnd, self.secondCrash, self.pace) = (crash, crashAtEnd, secondCrash, pace)
    (self.preallocation, self.firstOffset, self.sync, self.system) = (preallocation, firstOffset, sync, system)
    (self.checkpoint, self.isOfAnotherProgram, self.laterSync) = (checkpoint, isOfAnotherProgram, laterSync)
  }

  /// What cannot be, and would be passed over: the axis, its value, and what is expected. Nil where there is no such
  /// thing.
  public var problem: (axis: Axis, value: String, expected: String)? {
    let isClosed = crash == .powerLossAfterClose
    if isOfAnotherProgram {
      let expected = "to be left out, for only an engine with partitions has it"
      if isClosed { return (.crash, crash.rawValue, expected) }
      if let secondCrash { return (.secondCrash, secondCrash.rawValue, expected) }
      if pace != .zero { return (.pace, Axis.text(pace: pace), expected) }
      if preallocation != Axis.usualPreallocation { return (.preallocation, "\(preallocation)", expected) }
      if firstOffset != 0 { return (.firstOffset, "\(firstOffset)", expected) }
      if let laterSync { return (.laterSync, laterSync.description, expected) }
      return nil
    }
    if isClosed, !crashAtEnd {
      return (.crash, crash.rawValue, "crash-at: end, for an engine is closed when its work is done")
    }
    if preallocation != Axis.usualPreallocation, sync != .always || system != .tornlog {
      return (.preallocation, "\(preallocation)", "sync: always and system: tornlog, for no other log is zero-filled")
    }
    if firstOffset != 0, system != .tornlog || checkpoint != .none {
      let expected = "system: tornlog and no checkpoint, for only such a log is begun by the harness"
      return (.firstOffset, "\(firstOffset)", expected)
    }
    if let laterSync, system != .tornlog {
      let expected = "system: tornlog, for only that log says under which policy it was written"
      return (.laterSync, laterSync.description, expected)
    }
    return nil
  }
}

extension Cell {
  var load: LoadSettings {
    LoadSettings(
      crash: crash, crashAtEnd: crashAt == .end, secondCrash: secondCrash, pace: pace, preallocation: preallocation,
      firstOffset: firstOffset, sync: sync, laterSync: laterSync, system: system, checkpoint: checkpoint,
      isOfAnotherProgram: delivery != nil || client != nil)
  }
}

extension SourceReader {
  /// - Parameter entry: to name where an axis stands that is none of the matrix.
  mutating func noteLoadContradictions(of scenario: Scenario, _ entry: SourceNode.Entry?) {
    for cell in scenario.cells() {
      guard let problem = cell.load.problem else { continue }
      let dimension = scenario.dimensions.first { $0.axis == problem.axis }
      let value = dimension?.values.firstIndex { $0.description == problem.value }
      let own = value.flatMap { dimension?.valuePositions[$0] } ?? dimension?.position
      guard let place = own ?? entry?.keyPosition else { continue }
      return note(place, .malformed(problem.value, of: problem.axis.rawValue, expected: problem.expected))
    }
  }
}
