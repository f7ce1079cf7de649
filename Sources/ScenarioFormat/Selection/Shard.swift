import LogModel

/// Which part of a run's trials this process takes: `slice:M/N`, `hash:M/N` or `auto:N`, M from 1 to N.
public enum Shard: Hashable, Sendable, CustomStringConvertible {
  /// Every Nth trial, beginning with the Mth: even parts, but a new trial shifts the others.
  case slice(Int, of: Int)
  /// By the stable hash of the trial's name: uneven, but a trial stays where it is.
  case hash(Int, of: Int)
  /// N parts, and the runner finds out which one this process is.
  case auto(of: Int)

  public init(_ text: String) throws(SelectionError) {
    let expected = "expected slice:M/N, hash:M/N or auto:N, with M from 1 to N"
    let halves = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let numbers = (halves.count == 2 ? halves[1] : "").split(separator: "/", omittingEmptySubsequences: false).map {
      part in
      part.utf8.allSatisfy { (48...57).contains($0) } ? Int(part) : nil
    }
    switch (halves[0], numbers.first ?? nil, numbers.count > 1 ? numbers[1] : nil, numbers.count) {
    case ("slice", let m?, let n?, 2) where (1...max(1, n)).contains(m) && n >= 1: self = .slice(m, of: n)
    case ("hash", let m?, let n?, 2) where (1...max(1, n)).contains(m) && n >= 1: self = .hash(m, of: n)
    case ("auto", let n?, nil, 1) where n >= 1: self = .auto(of: n)
    default: throw SelectionError(source: text, column: 1, message: "'\(text)' is no shard; \(expected)")
    }
  }

  public var description: String {
    switch self {
    case .slice(let m, let n): "slice:\(m)/\(n)"
    case .hash(let m, let n): "hash:\(m)/\(n)"
    case .auto(let n): "auto:\(n)"
    }
  }

  /// Whether the trial at `position` among the selected ones, with this name, belongs here. `auto` keeps all: resolve
  /// it to one of the others first.
  public func keeps(position: Int, name: String) -> Bool {
    switch self {
    case .slice(let m, let n): position % n == m - 1
    case .hash(let m, let n): mix64(stableHash(name)) % UInt64(n) == UInt64(m - 1)
    case .auto: true
    }
  }
}
