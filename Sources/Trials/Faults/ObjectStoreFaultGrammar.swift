import FaultInjection
import LogModel
import ScenarioFormat

/// From the words of a scenario to faults between the engine and its object store.
enum ObjectStoreFaultGrammar {
  private enum Kind: String, CaseIterable {
    case refused = "store-refused"
    case full = "store-full"
    case responseLost = "store-response-lost"
    case late = "store-late"
    case slow = "store-slow"
    case timeout = "store-timeout"
    case partialUpload = "store-partial-upload"

    var meaning: String {
      switch self {
      case .refused: "the store says no and has done nothing"
      case .full: "no put finds room any more; for good unless `times` or `lasting` says otherwise"
      case .responseLost: "it is done, and the answer says that it failed"
      case .late: "it is done, and success is reported `delay` later"
      case .slow: "it is done `delay` later"
      case .timeout: "nothing is done and nothing is answered; the engine's time-out ends it"
      case .partialUpload: "the object is there with a part of its bytes; `answer: success` hides it"
      }
    }

    /// In the version before.
    var former: String? {
      switch self {
      case .responseLost: "store-answer-lost"
      case .timeout: "store-silent"
      case .refused, .full, .late, .slow, .partialUpload: nil
      }
    }

    /// What random trials may inject.
    var drawn: [[String: String]] {
      switch self {
      case .refused, .responseLost, .timeout: [["on": "put"]]
      case .partialUpload: [["kept": "50", "answer": "success"]]
      case .full: [[:]]
      case .late, .slow: []
      }
    }
  }

  static let descriptors: [FaultDescriptor] = Kind.allCases.map { kind in
    FaultDescriptor(
      kind.rawValue, former: kind.former, .store, kind.meaning, trigger(of: kind) + parameters(of: kind),
      drawn: kind.drawn
    ) { contradictions(kind, $0) }
  }

  static func isOfStore(_ fault: FaultSpec) -> Bool { Kind(rawValue: fault.kind) != nil }

  /// Whether a store that has refused refuses for good.
  static func isStanding(_ fault: FaultSpec) -> Bool {
    Kind(rawValue: fault.kind).map { isSticky($0, FaultWords(fault)) } ?? false
  }

  private static func isSticky(_ kind: Kind, _ words: FaultWords) -> Bool {
    words["lasting"] == "sticky" || kind == .full && words["lasting"] == nil && words.integer("times") == nil
  }

  private static func trigger(of kind: Kind) -> [FaultParameter] {
    let on = FaultParameter(
      "on", .word(ObjectOperation.allCases.map(\.rawValue)), "the kind of call; all without it")
    let count = [
      FaultParameter("partition", .integer(0...9_999), "only what belongs to this partition"),
      FaultParameter("occurrence", .integer(1...1_000_000_000), "the nth call that matches"),
      FaultParameter("times", .integer(1...1_000_000_000), "how often it fires"),
      FaultParameter("lasting", .word(["once", "sticky"]), "one call, or for good"),
    ]
    return kind == .full || kind == .partialUpload ? count : [on] + count
  }

  private static func parameters(of kind: Kind) -> [FaultParameter] {
    switch kind {
    case .late, .slow: [.delay]
    case .partialUpload:
      [
        FaultParameter("kept", .integer(0...99), "the percentage of the object that is stored; 60 without it"),
        .answer,
      ]
    case .refused, .full, .responseLost, .timeout: []
    }
  }

  private static func contradictions(_ kind: Kind, _ words: FaultWords) -> [FaultContradiction] {
    var found: [FaultContradiction] = []
    if words["lasting"] != nil, words["times"] != nil {
      found.append(
        FaultContradiction(
          "times", because: "lasting and times each say how often it fires", remedy: "keep one of lasting, times"))
    }
    if words["partition"] != nil, words["on"] == ObjectOperation.list.rawValue {
      found.append(
        FaultContradiction(
          "partition", because: "it would never fire, for a listing names no object",
          remedy: "remove partition, or choose put, get or delete"))
    }
    if words.duration("delay") == .zero {
      found.append(
        FaultContradiction("delay", because: "a delay of nothing hinders nobody", remedy: "say how long, like 10ms"))
    }
    return found
  }

  /// - Throws: `TrialError.unknownFault` for words that no scenario can hold: a token that was edited by hand.
  static func planned(_ fault: FaultSpec, topic: String) throws(TrialError) -> PlannedObjectFault {
    guard let kind = Kind(rawValue: fault.kind) else { throw .unknownFault(fault.kind) }
    let words = FaultWords(fault)
    let action: ObjectFault =
      switch kind {
      case .refused, .full: .refusal
      case .responseLost: .lostAnswer
      case .late: .late(words.duration("delay") ?? .zero)
      case .slow: .slow(words.duration("delay") ?? .zero)
      case .timeout: .hang
      case .partialUpload: .partialUpload(percent: words.integer("kept") ?? 60, isTold: words["answer"] != "success")
      }
    let isSticky = isSticky(kind, words)
    return PlannedObjectFault(
      action, on: kind == .full ? .put : words["on"].flatMap { ObjectOperation(rawValue: $0) },
      pathContains: words.integer("partition").map { "\(topic)/\($0)/" } ?? "",
      occurrence: words.integer("occurrence") ?? 1,
      times: words.integer("times") ?? (isSticky ? .max : 1))
  }
}
