import Glibc
import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// What the engine is asked to do under a fault, and what it answers, as lines of text: the same in a process of its
/// own on real files, and in this one on the model.
///
///     opened | refused open WHY
///     accepted N | refused N WHY | doubtful N WHY   message N was acknowledged, refused for certain, or may be there
///     found N | damaged FROM TO                     what is served after recovery
///     holding                                       everything is done, and the engine stays open
///     closed | refused close WHY
public enum FaultWorkload {
  public typealias Report = @Sendable (String) -> Void

  /// How a life goes once the engine is open.
  public struct Course: Sendable {
    /// Messages to produce, in order; it gives up after a few refusals in a row.
    public var messages: Range<Int>
    /// Whether everything there is is read first.
    public var readbacks: Bool
    /// Whether the engine is left open, for whoever ends the process.
    public var holds: Bool

    public init(messages: Range<Int>, readbacks: Bool = false, holds: Bool = false) {
      (self.messages, self.readbacks, self.holds) = (messages, readbacks, holds)
    }
  }

  /// Refusals in a row after which no more is sent.
  static let patience = 5
  static let topic = "orders"

  public static let configuration = EngineConfiguration(
    log: LogConfiguration(
      segmentBytes: 64 << 10, commitBytes: 16 << 10, recentBatches: 4, recentBytes: 8 << 10,
      firstPreallocation: 8 << 10,
      largestPreallocation: 16 << 10))

  public static func run(_ course: Course, on storage: any Storage, _ report: @escaping Report) async {
    do throws(EngineError) {
      let (engine, recovery) = try await PartitionEngine.open(storage, configuration)
      report("opened")
      if engine.topics.isEmpty { try await engine.createTopic(topic, partitions: 1) }
      if course.readbacks {
        for range in recovery.partitions.flatMap(\.damage) { report("damaged \(range.from) \(range.to)") }
        try await readback(engine, report)
      }
      storage.note(.phase("produce"))
      await produce(course.messages, engine, report)
      if course.holds {
        report("holding")
        // A loop on which nothing is due ends.
        while true { await storage.loop.sleep(until: storage.loop.now + .seconds(1)) }
      }
      do throws(EngineError) {
        try await engine.close()
        report("closed")
      } catch {
        report("refused close \(why(error))")
      }
    } catch {
      report("refused open \(why(error))")
    }
  }

  private static func produce(_ messages: Range<Int>, _ engine: PartitionEngine, _ report: Report) async {
    var refusals = 0
    for n in messages where refusals < patience {
      let bytes = Array("\(n) ".utf8) + [UInt8](repeating: UInt8(n % 251), count: 1000)
      do throws(EngineError) {
        _ = try await engine.produce(to: topic, 0, recordCount: 1, payloadBytes: bytes.count) { writer in
          bytes.withUnsafeBytes { writer.append(value: $0) }
        }
        refusals = 0
        report("accepted \(n)")
      } catch {
        refusals += 1
        report("\(error.isCertainFailure ? "refused" : "doubtful") \(n) \(why(error))")
      }
    }
  }

  private static func readback(_ engine: PartitionEngine, _ report: Report) async throws(EngineError) {
    let response = FetchResponse()
    let marks = try engine.watermarks(topic, 0)
    var at = marks.logStartOffset
    while at < marks.highWatermark {
      try await engine.fetch(topic, 0, from: at, maxBytes: 64 << 10, into: response)
      response.forEachRecord { record in
        let text = record.value.prefix { $0 != UInt8(ascii: " ") }
        report("found \(String(decoding: text, as: UTF8.self))")
      }
      at = response.nextOffset
    }
  }

  /// The device's error, where it was the device; otherwise the kind of refusal.
  private static func why(_ error: EngineError) -> String {
    switch error {
    case .inUse: return "in-use"
    case .storage(let error), .log(_, .storage(let error)), .log(_, .poisoned(let error)): return why(error)
    default: return "\(error)".replacing(" ", with: "-")
    }
  }

  /// The device's error in one word.
  public static func why(_ error: StorageError) -> String {
    switch error.code {
    case .errno(ENOSPC): "ENOSPC"
    case .errno(EACCES): "EACCES"
    case .errno(EROFS): "EROFS"
    case .errno(let number): "errno-\(number)"
    case .powerLost: "power-lost"
    case .shortWrite: "short-write"
    case .unknownVersion: "unknown-version"
    }
  }
}
