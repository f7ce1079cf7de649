import LogModel
import Storage

/// How long a fault stays armed. Its trigger's condition chooses the passes as long as it is.
public enum FaultLasting: Hashable, Sendable, Codable {
  /// Until it has fired.
  case once
  /// Until it has fired so often, from 1.
  case times(Int)
  /// For ever.
  case sticky
  /// Until, after it has fired, a removal or a truncation to a smaller size succeeds, or `FaultyStorage.freeSpace` is
  /// called.
  case untilSpaceFreed
  /// For this long from when it first fired, on the loop's clock.
  case duration(Duration)
}

/// One fault, when it is to fire, and for how long.
public struct PlannedFault: Hashable, Sendable, Codable {
  public var trigger: FaultTrigger
  public var fault: StorageFault
  public var lasting: FaultLasting

  public init(_ fault: StorageFault, _ trigger: FaultTrigger = FaultTrigger(), _ lasting: FaultLasting = .once) {
    self.trigger = trigger
    self.fault = fault
    self.lasting = lasting
  }
}

/// The faults of one life of a machine, in the order in which they get at a pass.
///
/// One pass carries any number of stalls and bit flips and one fault that decides how it ends: the first whose trigger
/// is met. Another that is met by the same pass stays armed and has not fired. A bit flip of a pass that is refused or
/// lost stays armed too.
///
/// The trigger's moment counts for errors (at completion: the operation has happened, and the caller is told that it
/// has not), stalls and crashes; other faults are edits of the operation itself.
public struct FaultPlan: Hashable, Sendable, Codable {
  public var faults: [PlannedFault]
  /// For what the faults leave to chance.
  public var seed: UInt64

  public init(_ faults: [PlannedFault] = [], seed: UInt64 = 0) {
    self.faults = faults
    self.seed = seed
  }

  /// Indices of the faults that have left no receipt, ascending: where one should have fired the trial is `unknown`.
  public func unfired(_ receipts: [StorageFaultReceipt]) -> [Int] {
    let fired = Set(receipts.map(\.planned))
    return faults.indices.filter { !fired.contains($0) }
  }
}
