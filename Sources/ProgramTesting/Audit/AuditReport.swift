import CrashStates
import Drivers
import FoundationEssentials
import LogModel
import Verification
import Volume
import VolumeStates

/// What an audit of a command shows.
package struct AuditReport: Sendable, Encodable {
  package struct File: Sendable, Encodable {
    package var path: String
    /// Why: `bytes never synced`, `name never synced`.
    package var problem: String
    package var bytes: Int
  }

  package struct Between: Sendable, Encodable {
    package var path: String
    package var wasThere: Bool
    package var states: Int
    /// The first profile that permits it; `killed`.
    package var profile: String
    package var example: String
    package var story: [String]
  }

  /// How long acknowledged work could still be lost, in milliseconds.
  package struct Exposure: Sendable, Encodable {
    package var acknowledgements = 0
    package var atOnce = 0
    package var never = 0
    package var median = 0.0
    package var p99 = 0.0
    package var longest = 0.0
    /// The most that were acknowledged and not durable at the same moment.
    package var together = 0
  }

  package var command: [String]
  package var ending: String
  package var succeeded: Bool
  package var seconds: Double
  package var operations: Int
  package var files: [File] = []
  package var renamedUnsynced: [String] = []
  package var failedSyncsIgnored: [String] = []
  /// Missing without `--ack-pattern`. Names are left out: ext4, xfs and btrfs make them durable with the file.
  package var exposure: Exposure?
  package var between: [Between] = []
  package var states: Int
  package var isWhole: Bool
  package var lastWords: [String]

  /// Runs the command and looks at what it did.
  package static func make(
    _ options: AuditOptions, profiles: [CrashProfile], seed: UInt64, budget: UInt64, show: (String) -> Void
  ) throws(ProgramTestError) -> AuditReport {
    let run = try AuditRun(options, show: show)
    let audit = TraceAudit(run.trace, root: run.root, prepared: run.prepared)
    let begin = run.recorded.event(at: run.prepared)
    let states = FileStates(
      run.recorded, begin: begin, profiles, seed: seed, deadline: DriverProcess.now + budget,
      isCancelled: options.isCancelled)
    return AuditReport(options, run, audit, states)
  }

  private init(_ options: AuditOptions, _ run: AuditRun, _ audit: TraceAudit, _ states: FileStates) {
    command = options.command
    ending = "\(run.ending)"
    succeeded = run.ending == .exited(0)
    seconds = run.seconds
    operations = run.recorded.recording.operations.count
    (self.states, isWhole, lastWords) = (states.states, states.isWhole, run.lastWords)
    var bytes: [String: Int] = [:]
    var unsyncedNames: Set<String> = []
    for exposure in audit.exposures where exposure.end == nil {
      switch exposure.what {
      case .bytes(let count): bytes[exposure.path, default: 0] += count
      case .name: unsyncedNames.insert(exposure.path)
      case .attributes: bytes[exposure.path, default: 0] += 0
      }
    }
    files = bytes.sorted { ($0.value, $1.key) > ($1.value, $0.key) }
      .map { File(path: $0.key, problem: "bytes never synced", bytes: $0.value) }
    files += unsyncedNames.sorted().map { File(path: $0, problem: "name never synced", bytes: 0) }
    renamedUnsynced = audit.renamedUnsynced.map { "\($0.from) to \($0.to)" }
    failedSyncsIgnored = audit.failedSyncs.filter { !$0.isRetried }.map(\.path)
    between = states.between.values.sorted { ($0.wasThere ? 0 : 1, $0.path) < ($1.wasThere ? 0 : 1, $1.path) }.map {
      Between(
        path: $0.path, wasThere: $0.wasThere, states: $0.states, profile: $0.profile?.name ?? "killed",
        example: $0.example, story: $0.story)
    }
    if options.acknowledgement != nil { exposure = Self.exposure(run, audit) }
  }

  private static func exposure(_ run: AuditRun, _ audit: TraceAudit) -> Exposure {
    var exposure = Exposure()
    var times: [Double] = []
    // Where each begins and ends to be exposed, in nanoseconds; at the same moment an end comes first.
    var turns: [(time: UInt64, change: Int)] = []
    var after = run.prepared
    for (place, _) in run.acknowledgements {
      exposure.acknowledgements += 1
      let time = run.trace[place].time
      switch audit.exposure(of: place, time: time, after: after, countsNames: false) {
      case nil:
        exposure.never += 1
        turns.append((time, 1))
      case 0?: exposure.atOnce += 1
      case let nanoseconds?:
        times.append(Double(nanoseconds) / 1e6)
        turns += [(time, 1), (time + nanoseconds, -1)]
      }
      after = place
    }
    var open = 0
    for turn in turns.sorted(by: { ($0.time, $0.change) < ($1.time, $1.change) }) {
      open += turn.change
      exposure.together = max(exposure.together, open)
    }
    times.sort()
    if !times.isEmpty {
      exposure.median = times[times.count / 2]
      exposure.p99 = times[min(times.count - 1, times.count * 99 / 100)]
      exposure.longest = times.last!
    }
    return exposure
  }

  /// `violated` where a file that was there may be left in between, or what was acknowledged may be lost.
  package var verdict: Verdict {
    if between.contains(where: \.wasThere) || !renamedUnsynced.isEmpty { return .violated }
    if let exposure, exposure.never > 0 || exposure.longest > 0 { return .violated }
    return isWhole && succeeded ? .held : .unknown
  }

  package var lines: [String] {
    var lines = [
      "'\(command.joined(separator: " "))' \(ending) after \(shortTime(Int64(seconds * 1e9))):"
        + " \(operations) operations on its files"
    ]
    if !succeeded { lines += lastWords.suffix(2).map { "  it wrote: \($0)" } }
    if let exposure {
      if exposure.acknowledgements == 0 {
        lines.append("no line of its output matched the pattern for acknowledgements")
      } else {
        lines.append(
          "\(exposure.acknowledgements) acknowledgements: \(exposure.atOnce) durable at once, \(exposure.never) never")
        if exposure.longest > 0 {
          lines.append(
            "  the others could be lost for \(Self.ms(exposure.median)) (median), \(Self.ms(exposure.p99)) (p99),"
              + " \(Self.ms(exposure.longest)) at most")
        }
        if exposure.together > 0 { lines.append("  \(exposure.together) of them at the same time") }
      }
    }
    for one in between.filter(\.wasThere).prefix(3) {
      lines.append(
        "\(one.path): a crash may leave it neither as before nor as after (\(one.profile), \(one.states) states)")
      lines += one.story.map { "    \($0)" } + ["    \(one.example)"]
    }
    let new = between.filter { !$0.wasThere }
    if !new.isEmpty {
      lines.append(
        "\(new.count) new \(new.count == 1 ? "file" : "files") may be left incomplete: "
          + new.prefix(4).map { "\($0.path) (\($0.profile))" }.joined(separator: ", "))
    }
    for pair in renamedUnsynced.prefix(3) { lines.append("renamed over another before its bytes were synced: \(pair)") }
    for path in failedSyncsIgnored.prefix(3) { lines.append("a failed sync was ignored: \(path)") }
    lines += files.prefix(8).map { file in
      file.bytes > 0 ? "\(file.problem): \(file.path), \(file.bytes) bytes" : "\(file.problem): \(file.path)"
    }
    if files.count > 8 { lines.append("... and \(files.count - 8) files more: --report json has all") }
    lines.append(conclusion)
    return lines
  }

  package var conclusion: String {
    switch verdict {
    case .violated: "violated: see above; \(states) crash states were looked at"
    case .held: "held: in \(states) crash states each file that was there is as before or as after"
    case .unknown:
      succeeded ? "unknown: the time did not suffice for all crash states" : "unknown: the command did not succeed"
    }
  }

  private static func ms(_ value: Double) -> String { shortTime(Int64(value * 1e6)) }

  /// The whole report as JSON.
  package func json() throws -> String {
    struct Whole: Encodable {
      var version = 1
      var tool = "tornlog"
      var audit: AuditReport
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(Whole(audit: self)), as: UTF8.self) + "\n"
  }
}
