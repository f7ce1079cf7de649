import CrashStates
import ProgramOracle

/// A promise that the program broke, as it is reported.
package struct ProgramFinding: Sendable {
  package var check: String
  package var detail: String
  /// The first profile that permits it, of those with the least freedom; `killed` where no power needs to go; or the
  /// fault.
  package var cause: String
  /// Whether three more tries gave the same.
  package var repeats: Bool
  /// Who permits the state, where the profile's name does not say it all.
  package var permits: String?
  package var story: [String]
  /// The program's last words, where it failed.
  package var log: [String]
  /// Gives it again: `tornlog reproduce TOKEN`. Nil for a kill or a fault at a random operation.
  package var token: String?
  /// States or runs in which the same check was violated.
  package var count = 1
}
