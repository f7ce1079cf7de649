import LogModel
import PartitionEngine
import Storage

/// A historical bug, put into an engine as a substitute for one of its parts. The engine's own source holds none.
public struct Defect: Sendable {
  /// As in ../shared/design/DEFECTS.md: `C2b`.
  public var id: String
  /// Whose bug it was.
  public var origin: String
  /// What is wrong, in one sentence.
  public var summary: String
  /// The smallest condition under which it does harm.
  public var showsWhen: String
  /// What the trial must know of the configuration to put it in place.
  let install: @Sendable (inout EngineParts) -> Void
  /// Edits the operations of the engine at the seam.
  let edit: @Sendable (any Storage) -> any Storage

  /// The parts of an engine with this defect.
  public func parts() -> EngineParts {
    var parts = EngineParts()
    install(&parts)
    return parts
  }

  /// The storage that an engine with this defect works on: `base`, or a layer above it.
  public func layer(on base: any Storage) -> any Storage { edit(base) }

  /// In the order of DEFECTS.md.
  public static let all: [Defect] = chronik + streamhouse

  /// Nil for an id that there is not, `none` among them.
  public init?(id: String) {
    guard let defect = Self.all.first(where: { $0.id == id }) else { return nil }
    self = defect
  }

  init(
    _ id: String, origin: String, _ summary: String, showsWhen: String,
    edit: @escaping @Sendable (any Storage) -> any Storage = { $0 },
    _ install: @escaping @Sendable (inout EngineParts) -> Void
  ) {
    self.id = id
    self.origin = origin
    self.summary = summary
    self.showsWhen = showsWhen
    self.install = install
    self.edit = edit
  }
}
