import CrashStates
import LogModel

/// One state that a power cut may leave behind, in so few words that it can be built again on another machine: record
/// the workload, stop at the event, keep these pieces. `CrashStateToken` makes it one word.
public struct CrashState: Hashable, Sendable {
  public typealias Cut = PowerCut

  public var workload: ExplorationWorkload
  /// Nil for the sound engine.
  public var defect: String?
  public var profile: CrashProfile
  public var cut: Cut
  /// A second power cut, inside the recovery from the first; nil at depth 1.
  public var recoveryCut: Cut?
  /// What was built from all this when it was found; see `CrashScene.fingerprint`.
  public var fingerprint: UInt32

  public init(
    workload: ExplorationWorkload, defect: String?, profile: CrashProfile, cut: Cut, recoveryCut: Cut?,
    fingerprint: UInt32
  ) {
    self.workload = workload
    self.defect = defect
    self.profile = profile
    self.cut = cut
    self.recoveryCut = recoveryCut
    self.fingerprint = fingerprint
  }

  public var depth: Int { recoveryCut == nil ? 1 : 2 }
}
