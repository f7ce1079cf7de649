import LogModel
import Storage

/// When something is to happen: at the passes of the storage interface that match, and meet the condition, in the
/// chosen moment.
///
/// A pass *matches* by kind, path, target, partition and phase together; matching passes are counted from 1, whatever
/// becomes of them; the condition chooses among them.
public struct FaultTrigger: Hashable, Sendable, Codable {
  /// The moment in the course of an operation.
  public enum Moment: String, Hashable, Sendable, Codable, CaseIterable {
    /// Before it is passed on: it has not happened.
    case submission
    /// Once the base has started it: after two idle turns, so that a ring has been told of it. A base that completes
    /// in place has ended it by then.
    case inFlight = "in-flight"
    /// Once the base has ended it, and before the caller knows.
    case completion
  }

  public enum Condition: Hashable, Sendable, Codable {
    /// The nth matching pass, from 1, and all that follow it.
    case occurrence(Int)
    /// The nth matching pass, from 1, and every kth after it; `k` from 1.
    case every(Int, from: Int)
    /// The matching pass that carries the nth byte of all matching passes, from 1, and all that follow it. A fault that
    /// cuts the pass spares the bytes before the nth.
    case bytes(Int64)
    /// Matching passes from when this share of the workload is announced, in percent: 0 ... 100.
    case share(percent: Double)
    /// Matching passes this long after the storage was made, on its loop's clock.
    case elapsed(Duration)
    /// Each matching pass with this probability in a million, under the seed.
    case chance(perMillion: Int, seed: UInt64)
  }

  /// Empty for every kind, or for those that the fault hits by itself.
  public var kinds: Set<OperationKind>
  /// A part of the path, or of a rename's new path; empty for every path.
  public var pathContains: String
  public var target: FaultTarget
  /// `topics/TOPIC/N/`; nil for any, and for files that belong to none.
  public var partition: Int?
  /// The phase that a note has announced, or one of `derivedPhases`; nil for any.
  public var phase: String?
  public var condition: Condition
  public var moment: Moment

  public init(
    _ kinds: Set<OperationKind> = [], pathContains: String = "", target: FaultTarget = .any, partition: Int? = nil,
    phase: String? = nil, _ condition: Condition = .occurrence(1), _ moment: Moment = .submission
  ) {
    self.kinds = kinds
    self.pathContains = pathContains
    self.target = target
    self.partition = partition
    self.phase = phase
    self.condition = condition
    self.moment = moment
  }

  /// The same bytes for the same trigger: a set has no order of its own.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(kinds.sorted { $0.rawValue < $1.rawValue }, forKey: .kinds)
    try container.encode(pathContains, forKey: .pathContains)
    try container.encode(target, forKey: .target)
    try container.encodeIfPresent(partition, forKey: .partition)
    try container.encodeIfPresent(phase, forKey: .phase)
    try container.encode(condition, forKey: .condition)
    try container.encode(moment, forKey: .moment)
  }

  package func matches(_ call: StorageCall, in phases: PassPhases.OfPass) -> Bool {
    (kinds.isEmpty || kinds.contains(call.kind))
      && (phase.map { phases.contains($0) } ?? true)
      && (pathContains.isEmpty || contains(call.path) || contains(call.destination ?? ""))
      && target.matches(call)
      && (partition == nil || partition == Self.partition(of: call.path))
  }

  private func contains(_ path: String) -> Bool {
    let (text, part) = (Array(path.utf8), Array(pathContains.utf8))
    guard part.count <= text.count else { return false }
    return (0...text.count - part.count).contains { text[$0..<$0 + part.count].elementsEqual(part) }
  }

  private static func partition(of path: String) -> Int? {
    let parts = path.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    return parts.count > 2 && parts[0] == "topics" ? Int(parts[2]) : nil
  }
}

/// The old name, from when only crashes were triggered.
public typealias CrashTrigger = FaultTrigger

/// What a pass is aimed at, as far as its path and position tell: the fault layer does not know the engine.
public enum FaultTarget: String, Hashable, Sendable, Codable, CaseIterable {
  case any
  /// A file of a log below `topics`; see `isLog`.
  case segment
  /// Reads and writes at byte 0 of a file `*.log`.
  case segmentHead = "segment-head"
  /// Reads and writes of batches: behind the header block of a file `topics/**.log`, from byte 4096 on, and of a write
  /// what carries anything but zeros, with which a log is filled ahead. Where the storage knows a `BatchLocator`, a
  /// pass in which no message stands is none of them.
  case batch
  /// The making of a file `topics/**.log` that does not begin at offset 0: opening it, and what is done to its header
  /// block and to the file as such.
  case rotation
  /// Both copies of the metadata, `metadata` and `metadata-mirror`, and everything in them.
  case metadata
  /// Operations on a directory as such: makeDirectory, syncDirectory, list.
  case directory

