import Glibc
import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// Commits of one group's offset, one after the other, and what the metadata log takes on the disk meanwhile.
public struct CommitRow: Hashable, Sendable {
  /// Of the rate without compaction.
  public static let minimum = 0.9
  /// Bytes that a copy of the metadata log may take; what it says takes some hundred.
  public static let largest: Int64 = 4 << 20

  /// Of the long run.
  public var commits: Int
  /// Commits a second, in slices.
  public var rate: Sample
  /// Beside an engine that compacts its metadata log at opening only, in the same run.
  public var ratio: Ratio
  /// Bytes of the larger copy, at the most in the long run.
  public var peakBytes: Int64
  /// Commits a second in the long run.
  public var longRate: Double
  /// What the same copy would take without compaction: by the longest slice.
  public var uncompactedBytes: Int64
  /// How often it was measured; the calmest measurement is shown.
  public var measurements = 1

  public var verdict: BenchRow.TargetVerdict {
    if peakBytes > Self.largest { return .missed }
    return Noise.verdict(spread: ratio.sample.spread, isReached: ratio.sample.median >= Self.minimum)
  }

  static let reference = "without compaction"
}

extension Bench {
  /// Commits of a slice: enough for some compactions.
  private static let slice = 10_000

  /// Told of the larger copy's size.
  private final class Peak: @unchecked Sendable {
    // Owned by the loop of its engine.
    var bytes: Int64 = 0
  }

  func measureCommits(_ count: Int, _ scratch: BenchScratch) throws -> CommitRow {
    func run(_ commits: Int, compacts: Bool) throws -> (measure: Measure, peak: Int64) {
      if isCancelled() { throw BenchError.interrupted }
      let folder = try scratch.folder("subject")
      let found = try Self.commit(commits, compacts: compacts, in: folder, isCancelled: isCancelled)
      _ = try scratch.folder("subject")
      return (Measure(units: Double(commits), nanoseconds: max(1, found.nanoseconds)), found.peak)
    }
    let slice = min(count, Self.slice)
    var without = [try run(slice, compacts: false)]
    var slices: [Measure] = []
    for _ in 0..<options.rounds {
      slices.append(try run(slice, compacts: true).measure)
      without.append(try run(slice, compacts: false))
    }
    let long = try run(count, compacts: true)
    let each = Double(without.map(\.peak).max() ?? 0) / Double(slice)
    return CommitRow(
      commits: count, rate: Sample(slices.map(\.rate)),
      ratio: Ratio(reference: CommitRow.reference, subject: slices, around: without.map(\.measure)),
      peakBytes: long.peak,
      longRate: long.measure.rate, uncompactedBytes: Int64(each * Double(count)))
  }

  private static func commit(
    _ count: Int, compacts: Bool, in folder: String, isCancelled: @escaping @Sendable () -> Bool
  ) throws -> (nanoseconds: Int64, peak: Int64) {
    let peak = Peak()
    let nanoseconds = try LargeRecovery.onLoop(folder) { storage async throws(EngineError) -> Int64? in
      let parts = compacts ? EngineParts() : EngineParts(compaction: AtOpeningOnly())
      let (engine, _) = try await PartitionEngine.open(storage, EngineConfiguration(), parts: parts)
      try await engine.createTopic("bench", partitions: 1)
      _ = try await engine.produce(to: "bench", 0, recordCount: 2, payloadBytes: 2) { writer in
        for _ in 0..<2 { writer.append(valueSize: 1) { $0[0] = 7 } }
      }
      let start = storage.loop.now
      for n in 0..<count {
        try await engine.commitOffset(group: "bench", "bench", 0, Offset(1 + n % 2))
        guard n % 100 == 99 else { continue }
        if isCancelled() { return nil }
        for copy in ["metadata", "metadata-mirror"] { peak.bytes = max(peak.bytes, size(of: "\(folder)/\(copy)")) }
      }
      let elapsed = (storage.loop.now - start).nanoseconds
      try await engine.close()
      return elapsed
    }
    guard let nanoseconds else { throw BenchError.interrupted }
    return (nanoseconds, peak.bytes)
  }

  /// Bytes of the files in a directory; of one that goes meanwhile none.
  private static func size(of directory: String) -> Int64 {
    guard let stream = opendir(directory) else { return 0 }
    defer { closedir(stream) }
    var sum: Int64 = 0
    while let entry = readdir(stream) {
      var status = stat()
      let isThere = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) {
          fstatat(dirfd(stream), $0, &status, AT_SYMLINK_NOFOLLOW) == 0
        }
      }
      if isThere, status.st_mode & S_IFMT == S_IFREG { sum += Int64(status.st_size) }
    }
    return sum
  }

  /// What the engine was before.
  private struct AtOpeningOnly: MetadataCompacting {
    func limit(live: Int64) -> Int64 { .max }
  }
}
