import LogModel

/// What is promised, how a life of the engine ends, and what recovery does.
public struct CrashAxes: Hashable, Sendable, Codable {
  /// Of the first life.
  public var sync = SyncPolicy.always
  public var recovery = RecoveryPolicy.skipCorrupted
  /// How the first life ends.
  public var crash = CrashKind.processKill
  public var crashAt = CrashMoment.end

  public init() {}
}

extension AxisDescriptor {
  static let ofCrashes: [AxisDescriptor] = [sync, recovery, crash, crashAt]

  private static let isSystemsDefault = "Where a scenario has one `system`, that system's policy is the default"

  public static let sync = AxisDescriptor(
    "sync", \.crashes.sync, .syncPolicy, token: .always("s"), mention: .always, isExplored: true,
    meaning: "when an append is acknowledged. \(isSystemsDefault)")

  public static let recovery = AxisDescriptor(
    "recovery", \.crashes.recovery, .word("recovery policy"), token: .always("r"), mention: .always, isExplored: true,
    meaning: "what recovery does with damage: report it and keep what follows, or end the log there. "
      + isSystemsDefault)

  public static let crash = AxisDescriptor(
    "crash", \.crashes.crash, .word("crash kind"), token: .always("c"), place: .crash("kind"), mention: .always,
    storageNeed: { settings in
      if settings.crash == .outOfMemory { return .files }
      // Job logs lose power in the model only.
      return settings.delivery != nil && settings.crash == .powerLoss ? .memory : nil
    },
    meaning: "how the first life ends, and the second. `none` closes the engine. `out-of-memory` needs real files"
  ) { settings in
    if settings.crash == .powerLossAfterClose {
      if settings.isOfAnotherProgram { return onlyOfAnEngine }
      return settings.crashAt == .end ? nil : "crash-at: end, for an engine is closed when its work is done"
    }
    return settings.crash == .outOfMemory ? needOfOneProcess(settings) : nil
  }

  public static let crashAt = AxisDescriptor(
    "crash-at", \.crashes.crashAt, .crashMoment, token: .always("at"), place: .crash("at"), mention: .never,
    smaller: { $0 == .end ? [] : [.end] },
    meaning: "when: as soon as so many messages are acknowledged, or at a step of the engine's work; see "
      + "[Crashes at a step](#crashes-at-a-step)"
  ) { settings in
    guard let step = settings.crashAt.step else { return nil }
    if settings.isOfAnotherProgram || settings.delivery != nil || settings.client != nil || settings.writers != .one {
      return "end, a share or a number, for steps are those of one engine with partitions"
    }
    let kind = step.phase.life == 0 ? settings.crash : settings.secondCrash ?? settings.crash
    guard kind == .processKill || kind == .powerLoss else {
      return "end, or a crash that is process-kill or power-loss, for \(step.phase) is cut off by one of them"
    }
    if step.phase == .delete, settings.deletion == .none { return "end, or a deletion, for there is none to cut off" }
    if step.phase == .flush, settings.checkpoint == .none {
      return "end, or a checkpoint, for without an object store there is no flush to cut off"
    }
    return nil
  }

  static let onlyOfAnEngine = "to be left out, for only an engine with partitions has it"

  /// Memory is exhausted in a process of one engine.
  static func needOfOneProcess(_ settings: TrialSettings) -> String? {
    guard settings.exploration == nil, settings.delivery != nil || settings.writers != .one else { return nil }
    return "one engine in a process of its own; leave out writers and delivery"
  }
}

extension AxisNotation<SyncPolicy> {
  static var syncPolicy: Self {
    AxisNotation(
      form: AxisForm(
        .words, words: ["always", "never"], pattern: "interval(\\(\(DurationText.pattern)\\))?",
        text: ", `interval(100ms)`; any positive duration in the brackets, `interval` alone is 100 ms"),
      parse: { (text, name, _) throws(ScenarioProblem) in
        if let policy = SyncPolicy(text) { return policy }
        if text.hasPrefix("interval(") { throw .malformed(text, of: name, expected: "interval(100ms)") }
        throw .unknownWord(text, of: "sync policy", known: ["always", "interval(100ms)", "never"])
      },
      render: { .text($0.description) }, restore: { SyncPolicy($0.description) },
      // `interval-100ms`: a token has no brackets.
      write: { $0.description.replacing("(", with: "-").replacing(")", with: "") },
      read: { text, _ in
        guard text.hasPrefix("interval") == text.hasPrefix("interval-"), !text.contains("(") else { return nil }
        return SyncPolicy(text.hasPrefix("interval-") ? "interval(\(text.dropFirst(9)))" : text)
      })
  }
}

extension AxisNotation<CrashMoment> {
  fileprivate static var crashMoment: Self {
    AxisNotation(
      form: AxisForm(
        .words, words: ["end"], pattern: "[1-9][0-9]?%|[0-9]+|\(CrashStep.pattern)",
        text: ", a share from 1% to 99%, a number, or a step like `rotate`, `recover(3)` or `close+5ms`"),
      parse: { (text, name, _) throws(ScenarioProblem) in
        guard let moment = CrashMoment(text) else {
          throw .malformed(
            text, of: name, expected: "end, a share like 50%, a number of messages, or a step like rotate or recover(3)"
          )
        }
        return moment
      },
      render: { .text($0.description) }, restore: { CrashMoment($0.description) },
      write: { moment in
        switch moment {
        case .percent(let n): "\(n)pc"
        // A token has no brackets.
        case .step(let step):
          step.description.replacing("(", with: "-").replacing(")", with: "").replacing("+", with: "-")
        case .end, .messages: moment.description
        }
      },
      read: { text, _ in
        func number(_ digits: some StringProtocol) -> Int? {
          TokenText.isPlainNumber(String(digits)) ? Int(digits) : nil
        }
        if text == "end" { return .end }
        if text.hasSuffix("pc") {
          return number(text.dropLast(2)).flatMap { (0...100).contains($0) ? .percent($0) : nil }
        }
        if let n = number(text) { return .messages(n) }
        let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let phase = parts.first, !text.contains("("), !text.contains("+") else { return nil }
        guard parts.count == 2 else { return CrashStep(String(phase)).map { .step($0) } }
        return CrashStep(number(parts[1]) != nil ? "\(phase)(\(parts[1]))" : "\(phase)+\(parts[1])").map { .step($0) }
      })
  }
}
