import PartitionEngine
import WriteAheadLog

/// Bugs that a review of the engine has found, and that need two things at once: a second error behind the first, or
/// another policy behind a kill.
extension Defect {
  static let reviewed: [Defect] = [
    Defect(
      "P39", origin: "planted",
      "A segment that could be neither finished nor removed stands in the way of its successor: no append is taken "
        + "until the "
        + "log is opened again.",
      showsWhen: "the sync of a new segment's head fails, and the removal of its file after that"
    ) { $0.log.leftovers = LeftoversInTheWay() },
    Defect(
      "P40", origin: "planted",
      "Recovery asks its own sync policy whether a segment may hold what was never synced, and not that of its writer.",
      showsWhen: "interval, a failed sync, a kill; always, a readback, then power loss"
    ) { $0.log.earlierPolicies = EarlierPoliciesForgotten() },
  ]
}

/// P39.
struct LeftoversInTheWay: LeftoverHandling {
  var replacesOwn: Bool { false }
}

/// P40.
struct EarlierPoliciesForgotten: EarlierPolicyRespecting {
  func mayBeUnsynced(writer: Bool, reader: Bool) -> Bool { reader }
}
