import Glibc
import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// The engine, as its users call it: a topic of one partition, produced to through `PartitionEngine.produce`.
public struct EngineAppendSubject: AppendSubject {
  public let name: String
  private let choice: StorageChoice

  public init(_ choice: StorageChoice = .auto) {
    self.choice = choice
    name = choice == .posix ? "tornlog (posix)" : "tornlog"
  }

  public func run(_ load: AppendLoad, count: Int, in directory: String) throws -> Int64 {
    let loop = EventLoop()
    let storage = try choice.openFiles(root: directory, loop: loop)
    let ended = loop.run(limit: .seconds(300)) { () async -> Result<Int64, EngineError> in
      do throws(EngineError) {
        return .success(try await Self.append(load, count: count, on: storage))
      } catch {
        return .failure(error)
      }
    }
    guard let result = ended.value else { throw SubjectError.hung("\(ended.ending)") }
    return try result.get()
  }

  private static func append(_ load: AppendLoad, count: Int, on storage: any Storage) async throws(EngineError) -> Int64
  {
    // Room for every message with its share of headers and padding, zero-filled ahead like the references' file, which
    // is not part of the time either: a segment that is filled to its end starts no zero-fill while the clock runs.
    let requests = count / load.batch + 1
    let bytes = Int64(count * (load.recordSize + 8) + requests * 576)
    let room = min(max(bytes, 1 << 20) + (1 << 20), 512 << 20) / 4096 * 4096
    let configuration = EngineConfiguration(
      log: LogConfiguration(
        syncPolicy: load.policy, segmentBytes: room, firstPreallocation: room,
        largestPreallocation: room))
    let (engine, _) = try await PartitionEngine.open(storage, configuration)
    try await engine.createTopic("bench", partitions: 1)
    let payload = IOBuffer(capacity: load.recordSize)
    memset(payload.base, 7, load.recordSize)
    try await send(load, load.batch, engine, payload)  // makes the segment
    let loop = storage.loop
    let start = loop.now
    let failures = Failures()
    let each = max(1, count / load.producers / load.batch)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<load.producers {
        group.addTask(executorPreference: loop) {
          do throws(EngineError) {
            for _ in 0..<each { try await send(load, load.batch, engine, payload) }
          } catch {
            failures.first = failures.first ?? error
          }
        }
      }
    }
    let elapsed = (loop.now - start).nanoseconds
    if let failure = failures.first { throw failure }
    try await engine.close()
    return elapsed
  }

  /// Touched on the loop only.
  private final class Failures: @unchecked Sendable {
    var first: EngineError?
  }

  @inline(__always)
  private static func send(
    _ load: AppendLoad, _ messages: Int, _ engine: PartitionEngine, _ payload: IOBuffer
  ) async throws(EngineError) {
    let value = payload[0..<load.recordSize]
    _ = try await engine.produce(
      to: "bench", 0, recordCount: messages, payloadBytes: messages * load.recordSize
    ) { writer in
      for _ in 0..<messages { writer.append(value: value) }
    }
  }
}

/// Recovery of one partition's log, from opening the engine to its being ready.
public struct EngineScanSubject: ScanSubject {
  public let name = "tornlog recovery"

  public init() {}

  private var configuration: EngineConfiguration {
    EngineConfiguration(log: LogConfiguration(syncPolicy: .never, segmentBytes: 256 << 20))
  }

  public func prepare(bytes: Int, in directory: String) throws {
    try onLoop(directory) { storage, configuration async throws(EngineError) in
      let (engine, _) = try await PartitionEngine.open(storage, configuration)
      try await engine.createTopic("bench", partitions: 1)
      let payload = IOBuffer(capacity: 1024)
      memset(payload.base, 7, 1024)
      let value = payload[0..<1024]
      for _ in 0..<(bytes / 102_400) {
        _ = try await engine.produce(to: "bench", 0, recordCount: 100, payloadBytes: 102_400) { writer in
          for _ in 0..<100 { writer.append(value: value) }
        }
      }
      try await engine.close()
    }
  }

  public func run(in directory: String) throws -> ScanOutcome {
    try onLoop(directory) { storage, configuration async throws(EngineError) in
      let start = storage.loop.now
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      let elapsed = (storage.loop.now - start).nanoseconds
      try await engine.close()
      return ScanOutcome(bytes: recovery.bytesScanned, nanoseconds: elapsed)
    }
  }

  @discardableResult
  private func onLoop<Value: Sendable>(
    _ directory: String,
    _ body: @escaping @Sendable (any Storage, EngineConfiguration) async throws(EngineError) -> Value
  ) throws -> Value {
    let loop = EventLoop()
    let storage = try StorageChoice.auto.openFiles(root: directory, loop: loop)
    let configuration = configuration
    let ended = loop.run(limit: .seconds(300)) { () async -> Result<Value, EngineError> in
      do throws(EngineError) { return .success(try await body(storage, configuration)) } catch {
        return .failure(error)
      }
    }
    guard let result = ended.value else { throw SubjectError.hung("\(ended.ending)") }
    return try result.get()
  }
}

enum SubjectError: Error, CustomStringConvertible {
  case hung(String)
  var description: String {
    switch self {
    case .hung(let how): "the engine did not finish: \(how)"
    }
  }
}
