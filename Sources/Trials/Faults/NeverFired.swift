import FaultInjection
import LogModel
import ScenarioFormat
import Storage

/// What passed in the lives in which faults are armed.
struct IncarnationCensus: Codable, Hashable {
  var passes = PassCensus()
  /// What the faults that were armed were counted for, by their place among the trial's faults.
  var matched: [Int: MatchedPasses] = [:]
  /// Of the object store, by operation.
  var storeCalls: [String: Int] = [:]

  func adding(_ other: IncarnationCensus) -> IncarnationCensus {
    var sum = self
    sum.passes.add(other.passes)
    for (number, matched) in other.matched {
      sum.matched[number, default: MatchedPasses()].passes += matched.passes
      sum.matched[number, default: MatchedPasses()].bytes += matched.bytes
    }
    sum.storeCalls.merge(other.storeCalls, uniquingKeysWith: +)
    return sum
  }

  /// Of a trial on real files; nil where its first life wrote none down.
  static func read(_ folder: TrialFolder) throws(TrialError) -> IncarnationCensus? {
    guard let first = try JSONFile.read(IncarnationCensus.self, from: folder.census(0)) else { return nil }
    guard let second = try JSONFile.read(IncarnationCensus.self, from: folder.census(1)) else { return first }
    return first.adding(second)
  }
}

/// Why a fault of a running engine never fired, and what would make it fire.
struct NeverFired {
  private let spec: TrialSpec
  private let number: Int
  private let census: IncarnationCensus

  /// Nil where nobody has counted.
  init?(_ spec: TrialSpec, _ number: Int, _ census: IncarnationCensus?) {
    guard let census else { return nil }
    (self.spec, self.number, self.census) = (spec, number, census)
  }

  private var fault: FaultSpec { spec.faults[number] }
  private var matched: MatchedPasses { census.matched[number] ?? MatchedPasses() }

  /// Nil where there is nothing to say.
  var reason: String? {
    do throws(TrialError) {
      if ObjectStoreFaultGrammar.isOfStore(fault) {
        return ofStore(try ObjectStoreFaultGrammar.planned(fault, topic: spec.topic))
      }
      let planned = try StorageFaultGrammar.planned(fault, seed: 0)
      return matched.passes > 0 ? unmet(planned.trigger.condition) : unmatched(planned)
    } catch {
      return nil
    }
  }

  // MARK: What matched, and was not chosen

  private func unmet(_ condition: FaultTrigger.Condition) -> String {
    let n = matched.passes
    let passes = n == 1 ? "1 pass matched it" : "\(n) passes matched it"
    switch condition {
    case .occurrence(let first) where first > n, .every(_, let first) where first > n:
      return "only \(passes), and its occurrence is \(first); say occurrence: \(n) or less"
    case .bytes(let byte) where byte > matched.bytes:
      return
        "\(passes) and carried \(matched.bytes) bytes in all, and its at-byte is \(byte); say at-byte: "
        + "\(matched.bytes)B or less"
    case .share(let percent):
      return "\(passes), none of them once \(Int(percent)) % of the workload had been answered; say a smaller share"
    case .elapsed(let duration):
      return
        "\(passes), none of them later than \(DurationText.render(duration)) after the life began; say a shorter time "
        + "with after"
    case .chance: return "\(passes), and chance chose none of them; say a higher chance, or another seed"
    case .occurrence, .every, .bytes: return "\(passes), and another fault ended each one that it chose"
    }
  }

  // MARK: Nothing matched

