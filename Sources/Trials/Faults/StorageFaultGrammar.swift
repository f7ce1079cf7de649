import FaultInjection
import LogModel
import ScenarioFormat
import Storage

/// From the words of a scenario to faults at the seam: the grammar and its meaning, side by side.
package enum StorageFaultGrammar {
  private typealias Parameter = FaultGrammar.Parameter

  /// When a fault fires; every kind at the seam takes these, and the target.
  static let trigger: [FaultGrammar.Parameter] = [
    Parameter("on", .word(OperationKind.allCases.map(\.rawValue))),
    Parameter("partition", .integer(0...9_999)),
    Parameter("phase", .word(Incarnation.phases + FaultTrigger.derivedPhases)),
    Parameter("occurrence", .integer(1...1_000_000_000)),
    Parameter("every", .integer(1...1_000_000_000)),
    Parameter("at-byte", .size),
    Parameter("share", .integer(0...100)),
    Parameter("after", .duration),
    Parameter("chance", .integer(1...1_000_000)),
    Parameter("moment", .word([FaultTrigger.Moment.submission, .completion].map(\.rawValue))),
    Parameter("lasting", .word(["once", "sticky", "until-freed"])),
    Parameter("freed-at", .integer(1...100)),
    Parameter("times", .integer(1...1_000_000_000)),
    Parameter("for", .duration),
  ]

  /// What somebody who knows other logs may ask for.
  static let impossibleTargets = [
    "index": "the engine keeps its sparse index in memory only, and nothing of it is ever written or read that a fault could hit; "
      + "choose segment, batch, segment-head, rotation, metadata or directory"
  ]

  /// Every kind of fault at the seam but the crash, which a scenario asks for by its own key.
  static let grammars: [FaultGrammar] = FaultKind.allCases.filter { $0 != .crash && $0 != .bitFlip }.map { kind in
    FaultGrammar(
      kind.rawValue, [Parameter("target", .word(FaultTarget.allCases.map(\.rawValue)), impossible: impossibleTargets)] + trigger + parameters(of: kind)
    ) { StorageFaultRules(kind: kind, words: Words($0)).contradictions }
  }

  private static func parameters(of kind: FaultKind) -> [Parameter] {
    switch kind {
    case .tornWrite:
      [
        Parameter("kept", .word(["prefix", "suffix", "any", "sectors"])), Parameter("sectors", .numbers),
        Parameter("unit", .word(["byte", "sector", "page"])),
        Parameter("bytes", .size), Parameter("rest", .word(TornWrite.Rest.allCases.map(\.rawValue))),
        Parameter("answer", .word(["success", "error"])),
      ]
    case .shortWrite: [Parameter("bytes", .size)]
    case .syncFailure: [Parameter("how", .word(SyncFailure.allCases.map(\.rawValue)))]
    case .misdirectedWrite: [Parameter("by", .size)]
    case .stall: [Parameter("delay", .duration, isRequired: true)]
    case .interrupted, .tryAgain, .ioError, .permissionDenied, .noSpace, .silentNoSpace, .quotaExceeded, .lostWrite,
      .staleRead, .latentSectorError, .readOnly, .crash, .bitFlip:
      []
    }
  }

  /// Whether the fault is one of files at rest, or what an operator does with them; all others happen to a running engine.
  package static func isResting(_ fault: FaultSpec) -> Bool {
    AtRestFaultGrammar.kinds.contains(fault.kind) || fault.kind == RecoveryRunbook.kind || fault.kind == FaultKind.bitFlip.rawValue && fault.parameters["at"] != "flight"
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
    let target = try target(words)
    let moment = words["moment"].flatMap { FaultTrigger.Moment(rawValue: $0) } ?? .submission
    return PlannedFault(
      action,
      FaultTrigger(
        kinds, target: target, partition: words.integer("partition"), phase: words["phase"],
        condition(words, seed: seed), moment), lasting)
  }

  /// Of a part of a batch, the batch; see `place`.
  private static func target(_ words: Words) throws(TrialError) -> FaultTarget {
    guard let word = words["target"] else { return .any }
    if let target = FaultTarget(rawValue: word) { return target }
    guard BatchPart(rawValue: word) != nil else { throw .unknownFault(word) }
    return .batch
  }

  /// Where in a pass a flip hits: in a batch itself where batches are the target, not in the padding behind them, and in
  /// the first copy of a segment's head, not in the zeros behind it.
  private static func place(_ words: Words) -> BytePlace {
    let edge = words["edge"].flatMap { PartEdge(rawValue: $0) }
    switch words["target"] {
    case FaultTarget.segmentHead.rawValue?: return .range(edge?.of(0..<512) ?? 0..<512)
    case let word?:
      guard let part = BatchPart(rawValue: word) else { return .anywhere }
      return edge.map { .edge(part, $0) } ?? .part(part)
    case nil: return .anywhere
    }
  }

  /// Whether it is to hit messages: padding is nobody's.
  static func aimsAtBatches(_ fault: FaultSpec) -> Bool {
    fault.parameters["target"].flatMap { BatchPart(rawValue: $0) }.map { $0 != .padding } ?? false
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
        case ("sectors", _): .sectors(words.numbers("sectors"))
        case (_, let n?): .prefix(n)
        default: .prefixTo(unit)
        }
      return .tornWrite(
        TornWrite(
          kept: kept, rest: words["rest"].flatMap { TornWrite.Rest(rawValue: $0) } ?? .old,
          answer: words["answer"].flatMap { TornWrite.Answer(rawValue: $0) } ?? .error))
    case .bitFlip: return .bitFlip(bits: words.integer("bits") ?? 1, place(words))
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
    init(_ parameters: [String: String]) { self.parameters = parameters }
    subscript(name: String) -> String? { parameters[name] }
    func integer(_ name: String) -> Int? { parameters[name].flatMap { byteCount($0) ?? Int($0) } }
    func numbers(_ name: String) -> [Int] { parameters[name]?.split(separator: ",").compactMap { Int($0) } ?? [] }
    func duration(_ name: String) -> Duration? { parameters[name].flatMap { DurationText.parse($0) } }
  }
}
