import Storage

/// The phases that a pass belongs to: the one that has been announced, and two that follow from what passes the storage
/// interface.
///
/// | phase | passes that are in it |
/// |---|---|
/// | `rotate` | of a log that makes a later segment, `topics/**.log` not from offset 0 on: of its folder and all files in it, from the creation of the new file to the sync of its folder. It ends too where the file cannot be made or is removed again, and before the first batch is written to it: a log that is never synced does not sync its folder |
/// | `checkpoint` | that change or sync a copy of the metadata, while `commit` (of consumer offsets) or `close` is announced; while `recover` is, from the creation of a later segment of that copy on: a snapshot, or ends of logs that are recorded before they are cut |
///
/// What registers a topic, or a log's new segment, is no checkpoint; nor is the repair of a copy that has not yet begun
/// a new segment.
package struct PassPhases {
  static let rotate = "rotate"
  static let checkpoint = "checkpoint"
  /// Announced phases in which changes of the metadata are checkpoints.
  static let checkpointing: Set<String> = ["commit", "close"]
  /// The one in which they are once a copy has begun a later segment.
  static let recovering = "recover"

  /// Those of one pass.
  package struct OfPass {
    var announced: String
    var isRotation = false
    var isCheckpoint = false

    package func contains(_ phase: String) -> Bool {
      phase == announced || isRotation && phase == PassPhases.rotate || isCheckpoint && phase == PassPhases.checkpoint
    }
  }

  package var announced = ""
  /// The file that a log makes, by the log's folder.
  private var made: [String: String] = [:]
  /// Copies of the metadata that have begun a later segment in this life.
  private var begun: Set<String> = []

  package init() {}

  /// Takes a pass up before it is passed on.
  package mutating func begin(_ call: StorageCall) -> OfPass {
    var phases = OfPass(announced: announced)
    if call.path.hasPrefix("topics/") {
      phases.isRotation = beginInLog(call)
    } else if let copy = FaultTarget.metadataCopy(call.path) {
      if Self.makesLaterSegment(call) { begun.insert(copy) }
      phases.isCheckpoint =
        call.changesOrSyncs
        && (Self.checkpointing.contains(announced) || announced == Self.recovering && begun.contains(copy))
    }
    return phases
  }

  private mutating func beginInLog(_ call: StorageCall) -> Bool {
    if Self.makesLaterSegment(call) {
      made[Self.folder(of: call.path)] = call.path
      return true
    }
    if made.isEmpty { return false }
    if let file = made[call.path] ?? made[Self.folder(of: call.path)] {
      guard call.kind == .write, call.path == file, call.offset >= FaultTarget.headBytes(of: file) else { return true }
      made[Self.folder(of: file)] = nil
    }
    return false
  }

  /// Takes up how a pass has ended; for one of which `begin` has been told.
  package mutating func end(_ call: StorageCall, isRefused: Bool) {
    if made.isEmpty { return }
    let folder = Self.folder(of: call.path)
    switch call.kind {
    case .open where isRefused && made[folder] == call.path && Self.makesLaterSegment(call): made[folder] = nil
    case .unlink where made[folder] == call.path: made[folder] = nil
    case .syncDirectory where !isRefused: made[call.path] = nil
    default: break
    }
  }

  private static func makesLaterSegment(_ call: StorageCall) -> Bool {
    call.kind == .open && OpenMode(rawValue: call.flags).contains(.create) && FaultTarget.isLaterLog(call.path)
  }

  private static func folder(of path: String) -> String { path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "" }
}

extension StorageCall {
  /// Whether it changes what is stored, or makes changes durable.
  var changesOrSyncs: Bool { isChange || kind == .sync || kind == .syncDirectory }
}

extension FaultTrigger {
  /// Phases that nobody announces, for they follow from what passes: while a log goes over to its next segment, and
  /// while the metadata is written down anew or consumer offsets are committed. `PassPhases` says where they begin and
  /// end.
  public static let derivedPhases = [PassPhases.rotate, PassPhases.checkpoint]

  /// Kinds of operations that a pass in `phase` can be; nil for any.
  public static func kinds(inPhase phase: String) -> Set<OperationKind>? {
    switch phase {
    case PassPhases.rotate: Set(OperationKind.allCases).subtracting([.lock, .linkCount, .makeDirectory])
    case PassPhases.checkpoint: [.open, .write, .sync, .syncDirectory, .truncate, .rename, .unlink, .makeDirectory]
    default: nil
    }
  }
}