  private func unmatched(_ planned: PlannedFault) -> String {
    let trigger = planned.trigger
    let kinds = trigger.kinds.isEmpty ? planned.fault.descriptor.usualOperations : trigger.kinds
    let there = census.passes.passes(of: trigger.target, partition: trigger.partition, phase: trigger.phase)
    let names = OperationKind.allCases.filter(kinds.contains).map(\.rawValue)
    var place: [String] = []
    if let phase = trigger.phase { place.append("in phase \(phase)") }
    if trigger.target != .any { place.append("on target \(trigger.target.rawValue)") }
    if let partition = trigger.partition { place.append("of partition \(partition)") }
    let here = place.isEmpty ? "in the lives that have faults" : place.joined(separator: " ")
    let what: String =
      if there.isEmpty {
        "\(here) nothing passed"
      } else if there.keys.contains(where: kinds.contains) {
        "\(here) there passed \(Self.list(there)), and it could hit none of them"
      } else {
        "\(here) there passed \(Self.list(there)), and no \(names.joined(separator: " or "))"
      }
    // What stood there before decides here, and that is not counted.
    if case .staleRead = planned.fault { return what }
    let spellings = nearest(planned, kinds)
    if spellings.isEmpty { return "\(what); nothing that it could hit passed in another phase either" }
    return "\(what); it would fire with \(spellings.joined(separator: ", or "))"
  }

  /// The fault with one of its words changed, where passes were counted that it would have hit; the word with most of
  /// them first.
  private func nearest(_ planned: PlannedFault, _ kinds: Set<OperationKind>) -> [String] {
    let trigger = planned.trigger
    func passes(_ target: FaultTarget, _ partition: Int?, _ phase: String?, _ kinds: Set<OperationKind>)
      -> [OperationKind: Int]
    {
      census.passes.passes(of: target, partition: partition, phase: phase, hitBy: planned.fault).filter {
        kinds.contains($0.key)
      }
    }
    func best(_ word: String, _ found: [(value: String, passes: [OperationKind: Int])]) -> [String] {
      let found = found.filter { !$0.passes.isEmpty }
        .sorted { ($0.passes.values.reduce(0, +), $1.value) > ($1.passes.values.reduce(0, +), $0.value) }
      return found.prefix(1).map { "\(word): \($0.value) (\(Self.list($0.passes)))" }
    }
    var spellings: [String] = []
    if trigger.phase != nil {
      let known = Incarnation.phases + FaultTrigger.derivedPhases
      spellings += best(
        "phase",
        census.passes.phases.filter { known.contains($0) && $0 != trigger.phase }
          .map { ($0, passes(trigger.target, trigger.partition, $0, kinds)) })
    }
    if !trigger.kinds.isEmpty {
      spellings += best(
        "on",
        OperationKind.allCases.filter { !kinds.contains($0) }
          .map { ($0.rawValue, passes(trigger.target, trigger.partition, trigger.phase, [$0])) })
    }
    if trigger.target != .any {
      spellings += best(
        "target",
        FaultTarget.allCases.filter { $0 != .any && $0 != trigger.target }
          .map { ($0.rawValue, passes($0, trigger.partition, trigger.phase, kinds)) })
    }
    if trigger.partition != nil {
      spellings += best(
        "partition", census.passes.partitions.map { ("\($0)", passes(trigger.target, $0, trigger.phase, kinds)) })
    }
    return spellings
  }

  /// `4 open, 12 read, 1 list`
  private static func list(_ passes: [OperationKind: Int]) -> String {
    OperationKind.allCases.compactMap { kind in passes[kind].map { "\($0) \(kind.rawValue)" } }.joined(separator: ", ")
  }

  // MARK: Of the object store

  private func ofStore(_ planned: PlannedObjectFault) -> String {
    if spec.checkpoint == .none {
      return "this trial has no object store; say checkpoint: background or checkpoint: flushed"
    }
    let calls = census.storeCalls.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    if matched.passes > 0 {
      return
        "only \(matched.passes == 1 ? "1 call" : "\(matched.passes) calls") of the store matched it, and its "
        + "occurrence is "
        + "\(planned.occurrence); say occurrence: \(matched.passes) or less"
    }
    return calls.isEmpty ? "the store was never called" : "the store was called for \(calls), and no call matched it"
  }
}
