import CrashStates
import Foundation
import LoopDisks
import Verification

extension LoopFileSystem {
  /// The profile that speaks of it.
  package var profile: CrashProfile {
    switch self {
    case .ext4: .ext4Ordered
    case .ext4Writeback: .ext4Writeback
    case .xfs: .xfs
    case .btrfs: .btrfs
    }
  }
}

/// Something that was seen on one copy of a real disk and must not be.
package struct ProfileValidationFinding: Hashable, Sendable, Encodable {
  /// Which copy.
  package var place: String
  package var lines: [String]

  package init(place: String, lines: [String]) { (self.place, self.lines) = (place, lines) }
}

/// What came of one file system.
package struct ProfileValidationResult: Sendable {
  package var fileSystem: String
  package var profile: CrashProfile
  package var lives = 0
  package var images = 0
  /// States that the profile permits.
  package private(set) var legal = 0
  package var illegal: [ProfileValidationFinding] = []
  /// Images from which recovery kept every promise.
  package var held = 0
  package var violations: [ProfileValidationFinding] = []
  /// What could not be decided.
  package var doubts: [String] = []
  /// Hashes of what was there.
  package var contents: Set<UInt64> = []
  /// Images with an operation in flight.
  package var underWay = 0
  /// Images for whose state a power cut had something to decide, and that lack something which had been asked for.
  package private(set) var lacking = 0
  /// Images that hold something which nothing had made durable.
  package private(set) var keeping = 0
  package var seconds = 0.0

  package init(fileSystem: String, profile: CrashProfile) {
    (self.fileSystem, self.profile) = (fileSystem, profile)
  }

  package mutating func legal(_ point: CrashPoint, _ choice: [Alternative]) {
    legal += 1
    let content = point.contentHash(choice)
    if content != point.contentHash(point.everything) { lacking += 1 }
    if content != point.contentHash(point.nothing) { keeping += 1 }
  }

  package func verdict(asked: Int) -> Verdict {
    if !illegal.isEmpty || !violations.isEmpty { return .violated }
    // Copies that all show the same are no comparison.
    return doubts.isEmpty && images >= asked && (contents.count > 1 || asked == 1) ? .held : .unknown
  }
}

/// What was run on real file systems.
package struct ValidatedProgram: Hashable, Sendable, Encodable {
  package var name: String
  package var version: String
  package var model: String
  package var promise: String
  package var allows: [String]
  package var seed: UInt64
  package var requests: Int
  /// On its files, in the recorded run.
  package var operations: Int

  package init(
    name: String, version: String, model: String, promise: String, allows: [String], seed: UInt64, requests: Int,
    operations: Int
  ) {
    (self.name, self.version, self.model, self.promise) = (name, version, model, promise)
    (self.allows, self.seed, self.requests, self.operations) = (allows, seed, requests, operations)
  }
}

/// A comparison of profiles with real file systems.
package struct ProfileValidationReport: Sendable {
  /// Images of each file system.
  package var asked: Int
  /// Nil for the engine of this package.
  package var program: ValidatedProgram?
  package var systems: [ProfileValidationResult] = []
  package var isCancelled = false

  package init(asked: Int) { self.asked = asked }

  package var verdict: Verdict {
    let verdicts = systems.map { $0.verdict(asked: asked) }
    if verdicts.contains(.violated) { return .violated }
    return verdicts.isEmpty || verdicts.contains(.unknown) || isCancelled ? .unknown : .held
  }

  // MARK: Terminal

  private static let mostLines = 40
  /// Lines that are shown of one finding.
  private static let linesOfOne = 11

  /// Lines for a terminal, 40 at the most.
  package var text: [String] {
    var lines: [String] = []
    if let program {
      lines.append(
        "\(program.name) \(program.version), model \(program.model), promise '\(program.promise)': "
          + "\(program.requests) requests, \(program.operations) operations on its files")
    }
    let fixed = lines.count + 1 + systems.count * 2
    let room = systems.isEmpty ? 0 : (Self.mostLines - fixed) / systems.count
    for system in systems { lines += head(of: system) + Self.details(of: system, asked: asked, room: room) }
    let images = systems.reduce(0) { $0 + $1.images }
    let legal = systems.reduce(0) { $0 + $1.legal }
    let held = systems.reduce(0) { $0 + $1.held }
    return lines + [
      "\(verdict.rawValue): \(legal) of \(images) images of real file systems are states that their profile permits; "
        + "recovery kept every promise on \(held)"
    ]
  }

  private func head(of system: ProfileValidationResult) -> [String] {
    [
      "\(system.fileSystem) against \(system.profile.name): \(system.images) images of \(system.lives) lives, "
        + "\(system.contents.count) distinct contents, \(system.legal) legal, \(system.illegal.count) illegal; "
        + "\(system.held) recovered and held, \(system.violations.count) violated "
        + "(\(String(format: "%.1f", system.seconds)) s)",
      "  operations in flight in \(system.underWay); \(system.lacking) lack something that had been asked for, "
        + "\(system.keeping) hold something that nothing had made durable",
    ]
  }

  /// As many findings as there is room for, and how many there are beyond.
  private static func details(of system: ProfileValidationResult, asked: Int, room: Int) -> [String] {
    var ending: [String] = []
    if let doubt = system.doubts.first { ending.append("  UNKNOWN \(doubt)") }
    if system.doubts.count > 1 { ending.append("  and \(system.doubts.count - 1) more unknown") }
    if system.images < asked {
      ending.append(
        "  UNKNOWN \(system.images) of \(asked) images: the workload ended before the instants had come, or was "
          + "interrupted")
    } else if system.contents.count < 2, asked > 1 {
      ending.append("  UNKNOWN all images show the same: nothing was compared")
    }
    var lines: [String] = []
    let kinds = [("ILLEGAL", system.illegal), ("VIOLATED", system.violations)].filter { !$0.1.isEmpty }
    for (number, (word, findings)) in kinds.enumerated() {
      // What one kind leaves the next may use; each keeps a line for how many there are beyond.
      let end = (room - ending.count) * (number + 1) / kinds.count - 1
      var shown = 0
      for finding in findings {
        let own = ["  \(word) \(finding.place)"] + finding.lines.prefix(linesOfOne).map { "    \($0)" }
        if lines.count + own.count > end, shown > 0 || end < 2 { break }
        lines += own.prefix(max(2, end - lines.count))
        shown += 1
      }
      if shown < findings.count { lines.append("  and \(findings.count - shown) more \(word.lowercased())") }
    }
    return lines + ending
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
    /// Missing for the engine of this package.
    var program: ValidatedProgram?
    var systems: [System]
  }

  private struct System: Encodable {
    var fileSystem, profile, verdict: String
    var images, lives, distinctContents, legal, held, inFlight, lacking, keeping: Int
    var seconds: Double
    var illegal, violations: [ProfileValidationFinding]
    var unknown: [String]
  }

  package func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let document = Document(
      realFileSystems: Body(
        verdict: verdict.rawValue, interrupted: isCancelled, stoppedBy: isCancelled ? "signal" : nil,
        program: program,
        systems: systems.map {
          System(
            fileSystem: $0.fileSystem, profile: $0.profile.name, verdict: $0.verdict(asked: asked).rawValue,
            images: $0.images, lives: $0.lives, distinctContents: $0.contents.count, legal: $0.legal, held: $0.held,
            inFlight: $0.underWay, lacking: $0.lacking, keeping: $0.keeping, seconds: $0.seconds, illegal: $0.illegal,
            violations: $0.violations, unknown: $0.doubts)
        }))
    return String(decoding: try encoder.encode(document), as: UTF8.self)
  }
}
