import CrashStates
import Foundation
import Verification

/// Something that was seen on one copy of a real disk and must not be.
public struct ProfileValidationFinding: Hashable, Sendable, Encodable {
  /// Which copy.
  public var place: String
  public var lines: [String]
}

/// What came of one file system.
public struct ProfileValidationResult: Sendable {
  public var fileSystem: String
  public var profile: CrashProfile
  public var lives = 0
  public var images = 0
  /// States that the profile permits.
  public var legal = 0
  public var illegal: [ProfileValidationFinding] = []
  /// Images from which the engine recovered with every promise held.
  public var held = 0
  public var violations: [ProfileValidationFinding] = []
  /// What could not be decided.
  public var doubts: [String] = []
  /// Hashes of what was there.
  public var contents: Set<UInt64> = []
  /// Images with an operation in flight.
  public var underWay = 0
  /// Images for whose state a power cut had something to decide, and that lack something which had been asked for.
  public var lacking = 0
  /// Images that hold something which nothing had made durable.
  public var keeping = 0
  public var seconds = 0.0

  init(fileSystem: String, profile: CrashProfile) { (self.fileSystem, self.profile) = (fileSystem, profile) }

  mutating func legal(_ point: CrashPoint, _ choice: [Alternative]) {
    legal += 1
    let content = point.contentHash(choice)
    if content != point.contentHash(point.everything) { lacking += 1 }
    if content != point.contentHash(point.nothing) { keeping += 1 }
  }

  public func verdict(asked: Int) -> Verdict {
    if !illegal.isEmpty || !violations.isEmpty { return .violated }
    // Copies that all show the same are no comparison.
    return doubts.isEmpty && images >= asked && (contents.count > 1 || asked == 1) ? .held : .unknown
  }
}

/// A comparison of profiles with real file systems.
public struct ProfileValidationReport: Sendable {
  /// Images of each file system.
  public var asked: Int
  public var systems: [ProfileValidationResult] = []
  public var isCancelled = false

  init(asked: Int) { self.asked = asked }

  public var verdict: Verdict {
    let verdicts = systems.map { $0.verdict(asked: asked) }
    if verdicts.contains(.violated) { return .violated }
    return verdicts.isEmpty || verdicts.contains(.unknown) || isCancelled ? .unknown : .held
  }

  /// Findings of a kind that are shown whole.
  private static let shown = 3

  /// Lines for a terminal.
  public var text: [String] {
    var lines: [String] = []
    for system in systems {
      lines.append(
        "\(system.fileSystem) against \(system.profile.name): \(system.images) images of \(system.lives) lives, "
          + "\(system.contents.count) distinct contents, \(system.legal) legal, \(system.illegal.count) illegal; "
          + "\(system.held) recovered and held, \(system.violations.count) violated "
          + "(\(String(format: "%.1f", system.seconds)) s)")
      lines.append(
        "  operations in flight in \(system.underWay); \(system.lacking) lack something that had been asked for, "
          + "\(system.keeping) hold something that nothing had made durable")
      for (word, findings) in [("ILLEGAL", system.illegal), ("VIOLATED", system.violations)] {
        for finding in findings.prefix(Self.shown) {
          lines.append("  \(word) \(finding.place)")
          lines += finding.lines.prefix(8).map { "    \($0)" }
        }
        if findings.count > Self.shown {
          lines.append("  and \(findings.count - Self.shown) more \(word.lowercased())")
        }
      }
      for doubt in system.doubts.prefix(Self.shown) { lines.append("  UNKNOWN \(doubt)") }
      if system.images < asked {
        lines.append(
          "  UNKNOWN \(system.images) of \(asked) images: the workload ended before the instants had come, or was "
            + "interrupted"
        )
      } else if system.contents.count < 2, asked > 1 {
        lines.append("  UNKNOWN all images show the same: nothing was compared")
      }
    }
    let images = systems.reduce(0) { $0 + $1.images }
    let legal = systems.reduce(0) { $0 + $1.legal }
    return lines + [
      "\(verdict.rawValue): \(legal) of \(images) images of real file systems are states that their profile permits"
    ]
  }
}

// MARK: JSON

/// The key `realFileSystems` of the JSON report, beside `exploration`: keys are added, never renamed.
extension ProfileValidationReport {
  private struct Document: Encodable {
    var version = 1
    var tool = "tornlog"
    var realFileSystems: Body
  }

  private struct Body: Encodable {
    var verdict: String
    var interrupted: Bool
    var stoppedBy: String?
    var systems: [System]
  }

  private struct System: Encodable {
    var fileSystem, profile, verdict: String
    var images, lives, distinctContents, legal, held, inFlight, lacking, keeping: Int
    var seconds: Double
    var illegal, violations: [ProfileValidationFinding]
    var unknown: [String]
  }

  public func json() throws -> String {
    try ReportText.json(
      Document(
        realFileSystems: Body(
          verdict: verdict.rawValue, interrupted: isCancelled,
          stoppedBy: isCancelled ? SearchStop.signal.rawValue : nil,
          systems: systems.map {
            System(
              fileSystem: $0.fileSystem, profile: $0.profile.name, verdict: $0.verdict(asked: asked).rawValue,
              images: $0.images, lives: $0.lives, distinctContents: $0.contents.count, legal: $0.legal, held: $0.held,
              inFlight: $0.underWay, lacking: $0.lacking, keeping: $0.keeping, seconds: $0.seconds, illegal: $0.illegal,
              violations: $0.violations, unknown: $0.doubts)
          })))
  }
}
