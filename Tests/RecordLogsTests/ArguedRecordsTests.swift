import FaultInjection
import Glibc
import LogModel
import Storage
import Testing

@testable import RecordLogs

/// What a review of the record logs argued for by reading them.
@Suite struct ArguedRecordsTests {
  // MARK: Writing again what may be unsynced

  /// One sector cannot be read; notes what is written.
  private final class BadSector: StorageWrapper, @unchecked Sendable {
    var bad: Range<Int64>?
    private(set) var written: [Range<Int64>] = []
    /// Once something has been written.
    private(set) var failedReads = 0

    override func pass<Value>(
      _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
    ) async throws(StorageError) -> Value {
      let bytes = call.offset..<call.offset + Int64(call.length)
      if call.kind == .read, call.path.hasSuffix(".wal"), let bad, bytes.overlaps(bad) {
        if !written.isEmpty { failedReads += 1 }
        throw StorageError(errno: EIO, .read, call.path, offset: call.offset)
      }
      let value = try await operation()
      if call.kind == .write, call.path.hasSuffix(".wal"), bad != nil { written.append(bytes) }
      return value
    }
  }

  private static func live<Value: Sendable>(
    _ disk: MemoryDisk, _ bad: Range<Int64>?, _ body: @escaping @Sendable (BadSector) async throws -> Value
  ) throws -> Value {
    let loop = EventLoop(simulatedWithSeed: 1)
    let storage = BadSector(MemoryStorage(disk: disk, loop: loop, latency: .zero))
    storage.bad = bad
    let result = loop.run(limit: .seconds(3600)) { () async -> Result<Value, any Error> in
      do { return .success(try await body(storage)) } catch { return .failure(error) }
    }
    #expect(result.ending == .finished)
    return try #require(result.value).get()
  }

  /// Everything but the sector that cannot be read is written again, wherever in a piece it lies, and the device is
  /// asked for that one a few times only.
  @Test(arguments: [512, 100 << 10, 255 << 10 + 512, 256 << 10, 300 << 10, 511 << 10 + 512, 570 << 10] as [Int64])
  func allButTheUnreadableSectorIsWrittenAgain(_ start: Int64) throws {
    let disk = MemoryDisk(seed: 1)
    let policy = RecordLogPolicy(
      syncPolicy: .interval(.seconds(10)), recoveryPolicy: .skipCorrupted, largestRecord: 64 << 10,
      commitBytes: 64 << 10)
    let end = try Self.live(disk, nil) { storage in
      try await storage.makeDirectory("log")
      let (log, _) = try await RecordLog<StreamhouseCodec>.open("jobs", in: "log", of: storage, policy)
      for n in 0..<60 { try await log.append(message: n, size: 10_000) }
      _ = disk.processKill(seed: 1)
      return log.end
    }
    let bad = start..<start + 512
    #expect(bad.upperBound < end)
    try Self.live(disk, bad) { storage in
      let (log, report) = try await RecordLog<StreamhouseCodec>.open("jobs", in: "log", of: storage, policy)
      #expect(report.unreadableBytes == 512 && log.end == end)
      var missing = Set(stride(from: Int64(0), to: end, by: 512).filter { !bad.contains($0) })
      for range in storage.written {
        #expect(!range.overlaps(bad))
        missing.subtract(stride(from: (range.lowerBound + 511) / 512 * 512, to: range.upperBound, by: 512))
      }
      #expect(missing.isEmpty, "\(missing.count) sectors, the first at \(missing.min() ?? -1)")
      #expect(storage.failedReads < 30, "\(storage.failedReads) reads met the error")
    }
  }

  // MARK: Policies that a log cannot have

  @Test func aJobsLogHasOneFile() throws {
    try Self.live(MemoryDisk(seed: 1), nil) { storage in
      try await storage.makeDirectory("jobs")
      var policy = RecordLogPolicy.airunner
      policy.rotation = RecordLogPolicy.Rotation(bytes: 1 << 20)
      do throws(JobLogError) {
        _ = try await JobLog.open(try JobID("j"), in: "jobs", of: storage, policy: policy)
        Issue.record("it opened")
      } catch { #expect(error == .rotatingPolicy) }
      #expect(try await storage.list("jobs").isEmpty)
    }
  }

  @Test func aReplayBufferCutsNothing() throws {
    try Self.live(MemoryDisk(seed: 1), nil) { storage in
      try await storage.makeDirectory("buffer")
      var policy = RecordLogPolicy.replayBuffer
      policy.recoveryPolicy = .truncateAtCorruption
      do throws(ReplayBufferError) {
        _ = try await ReplayBuffer.open(in: "buffer", of: storage, policy: policy)
        Issue.record("it opened")
      } catch { #expect(error == .cuttingPolicy) }
      #expect(try await storage.list("buffer").isEmpty)
    }
  }
}
