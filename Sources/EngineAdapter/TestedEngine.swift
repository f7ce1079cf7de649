import LogModel
import PartitionEngine
import SystemUnderTest
import Verification
import WriteAheadLog

/// The partition engine behind the interface: trials and explorations can call nothing else of it.
public final class TestedEngine: LogUnderTest {
  private let engine: PartitionEngine
  /// Batches of other systems' formats have no time.
  private let hasTimes: Bool

  init(_ engine: PartitionEngine, _ configuration: EngineConfiguration) {
    self.engine = engine
    hasTimes = configuration.system == .tornlog
  }

  public var partitions: [TopicPartition] {
    var all: [TopicPartition] = []
    for topic in engine.topics {
      for number in 0..<topic.partitions { all.append(TopicPartition(topic.name, PartitionID(number))) }
    }
    return all
  }

  public func newAnswer(capacity: Int) -> EngineAnswer { EngineAnswer(capacity: capacity, hasTimes: hasTimes) }

  public func watermarks(_ partition: TopicPartition) throws(LogFailure) -> Verification.Watermarks {
    do throws(EngineError) {
      let marks = try engine.watermarks(partition.topic, partition.partition)
      return Verification.Watermarks(
        logStartOffset: marks.logStartOffset, highWatermark: marks.highWatermark, logEndOffset: marks.logEndOffset)
    } catch {
      throw LogFailure(error)
    }
  }

  @inline(__always)
  public func fetch(
    _ partition: TopicPartition, from offset: Offset, maxBytes: Int, into answer: EngineAnswer
  ) async throws(LogFailure) {
    do throws(EngineError) {
      try await engine.fetch(
        partition.topic, partition.partition, from: offset, maxBytes: maxBytes, into: answer.response)
    } catch {
      throw LogFailure(error)
    }
  }

  public func committedOffset(group: String, _ partition: TopicPartition) throws(LogFailure) -> Offset? {
    do throws(EngineError) {
      return try engine.committedOffset(group: group, partition.topic, partition.partition)
    } catch {
      throw LogFailure(error)
    }
  }

  public func segmentBases(_ partition: TopicPartition) throws(LogFailure) -> [Offset] {
    do throws(EngineError) {
      return try engine.segmentBases(partition.topic, partition.partition)
    } catch {
      throw LogFailure(error)
    }
  }

  public func createTopic(_ name: String, partitions: Int) async throws(LogFailure) {
    do throws(EngineError) {
      try await engine.createTopic(name, partitions: partitions)
    } catch {
      throw LogFailure(error)
    }
  }

  public func produce(
    _ messages: some OutgoingMessages, to partition: TopicPartition
  ) async throws(LogFailure) -> Offset {
    do throws(EngineError) {
      let receipt = try await engine.produce(
        to: partition.topic, partition.partition, recordCount: messages.count,
        payloadBytes: messages.count * messages.valueBytes + messages.keyBytes
      ) { writer in
        for index in 0..<messages.count { writer.append(index, of: messages) }
      }
      return receipt.baseOffset
    } catch {
      throw LogFailure(error)
    }
  }

  public func commit(_ offset: Offset, group: String, _ partition: TopicPartition) async throws(LogFailure) {
    do throws(EngineError) {
      try await engine.commitOffset(group: group, partition.topic, partition.partition, offset)
    } catch {
      throw LogFailure(error)
    }
  }

  public func deleteRecords(_ partition: TopicPartition, before offset: Offset) async throws(LogFailure) {
    do throws(EngineError) {
      try await engine.deleteRecords(partition.topic, partition.partition, before: offset)
    } catch {
      throw LogFailure(error)
    }
  }

  public func close() async throws(LogFailure) {
    do throws(EngineError) { try await engine.close() } catch { throw LogFailure(error) }
  }

  public func checkpoint() async throws(LogFailure) {
    do throws(EngineError) { try await engine.checkpoint() } catch { throw LogFailure(error) }
  }

  public func archivedEnd(_ partition: TopicPartition) throws(LogFailure) -> Offset? {
    do throws(EngineError) {
      return try engine.archivedEnd(partition.topic, partition.partition)
    } catch {
      throw LogFailure(error)
    }
  }
}

extension RecordWriter {
  fileprivate mutating func append(_ index: Int, of messages: some OutgoingMessages) {
    guard let key = messages.key(index) else {
      return append(valueSize: messages.valueBytes) { bytes in messages.writeValue(index, into: bytes) }
    }
    key.withUnsafeBytes { bytes in
      // An empty array has no bytes to point at, and is no missing key.
      let key = UnsafeRawBufferPointer(start: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8), count: bytes.count)
      append(key: key, valueSize: messages.valueBytes) { bytes in messages.writeValue(index, into: bytes) }
    }
  }
}

/// What a fetch of the engine returned.
public final class EngineAnswer: FetchedMessages {
  fileprivate let response: FetchResponse
  private let hasTimes: Bool

  fileprivate init(capacity: Int, hasTimes: Bool) {
    response = FetchResponse(capacity: capacity)
    self.hasTimes = hasTimes
  }

  public var nextOffset: Offset { response.nextOffset }

  @inline(__always)
  public func forEachMessage(_ body: (FetchedMessage) -> Void) {
    response.forEachRecord { record in
      body(FetchedMessage(offset: record.offset, key: record.key, value: record.value))
    }
  }

  public func withFirstMessage(_ body: (FetchedMessage) -> Void) {
    response.withFirstRecord { record in
      body(FetchedMessage(offset: record.offset, key: record.key, value: record.value))
    }
  }

  public func forEachBatchTime(_ body: (_ base: Offset, _ time: Instant) -> Void) {
    guard hasTimes else { return }
    for batch in response.batches { body(batch.header.baseOffset, batch.header.time) }
  }
}
