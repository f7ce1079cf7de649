import FoundationEssentials
import LogModel

extension BenchTable {
  /// The JSON report: `bench` beside the keys that every report of tornlog has. Keys are added, never renamed.
  public func renderJSON() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(Report(table: self)), as: UTF8.self) + "\n"
  }

  private struct Report: Encodable {
    let version = 1
    let tool = "tornlog"
    let bench: BenchTable
    init(table: BenchTable) { bench = table }
  }
}

extension BenchTable: Encodable {
  private enum Key: CodingKey {
    case directory, filesystem, notices, rows, missed, noisy, openings, commits, recoveries, policies, peers,
      interrupted,
      stoppedBy
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(directory, forKey: .directory)
    try container.encode(fileSystem, forKey: .filesystem)
    try container.encode(notices, forKey: .notices)
    try container.encode(rows, forKey: .rows)
    let others =
      peerRatios.compactMap(\.verdict) + openings.map(\.verdict) + commits.map(\.verdict)
      + recoveries.compactMap(\.verdict)
    try container.encode(missed.count + others.count { $0 == .missed }, forKey: .missed)
    try container.encode(noisy.count + others.count { $0 == .noisy }, forKey: .noisy)
    try container.encode(isInterrupted, forKey: .interrupted)
    if isInterrupted { try container.encode("signal", forKey: .stoppedBy) }
    try container.encode(openings, forKey: .openings)
    try container.encode(commits, forKey: .commits)
    try container.encode(policyRatios, forKey: .policies)
    try container.encode(peerRatios, forKey: .peers)
    try container.encode(recoveries, forKey: .recoveries)
  }
}

extension BenchRow: Encodable {
  private enum Key: CodingKey {
    case kind, subject, sync, producers, recordSize, batch, unit, rate, ratios, target, measurements
  }

  private struct TargetReport: Encodable {
    var minimum: Double
    var reference: String
    var ratio: Double?
    var verdict: TargetVerdict
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(load == nil ? "scan" : "append", forKey: .kind)
    try container.encode(subject, forKey: .subject)
    if let load {
      try container.encode(load.policy.description, forKey: .sync)
      try container.encode(load.producers, forKey: .producers)
      try container.encode(load.recordSize, forKey: .recordSize)
      try container.encode(load.batch, forKey: .batch)
    }
    try container.encode(load == nil ? "bytes/s" : "messages/s", forKey: .unit)
    try container.encode(rate, forKey: .rate)
    try container.encode(ratios, forKey: .ratios)
    try container.encode(measurements, forKey: .measurements)
    if let target, let verdict {
      let report = TargetReport(
        minimum: target.minimum, reference: target.reference, ratio: primary?.sample.median, verdict: verdict)
      try container.encode(report, forKey: .target)
    }
  }
}

extension Ratio: Encodable {
  private enum Key: CodingKey {
    case reference, median, minimum, maximum, rounds, referenceRate
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(reference, forKey: .reference)
    try container.encode(sample.median, forKey: .median)
    try container.encode(sample.minimum, forKey: .minimum)
    try container.encode(sample.maximum, forKey: .maximum)
    try container.encode(sample.rounds, forKey: .rounds)
    try container.encode(referenceRate, forKey: .referenceRate)
  }
}

extension PeerRatio: Encodable {
  private enum Key: CodingKey { case peer, producers, recordSize, batch, times, spread, minimum, verdict }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(peer, forKey: .peer)
    try container.encode(load.producers, forKey: .producers)
    try container.encode(load.recordSize, forKey: .recordSize)
    try container.encode(load.batch, forKey: .batch)
    try container.encode(times, forKey: .times)
    try container.encode(spread, forKey: .spread)
    try container.encodeIfPresent(minimum, forKey: .minimum)
    try container.encodeIfPresent(verdict, forKey: .verdict)
  }
}

extension PolicyRatio: Encodable {
  private enum Key: CodingKey {
    case sync, producers, recordSize, batch, timesAlways
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(load.policy.description, forKey: .sync)
    try container.encode(load.producers, forKey: .producers)
    try container.encode(load.recordSize, forKey: .recordSize)
    try container.encode(load.batch, forKey: .batch)
    try container.encode(timesAlways, forKey: .timesAlways)
  }
}

extension OpeningRow: Encodable {
  private enum Key: CodingKey {
    case partitions, nanoseconds, timesRaw, met, verdict, measurements
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(partitions, forKey: .partitions)
    try container.encode(nanoseconds, forKey: .nanoseconds)
    try container.encode(timesRaw, forKey: .timesRaw)
    try container.encode(isMet, forKey: .met)
    try container.encode(verdict, forKey: .verdict)
    try container.encode(measurements, forKey: .measurements)
  }
}

extension CommitRow: Encodable {
  private enum Key: CodingKey {
    case commits, unit, rate, ratio, longRate, peakBytes, limitBytes, uncompactedBytes, verdict, measurements
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(commits, forKey: .commits)
    try container.encode("commits/s", forKey: .unit)
    try container.encode(rate, forKey: .rate)
    try container.encode(ratio, forKey: .ratio)
    try container.encode(longRate, forKey: .longRate)
    try container.encode(peakBytes, forKey: .peakBytes)
    try container.encode(Self.largest, forKey: .limitBytes)
    try container.encode(uncompactedBytes, forKey: .uncompactedBytes)
    try container.encode(verdict, forKey: .verdict)
    try container.encode(measurements, forKey: .measurements)
  }
}

extension RecoveryRow: Encodable {
  private enum Key: CodingKey {
    case kind, bytes, messages, nanoseconds, timesRead, peakBytes, emptyPeakBytes, measurements, verdict
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(kind, forKey: .kind)
    try container.encode(bytes, forKey: .bytes)
    try container.encode(messages, forKey: .messages)
    try container.encode(nanoseconds, forKey: .nanoseconds)
    try container.encode(timesRead, forKey: .timesRead)
    try container.encode(peakBytes, forKey: .peakBytes)
    try container.encode(emptyPeakBytes, forKey: .emptyPeakBytes)
    try container.encode(measurements, forKey: .measurements)
    try container.encodeIfPresent(verdict, forKey: .verdict)
  }
}