  func matches(_ call: StorageCall) -> Bool {
    let isTransfer = call.kind == .read || call.kind == .write
    return switch self {
    case .any: true
    case .segment: Self.isSegment(call.path)
    case .segmentHead: isTransfer && call.offset == 0 && Self.isLog(call.path)
    case .batch:
      isTransfer && call.offset >= Self.headBytes(of: call.path) && Self.isSegment(call.path) && call.carriesData
    case .rotation:
      Self.isSegment(call.path) && Self.isLaterLog(call.path) && call.kind != .read
        && (call.kind != .write || call.offset < max(1, Self.headBytes(of: call.path)))
    case .metadata: Self.metadataCopy(call.path) != nil
    case .directory: [.makeDirectory, .syncDirectory, .list].contains(call.kind)
    }
  }

  private static func isSegment(_ path: String) -> Bool { path.hasPrefix("topics/") && isLog(path) }

  /// Whether a file of that name holds a log: `*.log`, and of the formats of other systems `*.wal` and `*.wal.NUMBER`.
  public static func isLog(_ path: String) -> Bool {
    path.hasSuffix(".log") || path.hasSuffix(".wal") || isRotated(path)
  }

  private static func isRotated(_ path: String) -> Bool {
    let digits = path.utf8.reversed().prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }.count
    return digits > 0 && path.dropLast(digits).hasSuffix(".wal.")
  }

  /// Of a segment, before its first batch; files of other formats have no block for it.
  static func headBytes(of path: String) -> Int64 { path.hasSuffix(".log") ? 4096 : 0 }

  /// The engine keeps its metadata twice, in these folders.
  public static let metadataCopies = ["metadata", "metadata-mirror"]

  /// The copy of the metadata that `path` is, or lies in.
  static func metadataCopy(_ path: String) -> String? {
    guard path.hasPrefix("metadata") else { return nil }
    return metadataCopies.first { path == $0 || path.hasPrefix($0 + "/") }
  }

  /// `.../BASE-EPOCH.log`, BASE not 0; `*.wal.NUMBER`.
  static func isLaterLog(_ path: String) -> Bool {
    if isRotated(path) { return true }
    guard path.hasSuffix(".log"), let name = path.split(separator: "/").last else { return false }
    return name.prefix { $0 != "-" && $0 != "." }.contains { $0 != "0" }
  }
}

/// Counts the passes that match one trigger, and tells which of them meet its condition.
package struct TriggerCounter {
  /// What a condition may depend on beside the pass.
  package struct Surroundings {
    var now: Instant
    /// Of the workload that has been done.
    var percent = 0.0

    package init(now: Instant, percent: Double = 0) {
      self.now = now
      self.percent = percent
    }
  }

  /// A pass that meets the condition.
  package struct Hit {
    /// Its number among the passes that matched, from 1.
    package var occurrence: Int
    /// The first byte of the pass that is to be hit, from its start; nil where the condition counts no bytes.
    var byte: Int?
  }

  let trigger: FaultTrigger
  private let start: Instant
  private(set) var count = 0
  private(set) var bytes: Int64 = 0
  private var random: SeededGenerator

  package init(_ trigger: FaultTrigger, at start: Instant) {
    self.trigger = trigger
    self.start = start
    if case .chance(_, let seed) = trigger.condition {
      random = SeededGenerator(seed: seed, stream: "trigger")
    } else {
      random = SeededGenerator(seed: 0)
    }
  }

  /// Counts a pass that has been found to match.
  package mutating func count(_ call: StorageCall, in surroundings: Surroundings) -> Hit? {
    count += 1
    let before = bytes
    bytes += Int64(call.length)
    var byte: Int?
    let isMet: Bool
    switch trigger.condition {
    case .occurrence(let n): isMet = count >= n
    case .every(let k, let n): isMet = count >= n && (count - n) % max(k, 1) == 0
    case .bytes(let n):
      isMet = bytes >= n
      byte = Int(max(n - 1 - before, 0))
    case .share(let percent): isMet = surroundings.percent >= percent
    case .elapsed(let duration): isMet = surroundings.now - start >= duration
    case .chance(let perMillion, _): isMet = random.chance(perMillion, in: 1_000_000)
    }
    return isMet ? Hit(occurrence: count, byte: byte) : nil
  }
}
