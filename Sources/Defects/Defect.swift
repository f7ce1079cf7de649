import LogModel
import PartitionEngine
import RecordLogs
import Storage

/// A historical bug, put into an engine as a substitute for one of its parts, or as an edit of what passes between it
/// and its storage. The engine's own source holds none.
public struct Defect: Sendable {
  /// As in ../shared/design/DEFECTS.md: `C2b`; of several at once `C4+P9`.
  public let id: String
  /// The ids of those that it is made of; its own where it is one.
  public let members: [String]
  /// Whose bug it was.
  public var origin: String
  /// What is wrong, in one sentence.
  public var summary: String
  /// The smallest condition under which it does harm.
  public var showsWhen: String
  /// What the trial must know of the configuration to put it in place.
  let install: @Sendable (inout EngineParts) -> Void
  private let wrap: @Sendable (any Storage) -> any Storage
  private let installDelivery: @Sendable (inout DeliveryParts) -> Void
  private let installReplay: @Sendable (inout ReplayParts) -> Void
  /// What it is a defect of.
  public let subject: Subject
  /// What its code needs in order to differ from the sound code.
  public internal(set) var needs: Set<Need> = []
  /// Whether its layer acts between other programs and their storage too.
  var actsOnEveryProgram = false

  /// Programs that keep logs.
  public enum Subject: Hashable, Sendable {
    /// The partition engine, and whatever of it the others have in common.
    case engine
    /// A job's log, its sender and its archive.
    case delivery
    /// A replay buffer's transactions.
    case transactions
  }

  /// The parts of an engine with this defect.
  public func parts() -> EngineParts {
    var parts = EngineParts()
    install(&parts)
    return parts
  }

  /// The parts of a job's log and its sender with this defect.
  public func deliveryParts() -> DeliveryParts {
    var parts = DeliveryParts()
    installDelivery(&parts)
    return parts
  }

  /// The parts of a replay buffer with this defect.
  public func replayParts() -> ReplayParts {
    var parts = ReplayParts()
    installReplay(&parts)
    return parts
  }

  /// The storage that an engine with this defect works on: `base`, or a layer above it.
  public func layer(on base: any Storage) -> any Storage { wrap(base) }

  /// In the order of DEFECTS.md.
  public static let all: [Defect] = [
    chronik, chronikReading, chronikSegments, chronikMetadata, streamhouse, streamhouseReading, streamhouseFlushes,
    airunner,
    checkpoints, delivery, replay, storage, commits, offsets, metadataLog, reading, reviewed, planted, plantedLoad,
    edges, incidents, shortReads,
  ].flatMap(\.self).sorted { $0.place < $1.place }

  /// Projects in the order of the list, then numbers, then what follows them.
  private var place: (Int, Int, String) {
    let letter = id.first.flatMap { "CHARP".firstIndex(of: $0)?.utf16Offset(in: "CHARP") } ?? 0
    let digits = id.dropFirst().prefix(while: \.isNumber)
    return (letter, Int(digits) ?? 0, String(id.dropFirst(1 + digits.count)))
  }

  /// A defect that is nothing but a layer.
  init(
    _ id: String, origin: String, _ summary: String, showsWhen: String,
    onlyLayer layer: @escaping @Sendable (any Storage) -> any Storage
  ) {
    self.init(id, origin: origin, summary, showsWhen: showsWhen, layer: layer) { _ in }
  }

  /// Both at once.
  init(_ first: Defect, and second: Defect) {
    id = "\(first.id)\(Self.conjunction)\(second.id)"
    origin = first.origin == second.origin ? first.origin : "\(first.origin), \(second.origin)"
    summary = "\(first.summary) \(second.summary)"
    showsWhen = "\(first.showsWhen); \(second.showsWhen)"
    subject = first.subject
    members = first.members + second.members
    needs = first.needs.union(second.needs)
    install = { parts in
      first.install(&parts)
      second.install(&parts)
    }
    wrap = { second.wrap(first.wrap($0)) }
    installDelivery = { parts in
      first.installDelivery(&parts)
      second.installDelivery(&parts)
    }
    installReplay = { parts in
      first.installReplay(&parts)
      second.installReplay(&parts)
    }
  }

  /// - Parameter layer: puts the defect, or a part of it, between the engine and its storage.
  init(
    _ id: String, origin: String, _ summary: String, showsWhen: String,
    layer: @escaping @Sendable (any Storage) -> any Storage = { $0 },
    _ install: @escaping @Sendable (inout EngineParts) -> Void
  ) {
    self.init(id, .engine, origin, summary, showsWhen, layer, install, { _ in }, { _ in })
  }

  /// A defect of a job's log, its sender or its archive.
  init(
    ofDelivery id: String, origin: String, _ summary: String, showsWhen: String,
    layer: @escaping @Sendable (any Storage) -> any Storage = { $0 },
    _ install: @escaping @Sendable (inout DeliveryParts) -> Void
  ) {
    self.init(id, .delivery, origin, summary, showsWhen, layer, { _ in }, install, { _ in })
  }

  /// A defect of a replay buffer's transactions.
  init(
    ofTransactions id: String, origin: String, _ summary: String, showsWhen: String,
    _ install: @escaping @Sendable (inout ReplayParts) -> Void
  ) {
    self.init(id, .transactions, origin, summary, showsWhen, { $0 }, { _ in }, { _ in }, install)
  }

  private init(
    _ id: String, _ subject: Subject, _ origin: String, _ summary: String, _ showsWhen: String,
    _ layer: @escaping @Sendable (any Storage) -> any Storage,
    _ install: @escaping @Sendable (inout EngineParts) -> Void,
    _ installDelivery: @escaping @Sendable (inout DeliveryParts) -> Void,
    _ installReplay: @escaping @Sendable (inout ReplayParts) -> Void
  ) {
    (self.id, members, self.subject, self.origin, self.summary, self.showsWhen) = (
      id, [id], subject, origin, summary, showsWhen
    )
    (wrap, self.install, self.installDelivery, self.installReplay) = (layer, install, installDelivery, installReplay)
  }
}
