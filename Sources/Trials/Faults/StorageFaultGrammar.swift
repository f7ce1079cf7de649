import FaultInjection
import LogModel
import ScenarioFormat
import Storage

/// From the words of a scenario to faults at the storage interface: the grammar and its meaning, side by side.
package enum StorageFaultGrammar {
  /// When a fault fires; every kind at the storage interface takes these, and the target.
  static let trigger: [FaultParameter] = [
    FaultParameter("on", .word(OperationKind.allCases.map(\.rawValue)), "the kind of operation"),
    FaultParameter("partition", .integer(0...9_999), "only what belongs to this partition"),
    FaultParameter(
      "phase", .word(Incarnation.phases + FaultTrigger.derivedPhases),
      "only while this goes on; see [Phases](#phases)", former: ["look": "verify"]),
    FaultParameter(
      "occurrence", .integer(1...1_000_000_000),
      "the nth operation that matches; with `every` the one from which on it counts"),
    FaultParameter("every", .integer(1...1_000_000_000), "every so many operations that match"),
    FaultParameter("at-byte", .size, "the operation that carries this byte of all that match, from 1"),
    FaultParameter("share", .integer(0...100), "from when this percentage of the workload is done"),
    FaultParameter("after", .duration, "this long after the storage was opened"),
    FaultParameter(
      "chance", .integer(1...1_000_000), "each operation that matches, with this probability in a million"),
    FaultParameter(
      "moment", .word([FaultTrigger.Moment.submission, .completion].map(\.rawValue)),
      "before the operation has happened, or when it has; \(withMoment) only"),
    FaultParameter(
      "lasting", .word(["once", "sticky", "until-freed"]),
      "how long it lasts: one operation, for good, or until `freed-at`"),
    FaultParameter(
      "freed-at", .integer(1...100),
      "the percentage of the workload at which space is freed; with `lasting: until-freed`"),
    FaultParameter("times", .integer(1...1_000_000_000), "how often it fires"),
    FaultParameter("for", .duration, "how long it lasts"),
  ]

  private static let withMoment = StorageFaultDescriptor.all.filter(\.hasMoment).map { "`\($0.kind.rawValue)`" }
    .joined(separator: ", ")

  /// What somebody who knows other logs may ask for.
  static let impossibleTargets = [
    "index":
      "the engine keeps its sparse index in memory only, and nothing of it is ever written or read that a fault could "
      + "hit; "
      + "choose segment, batch, segment-head, rotation, metadata or directory"
  ]

  private static let target = FaultParameter(
    "target", .word(FaultTarget.allCases.map(\.rawValue)),
    "what is hit: any operation; a file of a log; its head; reads and writes of batches; the making of a later "
      + "segment; "
      + "the metadata; directories", impossible: impossibleTargets)

  /// Every kind of fault at the storage interface but the crash, which a scenario asks for by its own key, and flips of
  /// bits, which may be at rest too.
  static let descriptors: [FaultDescriptor] = StorageFaultDescriptor.all.filter(\.isWritten).map { one in
    FaultDescriptor(
      one.kind.rawValue, .device, one.meaning, [target] + trigger + one.parameters, drawn: one.drawn
    ) { StorageFaultRules(descriptor: one, words: $0).contradictions }
  }

  /// Whether the fault is one of files at rest, or what an operator does with them; all others happen to a running
  /// engine.
  package static func isResting(_ fault: FaultSpec) -> Bool {
    AtRestFaultGrammar.kinds.contains(fault.kind) || fault.kind == RecoveryRunbook.kind
      || fault.kind == FaultKind.bitFlip.rawValue && fault.parameters["at"] != "flight"
  }

  /// - Throws: `TrialError.unknownFault` for words that no scenario can hold: a token that was edited by hand.
  static func planned(_ fault: FaultSpec, seed: UInt64) throws(TrialError) -> PlannedFault {
    guard let kind = FaultKind(rawValue: fault.kind), kind != .crash else { throw .unknownFault(fault.kind) }
    let words = FaultWords(fault)
    let descriptor = StorageFaultDescriptor.of(kind)
    let action = descriptor.fault(words)
    var lasting: FaultLasting = .once
    switch words["lasting"] {
    case "sticky": lasting = .sticky
    case "until-freed": lasting = .untilSpaceFreed
    default: if descriptor.isStanding { lasting = .sticky }
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

  /// Of a part of a batch, the batch.
  private static func target(_ words: FaultWords) throws(TrialError) -> FaultTarget {
    guard let word = words["target"] else { return .any }
    if let target = FaultTarget(rawValue: word) { return target }
    guard BatchPart(rawValue: word) != nil else { throw .unknownFault(word) }
    return .batch
  }

  /// Whether it is to hit messages: padding is nobody's.
  static func aimsAtBatches(_ fault: FaultSpec) -> Bool {
    fault.parameters["target"].flatMap { BatchPart(rawValue: $0) }.map { $0 != .padding } ?? false
  }

  private static func condition(_ words: FaultWords, seed: UInt64) -> FaultTrigger.Condition {
    let first = words.integer("occurrence") ?? 1
    if let k = words.integer("every") { return .every(k, from: first) }
    if let n = words.integer("at-byte") { return .bytes(Int64(n)) }
    if let percent = words.integer("share") { return .share(percent: Double(percent)) }
    if let duration = words.duration("after") { return .elapsed(duration) }
    if let n = words.integer("chance") { return .chance(perMillion: n, seed: seed) }
    return .occurrence(first)
  }
}
