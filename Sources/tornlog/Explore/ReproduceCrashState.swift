import ArgumentParser
import CrashStates
import Exploration
import Foundation
import LogModel
import Reporting
import Verification

/// `reproduce` for tokens of crash states.
enum ReproduceCrashState {
  /// Lines of the timeline that are shown unless all are asked for.
  private static let tail = 40

  /// Prints verdict, check, first divergent offset, story and timeline.
  static func run(_ token: String, isVerbose: Bool, trace: String?, timeout: Duration) throws -> Never {
    try HangExit.validate(timeout)
    let state: CrashState
    do throws(CrashStateToken.Failure) { state = try CrashStateToken.decode(token) } catch {
      fail("\(error)", ExitStatus.usage)
    }
    let replay: StateReplay
    do throws(ExplorationError) { replay = try StateReplay(state, watch: HangExit.watch(timeout)) } catch {
      fail("\(error)", error.exitCode)
    }
    Console.print(lines(replay, isVerbose: isVerbose))
    if let trace {
      let text = replay.timeline.joined(separator: "\n") + "\n"
      do throws(ReportError) { try AtomicFileSink(path: trace).write(text) } catch {
        fail("\(error)", ExitStatus.unavailable)
      }
      Console.print(["the whole timeline: \(trace)"])
    }
    throw ExitCode(ExitStatus.code(of: replay.verdict))
  }

  private static func lines(_ replay: StateReplay, isVerbose: Bool) -> [String] {
    let (state, w) = (replay.state, replay.state.workload)
    var lines = [
      "crash state, profile \(state.profile.name), defect \(state.defect ?? "none"), seed \(w.seed)",
      "  \(w.messages) messages of \(w.messageSize) bytes in batches of \(w.messagesPerBatch), \(w.partitions) "
        + "partitions, "
        + "\(w.producers) producers, sync \(w.syncPolicy), device faults: \(w.deviceFaults)\(w.surroundings)",
      "\(replay.verdict.rawValue)\(replay.check.map { " \($0.name.rawValue): \($0.detail)" } ?? "")",
    ]
    if let at = replay.check?.divergence {
      lines.append(
        "first divergent offset: partition \(at.partition.index), offset \(at.offset), after restart \(at.restart)")
    }
    if !replay.story.isEmpty { lines += ["story"] + replay.story.map { "  \($0)" } }
    lines.append("timeline (> submitted, < completed, ACK acknowledged by the engine; time in virtual nanoseconds)")
    let left = isVerbose ? 0 : max(0, replay.timeline.count - tail)
    if left > 0 { lines.append("  ... \(left) lines before; --trace PATH writes all, -v shows all") }
    return lines + replay.timeline.dropFirst(left).map { "  \($0)" }
  }
}
