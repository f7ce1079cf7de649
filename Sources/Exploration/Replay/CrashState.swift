import LogModel

/// One state that a power cut may leave behind, in so few words that it can be built again on another machine: record the
/// workload, stop at the event, keep these pieces. `CrashStateToken` makes it one word.
public struct CrashState: Hashable, Sendable {
  /// A moment of a recording, and what a power cut kept there.
  public struct Cut: Hashable, Sendable {
    /// So many events of the recording had happened.
    public var event: Int
    public var kept: KeptPieces

    public init(event: Int, kept: KeptPieces) {
      self.event = event
      self.kept = kept
    }
  }

  public var workload: ExplorationWorkload
  /// Nil for the sound engine.
  public var defect: String?
  public var profile: CrashProfile
  public var cut: Cut
  /// A second power cut, inside the recovery from the first; nil at depth 1.
  public var recoveryCut: Cut?
  /// What was built from all this when it was found; see `CrashScene.fingerprint`.
  public var fingerprint: UInt32

  public init(
    workload: ExplorationWorkload, defect: String?, profile: CrashProfile, cut: Cut, recoveryCut: Cut?,
    fingerprint: UInt32
  ) {
    self.workload = workload
    self.defect = defect
    self.profile = profile
    self.cut = cut
    self.recoveryCut = recoveryCut
    self.fingerprint = fingerprint
  }

  public var depth: Int { recoveryCut == nil ? 1 : 2 }
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
      guard numbers.count == 2, let piece = numbers[0], let alternative = numbers[1], piece > exceptions.last?.piece ?? -1,
        (0...Int(Alternative.max)).contains(alternative), "\(piece)-\(alternative)" == word
      else { return nil }
      exceptions.append(Exception(piece: piece, alternative: alternative))
    }
  }

  init(_ choice: [Alternative], of point: CrashPoint) {
    func differing(_ base: [Alternative]) -> [Exception] {
      choice.indices.filter { choice[$0] != base[$0] }.map { Exception(piece: $0, alternative: Int(choice[$0])) }
    }
    let (fromAll, fromNone) = (differing(point.everything), differing(point.nothing))
    keepsAll = fromAll.count <= fromNone.count
    exceptions = keepsAll ? fromAll : fromNone
  }

  /// Nil where the crash point has no such pieces or alternatives, or the profile does not permit them together.
  func choice(of point: CrashPoint) -> [Alternative]? {
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
