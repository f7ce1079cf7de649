import LogModel

/// How lives follow each other, how the load goes on, and on what.
public struct LoadAxes: Hashable, Sendable, Codable {
  /// How the second life ends; nil: as the first.
  public var secondCrash: CrashKind?
  /// The sync policy of the lives behind the first; nil: as that.
  public var laterSync: SyncPolicy?
  /// How long a producer waits after an answer before its next request.
  public var pace = Duration.zero
  /// Bytes of the first zero-fill ahead of commits; 0 for none.
  public var preallocation = LoadAxes.usualPreallocation
  /// How long a commit waits for more requests after its first.
  public var commitWindow = Duration.zero
  /// Where the log of every partition begins: what came before has been deleted.
  public var firstOffset = 0

  /// Bytes of the first zero-fill, where nothing else is said.
  public static let usualPreallocation = 256 << 10
  /// A longer pause between two requests is no load.
  static let longestPace = Duration.seconds(60)
  /// A longer wait is no group commit.
  static let longestCommitWindow = Duration.seconds(1)

  public init() {}
}

extension AxisDescriptor {
  static let ofLoad: [AxisDescriptor] = [secondCrash, laterSync, pace, preallocation, firstOffset, commitWindow]

  public static let secondCrash = AxisDescriptor(
    "second-crash", \.load.secondCrash, .optional(.word("second crash"), none: "same"), token: .ifUnusual("c2"),
    place: .crash("second"), isSeeded: true, smaller: { $0 == nil ? [] : [nil] },
    storageNeed: { $0.secondCrash == .outOfMemory ? .files : nil }, meaning: "how the second life ends"
  ) { settings in
    guard let second = settings.secondCrash else { return nil }
    if settings.isOfAnotherProgram { return onlyOfAnEngine }
    return second == .outOfMemory ? needOfOneProcess(settings) : nil
  }

  public static let laterSync = AxisDescriptor(
    "later-sync", \.load.laterSync, .optional(.syncPolicy, none: "same"), token: .ifUnusual("ls"), isSeeded: true,
    smaller: { $0 == nil ? [] : [nil] },
    meaning: "the sync policy of the lives behind the first. What the first one promised stays promised"
  ) { settings in
    guard settings.laterSync != nil else { return nil }
    if settings.isOfAnotherProgram { return onlyOfAnEngine }
    return settings.system == .tornlog
      ? nil : "system: tornlog, for only that log says under which policy it was written"
  }

  public static let pace = AxisDescriptor(
    "pace", \.load.pace, .wait(atMost: LoadAxes.longestPace), token: .ifUnusual("pa"), place: .workload, isSeeded: true,
    smaller: { $0 == .zero ? [] : [.zero] }, meaning: "how long a producer waits after each answer"
  ) { $0.pace != .zero && $0.isOfAnotherProgram ? onlyOfAnEngine : nil }

  public static let preallocation = AxisDescriptor(
    "preallocation", \.load.preallocation, .size(0...(64 << 20), multipleOf: 512), token: .ifUnusual("pr"),
    place: .workload, isSeeded: true,
    smaller: { $0 == LoadAxes.usualPreallocation ? [] : [LoadAxes.usualPreallocation] },
    meaning: "bytes of the first zero-fill ahead of commits. Each later one is twice as long. Under `sync: always`"
  ) { settings in
    guard settings.preallocation != LoadAxes.usualPreallocation else { return nil }
    if settings.isOfAnotherProgram { return onlyOfAnEngine }
    return settings.sync == .always && settings.system == .tornlog
      ? nil : "sync: always and system: tornlog, for no other log is zero-filled"
  }

  public static let commitWindow = AxisDescriptor(
    "commit-window", \.load.commitWindow, .wait(atMost: LoadAxes.longestCommitWindow), token: .ifUnusual("cw"),
    place: .workload, isSeeded: true, smaller: { $0 == .zero ? [] : [.zero] },
    drawn: [.microseconds(500), .milliseconds(20)],
    meaning: "how long a commit waits for more requests after its first. `tornlog tune` measures what it costs"
  ) { settings in
    guard settings.commitWindow != .zero else { return nil }
    if settings.isOfAnotherProgram { return onlyOfAnEngine }
    return settings.system == .tornlog ? nil : "system: tornlog, for no other log commits in groups"
  }

  public static let firstOffset = AxisDescriptor(
    "first-offset", \.load.firstOffset, .firstOffset, token: .ifUnusual("fo"), place: .workload, isSeeded: true,
    smaller: { $0 == 0 ? [] : [0] }, meaning: "where the log of every partition begins"
  ) { settings in
    guard settings.firstOffset != 0 else { return nil }
    if settings.isOfAnotherProgram { return onlyOfAnEngine }
    return settings.system == .tornlog && settings.checkpoint == .none
      ? nil : "system: tornlog and no checkpoint, for only such a log is begun by the harness"
  }
}

extension AxisNotation<Duration> {
  /// `none`, or a duration.
  fileprivate static func wait(atMost longest: Duration) -> Self {
    @Sendable func duration(_ text: String) -> Duration? {
      if text == "none" { return .zero }
      guard let wait = DurationText.parse(text), wait > .zero, wait <= longest else { return nil }
      return wait
    }
    let most = DurationText.render(longest)
    return AxisNotation(
      form: AxisForm(
        .words, words: ["none"], pattern: DurationText.pattern, text: ", or a duration of at most \(most)"),
      parse: { (text, name, _) throws(ScenarioProblem) in
        guard let wait = duration(text) else {
          throw .malformed(text, of: name, expected: "none, or a duration like 5ms, at most \(most)")
        }
        return wait
      },
      render: { .text($0 == .zero ? "none" : DurationText.render($0)) }, restore: { duration($0.description) },
      write: { DurationText.render($0) }, read: { text, _ in duration(text) })
  }
}

extension AxisNotation<Int> {
  private static var offsets: ClosedRange<Int> { 0...(1 << 62) }

  /// `2147483600`, `2^31`, `2^31-48`, `2^31+5`
  fileprivate static var firstOffset: Self {
    integer(
      AxisForm(.number(offsets), pattern: #"2\^[0-9]+([+-][0-9]+)?"#, text: ", or a form like `2^31-48`")
    ) { (text, name) throws(ScenarioProblem) in
      guard text.hasPrefix("2^") else { return try ScenarioFormat.integer(text, of: name, allowed: offsets) }
      let words = text.dropFirst(2)
      let exponent = words.prefix { $0.isASCII && $0.isNumber }
      let rest = words.dropFirst(exponent.count)
      guard let power = Int(exponent), (0...62).contains(power), rest.isEmpty || "+-".contains(rest.first ?? " ") else {
        throw .malformed(text, of: name, expected: "a whole number, or one like 2^31-48")
      }
      var offset = 1 << power
      if let sign = rest.first {
        let distance = try ScenarioFormat.integer(String(rest.dropFirst()), of: name, allowed: 0...(1 << 61))
        offset += sign == "-" ? -distance : distance
      }
      guard offsets.contains(offset) else { throw .outOfRange(offset, of: name, allowed: offsets) }
      return offset
    }
  }
}
