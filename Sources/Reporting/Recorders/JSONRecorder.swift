import LogModel
import Verification

/// The JSON report, version 1: keys are added, never renamed. Written once, when the run finishes; a run that was
/// interrupted finishes too, with what it has.
///
/// | key | beyond the contract of version 1 |
/// |---|---|
/// | `trials[].number` | its place in the report, from 1: `tornlog reproduce report.json#3` |
/// | `counts.lostLater` | of `lost`, what was sent after a restart, and is not among `attempted` |
/// | `trials[].file` | the scenario's file |
/// | `trials[].expected` | `{"verdict", "check"?}`: what the scenario expects |
/// | `trials[].asExpected` | whether it came so; the exit code follows from this |
/// | `trials[].seconds`, `notices`, `keptAt` | as in `TrialResult`; `keptAt` is null where nothing was kept |
/// | `checks[].detail` | where there is something to say; of a check that held: a remark, or that it was vacuous |
/// | `checks[].divergence` | only where the check did not hold |
/// | `faults[].places` | receipts |
/// | `trials[].losses` | of each partition, after the first restart: `acknowledged`, `lost`, `reported`, what was to be `expected` (`least`, `most`), whether a fault `touched` it |
/// | `trials[].countedRestart` | the restart that `counts`, `partitions` and `losses` are of; 1 but where nobody looked after the first |
/// | `trials[].looked` | what all readbacks together have seen: `looks`, `partitions`, `messages`, `startOffsets`, `compared`, `commits`; `readings`, answers to consumers beside the producers, and `read`, messages in them |
/// | `trials[].claims` | of documents: `source`, `says`, `outcome`, `figures` |
/// | `trials[].append` | `p50`, `p99` in seconds; null in virtual time |
/// | `trials[].observed` | what else was measured for claims, by figure |
/// | `recovery.batchesRecovered` | as the engine reports it; null where no engine has |
/// | `notices` | what the user should know that belongs to no trial |
/// | `summary.unexpected`, `interrupted` | as in `RunSummary`; `interrupted` is true for a signal only |
/// | `summary.stoppedBy` | `signal`, `deadline`, `fail-fast` or `failure`; null where everything ran |
public final class JSONRecorder: RunRecorder {
  public static let version = 1

  private let sink: any ReportSink
  private var run = RunDescription(seed: 0, storage: "", filesystem: "", trials: 0, jobs: 0)
  private var trials: [(index: Int, result: TrialResult)] = []
  private var notices: [String] = []

  public init(_ sink: any ReportSink) { self.sink = sink }

  public func record(_ event: RunEvent) throws {
    switch event {
    case .started(let description): run = description
    case .trialStarted: break
    case .trialFinished(let index, let result): trials.append((index, result))
    case .notice(let text): notices.append(text)
    case .document(let document): try sink.write(document.json.hasSuffix("\n") ? document.json : document.json + "\n")
    case .finished(let summary): try sink.write(report(summary).render(levels: 2) + "\n")
    }
  }

  /// Trials in the order of the matrix, whichever finished first.
  private func report(_ summary: RunSummary) -> JSONText {
    .object([
      ("version", .integer(Self.version)),
      ("tool", .string("tornlog")),
      (
        "run",
        .object([
          ("seed", .unsigned(run.seed)), ("storage", .string(run.storage)), ("filesystem", .string(run.filesystem)),
          ("trials", .integer(run.trials)), ("jobs", .integer(run.jobs)),
        ])
      ),
      ("trials", .array(trials.sorted { $0.index < $1.index }.enumerated().map { $1.result.json(number: $0 + 1) })),
      ("notices", .array(notices.map(JSONText.string))),
      ("summary", summary.json),
    ])
  }
}

extension RunSummary {
  fileprivate var json: JSONText {
    .object([
      ("trials", .integer(trials)), ("held", .integer(held)), ("violated", .integer(violated)),
      ("unknown", .integer(unknown)), ("seconds", .number(seconds)), ("unexpected", .integer(unexpected)),
      ("interrupted", .bool(interrupted)), ("stoppedBy", stoppedBy.map { .string($0.rawValue) } ?? .null),
    ])
  }
}

extension TrialResult {
  /// - Parameter number: its place in the report.
  fileprivate func json(number: Int) -> JSONText {
    guard case .object(let entries) = json else { return json }
    return .object([("number", .integer(number))] + entries)
  }

  // Each part has its type said: as one expression it takes the compiler 49 s.
  private var json: JSONText { .object(head + figures + tail) }

  private var head: [(String, JSONText)] {
    [
      ("scenario", .string(scenario)), ("file", .string(file)), ("seed", .unsigned(seed)),
      ("verdict", .string(verdict.rawValue)), ("expected", expectation.json), ("asExpected", .bool(isExpected)),
      ("axes", .object(axes.entries.map { ($0.name, $0.value.json) })),
      ("counts", counts.json),
      ("partitions", .array(partitions.map(\.json))),
      ("checks", .array(checks.map(\.json))),
      ("faults", .array(faults.map(\.json))),
    ]
  }

