import FaultInjection
import LogModel
import ScenarioFormat
import Storage

/// What the words of a fault at the storage interface must not say together: it would never fire, or some of them would
/// be passed over.
struct StorageFaultRules {
  let descriptor: StorageFaultDescriptor
  let words: FaultWords

  var contradictions: [FaultContradiction] {
    conditions + lasting + passes + moment + descriptor.contradictions(words)
  }

  // MARK: When

  private var conditions: [FaultContradiction] {
    let all = ["at-byte", "share", "every", "after", "chance"]
    let given = all.filter { words[$0] != nil }
    var found = given.dropFirst().map { name in
      FaultContradiction(
        name, because: "\(given[0]) and \(name) each say when it fires",
        remedy: "keep one of \(all.joined(separator: ", "))")
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
          "freed-at", because: "it does not last until space is freed",
          remedy: "add lasting: until-freed, or remove freed-at"))
    }
    if descriptor.isStanding {
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
    let target = words["target"].flatMap { FaultTarget(rawValue: $0) } ?? (words["target"] == nil ? .any : .batch)
    let on = words["on"].flatMap { OperationKind(rawValue: $0) }
    let possible = descriptor.operations.intersection(target.kinds)
    let names = possible.map(\.rawValue).sorted().joined(separator: ", ")
    let chosen = on.map { Set([$0]) } ?? descriptor.usualOperations
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
          "partition", because: "it would never fire, for what it hits belongs to no partition",
          remedy: "remove partition")
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
          "phase",
          because:
            "it would never fire, for what passes in phase \(phase) is of \(own), and not target \(target.rawValue)",
          remedy: "choose another phase, or another target")
      ]
    }
    guard kinds.isDisjoint(with: inPhase) else { return [] }
    return [
      FaultContradiction(
        "phase",
        because: "it would never fire on \(kinds.map(\.rawValue).sorted().joined(separator: ", ")) in phase \(phase)",
        remedy: "choose another phase, or say on: one of \(inPhase.map(\.rawValue).sorted().joined(separator: ", "))")
    ]
  }

  /// The moment is that of an answer; other faults are edits of the operation itself.
  private var moment: [FaultContradiction] {
    guard words["moment"] != nil, !descriptor.hasMoment else { return [] }
    let others = StorageFaultDescriptor.all.filter { $0.hasMoment && $0.isWritten }.map(\.kind.rawValue).sorted()
    return [
      FaultContradiction(
        "moment", because: "it is an edit of the operation and has no moment of its own",
        remedy: "remove moment; it goes with \(others.joined(separator: ", "))")
    ]
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
