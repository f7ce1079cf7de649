import Verification

/// What is checked. The names are those of reports.
package enum ProgramCheck: String, Sendable, Hashable, CaseIterable {
  /// What was promised to survive is there, with its last value.
  case noAcknowledgedLoss = "no-acknowledged-loss"
  /// Nothing is there that nobody wrote, or that the program had refused.
  case noPhantom = "no-phantom"
  /// No value is a damaged one: cut, mixed with another, or overwritten by zeros.
  case contentIntact = "content-intact"
  /// Each record is there once.
  case noDuplicates = "no-duplicates"
  /// Records stand in the order in which they were acknowledged.
  case orderKept = "order-kept"
  /// Records are where the program had said.
  case positionsKept = "positions-kept"
  /// Where acknowledged writes may be lost, none is lost before one that is there.
  case noGaps = "no-gaps"
  /// Of each transaction all is there, or nothing.
  case transactionsWhole = "transactions-whole"
  /// What was deleted or taken stays away.
  case noResurrection = "no-resurrection"
  /// The program opens.
  case opens
  /// It opens and answers within the time limit.
  case opensInTime = "opens-in-time"
  /// It reads what it has opened.
  case reads
  /// Its own check finds nothing.
  case ownCheckAgrees = "own-check-agrees"

  /// In one sentence, for lists.
  package var text: String {
    switch self {
    case .noAcknowledgedLoss: "what was promised to survive is there, with its last value"
    case .noPhantom: "nothing is there that nobody wrote, or that the program had refused"
    case .contentIntact: "no value is damaged: cut, mixed with another, or overwritten by zeros"
    case .noDuplicates: "each record is there once"
    case .orderKept: "records stand in the order in which they were acknowledged"
    case .positionsKept: "records are where the program had said"
    case .noGaps: "where acknowledged writes may be lost, none is lost before one that is there"
    case .transactionsWhole: "of each transaction all is there, or nothing"
    case .noResurrection: "what was deleted or taken stays away"
    case .opens: "the program opens"
    case .opensInTime: "it opens and answers within the time limit"
    case .reads: "it reads what it has opened"
    case .ownCheckAgrees: "its own check finds nothing"
    }
  }
}

/// A check that came out as anything but held.
package struct ProgramCheckResult: Sendable, Hashable {
  package var check: ProgramCheck
  package var verdict: Verdict
  /// One sentence.
  package var detail: String

  package init(_ check: ProgramCheck, _ verdict: Verdict, _ detail: String) {
    (self.check, self.verdict, self.detail) = (check, verdict, detail)
  }
}
