/// Who writes a log in the first life of a trial, by the names of scenarios: one engine, or a second one that gets, or
/// tries to get, at the same files while the first is at work.
public enum WriterSetup: String, Hashable, Sendable, CaseIterable, Codable {
  case one
  /// A second engine in the same process.
  case secondEngine = "second-engine"
  /// A second engine in a process of its own; on real files only.
  case secondProcess = "second-process"
  /// The lock's file is removed while the first engine has it locked; then a second one opens.
  case lockRemoved = "lock-removed"
  /// The first engine stands still until its lease has run out; a second one takes over, and the first goes on.
  case leaseExpired = "lease-expired"
  /// A second engine takes a lease that runs for one that has run out: its clock is an hour ahead.
  case clockSkew = "clock-skew"
  /// The first engine's lease cannot be renewed, for each write of its term fails; it goes on writing to the log. A
  /// second engine takes over once the lease has run out.
  case renewalFailed = "renewal-failed"
  /// The first engine is cut off from its storage: what it had asked for is done, and what it asks for waits. A second
  /// engine takes over once the lease has run out; once that has had an answer the network is back, and what has waited
  /// arrives.
  case networkCut = "network-cut"
  /// The first engine dies without giving its lease back. It is started again, and opens once the lease has run out;
  /// what the dead one had asked for arrives once it has had an answer, and nobody hears of it.
  case holderKilled = "holder-killed"
  /// The first engine holds its lease for more than three terms and renews it. A second engine tries again and again to
  /// take it, and is refused.
  case holderLives = "holder-lives"

  /// Whether the second writer gets past the lock or the lease of a sound engine, so that the epoch must protect.
  public var getsPastExclusion: Bool {
    switch self {
    case .one, .secondEngine, .secondProcess, .holderLives: false
    case .lockRemoved, .leaseExpired, .clockSkew, .renewalFailed, .networkCut, .holderKilled: true
    }
  }

  /// Whether the writers hold a lease in the place of the lock.
  public var takesLease: Bool {
    switch self {
    case .one, .secondEngine, .secondProcess, .lockRemoved: false
    case .leaseExpired, .clockSkew, .renewalFailed, .networkCut, .holderKilled, .holderLives: true
    }
  }
}
