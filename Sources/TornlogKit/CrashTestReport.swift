import CrashStates
import Verification

/// What a crash test has found.
public struct CrashTestReport: Sendable, CustomStringConvertible {
  /// What was visited of one profile.
  public struct Profile: Sendable {
    public var name: String
    /// Moments at which the power was cut.
    public var moments = 0
    /// States of the disk that were looked at; many of them have the same contents.
    public var visited = 0
    /// States from which the log was recovered and judged.
    public var recovered = 0
    /// States of which a check could not be judged.
    public var unknown = 0
    /// One finding of each check: the first that shows after the fewest restarts.
    public private(set) var findings: [CrashTestFinding] = []

    init(name: String) { self.name = name }

    mutating func add(_ check: CheckResult, _ finding: () -> CrashTestFinding) {
      guard let place = findings.firstIndex(where: { $0.check == check.name }) else {
        return findings.append(finding())
      }
      let states = findings[place].states + 1
      // What shows after one restart is easier to follow than what takes two.
      if (check.restart ?? 1) < findings[place].restart { findings[place] = finding() }
      findings[place].states = states
    }
  }

  public private(set) var profiles: [Profile] = []

  mutating func add(_ profile: Profile) { profiles.append(profile) }

  /// Each violated check once, with the first profile that permits it.
  public var findings: [CrashTestFinding] {
    var seen: Set<CheckName> = []
    return profiles.flatMap(\.findings).filter { seen.insert($0.check).inserted }
  }

  /// `violated` where a check is, `unknown` where nothing was judged or a state could not be, `held` otherwise.
  public var verdict: Verdict {
    if !findings.isEmpty { return .violated }
    let recovered = profiles.reduce(0) { $0 + $1.recovered }
    return recovered == 0 || profiles.contains { $0.unknown > 0 } ? .unknown : .held
  }

  /// States from which the log was recovered and judged, in all profiles.
  public var recovered: Int { profiles.reduce(0) { $0 + $1.recovered } }

  public var description: String {
    var lines = findings.map(\.description)
    for profile in profiles {
      lines.append(
        "\(profile.name): \(profile.moments) moments, \(profile.visited) states visited, \(profile.recovered) recovered"
          + (profile.unknown > 0 ? ", \(profile.unknown) without a verdict" : ""))
    }
    lines.append("\(verdict.rawValue): \(recovered) recoveries judged")
    return lines.joined(separator: "\n")
  }
}

/// A promise that the log broke, and what led to it.
public struct CrashTestFinding: Sendable, CustomStringConvertible {
  /// Lines of a story.
  static let mostLines = 10

  public let check: CheckName
  /// What was expected and what was found.
  public let detail: String
  /// The profile that permits the state.
  public let profile: String
  /// After which restart it showed, from 1. Before the second the log has taken one more message for each partition,
  /// and the power has taken everything that was not durable.
  public let restart: Int
  /// States of this profile in which the check is violated.
  public internal(set) var states = 1
  /// What was done to the disk before the power cut, and what the cut took; ten lines at the most.
  public let story: [String]

  init(
    _ check: CheckResult, _ profile: CrashProfile, _ recording: Recording, _ point: CrashPoint, _ choice: [Alternative],
    at event: Int
  ) {
    self.check = check.name
    detail = check.detail
    self.profile = profile.name
    restart = check.restart ?? 1
    let losses = point.losses(choice, recording, limit: 4)
    let operations = recording.operationTexts(before: event)
    let last = restart < 2 ? ["recovery"] : ["recovery, an append for each partition, power cut, recovery"]
    let room = Self.mostLines - 1 - losses.count - last.count
    let left = operations.count - room
    let first = left > 0 ? ["... \(left + 1) operations before"] + operations.suffix(room - 1) : operations
    story = first + ["power cut"] + losses + last
  }

  public var description: String {
    let head = "VIOLATED \(check.rawValue) (\(profile), \(states) states): \(detail)"
    return ([head] + story.map { "  " + $0 }).joined(separator: "\n")
  }
}
