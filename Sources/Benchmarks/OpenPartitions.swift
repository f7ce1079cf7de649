import Glibc
import LogModel
import PartitionEngine
import Storage

/// Opening an engine of many partitions, none of which holds anything, in one process.
public struct OpeningRow: Hashable, Sendable {
  /// Seconds that an opening may take.
  public static let limit = 1.0

  public var partitions: Int
  /// Nanoseconds from opening the engine to its being ready.
  public var nanoseconds: Sample
  /// Its time over that of the raw loop, before and after it.
  public var timesRaw: Sample
  /// How often it was measured; the calmest measurement is shown.
  public var measurements = 1
  public var isMet: Bool { verdict == .met }
  /// The limit is no ratio: where the slowest round keeps it, the spread of the others is of no account.
  public var verdict: BenchRow.TargetVerdict {
    if nanoseconds.maximum < Self.limit * 1e9 { return .met }
    return Noise.verdict(spread: nanoseconds.spread, isReached: nanoseconds.median < Self.limit * 1e9)
  }

  /// What the raw loop does.
  public static let explanation =
    "each partition's directory opened and read to its end, each file there opened, its first 4 KiB read, closed"
}

extension Bench {
  func measureOpening(of partitions: Int, _ scratch: BenchScratch) throws -> OpeningRow {
    let folder = try scratch.folder("subject")
    try LargeRecovery.onLoop(folder) { storage async throws(EngineError) in
      let (engine, _) = try await PartitionEngine.open(storage, EngineConfiguration())
      try await engine.createTopic("bench", partitions: partitions)
      try await engine.close()
    }
    var before = try Self.openAll(partitions, in: folder)
    var (times, ratios): ([Double], [Double]) = ([], [])
    for _ in 0..<options.rounds {
      if isCancelled() { throw BenchError.interrupted }
      let elapsed = try LargeRecovery.onLoop(folder) { storage async throws(EngineError) in
        let start = storage.loop.now
        let (engine, _) = try await PartitionEngine.open(storage, EngineConfiguration())
        let elapsed = (storage.loop.now - start).nanoseconds
        try await engine.close()
        return elapsed
      }
      let after = try Self.openAll(partitions, in: folder)
      times.append(Double(elapsed))
      ratios.append(Double(elapsed) / (Double(before + after) / 2))
      before = after
    }
    _ = try scratch.folder("subject")
    return OpeningRow(partitions: partitions, nanoseconds: Sample(times), timesRaw: Sample(ratios))
  }

  /// The raw loop; see `OpeningRow.explanation`.
  private static func openAll(_ partitions: Int, in folder: String) throws(BenchError) -> Int64 {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let start = ContinuousClock.now
    for number in 0..<partitions {
      for path in try BenchScratch.files(below: "\(folder)/topics/bench/\(number)") {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0, read(descriptor, &bytes, bytes.count) >= 0 else { throw .directory(path, errno: errno) }
        close(descriptor)
      }
    }
    return max(1, (ContinuousClock.now - start).nanoseconds)
  }
}
