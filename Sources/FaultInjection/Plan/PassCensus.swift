import LogModel
import Storage

/// What passed the storage interface, counted by kind, target, partition and phase: for whoever asks why a fault never
/// fired.
///
/// A pass costs a look-up by its path and one by what it is; no pass is kept.
public struct PassCensus: Hashable, Sendable, Codable {
  private struct Group: Hashable, Codable {
    /// In `names`.
    var phase: Int
    var isRotation: Bool
    var isCheckpoint: Bool
    var kind: OperationKind
    /// A bit for each of `FaultTarget.allCases`.
    var targets: UInt16
    /// Negative for files that belong to none.
    var partition: Int
    /// An opening that makes the file where there is none.
    var isCreating: Bool
    /// A write that is durable when it returns.
    var isDurable: Bool

    /// Whether it is of the passes that the fault can hit, as far as the pass's kind and flags tell.
    func canBeHit(by fault: StorageFault) -> Bool {
      guard fault.descriptor.operations.contains(kind) else { return false }
      return switch fault {
      case .noSpace, .quotaExceeded: kind != .open || isCreating
      case .syncFailure: kind != .write || isDurable
      default: true
      }
    }
  }

  private struct Count: Hashable, Codable {
    var group: Group
    var passes: Int
  }

  /// What follows from a path alone.
  private struct Place {
    var isLog: Bool
    var isSegment: Bool
    var isLaterLog: Bool
    var isMetadata: Bool
    var headBytes: Int64
    var partition: Int
  }

  private var counts: [Group: Int] = [:]
  private var names: [String] = []
  private var current = 0
  private var places: [String: Place] = [:]

  public init() {}

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    names = try container.decode([String].self, forKey: .names)
    for count in try container.decode([Count].self, forKey: .counts) { counts[count.group] = count.passes }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(names, forKey: .names)
    try container.encode(counts.map { Count(group: $0.key, passes: $0.value) }, forKey: .counts)
  }

  private enum CodingKeys: CodingKey { case names, counts }

  public static func == (a: Self, b: Self) -> Bool { a.names == b.names && a.counts == b.counts }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(names)
    hasher.combine(counts)
  }

  // MARK: Counting

  mutating func count(_ call: StorageCall, in phases: PassPhases.OfPass) {
    if names.isEmpty || names[current] != phases.announced { current = number(of: phases.announced) }
    let place = place(of: call.path)
    let group = Group(
      phase: current, isRotation: phases.isRotation, isCheckpoint: phases.isCheckpoint, kind: call.kind,
      targets: Self.targets(of: call, place), partition: place.partition,
      isCreating: call.kind == .open && OpenMode(rawValue: call.flags).contains(.create),
      isDurable: call.kind == .write && call.flags == WriteDurability.durable.rawValue)
    counts[group, default: 0] += 1
  }

  private mutating func number(of phase: String) -> Int {
    if let known = names.firstIndex(of: phase) { return known }
    names.append(phase)
    return names.count - 1
  }

  private mutating func place(of path: String) -> Place {
    if let known = places[path] { return known }
    let isLog = FaultTarget.isLog(path)
    let parts = path.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    let place = Place(
      isLog: isLog, isSegment: isLog && path.hasPrefix("topics/"), isLaterLog: FaultTarget.isLaterLog(path),
      isMetadata: FaultTarget.metadataCopy(path) != nil, headBytes: FaultTarget.headBytes(of: path),
      partition: parts.count > 2 && parts[0] == "topics" ? Int(parts[2]) ?? -1 : -1)
    places[path] = place
    return place
  }

  /// As `FaultTarget.matches` says, from what is known of the path.
  private static func targets(of call: StorageCall, _ place: Place) -> UInt16 {
    let isTransfer = call.kind == .read || call.kind == .write
    var bits: UInt16 = 0
    for (bit, target) in FaultTarget.allCases.enumerated() {
      let isHit =
        switch target {
        case .any: true
        case .segment: place.isSegment
        case .segmentHead: isTransfer && call.offset == 0 && place.isLog
        case .batch: isTransfer && place.isSegment && call.offset >= place.headBytes && call.carriesData
        case .rotation:
          place.isSegment && place.isLaterLog && call.kind != .read
            && (call.kind != .write || call.offset < max(1, place.headBytes))
        case .metadata: place.isMetadata
        case .directory: [.makeDirectory, .syncDirectory, .list].contains(call.kind)
        }
      if isHit { bits |= 1 << UInt16(bit) }
    }
    return bits
  }

  // MARK: Asking

  /// Adds what another life has counted.
  public mutating func add(_ other: PassCensus) {
    for (group, passes) in other.counts {
      var own = group
      own.phase = number(of: other.names[group.phase])
      counts[own, default: 0] += passes
    }
  }

  /// The phases in which anything passed, those that follow from the passes among them, in the order in which they
  /// came.
  public var phases: [String] {
    names + (counts.keys.contains(where: \.isRotation) ? [PassPhases.rotate] : [])
      + (counts.keys.contains(where: \.isCheckpoint) ? [PassPhases.checkpoint] : [])
  }

  /// The partitions whose files anything passed to, ascending.
  public var partitions: [Int] { Set(counts.keys.map(\.partition)).filter { $0 >= 0 }.sorted() }

  /// Passes by kind.
  /// - Parameters:
  ///   - target: what they are aimed at.
  ///   - partition: nil for any, and for files that belong to none.
  ///   - phase: nil for any.
  ///   - fault: nil for all; else those alone that it can hit, as far as their kind and flags tell.
  public func passes(
    of target: FaultTarget = .any, partition: Int? = nil, phase: String? = nil, hitBy fault: StorageFault? = nil
  ) -> [OperationKind: Int] {
    let bit = UInt16(1) << UInt16(FaultTarget.allCases.firstIndex(of: target) ?? 0)
    var found: [OperationKind: Int] = [:]
    for (group, passes) in counts where group.targets & bit != 0 {
      let phases = PassPhases.OfPass(
        announced: names[group.phase], isRotation: group.isRotation, isCheckpoint: group.isCheckpoint)
      guard phase.map({ phases.contains($0) }) ?? true, partition == nil || partition == group.partition,
        fault.map({ group.canBeHit(by: $0) }) ?? true
      else { continue }
      found[group.kind, default: 0] += passes
    }
    return found
  }
}

/// How many passes one planned fault was counted for, hit or not.
public struct MatchedPasses: Hashable, Sendable, Codable {
  /// That matched by kind, target, partition and phase.
  public var passes: Int
  /// That they carried.
  public var bytes: Int64

  public init(passes: Int = 0, bytes: Int64 = 0) {
    self.passes = passes
    self.bytes = bytes
  }
}
