/// What became of a document's claim: in one trial, or without one.
public struct ClaimResult: Hashable, Sendable, Codable {
  public enum Outcome: String, Hashable, Sendable, Codable {
    case holds, contradicted
    /// The trial gave no figure: it has no verdict, or its clock is a virtual one.
    case notMeasured = "not-measured"
    /// Nothing here can measure it.
    case beyondReach = "beyond-reach"
    /// Another command measures it; `reason` names it.
    case measuredElsewhere = "measured-elsewhere"
  }

  public enum Unit: String, Hashable, Sendable, Codable { case count, percent, seconds }

  public struct Figure: Hashable, Sendable, Codable {
    /// `lost-share` ...
    public var name: String
    public var unit: Unit
    /// As the scenario has it: `< 0.1%`.
    public var claimed: String
    /// Nil where there is none.
    public var measured: Double?

    public init(name: String, unit: Unit, claimed: String, measured: Double?) {
      self.name = name
      self.unit = unit
      self.claimed = claimed
      self.measured = measured
    }
  }

  /// The document and the place in it.
  public var source: String
  /// Its words.
  public var says: String
  public var outcome: Outcome
  public var figures: [Figure]
  /// Why it is beyond reach, or what its own arithmetic comes to.
  public var reason: String?

  public init(source: String, says: String, outcome: Outcome, figures: [Figure] = [], reason: String? = nil) {
    self.source = source
    self.says = says
    self.outcome = outcome
    self.figures = figures
    self.reason = reason
  }
}

/// A scenario as reports on claims need it.
public struct CaseDescription: Hashable, Sendable {
  public var scenario: String
  public var title: String
  /// What an operator should do; empty where the scenario does not say.
  public var remedy: String
  /// Claims that no cell decides.
  public var claims: [ClaimResult]

  public init(scenario: String, title: String, remedy: String, claims: [ClaimResult]) {
    self.scenario = scenario
    self.title = title
    self.remedy = remedy
    self.claims = claims
  }
}

/// What appending cost in the first life, from sending a request to its acknowledgement, in seconds.
public struct AppendFigures: Hashable, Sendable, Codable {
  public var p50: Double
  public var p99: Double

  public init(p50: Double, p99: Double) {
    self.p50 = p50
    self.p99 = p99
  }
}