  private var figures: [(String, JSONText)] {
    let outage: JSONText = recovery.outageSeconds.map(JSONText.number) ?? .null
    let batches: JSONText = recovery.batchesRecovered.map(JSONText.integer) ?? .null
    let recovery: [(String, JSONText)] = [
      ("seconds", .number(recovery.seconds)), ("bytesScanned", .integer(recovery.bytesScanned)),
      ("batchesSkipped", .integer(recovery.batchesSkipped)),
      ("peakMemoryBytes", .integer(recovery.peakMemoryBytes)),
      ("outageSeconds", outage), ("batchesRecovered", batches),
    ]
    let looked: [(String, JSONText)] = [
      ("looks", .integer(looked.readbacks)), ("partitions", .integer(looked.partitions)),
      ("messages", .integer(looked.messages)), ("startOffsets", .integer(looked.startOffsets)),
      ("compared", .integer(looked.compared)), ("commits", .integer(looked.commits)),
      ("readings", .integer(looked.readings)), ("read", .integer(looked.read)),
    ]
    return [
      ("recovery", .object(recovery)), ("losses", .array(losses.map(\.json))),
      ("countedRestart", .integer(countedRestart)), ("looked", .object(looked)),
    ]
  }

  private var tail: [(String, JSONText)] {
    let append: JSONText = append.map { .object([("p50", .number($0.p50)), ("p99", .number($0.p99))]) } ?? .null
    let observed = observed.sorted { $0.key < $1.key }.map { ($0.key, JSONText.number($0.value)) }
    return [
      ("claims", .array(claims.map(\.json))), ("append", append),
      ("engineCounts", .array(engineCounts.map(\.json))), ("observed", .object(observed)),
      ("notices", .array(notices.map(JSONText.string))), ("reproduce", .string(reproduce)),
      ("seconds", .number(seconds)), ("keptAt", keptAt.map(JSONText.string) ?? .null),
    ]
  }
}

extension EngineCount {
  fileprivate var json: JSONText {
    .object([
      ("name", .string(name)),
      ("labels", .object(labels.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
      ("value", .integer(value)),
    ])
  }
}

extension PartitionLoss {
  fileprivate var json: JSONText {
    .object([
      ("partition", .integer(partition.index)), ("acknowledged", .integer(acknowledged)), ("lost", .integer(lost)),
      ("reported", .integer(reported)),
      ("expected", .object([("least", .integer(least)), ("most", .integer(most))])), ("touched", .bool(isTouched)),
    ])
  }
}

extension ClaimResult {
  fileprivate var json: JSONText {
    .object([
      ("source", .string(source)), ("says", .string(says)), ("outcome", .string(outcome.rawValue)),
      (
        "figures",
        .array(
          figures.map {
            .object([
              ("name", .string($0.name)), ("unit", .string($0.unit.rawValue)), ("claimed", .string($0.claimed)),
              ("measured", $0.measured.map(JSONText.number) ?? .null),
            ])
          })
      ),
    ])
  }
}

extension Expectation {
  fileprivate var json: JSONText {
    switch self {
    case .held: .object([("verdict", .string("held"))])
    case .caught(let check): .object([("verdict", .string("violated")), ("check", .string(check.rawValue))])
    }
  }
}

extension Axes.Value {
  fileprivate var json: JSONText {
    switch self {
    case .integer(let n): .integer(n)
    case .text(let s): .string(s)
    }
  }
}

extension MessageCounts {
  fileprivate var json: JSONText {
    .object([
      ("attempted", .integer(attempted)), ("acknowledged", .integer(acknowledged)),
      ("indeterminate", .integer(indeterminate)), ("recovered", .integer(recovered)), ("lost", .integer(lost)),
      ("lostLater", .integer(lostLater)),
      ("duplicated", .integer(duplicated)), ("reordered", .integer(reordered)), ("phantom", .integer(phantom)),
      ("corruptServed", .integer(corruptServed)), ("corruptReported", .integer(corruptReported)),
    ])
  }
}

extension Offset {
  fileprivate var json: JSONText { .integer(Int(rawValue)) }
}

extension PartitionState {
  fileprivate var json: JSONText {
    .object([
      ("partition", .integer(partition.index)), ("logStartOffset", logStartOffset.json),
      ("highWatermark", highWatermark.json), ("logEndOffset", logEndOffset.json),
      ("gaps", .array(gaps.map { .object([("from", $0.from.json), ("to", $0.to.json)]) })),
    ])
  }
}

extension CheckResult {
  fileprivate var json: JSONText {
    var entries: [(String, JSONText)] = [("name", .string(name.rawValue)), ("verdict", .string(verdict.rawValue))]
    if !detail.isEmpty { entries.append(("detail", .string(detail))) }
    if let divergence { entries.append(("divergence", divergence.json)) }
    return .object(entries)
  }
}

extension Divergence {
  fileprivate var json: JSONText {
    var entries: [(String, JSONText)] = [("partition", .integer(partition.index)), ("offset", offset.json)]
    if let segment { entries.append(("segment", .string(segment))) }
    if let byte { entries.append(("byte", .integer(Int(byte)))) }
    return .object(entries + [("restart", .integer(restart))])
  }
}

extension FaultReceipt {
  fileprivate var json: JSONText {
    .object([
      ("kind", .string(kind)), ("fired", .integer(fired)), ("places", .array(places.map(JSONText.string))),
    ])
  }
}
