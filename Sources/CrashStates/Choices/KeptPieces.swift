/// A moment of a recording, and what a power cut kept there.
public struct PowerCut: Hashable, Sendable {
  /// So many events of the recording had happened.
  public var event: Int
  public var kept: KeptPieces

  public init(event: Int, kept: KeptPieces) {
    self.event = event
    self.kept = kept
  }
}

/// The choice of a crash point, as what differs from *everything kept* or from *nothing kept*, whichever is less.
///
/// `all`, `none`, `all_3-0_7-2`: of piece 3 alternative 0, of piece 7 alternative 2, of all others the newest.
public struct KeptPieces: Hashable, Sendable, CustomStringConvertible {
  public struct Exception: Hashable, Sendable {
    /// Its number among the pieces of the crash point.
    public var piece: Int
    /// 0 is what was durable.
    public var alternative: Int
  }

  public var keepsAll: Bool
  /// By piece.
  public var exceptions: [Exception]

  public var description: String {
    ([keepsAll ? "all" : "none"] + exceptions.map { "\($0.piece)-\($0.alternative)" }).joined(separator: "_")
  }

  /// Nil for a text that is not in the notation of `description`.
  public init?(_ text: String) {
    let words = text.split(separator: "_", omittingEmptySubsequences: false).map(String.init)
    guard words[0] == "all" || words[0] == "none" else { return nil }
    keepsAll = words[0] == "all"
    exceptions = []
    for word in words.dropFirst() {
      let numbers = word.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard numbers.count == 2, let piece = numbers[0], let alternative = numbers[1],
        piece > exceptions.last?.piece ?? -1,
        (0...Int(Alternative.max)).contains(alternative), "\(piece)-\(alternative)" == word
      else { return nil }
      exceptions.append(Exception(piece: piece, alternative: alternative))
    }
  }

  package init(_ choice: [Alternative], of point: CrashPoint) {
    func differing(_ base: [Alternative]) -> [Exception] {
      choice.indices.filter { choice[$0] != base[$0] }.map { Exception(piece: $0, alternative: Int(choice[$0])) }
    }
    let (fromAll, fromNone) = (differing(point.everything), differing(point.nothing))
    keepsAll = fromAll.count <= fromNone.count
    exceptions = keepsAll ? fromAll : fromNone
  }

  /// Nil where the crash point has no such pieces or alternatives, or the profile does not permit them together.
  package func choice(of point: CrashPoint) -> [Alternative]? {
    var choice = keepsAll ? point.everything : point.nothing
    for exception in exceptions {
      guard choice.indices.contains(exception.piece), exception.alternative < point.pieces[exception.piece].count else {
        return nil
      }
      choice[exception.piece] = Alternative(exception.alternative)
    }
    return point.permits(choice) ? choice : nil
  }
}
