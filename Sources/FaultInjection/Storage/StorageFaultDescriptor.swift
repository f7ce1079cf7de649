import LogModel
import Storage

/// Everything that there is to say of one kind of fault at the storage: which operations it can hit, what they end
/// with, how a scenario writes it. `all`, in StorageFault.swift, has every kind.
///
/// A kind that refuses an operation with an error needs its case and its descriptor there, and nothing else. One that
/// does more has its behaviour in `FaultyStorage`.
public struct StorageFaultDescriptor: Sendable {
  public let kind: FaultKind
  /// One sentence in Markdown, for `docs/scenarios.md`.
  public let meaning: String
  /// What it can hit; a trigger that names other kinds never fires.
  public let operations: Set<OperationKind>
  /// What it hits where the trigger names no kinds.
  public let usualOperations: Set<OperationKind>
  /// Of `operations` those that can end so by their page of the manual (section 2); all where the error matrix does not
  /// ask for them.
  public let documentedOperations: Set<OperationKind>
  /// The error that a refused operation ends with (`man 3 errno`); nil for faults that refuse nothing by themselves.
  public let errno: Int32?
  /// Whether it is an answer of its own, which is given before or after the operation. Other faults are edits of that.
  public let hasMoment: Bool
  /// Whether it decides how the operation ends: of these, one pass carries one.
  public let decidesOutcome: Bool
  /// Whether it lasts for good, once it has begun.
  public let isStanding: Bool
  /// Whether scenarios write it as a fault of the device.
  public let isWritten: Bool
  /// Besides those that all kinds take.
  public let parameters: [FaultParameter]
  /// What random trials may inject: parameters of each choice.
  public let drawn: [[String: String]]
  public let contradictions: @Sendable (FaultWords) -> [FaultContradiction]
  /// The fault that the words ask for.
  public let fault: @Sendable (FaultWords) -> StorageFault

  init(
    _ kind: FaultKind, _ meaning: String, hits operations: Set<OperationKind>,
    usually usualOperations: Set<OperationKind>? = nil, documented: Set<OperationKind>? = nil, errno: Int32? = nil,
    hasMoment: Bool = false, decidesOutcome: Bool = true, isStanding: Bool = false, isWritten: Bool = true,
    parameters: [FaultParameter] = [], drawn: [[String: String]] = [],
    contradictions: @escaping @Sendable (FaultWords) -> [FaultContradiction] = { _ in [] },
    fault: @escaping @Sendable (FaultWords) -> StorageFault
  ) {
    (self.kind, self.meaning, self.operations) = (kind, meaning, operations)
    self.usualOperations = usualOperations ?? operations
    documentedOperations = documented ?? operations
    (self.errno, self.hasMoment, self.decidesOutcome) = (errno, hasMoment, decidesOutcome)
    (self.isStanding, self.isWritten) = (isStanding, isWritten)
    (self.parameters, self.drawn, self.contradictions, self.fault) = (parameters, drawn, contradictions, fault)
  }

  private static let byKind = Dictionary(uniqueKeysWithValues: all.map { ($0.kind, $0) })

  public static func of(_ kind: FaultKind) -> StorageFaultDescriptor {
    guard let known = byKind[kind] else { preconditionFailure("\(kind.rawValue) has no descriptor") }
    return known
  }

  /// What it hits, unless `on` says otherwise, in words.
  public var usualTargets: String {
    if usualOperations.count == OperationKind.allCases.count - 1 { return "everything but closing" }
    return OperationKind.allCases.filter(usualOperations.contains).map(\.plural).joined(separator: ", ")
  }
}

extension OperationKind {
  fileprivate var plural: String {
    switch self {
    case .open: "opening"
    case .close: "closing"
    case .size: "asking for the size"
    case .read: "reads"
    case .write: "writes"
    case .sync: "syncs of files"
    case .truncate: "truncations"
    case .makeDirectory: "making directories"
    case .syncDirectory: "syncs of directories"
    case .rename: "renames"
    case .unlink: "removals"
    case .list: "listings"
    case .lock: "locks"
    case .linkCount: "counting links"
    }
  }
}
