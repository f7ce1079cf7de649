import LogModel

/// What the scan finds at a position where a batch could stand.
public enum Finding: String, Hashable, Sendable, CaseIterable {
  /// A valid batch with the offset that is due.
  case batchInOrder
  /// A valid batch whose offset has been seen already: a leftover of a commit that failed or was cut.
  case staleBatch
  /// No valid batch here, but one further on with a later offset than is due: offsets are missing in between.
  case gap
  /// A file whose head is gone, with batches behind it. A head is synced before the first batch is written, so no crash
  /// leaves this: it is damage.
  case lostHead
  /// No valid batch from here to the end of the log, and nothing but zeroes.
  case blankEnd
  /// No valid batch from here to the end of the log, but bytes that are not zero.
  case garbageEnd
}

/// Whether anything testifies that the missing messages had been made durable, or had been written by this boot of
/// the machine.
///
/// - A later valid batch, or segment head, whose durable offset is past the place: everything before it had been
///   synced.
/// - A later valid batch of the same boot whose commit began past the place: everything before it had been written, and
///   no power was lost since.
/// - A clean shutdown that recorded a log end offset past the place.
/// - The record that was made of the newest segment's first commit, under `interval` of its first sync
///   (`SegmentEvidence`), if that ended past the place.
///
/// A commit that power cut short cannot testify against itself: all its batches carry the durable offset, and the
/// commit base, from before it. That is what tells a torn tail, which was never acknowledged, from damage.
public enum DurabilityEvidence: String, Hashable, Sendable, CaseIterable {
  case none
  case durable
}

public enum RecoveryAction: String, Hashable, Sendable, CaseIterable {
  /// Take the batch into the log.
  case accept
  /// Go on after it as if it were not there.
  case ignore
  /// The log ends here; nothing is lost.
  case end
  /// The log ends here: what follows was never acknowledged. Cut silently.
  case cutTail
  /// Report the missing offsets as damaged, never serve them, go on with what follows.
  case skipAndReport
  /// Report the missing offsets and everything after them as damaged; set the files aside and end the log here.
  case truncateAndReport
}

/// Recovery as a decision table: one row for each combination, checked by a test that every combination matches
/// exactly one.
public struct RecoveryDecision: Sendable {
  public var label: String
  public var findings: Set<Finding>
  public var testimonies: Set<DurabilityEvidence>
  public var policies: Set<RecoveryPolicy>
  public var action: RecoveryAction

  public static let table: [RecoveryDecision] = [
    RecoveryDecision("in order", [.batchInOrder], any, both, .accept),
    RecoveryDecision("leftover", [.staleBatch], any, both, .ignore),
    RecoveryDecision("clean end", [.blankEnd], [.none], both, .end),
    RecoveryDecision("torn tail", [.gap, .garbageEnd], [.none], both, .cutTail),
    RecoveryDecision("damage, skip", [.gap, .blankEnd, .garbageEnd], [.durable], [.skipCorrupted], .skipAndReport),
    RecoveryDecision(
      "damage, truncate", [.gap, .blankEnd, .garbageEnd], [.durable], [.truncateAtCorruption], .truncateAndReport),
    RecoveryDecision("head lost, skip", [.lostHead], any, [.skipCorrupted], .skipAndReport),
    RecoveryDecision("head lost, truncate", [.lostHead], any, [.truncateAtCorruption], .truncateAndReport),
  ]

  private static let any = Set(DurabilityEvidence.allCases)
  private static let both = Set(RecoveryPolicy.allCases)

  init(
    _ label: String, _ findings: Set<Finding>, _ testimonies: Set<DurabilityEvidence>, _ policies: Set<RecoveryPolicy>,
    _ action: RecoveryAction
  ) {
    self.label = label
    self.findings = findings
    self.testimonies = testimonies
    self.policies = policies
    self.action = action
  }

  public func matches(_ finding: Finding, _ testimony: DurabilityEvidence, _ policy: RecoveryPolicy) -> Bool {
    findings.contains(finding) && testimonies.contains(testimony) && policies.contains(policy)
  }

  public static func action(for finding: Finding, _ testimony: DurabilityEvidence, _ policy: RecoveryPolicy)
    -> RecoveryAction
  {
    for entry in actions where entry.finding == finding && entry.testimony == testimony && entry.policy == policy {
      return entry.action
    }
    preconditionFailure("no recovery case for \(finding), \(testimony), \(policy)")
  }

  /// The table, spread out: sets of words are slow to ask. Of the rows that match, the first counts.
  private static let actions = table.flatMap { row in
    row.findings.flatMap { finding in
      row.testimonies.flatMap { testimony in
        row.policies.map { (finding: finding, testimony: testimony, policy: $0, action: row.action) }
      }
    }
  }
}
