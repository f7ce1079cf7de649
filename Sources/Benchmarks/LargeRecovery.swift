import FoundationEssentials
import Glibc
import LogModel
import ObjectStore
import PartitionEngine
import Storage
import WriteAheadLog

/// What is recovered, at a size at which it no longer fits anywhere by accident.
public enum RecoveryKind: String, Hashable, Sendable, CaseIterable, Codable {
  /// A log in the engine's own format.
  case log
  /// A log of single records, in Streamhouse's format.
  case records
  /// Nothing but the object store that a log was brought to: the partition is rebuilt from it.
  case store
}

/// What one recovery came to, as the process that did it says.
public struct RecoveryReading: Hashable, Sendable, Codable {
  public var nanoseconds: Int64
  /// The high watermark.
  public var messages: Int
  /// VmHWM of the process, `man 5 proc`: code, stacks and everything else included.
  public var peakBytes: Int

  public init(nanoseconds: Int64, messages: Int, peakBytes: Int) {
    (self.nanoseconds, self.messages, self.peakBytes) = (nanoseconds, messages, peakBytes)
  }
}

/// A log of one partition with 1 KB messages whose bytes do not repeat within what a compressor sees, and its recovery,
/// from opening the engine to its being ready. Recovered in a process of its own, so that its peak memory is that of
/// the recovery.
public enum LargeRecovery {
  /// The argument that makes `tornlog` such a process; `KIND DIRECTORY` follow.
  public static let argument = "__recover"

  private static let topic = "bench"
  private static let recordSize = 1024
  private static let batch = 100
  private static let objects = "objects"
  /// Batches; 64 MiB.
  private static let checkpointEvery = (64 << 20) / (batch * recordSize)

  /// Writes what is to be recovered into an empty directory.
  /// - Returns: how many messages it holds.
  /// - Parameter isCancelled: asked before each batch.
  /// - Throws: `BenchError.interrupted`, and what the engine throws.
  public static func prepare(
    _ kind: RecoveryKind, bytes: Int, in directory: String, isCancelled: @escaping @Sendable () -> Bool = { false }
  ) throws -> Int {
    let batches = max(1, bytes / (batch * recordSize))
    let isWhole = try onLoop(directory) { storage async throws(EngineError) in
      var parts = EngineParts()
      if kind == .store { parts.store = DirectoryObjectStore(storage, root: objects) }
      let (engine, _) = try await PartitionEngine.open(storage, configuration(kind), parts: parts)
      try await engine.createTopic(topic, partitions: 1)
      let content = noise()
      var at = 0
      for number in 0..<batches {
        if isCancelled() { return false }
        // Piece by piece, so that an interruption is heard in between.
        if kind == .store, number % checkpointEvery == checkpointEvery - 1 { try await engine.checkpoint() }
        _ = try await engine.produce(to: topic, 0, recordCount: batch, payloadBytes: batch * recordSize) { writer in
          for _ in 0..<batch {
            writer.append(value: content[at..<at + recordSize])
            at += recordSize
            if at + recordSize > content.capacity { at = 0 }
          }
        }
      }
      if kind == .store { try await engine.checkpoint() }
      try await engine.close()
      return true
    }
    guard isWhole else { throw BenchError.interrupted }
    if kind == .store { try forgetAllButObjects(in: directory) }
    return batches * batch
  }

  /// Removes what an engine has in its directory, but for the object store.
  static func forgetAllButObjects(in directory: String) throws(BenchError) {
    for name in try BenchScratch.names(in: directory) where name != objects {
      WorkFolder.removeTree("\(directory)/\(name)")
    }
  }

  /// Recovers what `prepare` has written, or, where it has written nothing, opens an empty engine.
  public static func run(_ kind: RecoveryKind, in directory: String) throws -> RecoveryReading {
    let (nanoseconds, messages) = try onLoop(directory) { storage async throws(EngineError) in
      var parts = EngineParts()
      if kind == .store { parts.store = DirectoryObjectStore(storage, root: objects) }
      let start = storage.loop.now
      let (engine, _) = try await PartitionEngine.open(storage, configuration(kind), parts: parts)
      let elapsed = (storage.loop.now - start).nanoseconds
      let isThere = engine.topics.contains { $0.name == topic }
      let end = isThere ? try engine.watermarks(topic, 0).highWatermark.rawValue : 0
      try await engine.close()
      return (elapsed, Int(end))
    }
    return RecoveryReading(nanoseconds: nanoseconds, messages: messages, peakBytes: peakMemory())
  }

  /// The process that `argument` asks for: writes a `RecoveryReading` to standard output as JSON.
  public static func main(_ arguments: [String]) -> Never {
    guard arguments.count == 2, let kind = RecoveryKind(rawValue: arguments[0]) else { exit(64) }
    do {
      let reading = try run(kind, in: arguments[1])
      print(String(decoding: try JSONEncoder().encode(reading), as: UTF8.self))
      exit(0)
    } catch {
      let text = Array("\(error)\n".utf8)
      _ = write(STDERR_FILENO, text, text.count)
      exit(BenchError.isEnvironment(error) ? 69 : 70)
    }
  }

