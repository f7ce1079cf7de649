import LogModel
import PartitionEngine
import Storage
import Verification
import WriteAheadLog

/// The messages of a trial, and who sends them in which requests.
///
/// Partitions are numbered over all topics, and so are requests: request *k* goes to partition *k mod partitions* and carries that partition's next `batch`
/// messages. Producer *i* sends requests *i*, *i + producers*, ..., one after the other, each once the one before it
/// is answered.
struct Workload: Sendable {
  /// By number; see `TrialSpec.source(of:)`.
  var sources: [TopicPartition]
  var seed: UInt64
  var batch: Int
  var producers: Int
  /// The number of the first producer in the history.
  var firstProducer = 0
  var messageSize: Int
  /// Whether a request is one operation of the history. Where its messages may be there without each other, each is one.
  var requestsAreAtomic: Bool
  /// Messages of each partition, and the sequence number of the first.
  var counts: [Int]
  var firsts: [Int]

  init(_ spec: TrialSpec) {
    sources = (0..<spec.partitions).map(spec.source(of:))
    seed = spec.seed
    batch = spec.batch
    producers = spec.producers
    messageSize = spec.messageSize
    requestsAreAtomic = spec.system.requestsAreAtomic
    counts = (0..<spec.partitions).map(spec.messages(ofPartition:))
    firsts = counts.map { _ in 0 }
  }

  /// What is appended between the restarts: `spec.appendBetween` messages to each partition, in the same way.
  init(betweenRestartsOf spec: TrialSpec) {
    self.init(spec)
    firsts = counts
    counts = counts.map { _ in spec.appendBetween }
    producers = min(producers, spec.partitions)
  }

  /// What a second writer sends: as much as the first.
  init(secondWriterOf spec: TrialSpec) {
    self.init(spec)
    firstProducer = producers
    firsts = counts.map { $0 + spec.appendBetween }
  }

  var messages: Int { counts.reduce(0, +) }
  /// Requests, those that find their partition complete included.
  var requests: Int { counts.count * (((counts.max() ?? 0) + batch - 1) / batch) }

  /// Request `k`: nil where its partition is complete.
  func request(_ k: Int) -> (partition: PartitionID, first: Int, count: Int)? {
    let p = k % counts.count
    let done = k / counts.count * batch
    guard done < counts[p] else { return nil }
    return (PartitionID(p), firsts[p] + done, min(batch, counts[p] - done))
  }

  /// Sends everything; returns when every request is answered.
  /// - Parameters:
  ///   - turn: awaited before each request.
  ///   - done: awaited after each request, by the producer that has sent it.
  ///   - answered: called after each answer with the number of messages answered so far.
  func run(
    on engine: PartitionEngine, loop: EventLoop, journal: Journal,
    turn: @escaping @Sendable (_ request: Int) async -> Void = { _ in },
    done: @escaping @Sendable (_ request: Int, _ partition: PartitionID) async -> Void = { _, _ in }, answered: @escaping @Sendable (Int) -> Void
  ) async {
    let contents = sources.map { MessageContent(seed: seed, topic: $0.topic, partition: $0.partition) }
    let progress = Progress()
    await withTaskGroup(of: Void.self) { group in
      for producer in 0..<max(1, producers) {
        group.addTask(executorPreference: loop) {
          for k in stride(from: producer, to: requests, by: max(1, producers)) {
            guard let request = request(k) else { continue }
            await turn(k)
            await send(
              request.partition, request.first, request.count, contents[request.partition.index],
              firstProducer + producer, engine, loop, journal)
            journal.harness {
              progress.messages += request.count
              answered(progress.messages)
            }
            await done(k, request.partition)
          }
        }
      }
    }
  }

  /// Touched on the loop only.
  private final class Progress: @unchecked Sendable {
    var messages = 0
  }

  private func send(
    _ partition: PartitionID, _ first: Int, _ count: Int, _ content: MessageContent, _ producer: Int,
    _ engine: PartitionEngine, _ loop: EventLoop, _ journal: Journal
  ) async {
    let share = requestsAreAtomic ? count : 1
    let rows = stride(from: 0, to: count, by: share).map {
      journal.produce(partition, producer: producer, first: first + $0, count: share, at: loop.now)
    }
    do throws(EngineError) {
      let source = sources[partition.index]
      let receipt = try await engine.produce(
        to: source.topic, source.partition, recordCount: count, payloadBytes: count * messageSize
      ) { writer in
        for n in 0..<count {
          writer.append(valueSize: messageSize) { bytes in
            journal.harness { content.write(sequence: UInt64(first + n), into: bytes) }
          }
        }
      }
      for (index, row) in rows.enumerated() {
        journal.answer(row, .acknowledged, baseOffset: receipt.baseOffset + index * share, at: loop.now)
      }
    } catch {
      for row in rows { journal.answer(row, error.isCertainFailure ? .failed : .indeterminate, at: loop.now) }
    }
  }
}
