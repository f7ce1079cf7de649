import Storage

/// A line of the engine's source that starts an operation that can fail.
public struct EngineCallSite: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// `Module/File.swift`.
  public var file: String
  /// From 1.
  public var line: Int
  public var kind: OperationKind

  public var description: String { "\(file):\(line) \(kind.rawValue)" }

  public static func < (a: Self, b: Self) -> Bool {
    (a.file, a.line, a.kind.rawValue) < (b.file, b.line, b.kind.rawValue)
  }
}

extension EngineCallSite {
  /// Operations that can fail. `man 2 close`: the handle is gone whatever it says.
  static let kinds = OperationKind.allCases.filter { $0 != .close }

  /// All of them, hit or not. The build lists them: see `Plugins/CallSiteTable`.
  static let all: [EngineCallSite] = CallSiteTable.text.split(separator: "\n").compactMap { EngineCallSite(row: $0) }
    .sorted()

  init(_ site: CallSite, _ kind: OperationKind) {
    self.init(file: "\(site.file)", line: Int(site.line), kind: kind)
  }

  /// - Parameter row: `Module/File.swift 12 sync`. Nil for operations that cannot fail, and for other text.
  init?(row: Substring) {
    let words = row.split(separator: " ")
    guard words.count == 3, let line = Int(words[1]) else { return nil }
    // They read and write, again and again where need be.
    let wholes: [Substring: OperationKind] = ["readWhole": .read, "writeWhole": .write]
    let kind = wholes[words[2]] ?? OperationKind(rawValue: String(words[2]))
    guard let kind, Self.kinds.contains(kind) else { return nil }
    self.init(file: String(words[0]), line: line, kind: kind)
  }
}
