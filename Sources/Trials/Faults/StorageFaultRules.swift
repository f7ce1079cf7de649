import FaultInjection
import ScenarioFormat
import Storage

/// What the words of a fault at the seam must not say together: it would never fire, or some of them would be passed over.
struct StorageFaultRules {
  let kind: FaultKind
  let words: StorageFaultGrammar.Words

  var contradictions: [FaultContradiction] { conditions + lasting + passes + moment + tear + staleness + delay }

  // MARK: When

  private var conditions: [FaultContradiction] {
    let all = ["at-byte", "share", "every", "after", "chance"]
    let given = all.filter { words[$0] != nil }
    var found = given.dropFirst().map { name in
      FaultContradiction(
        name, because: "\(given[0]) and \(name) each say when it fires", remedy: "keep one of \(all.joined(separator: ", "))")
    }
    if let first = given.first, first != "every", words["occurrence"] != nil {
      found.append(
        FaultContradiction(
          "occurrence", because: "\(first) says when it fires, and no occurrence is counted beside it",
          remedy: "remove one of the two; occurrence goes with every, from which on it counts"))
    }
    return found
  }

  private var lasting: [FaultContradiction] {
    let given = ["lasting", "times", "for"].filter { words[$0] != nil }
    var found = given.dropFirst().map { name in
      FaultContradiction(
        name, because: "\(given[0]) and \(name) each say how long it lasts", remedy: "keep one of lasting, times, for")
    }
    if words["freed-at"] != nil, words["lasting"] != "until-freed" {
      found.append(
        FaultContradiction(
          "freed-at", because: "it does not last until space is freed", remedy: "add lasting: until-freed, or remove freed-at"))
    }
    if kind == .readOnly {
      for name in ["lasting", "times"] where words[name] != nil {
        found.append(
          FaultContradiction(
            name, because: "a file system that has been mounted read-only stays so",
            remedy: "remove it, or say for how long with for"))
      }
    }
    return found
  }

  // MARK: Where

  private var passes: [FaultContradiction] {
    // Which kind and target there are says nothing of a fault's own parameters.
    guard let fault = Self.sample(kind) else { return [] }
    let target = words["target"].flatMap { FaultTarget(rawValue: $0) } ?? (words["target"] == nil ? .any : .batch)
    let on = words["on"].flatMap { OperationKind(rawValue: $0) }
    let possible = fault.applicableKinds.intersection(target.kinds)
    let names = possible.map(\.rawValue).sorted().joined(separator: ", ")
    let chosen = on.map { Set([$0]) } ?? fault.defaultKinds
    let place = on == nil ? "target" : "on"
    if possible.isEmpty {
      return [
        FaultContradiction(
          "target", because: "it would never fire, for it hits nothing of target \(target.rawValue)",
          remedy: "choose another target, or another fault")
      ]
    }
    if chosen.isDisjoint(with: possible) {
      let what = chosen.map(\.rawValue).sorted().joined(separator: ", ")
      return [
        FaultContradiction(
          place, because: "it would never fire on \(what) with target \(target.rawValue)",
          remedy: on == nil ? "say on: one of \(names)" : "it can be on \(names)")
      ]
    }
    let isCheckpoint = words["phase"] == "checkpoint"
    if words["partition"] != nil,
      chosen.intersection(possible).isSubset(of: [.lock, .linkCount]) || target == .metadata || isCheckpoint
    {
      return [
        FaultContradiction(
          "partition", because: "it would never fire, for what it hits belongs to no partition", remedy: "remove partition")
      ]
    }
    return phase(chosen.intersection(possible), target)
  }

  /// Two phases are of certain files and of certain operations; see `FaultTrigger.derivedPhases`.
  private func phase(_ kinds: Set<OperationKind>, _ target: FaultTarget) -> [FaultContradiction] {
    guard let phase = words["phase"], let inPhase = FaultTrigger.kinds(inPhase: phase) else { return [] }
    let isOfMetadata = phase == "checkpoint"
    let others: Set<FaultTarget> = isOfMetadata ? [.segment, .batch, .rotation] : [.metadata]
    if others.contains(target) {
      let own = isOfMetadata ? "the metadata" : "the log that makes a segment"
      return [
        FaultContradiction(
          "phase", because: "it would never fire, for what passes in phase \(phase) is of \(own), and not target \(target.rawValue)",
          remedy: "choose another phase, or another target")
      ]
    }
    guard kinds.isDisjoint(with: inPhase) else { return [] }
    return [
      FaultContradiction(
        "phase", because: "it would never fire on \(kinds.map(\.rawValue).sorted().joined(separator: ", ")) in phase \(phase)",
        remedy: "choose another phase, or say on: one of \(inPhase.map(\.rawValue).sorted().joined(separator: ", "))")
    ]
  }

