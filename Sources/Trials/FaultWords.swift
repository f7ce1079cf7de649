import FaultInjection
import LogModel
import ScenarioFormat
import Storage

/// From the words of a scenario to faults at the seam: the grammar and its meaning, side by side.
enum FaultWords {
  private typealias Parameter = FaultGrammar.Parameter

  /// When a fault fires; every kind at the seam takes these.
  private static let trigger: [Parameter] = [
    Parameter("target", .word(FaultTarget.allCases.map(\.rawValue))),
    Parameter("on", .word(OperationKind.allCases.map(\.rawValue))),
    Parameter("partition", .integer(0...9_999)),
    Parameter("phase", .word(Life.phases)),
    Parameter("occurrence", .integer(1...1_000_000_000)),
    Parameter("every", .integer(1...1_000_000_000)),
    Parameter("at-byte", .size),
    Parameter("share", .integer(0...100)),
    Parameter("after", .duration),
    Parameter("chance", .integer(1...1_000_000)),
    Parameter("moment", .word(FaultTrigger.Moment.allCases.map(\.rawValue))),
    Parameter("lasting", .word(["once", "sticky", "until-freed"])),
    Parameter("freed-at", .integer(1...100)),
    Parameter("times", .integer(1...1_000_000_000)),
    Parameter("for", .duration),
  ]

  /// Every kind of fault at the seam but the crash, which a scenario asks for by its own key.
  static let grammars: [FaultGrammar] = FaultKind.allCases.filter { $0 != .crash && $0 != .bitFlip }.map { kind in
    FaultGrammar(kind.rawValue, trigger + parameters(of: kind))
  }

  private static func parameters(of kind: FaultKind) -> [Parameter] {
    switch kind {
    case .tornWrite:
      [
        Parameter("kept", .word(["prefix", "suffix", "any"])), Parameter("unit", .word(["byte", "sector", "page"])),
        Parameter("bytes", .size), Parameter("rest", .word(TornWrite.Rest.allCases.map(\.rawValue))),
        Parameter("answer", .word(["success", "error"])),
      ]
    case .bitFlip: [Parameter("bits", .integer(1...1_000_000))]
    case .shortWrite: [Parameter("bytes", .size)]
    case .syncFailure: [Parameter("how", .word(SyncFailure.allCases.map(\.rawValue)))]
    case .misdirectedWrite: [Parameter("by", .size)]
    case .stall: [Parameter("delay", .duration)]
    case .interrupted, .tryAgain, .ioError, .permissionDenied, .noSpace, .silentNoSpace, .quotaExceeded, .lostWrite,
      .staleRead, .latentSectorError, .readOnly, .crash:
      []
    }
  }

  /// Whether the fault is one of files at rest; all others pass the seam.
  static func isResting(_ fault: FaultSpec) -> Bool {
    RestingWords.kinds.contains(fault.kind) || fault.kind == FaultKind.bitFlip.rawValue && fault.parameters["at"] != "flight"
  }

  /// - Throws: `TrialError.unknownFault` for words that no scenario can hold: a token that was edited by hand.
  static func planned(_ fault: FaultSpec, seed: UInt64) throws(TrialError) -> PlannedFault {
    guard let kind = FaultKind(rawValue: fault.kind) else { throw .unknownFault(fault.kind) }
    let words = Words(fault)
    let action = try storageFault(kind, words)
    var lasting: FaultLasting = .once
    switch words["lasting"] {
    case "sticky": lasting = .sticky
    case "until-freed": lasting = .untilSpaceFreed
    default: if kind == .readOnly { lasting = .sticky }
    }
    if let n = words.integer("times") { lasting = .times(n) }
    if let duration = words.duration("for") { lasting = .duration(duration) }
    let kinds = words["on"].flatMap { OperationKind(rawValue: $0) }.map { Set([$0]) } ?? []
    let target = words["target"].flatMap { FaultTarget(rawValue: $0) } ?? .any
    let moment = words["moment"].flatMap { FaultTrigger.Moment(rawValue: $0) } ?? .submission
    return PlannedFault(
      action,
      FaultTrigger(
        kinds, target: target, partition: words.integer("partition"), phase: words["phase"],
        condition(words, seed: seed), moment), lasting)
  }

  private static func condition(_ words: Words, seed: UInt64) -> FaultTrigger.Condition {
    let first = words.integer("occurrence") ?? 1
    if let k = words.integer("every") { return .every(k, from: first) }
    if let n = words.integer("at-byte") { return .bytes(Int64(n)) }
    if let percent = words.integer("share") { return .share(percent: Double(percent)) }
    if let duration = words.duration("after") { return .elapsed(duration) }
    if let n = words.integer("chance") { return .chance(perMillion: n, seed: seed) }
    return .occurrence(first)
  }

  private static func storageFault(_ kind: FaultKind, _ words: Words) throws(TrialError) -> StorageFault {
    let unit: TearUnit =
      switch words["unit"] {
      case "byte": .byte
      case "page": .page
      default: .sector
      }
    switch kind {
    case .tornWrite:
      let kept: TornWrite.Kept =
        switch (words["kept"] ?? "prefix", words.integer("bytes")) {
        case ("suffix", let n?): .suffix(n)
        case ("suffix", nil): .suffixFrom(unit)
        case ("any", _): .anyOf(unit)
        case (_, let n?): .prefix(n)
        default: .prefixTo(unit)
        }
      return .tornWrite(
        TornWrite(
          kept: kept, rest: words["rest"].flatMap { TornWrite.Rest(rawValue: $0) } ?? .old,
          answer: words["answer"].flatMap { TornWrite.Answer(rawValue: $0) } ?? .error))
    case .bitFlip: return .bitFlip(bits: words.integer("bits") ?? 1)
    case .shortWrite: return .shortWrite(taking: words.integer("bytes"))
    case .interrupted: return .interrupted
    case .tryAgain: return .tryAgain
    case .ioError: return .ioError
    case .permissionDenied: return .permissionDenied
    case .noSpace: return .noSpace
    case .silentNoSpace: return .silentNoSpace
    case .quotaExceeded: return .quotaExceeded
    case .syncFailure: return .syncFailure(words["how"].flatMap { SyncFailure(rawValue: $0) } ?? .marksClean)
    case .lostWrite: return .lostWrite
    case .misdirectedWrite: return .misdirectedWrite(words.integer("by").map { .sameFile(by: Int64($0)) } ?? .anywhere)
    case .staleRead: return .staleRead
    case .latentSectorError: return .latentSectorError()
    case .stall: return .stall(words.duration("delay"))
    case .readOnly: return .readOnly
    case .crash: throw .unknownFault(kind.rawValue)
    }
  }

  struct Words {
    private let parameters: [String: String]
    init(_ fault: FaultSpec) { parameters = fault.parameters }
    subscript(name: String) -> String? { parameters[name] }
    func integer(_ name: String) -> Int? { parameters[name].flatMap { byteCount($0) ?? Int($0) } }
    func duration(_ name: String) -> Duration? { parameters[name].flatMap { DurationText.parse($0) } }
  }
}