  /// Reads every byte that recovery has to read, and does nothing with it: `pread` in pieces of 256 KiB.
  /// - Returns: bytes and nanoseconds.
  static func readAll(in directory: String) throws(BenchError) -> (bytes: Int, nanoseconds: Int64) {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: 256 << 10, alignment: 4096)
    defer { buffer.deallocate() }
    let paths = try BenchScratch.files(below: directory)
    var bytes = 0
    let start = ContinuousClock.now
    for path in paths {
      let descriptor = open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw .directory(path, errno: errno) }
      defer { close(descriptor) }
      while true {
        let got = read(descriptor, buffer, 256 << 10)
        guard got >= 0 else { throw .directory(path, errno: errno) }
        if got == 0 { break }
        bytes += got
      }
    }
    return (bytes, max(1, (ContinuousClock.now - start).nanoseconds))
  }

  private static func configuration(_ kind: RecoveryKind) -> EngineConfiguration {
    EngineConfiguration(
      system: kind == .records ? .streamhouse : .tornlog,
      log: LogConfiguration(syncPolicy: .never, segmentBytes: 256 << 20),
      checkpoints: CheckpointPolicy(
        interval: .seconds(3600), bytes: 64 << 20, mostWaiting: 512 << 20, patience: .seconds(600)))
  }

  /// 4 MiB of it: more than a compressor looks back.
  private static func noise() -> IOBuffer {
    let buffer = IOBuffer(capacity: 4 << 20)
    var random = SeededGenerator(seed: 1, stream: "bench")
    for at in stride(from: 0, to: buffer.capacity, by: 8) {
      buffer.base.storeBytes(of: random.next(), toByteOffset: at, as: UInt64.self)
    }
    return buffer
  }

  private static func peakMemory() -> Int {
    let descriptor = open("/proc/self/status", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return 0 }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 16384)
    let count = read(descriptor, &bytes, bytes.count)
    for line in String(decoding: bytes[..<max(0, count)], as: UTF8.self).split(separator: "\n")
    where line.hasPrefix("VmHWM:") {
      return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    }
    return 0
  }

  static func onLoop<Value: Sendable>(
    _ directory: String, _ body: @escaping @Sendable (any Storage) async throws(EngineError) -> Value
  ) throws -> Value {
    let loop = EventLoop()
    let storage = try StorageChoice.auto.openFiles(root: directory, loop: loop)
    let ended = loop.run(limit: .seconds(3600)) { () async -> Result<Value, EngineError> in
      do throws(EngineError) { return .success(try await body(storage)) } catch { return .failure(error) }
    }
    guard let result = ended.value else { throw SubjectError.hung("\(ended.ending)") }
    return try result.get()
  }
}

/// One recovery of a table.
public struct RecoveryRow: Hashable, Sendable {
  public var kind: RecoveryKind
  /// On the disk, below the engine's directory.
  public var bytes: Int
  public var messages: Int
  /// Nanoseconds from opening the engine to its being ready.
  public var nanoseconds: Sample
  /// Its time over that of reading the same files, before and after it.
  public var timesRead: Sample
  /// Of the process that recovered, and of one that opened an empty engine. In bytes.
  public var peakBytes: Int
  public var emptyPeakBytes: Int
  /// How often it was measured; the calmest measurement is shown.
  public var measurements = 1

  /// Nil where its rounds agree: a recovery has no target.
  public var verdict: BenchRow.TargetVerdict? { Noise.isNoisy(timesRead.spread) ? .noisy : nil }
}

extension Bench {
  /// - Throws: `BenchError.wrongRecovery` where not all messages are there again.
  func measureRecovery(_ kind: RecoveryKind, bytes: Int, _ scratch: BenchScratch) throws -> RecoveryRow {
    let empty = try recover(kind, try scratch.folder("empty"))
    _ = try scratch.folder("empty")
    let folder = try scratch.folder("subject")
    let messages = try LargeRecovery.prepare(kind, bytes: bytes, in: folder, isCancelled: isCancelled)
    if isCancelled() { throw BenchError.interrupted }
    var before = try LargeRecovery.readAll(in: folder)
    let size = before.bytes
    var (times, ratios, peak): ([Double], [Double], Int) = ([], [], 0)
    for _ in 0..<recoveryRounds {
      if isCancelled() { throw BenchError.interrupted }
      let reading = try recover(kind, folder)
      guard reading.messages == messages else {
        throw BenchError.wrongRecovery(kind, recovered: reading.messages, of: messages)
      }
      // A store is rebuilt from once: what the opening has written here is not to be found by the next one.
      if kind == .store { try LargeRecovery.forgetAllButObjects(in: folder) }
      let after = try LargeRecovery.readAll(in: folder)
      times.append(Double(reading.nanoseconds))
      ratios.append(Double(reading.nanoseconds) / (Double(before.nanoseconds + after.nanoseconds) / 2))
      peak = max(peak, reading.peakBytes)
      before = after
    }
    _ = try scratch.folder("subject")
    return RecoveryRow(
      kind: kind, bytes: size, messages: messages, nanoseconds: Sample(times), timesRead: Sample(ratios),
      peakBytes: peak,
      emptyPeakBytes: empty.peakBytes)
  }
}