  /// The moment is that of an answer; other faults are edits of the operation itself.
  private var moment: [FaultContradiction] {
    let answers: Set<FaultKind> = [.interrupted, .tryAgain, .ioError, .permissionDenied, .stall]
    guard words["moment"] != nil, !answers.contains(kind) else { return [] }
    return [
      FaultContradiction(
        "moment", because: "it is an edit of the operation and has no moment of its own",
        remedy: "remove moment; it goes with \(answers.map(\.rawValue).sorted().joined(separator: ", "))")
    ]
  }

  // MARK: What

  private var tear: [FaultContradiction] {
    guard kind == .tornWrite else { return [] }
    let kept = words["kept"] ?? "prefix"
    func wrong(_ name: String, _ because: String, _ remedy: String) -> [FaultContradiction] {
      [FaultContradiction(name, because: because, remedy: remedy)]
    }
    var found: [FaultContradiction] = []
    if kept == "sectors", words["sectors"] == nil {
      found += wrong("kept", "it does not say which sectors", "add sectors: numbers from 0, like 0,2,5")
    }
    if kept != "sectors", words["sectors"] != nil {
      found += wrong("sectors", "kept is \(kept)", "say kept: sectors, or remove sectors")
    }
    if words["bytes"] != nil, kept != "prefix", kept != "suffix" {
      found += wrong("bytes", "kept is \(kept)", "say kept: prefix or kept: suffix, or remove bytes")
    }
    if words["unit"] != nil, words["bytes"] != nil || kept == "sectors" {
      found += wrong("unit", "where it is torn has been said to the byte", "remove unit")
    }
    return found
  }

  /// What stood there before is known of what this life has written; the lives before leave the storage no such knowledge.
  private var staleness: [FaultContradiction] {
    let before = ["open", "create", "recover"]
    guard kind == .staleRead, let phase = words["phase"], before.contains(phase) else { return [] }
    return [
      FaultContradiction(
        "phase",
        because: "it would never fire, for what stood below the writes of earlier lives is not known, and phase \(phase) reads no other",
        remedy: "choose produce, look or append")
    ]
  }

  /// A stall of nothing would count as fired and hinder nobody.
  private var delay: [FaultContradiction] {
    guard kind == .stall, words.duration("delay") == .zero else { return [] }
    return [FaultContradiction("delay", because: "a delay of nothing is no stall", remedy: "say how long, like 10ms")]
  }

  /// A fault of the kind, for what all of its kind can hit.
  private static func sample(_ kind: FaultKind) -> StorageFault? {
    switch kind {
    case .tornWrite: .tornWrite(TornWrite(kept: .prefix(0), answer: .error))
    case .bitFlip: .bitFlip(bits: 1)
    case .shortWrite: .shortWrite(taking: nil)
    case .interrupted: .interrupted
    case .tryAgain: .tryAgain
    case .ioError: .ioError
    case .permissionDenied: .permissionDenied
    case .noSpace: .noSpace
    case .silentNoSpace: .silentNoSpace
    case .quotaExceeded: .quotaExceeded
    case .syncFailure: .syncFailure(.marksClean)
    case .lostWrite: .lostWrite
    case .misdirectedWrite: .misdirectedWrite(.anywhere)
    case .staleRead: .staleRead
    case .latentSectorError: .latentSectorError()
    case .stall: .stall(nil)
    case .readOnly: .readOnly
    case .crash: nil
    }
  }
}

extension FaultTarget {
  /// Operations that a pass of this target can be.
  fileprivate var kinds: Set<OperationKind> {
    let ofDirectories: Set<OperationKind> = [.makeDirectory, .syncDirectory, .list]
    let ofWriters: Set<OperationKind> = [.lock, .linkCount]
    let ofFiles = Set(OperationKind.allCases).subtracting(ofDirectories).subtracting(ofWriters)
    return switch self {
    case .any: Set(OperationKind.allCases)
    case .segment: ofFiles
    case .segmentHead, .batch: [.read, .write]
    case .rotation: ofFiles.subtracting([.read])
    case .metadata: ofFiles.union(ofDirectories)
    case .directory: ofDirectories
    }
  }
}
