import LogModel

/// What a crash did, item by item: the evidence that it fired and what it took away.
public struct CrashReceipt: Hashable, Sendable {
  public enum EntryChange: String, Hashable, Sendable {
    case created, removed, replaced
  }

  public enum Loss: Hashable, Sendable {
    /// The newest bytes of this range are gone: older ones, or zeros, or the end of the file, are in their place.
    case bytes(path: String, Range<Int64>)
    /// The file was `seen` bytes long and is `kept`.
    case size(path: String, seen: Int64, kept: Int64)
    /// A change of the directory entry is undone: a created file is gone, a removed one is back.
    case entry(path: String, EntryChange)
  }

  /// An operation that was in flight, and how many of its parts took effect: sectors of a write or sync, names.
  public struct Unfinished: Hashable, Sendable {
    public var kind: OperationKind
    public var path: String
    public var kept: Int
    public var of: Int

    public init(kind: OperationKind, path: String, kept: Int, of: Int) {
      self.kind = kind
      self.path = path
      self.kept = kept
      self.of = of
    }
  }

  public var kind: CrashKind
  /// Name of the persistence profile; empty for a process kill, which needs none.
  public var profile: String
  public var seed: UInt64
  /// Sectors, sizes and entries that were not durable: what could have been lost.
  public var volatile: Int
  public var losses: [Loss]
  public var unfinished: [Unfinished]

  public init(kind: CrashKind, profile: String, seed: UInt64) {
    self.kind = kind
    self.profile = profile
    self.seed = seed
    volatile = 0
    losses = []
    unfinished = []
  }

  /// The crash happened, whatever it found to destroy.
  public var fired: Bool { true }
  /// The number of losses; 0 where everything was durable, or the profile's dice kept it.
  public var dropped: Int { losses.count }

  /// Adds a range of lost bytes, joined with the last one where they touch.
  public mutating func lose(_ range: Range<Int64>, of path: String) {
    if case .bytes(path, let last) = losses.last, last.upperBound == range.lowerBound {
      losses[losses.count - 1] = .bytes(path: path, last.lowerBound..<range.upperBound)
    } else {
      losses.append(.bytes(path: path, range))
    }
  }
}

extension CrashReceipt: CustomStringConvertible {
  public var description: String {
    let name = profile.isEmpty ? kind.rawValue : "\(kind.rawValue) (\(profile))"
    if volatile == 0 && unfinished.isEmpty { return "\(name), seed \(seed): nothing was volatile" }
    var text = "\(name), seed \(seed): \(dropped) lost of \(volatile) volatile"
    for loss in losses.prefix(20) { text += "\n  \(loss)" }
    if losses.count > 20 { text += "\n  and \(losses.count - 20) more" }
    for u in unfinished.prefix(20) {
      text += "\n  in flight: \(u.kind.rawValue) \(u.path), \(u.kept) of \(u.of) \(u.unit) kept"
    }
    if unfinished.count > 20 { text += "\n  and \(unfinished.count - 20) more in flight" }
    return text
  }
}

extension CrashReceipt.Unfinished {
  /// What its parts are.
  fileprivate var unit: String {
    switch kind {
    case .write, .sync: "sectors"
    case .syncDirectory: "names"
    default: "changes"
    }
  }
}

extension CrashReceipt.Loss: CustomStringConvertible {
  public var description: String {
    switch self {
    case .bytes(let path, let range): "bytes \(range.lowerBound)..<\(range.upperBound) of \(path)"
    case .size(let path, let seen, let kept): "size of \(path): \(seen) seen, \(kept) kept"
    case .entry(let path, let change): "entry \(path): \(change.rawValue), undone"
    }
  }
}

/// Which parts of an operation in flight take effect: none, all, a prefix, or each by itself, so that the extremes
/// are as likely as the mixtures.
public struct SeededChoice {
  private enum Shape { case none, all, prefix(Int), each(Int) }
  private var random: SeededGenerator
  private let shape: Shape
  private var next = 0

  public init(parts: Int, from random: inout SeededGenerator) {
    self.random = SeededGenerator(seed: random.next())
    switch Int.random(in: 0..<8, using: &random) {
    case 0: shape = .none
    case 1: shape = .all
    case 2, 3: shape = .prefix(Int.random(in: 0...max(parts, 0), using: &random))
    case 4: shape = .each(1)
    case 5: shape = .each(7)
    default: shape = .each(4)
    }
  }

  /// Whether the next part takes effect; asked in the parts' order.
  public mutating func keepsNext() -> Bool {
    defer { next += 1 }
    switch shape {
    case .none: return false
    case .all: return true
    case .prefix(let n): return next < n
    case .each(let eighths): return random.chance(eighths, in: 8)
    }
  }
}
