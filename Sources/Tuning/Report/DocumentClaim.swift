import LogModel

/// What a document says of sync policies, and what it is here.
public struct DocumentClaim: Hashable, Sendable {
  var document: String
  var claim: String
  var here: String
  var dependsOn: String

  static let head = ["document", "claim", "here", "depends on"]
  var cells: [String] { [document, claim, here, dependsOn] }
}

extension DocumentClaim {
  /// Rows for the claims of `docs/sources.md` that a disk decides.
  static func all(of result: TuningResult) -> [DocumentClaim] {
    var claims: [DocumentClaim] = []
    let interval = SyncPolicy.interval(.milliseconds(100))
    func point(_ policy: SyncPolicy) -> TuningPoint? {
      result.askedRows.map { result.points[$0] }.first { $0.setting.policy == policy && $0.setting.commitWindow == 0 }
    }
    let times = result.comparison.compactMap { row in
      row[4] == "-" ? nil : "\(row[4]) x (\(row[1]) producers, batches of \(row[0]))"
    }
    if !times.isEmpty {
      claims.append(
        DocumentClaim(
          document: "Streamhouse runbook, sync policies", claim: "Always is about 10x slower than Interval(100ms)",
          here: times.joined(separator: "; "), dependsOn: "producers and batches: each flush is shared by what waits"))
    }
    if let loss = point(interval)?.loss {
      claims.append(
        DocumentClaim(
          document: "Streamhouse runbook, reduce fsync latency", claim: "batching fsync risks the last 100 ms",
          here: "\(loss.cuts) power cuts took \(shortTime(loss.time.median)) (median), \(shortTime(loss.time.longest)) "
            + "(longest)", dependsOn: "when the engine syncs within the interval, and how long a flush takes"))
    }
    if let flush = result.disk?.flush {
      claims.append(
        DocumentClaim(
          document: "Streamhouse runbook, reduce fsync latency", claim: "fsync takes 5 ms, and 1 ms on NVMe",
          here: "\(shortTime(flush.p50)) (median), \(shortTime(flush.p99)) (p99)",
          dependsOn: "the disk, and whether it honours flushes"))
    }
    if let always = point(.always), let never = point(.never) {
      claims.append(
        DocumentClaim(
          document: "replay-buffer plan, acceptance", claim: "WAL writes add less than 5 ms",
          here:
            "always: \(shortTime(always.atRate.latency.p50)) (median), \(shortTime(always.atRate.latency.p99)) (p99); "
            + "never: \(shortTime(never.atRate.latency.p50)) and \(shortTime(never.atRate.latency.p99))",
          dependsOn: "the rate beside what the setting carries"))
    }
    return claims
  }
}
