import FaultInjection
import LogModel
import ScenarioFormat

/// From the words of a scenario to faults between the engine and its object store.
enum ObjectStoreFaultGrammar {
  private typealias Parameter = FaultGrammar.Parameter

  private enum Kind: String, CaseIterable {
    /// The store says no, and has done nothing.
    case refused = "store-refused"
    /// No put finds room any more.
    case full = "store-full"
    /// It is done, and the answer says that it failed.
    case answerLost = "store-answer-lost"
    /// It is done, and success is reported later.
    case late = "store-late"
    /// It is done later.
    case slow = "store-slow"
    /// Nothing is done, and nothing is answered: the engine's time-out ends it.
    case silent = "store-silent"
    case partialUpload = "store-partial-upload"
  }

  static let grammars: [FaultGrammar] = Kind.allCases.map { kind in
    FaultGrammar(kind.rawValue, trigger(of: kind) + parameters(of: kind)) { contradictions(kind, StorageFaultGrammar.Words($0)) }
  }

  static func isOfStore(_ fault: FaultSpec) -> Bool { Kind(rawValue: fault.kind) != nil }

  /// Whether a store that has refused refuses for good.
  static func isStanding(_ fault: FaultSpec) -> Bool { Kind(rawValue: fault.kind).map { isSticky($0, StorageFaultGrammar.Words(fault)) } ?? false }

  private static func isSticky(_ kind: Kind, _ words: StorageFaultGrammar.Words) -> Bool {
    words["lasting"] == "sticky" || kind == .full && words["lasting"] == nil && words.integer("times") == nil
  }

  private static func trigger(of kind: Kind) -> [Parameter] {
    let on = Parameter("on", .word(ObjectOperation.allCases.map(\.rawValue)))
    let count: [Parameter] = [
      Parameter("partition", .integer(0...9_999)), Parameter("occurrence", .integer(1...1_000_000_000)),
      Parameter("times", .integer(1...1_000_000_000)), Parameter("lasting", .word(["once", "sticky"])),
    ]
    return kind == .full || kind == .partialUpload ? count : [on] + count
  }

  private static func parameters(of kind: Kind) -> [Parameter] {
    switch kind {
    case .late, .slow: [Parameter("delay", .duration, isRequired: true)]
    case .partialUpload: [Parameter("kept", .integer(0...99)), Parameter("answer", .word(["success", "error"]))]
    case .refused, .full, .answerLost, .silent: []
    }
  }

  private static func contradictions(_ kind: Kind, _ words: StorageFaultGrammar.Words) -> [FaultContradiction] {
    var found: [FaultContradiction] = []
    if words["lasting"] != nil, words["times"] != nil {
      found.append(
        FaultContradiction(
          "times", because: "lasting and times each say how often it fires", remedy: "keep one of lasting, times"))
    }
    if words["partition"] != nil, words["on"] == ObjectOperation.list.rawValue {
      found.append(
        FaultContradiction(
          "partition", because: "it would never fire, for a listing names no object", remedy: "remove partition, or choose put, get or delete"))
    }
    if words.duration("delay") == .zero {
      found.append(FaultContradiction("delay", because: "a delay of nothing hinders nobody", remedy: "say how long, like 10ms"))
    }
    return found
  }

  /// - Throws: `TrialError.unknownFault` for words that no scenario can hold: a token that was edited by hand.
  static func planned(_ fault: FaultSpec, topic: String) throws(TrialError) -> PlannedObjectFault {
    guard let kind = Kind(rawValue: fault.kind) else { throw .unknownFault(fault.kind) }
    let words = StorageFaultGrammar.Words(fault)
    let action: ObjectFault =
      switch kind {
      case .refused, .full: .refusal
      case .answerLost: .lostAnswer
      case .late: .late(words.duration("delay") ?? .zero)
      case .slow: .slow(words.duration("delay") ?? .zero)
      case .silent: .hang
      case .partialUpload: .partialUpload(percent: words.integer("kept") ?? 60, isTold: words["answer"] != "success")
      }
    let isSticky = isSticky(kind, words)
    return PlannedObjectFault(
      action, on: kind == .full ? .put : words["on"].flatMap { ObjectOperation(rawValue: $0) },
      pathContains: words.integer("partition").map { "\(topic)/\($0)/" } ?? "", occurrence: words.integer("occurrence") ?? 1,
      times: words.integer("times") ?? (isSticky ? .max : 1))
  }
}
