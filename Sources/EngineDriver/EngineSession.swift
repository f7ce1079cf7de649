import Defects
import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// The engine in one folder, from `open` to `close`: each log of the protocol is a topic with one partition, made with
/// the first append to it.
final class EngineSession {
  // Owned by the loop that its storage is on.

  private static let partition = PartitionID(0)
  /// What one fetch asks for, in bytes.
  private static let fetchBytes = 256 << 10

  private let engine: PartitionEngine
  private let response = FetchResponse()

  /// Opens what is in the folder, or makes a new log there.
  init(_ folder: String, _ settings: EngineSettings, _ loop: EventLoop) async throws(EngineError) {
    let files: FileStorage
    do throws(StorageError) { files = try settings.storage.openFiles(root: folder, loop: loop) } catch {
      throw .storage(error)
    }
    let machine = RestartedMachine(files)
    let storage: any Storage = settings.defect?.layer(on: machine) ?? machine
    let parts = settings.defect?.parts() ?? EngineParts()
    engine = try await PartitionEngine.open(storage, settings.configuration, parts: parts).engine
  }

  /// - Returns: the record's offset.
  func append(_ value: String, to log: String) async throws(EngineError) -> Offset {
    if !exists(log) {
      do throws(EngineError) { try await engine.createTopic(log, partitions: 1) } catch {
        // It was there, and its log was not open: now it is.
        guard case .topicExists = error else { throw error }
      }
    }
    let bytes = Array(value.utf8)
    return try await engine.produce(to: log, Self.partition, recordCount: 1, payloadBytes: bytes.count) { writer in
      bytes.withUnsafeBytes { writer.append(value: $0) }
    }.baseOffset
  }

  private func exists(_ log: String) -> Bool { engine.topics.contains { $0.name == log } }

  /// Everything that a consumer gets, from the log's start to its high watermark. As a consumer does, it goes on behind
  /// what the engine says is damaged.
  func scan(_ log: String) async throws(EngineError) -> [(offset: Offset, value: String)] {
    guard exists(log) else { return [] }
    let marks = try engine.watermarks(log, Self.partition)
    var items: [(offset: Offset, value: String)] = []
    var at = marks.logStartOffset
    while at < marks.highWatermark {
      do throws(EngineError) {
        try await engine.fetch(log, Self.partition, from: at, maxBytes: Self.fetchBytes, into: response)
      } catch {
        guard case .log(_, .damaged(let range)) = error else { throw error }
        at = max(range.to, at + 1)
        continue
      }
      response.forEachRecord { items.append(($0.offset, String(decoding: $0.value, as: UTF8.self))) }
      // An answer with nothing in it would be asked for again without end.
      guard response.nextOffset > at else { break }
      at = response.nextOffset
    }
    return items
  }

  func close() async throws(EngineError) { try await engine.close() }
}
