import FaultInjection
import LogModel
import ObjectStore
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// Engines with an object store on the same disk, so that one power cut meets both at one operation.
enum ArchiveHarness {
  static let configuration = configured()

  static func configured(_ policy: SyncPolicy = .always, _ change: (inout EngineConfiguration) -> Void = { _ in })
    -> EngineConfiguration
  {
    var configuration = EngineConfiguration(
      log: LogConfiguration(
        syncPolicy: policy, segmentBytes: 16 << 10, commitBytes: 8 << 10, recentBatches: 3, recentBytes: 8 << 10,
        firstPreallocation: 4 << 10, largestPreallocation: 4 << 10),
      // Checkpoints in the background are the exception: most tests ask for them.
      checkpoints: CheckpointPolicy(
        interval: .seconds(3600), bytes: 1 << 40, objectBytes: 6 << 10, timeout: .seconds(5),
        firstPause: .milliseconds(50),
        longestPause: .seconds(2)))
    change(&configuration)
    return configuration
  }

  static func open(
    _ storage: any Storage, _ configuration: EngineConfiguration = configuration, store: (any ObjectStore)? = nil,
    _ checkpoints: CheckpointParts = CheckpointParts()
  ) async throws(EngineError) -> (engine: PartitionEngine, recovery: EngineRecovery) {
    try await PartitionEngine.open(
      storage, configuration,
      parts: EngineParts(store: store ?? DirectoryObjectStore(storage), checkpoints: checkpoints))
  }

  static func message(_ n: Int) -> String { "message-\(n)-" + String(repeating: "x", count: 700 + n % 7 * 130) }

  static func produce(_ engine: PartitionEngine, _ numbers: Range<Int>) async throws {
    for n in numbers { _ = try await EngineTests.produce(engine, "orders", 0, message(n)) }
  }

  /// The number of each message that is served, from the log start offset on; what is damaged is passed over.
  static func numbers(_ engine: PartitionEngine) async throws -> [Int] {
    let response = FetchResponse()
    var numbers: [Int] = []
    let marks = try engine.watermarks("orders", 0)
    var at = marks.logStartOffset
    while at < marks.highWatermark {
      do throws(EngineError) {
        try await engine.fetch("orders", 0, from: at, maxBytes: 4096, into: response)
        response.forEachRecord { numbers.append(number(String(decoding: $0.value, as: UTF8.self))) }
        guard response.nextOffset > at else { return numbers + [-1] }
        at = response.nextOffset
      } catch {
        guard case .log(_, .damaged(let range)) = error, range.to > at else { throw error }
        at = range.to
      }
    }
    return numbers
  }

  /// -1 for what is no message.
  static func number(_ text: String) -> Int {
    guard text.hasPrefix("message-"), let n = Int(text.dropFirst(8).prefix { $0 != "-" }), text == message(n) else {
      return -1
    }
    return n
  }

  /// What is not as it should be of fetches from every single offset.
  static func flawsOfEveryOffset(_ engine: PartitionEngine, count: Int) async -> [String] {
    let response = FetchResponse()
    var flaws: [String] = []
    for n in 0..<count {
      for maxBytes in [1, 3000] {
        do throws(EngineError) {
          try await engine.fetch("orders", 0, from: Offset(n), maxBytes: maxBytes, into: response)
          var found: [(Offset, Int)] = []
          response.forEachRecord { found.append(($0.offset, number(String(decoding: $0.value, as: UTF8.self)))) }
          if found.isEmpty || found.enumerated().contains(where: { $1 != (Offset(n + $0), n + $0) }) {
            flaws.append("offset \(n): \(found)")
          }
        } catch { flaws.append("offset \(n): \(error)") }
      }
    }
    return flaws
  }

  static func failure(_ body: () async throws(EngineError) -> Void) async -> EngineError? {
    do throws(EngineError) {
      try await body()
      return nil
    } catch { return error }
  }

  static func logFiles(_ disk: MemoryDisk) -> [String] {
    disk.paths.filter { $0.hasPrefix("topics/orders/0/") && $0.hasSuffix(".log") }.sorted()
  }

  static func objects(_ disk: MemoryDisk) -> [String] { disk.paths.filter { $0.hasSuffix(".tlo") }.sorted() }
}
