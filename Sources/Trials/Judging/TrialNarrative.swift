import Foundation
import LogModel
import Reporting
import ScenarioFormat
import Verification

/// A trial in ten lines at the most, from its persistence trace: what was written to the partition in which the harm
/// was seen, the last acknowledgement, faults, the crash, and what was missed afterwards.
public enum TrialNarrative {
  static let lineLimit = 10

  /// - Parameters:
  ///   - trace: a path for a file, which the caller removes.
  ///   - run: runs one trial.
  public static func lines(
    _ result: TrialShrinker.Result, trace: String, run: (TrialSpec) throws -> TrialResult
  ) throws -> [String] {
    var traced = result.spec
    traced.traceTo = trace
    _ = try run(traced)
    return lines(result, trace: trace)
  }

  /// - Parameter trace: a file that `TraceFile` has written.
  static func lines(_ result: TrialShrinker.Result, trace: String) -> [String] {
    let spec = result.spec
    var first =
      "\(spec.messages) messages of \(spec.messageSize) bytes to \(spec.partitions) partitions in batches of "
      + "\(spec.batch), sync \(spec.sync)"
    if spec.keys != .none { first += ", keys \(spec.keys.rawValue)" }
    if spec.deletion != .none { first += ", deletion \(spec.deletion.rawValue)" }
    if spec.readers > 0 { first += ", readers \(spec.readers)" }
    let place =
      result.check.divergence.map {
        ", \(spec.otherTopics.isEmpty ? "" : "topic \($0.topic ?? spec.topic), ")partition \($0.partition.index), "
          + "offset \($0.offset)"
      } ?? ""
    let last =
      result.check.name == .noHang
      ? ["\(result.check.name.rawValue): \(result.check.detail)"]
      : [
        spec.endings,
        "after recovery: \(result.check.name.rawValue)\(place)",
      ]
    let text = FileManager.default.contents(atPath: trace).map { String(decoding: $0, as: UTF8.self) } ?? ""
    let life = text.split(separator: "\n").drop { !$0.contains(" -- life ") }.dropFirst().prefix {
      !$0.contains(" -- life ")
    }
    let partition =
      result.check.divergence.map { "\($0.topic ?? spec.topic)/\($0.partition.index)" } ?? "\(spec.topic)/"
    var steps = merged(life.compactMap { Step(String($0), partition) })
    let faults = result.trial.faults.filter { CrashKind(rawValue: $0.kind) == nil }.flatMap { $0.places.prefix(1) }
      .prefix(2)
    let room = lineLimit - 1 - last.count - faults.count
    if steps.count > room { steps = ["... \(steps.count - room + 1) steps before"] + steps.suffix(room - 1) }
    return [first] + steps + faults.map { "*\($0)*" } + last
  }

  /// Operations on one file that follow each other in one line, three at the most.
  private static func merged(_ steps: [Step]) -> [String] {
    var lines: [(path: String?, count: Int, text: String)] = []
    for step in steps {
      if let last = lines.last, let path = step.path, last.path == path, last.count < 3 {
        lines[lines.count - 1] = (path, last.count + 1, "\(last.text); \(step.verb)")
      } else {
        lines.append((step.path, 1, step.path.map { "\($0): \(step.verb)" } ?? step.verb))
      }
    }
    return lines.map(\.text)
  }

  /// One line of the trace that belongs in the story.
  private struct Step {
    var path: String?
    var verb: String

    /// - Parameter partition: `TOPIC/NUMBER`, or `TOPIC/` for all of them.
    /// - Returns: nil for reads, for other files, and for completions.
    init?(_ line: String, _ partition: String) {
      let words = line.split(separator: " ").map(String.init)
      if words.count > 3, words[2] == "ACK", words[3].hasPrefix(partition) {
        verb = words[2...].joined(separator: " ")
        return
      }
      guard words.count > 5, words[2] == ">", ["write", "truncate", "sync", "rename", "unlink"].contains(words[4]),
        words[5].hasPrefix("topics/" + partition)
      else { return nil }
      path = words[5]
      // The content hash of a write says nothing to a reader.
      let rest = words[4] == "write" ? words[6...].filter { $0.hasPrefix("@") || $0 == "durable" } : Array(words[6...])
      verb = ([words[4]] + rest).joined(separator: " ")
    }
  }
}
