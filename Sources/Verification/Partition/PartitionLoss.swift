import LogModel

/// One partition's line of a data-loss table: what the first restart lost, beside what it was bound to lose and what it
/// was allowed to lose, both from the faults' receipts and the policies alone.
///
/// | an acknowledged message                                                         | least | most |
/// |---------------------------------------------------------------------------------|-------|------|
/// | of a request whose own bytes a fault destroyed at rest or on their way, noticeably | yes | yes  |
/// | `truncate-at-corruption`: behind the first such request                          | yes   | yes  |
/// | of a request that a lying device destroyed (no report is owed)                   |       | yes  |
/// | of a request of which a deletion has left a part, touched by a fault              |       | yes  |
/// | that the sync policy lets the crash take                                         |       | yes  |
/// | behind damage that nothing on the medium testifies for (Contract.swift)          |       | yes  |
/// | any other                                                                        |       |      |
///
/// A request is lost whole, as far as nobody has deleted it: its batch has one checksum.
public struct PartitionLoss: Hashable, Sendable, Codable {
  /// Which topic's partition, where a trial has several topics.
  public var topic: String?
  public var partition: PartitionID
  /// Messages acknowledged before the readback.
  public var acknowledged: Int
  /// Of these, what no fetch returned.
  public var lost: Int
  /// Of what was lost, what the engine had reported as damaged.
  public var reported: Int
  public var least: Int
  public var most: Int
  /// Of what was lost and not reported, why no report was owed.
  public var unreported = UnreportedLoss()
  /// Whether a fault touched any of its messages.
  public var isTouched: Bool

  public init(
    topic: String? = nil, partition: PartitionID, acknowledged: Int, lost: Int, reported: Int, least: Int, most: Int,
    isTouched: Bool
  ) {
    self.topic = topic
    self.partition = partition
    self.acknowledged = acknowledged
    self.lost = lost
    self.reported = reported
    self.least = least
    self.most = most
    self.isTouched = isTouched
  }

  /// Whether what was measured is what had to be expected.
  public var isAsExpected: Bool { least <= lost && lost <= most }
}

/// Messages that were lost without a report, by the reason for which none was owed.
public struct UnreportedLoss: Hashable, Sendable, Codable {
  /// The device said that it had stored them, and what stands there is whole by itself: nothing can tell.
  public var hidden = 0
  /// Nothing on the medium testified that they had been acknowledged; Contract.swift says when something does.
  public var untestified = 0
  /// The sync policy lets the crash take them.
  public var crash = 0

  public init() {}
}

/// A partition's line, and where it goes wrong.
struct LossAccount {
  var loss: PartitionLoss
  /// The first offset that is gone and that neither a receipt nor the policy explains.
  var firstUnexplained: Int64?
}

extension PartitionChecker {
  /// Least and most follow from the history and the receipts; what was served is in `lost` and `reported` only.
  var lossAccount: LossAccount {
    var copy = self
    copy.duties = dutiesByReceipt
    for (place, _) in copy.behindTheUnplaced(isReported: false) { copy.duties[place].isDamaged = true }
    for place in copy.behindTheUntestified(byReceipt: true) { copy.duties[place].isDamaged = true }
    return copy.lossByDuties
  }

  private var lossByDuties: LossAccount {
    var loss = PartitionLoss(
      topic: partition.name.topic, partition: partition.name.partition, acknowledged: 0, lost: 0, reported: 0, least: 0,
      most: 0, isTouched: false)
    var firstUnexplained: Int64?
    for place in partition.operations.indices {
      let operation = operation(place)
      let duty = duties[place]
      let deleted = Int(min(max(0, partition.trimmedBefore.rawValue &- operation.base), Int64(operation.count)))
      let owed = operation.count - deleted
      guard operation.outcome == .acknowledged, owed > 0 else { continue }
      loss.acknowledged += owed
      if duty.isTouched { loss.isTouched = true }
      let isExplained = duty.isDamaged || duty.kind != .required
      if isExplained { loss.most += owed }
      // What the crash was allowed to take before the fault came is perhaps gone, damaged or not; and what a deletion
      // has left of a request may be whole without the part that was touched.
      if duty.kind == .required, duty.reportableDamage >= 0, deleted == 0,
        case let damage = history.damages[Int(duty.reportableDamage)], damage.isCertain, damage.isDetectable
      {
        loss.least += owed
      }
      guard let missing = firstMissing(place) else { continue }
      if !isExplained { firstUnexplained = min(firstUnexplained ?? .max, operation.base &+ Int64(missing)) }
      for index in missing..<operation.count where !isServed(operation.firstSequence + index) {
        loss.lost += 1
        let at = operation.base &+ Int64(index)
        if reports.firstUncovered(at, at &+ 1, of: operation.number) == nil {
          loss.reported += 1
        } else if duty.isDamaged {
          if duty.reportableDamage < 0, duty.isTouched {
            loss.unreported.hidden += 1
          } else {
            loss.unreported.untestified += 1
          }
        } else if duty.kind != .required {
          loss.unreported.crash += 1
        }
      }
    }
    return LossAccount(loss: loss, firstUnexplained: firstUnexplained)
  }

  /// Measured against expected. Before the first restart what a fault destroyed on its way may still be served from
  /// memory: there only the most is judged.
  func judge(_ account: LossAccount, _ ledger: inout CheckAccumulator) {
    let loss = account.loss
    ledger.apply(.lossWithinExpected, exercised: loss.acknowledged > 0)
    if !isEnded { doubt(&ledger, .lossWithinExpected, .readbackUnfinished) }
    guard isEnded, !loss.isAsExpected else { return }
    if loss.lost > loss.most {
      let at = account.firstUnexplained ?? 0
      lose(&ledger, .lossWithinExpected, at: at) {
        .lostMoreThanExplained(lost: loss.lost, most: loss.most, first: at)
      }
    } else if restart > 0 {
      doubt(&ledger, .lossWithinExpected, .lostLessThanDestroyed(lost: loss.lost, least: loss.least))
    }
  }
}
