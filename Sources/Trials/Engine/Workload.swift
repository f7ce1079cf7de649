import EngineAdapter
import LogModel
import ScenarioFormat
import Storage
import SystemUnderTest
import Verification

/// The messages of a trial, and who sends them in which requests.
///
/// Partitions are numbered over all topics, and so are requests: request *k* goes to partition *k mod partitions* and
/// carries that partition's next `batch` messages. Producer *i* sends requests *i*, *i + producers*, ..., one after the
/// other, each once the one before it is answered, and `pace` has passed.
struct Workload: Sendable {
  /// By number; see `TrialSpec.source(of:)`.
  var sources: [TopicPartition]
  var seed: UInt64
  var batch: Int
  var producers: Int
  /// The number of the first producer in the history.
  var firstProducer = 0
  var messageSize: Int
  var keys: MessageKeys
  /// Whether a request is one operation of the history. Where its messages may be there without each other, each is
  /// one.
  var requestsAreAtomic: Bool
  /// Messages of each partition, and the sequence number of the first.
  var counts: [Int]
  var firsts: [Int]
  /// How long a producer waits after an answer before its next request.
  var pace: Duration
  /// The requests to send; nil for all.
  var part: Range<Int>?

  init(_ spec: TrialSpec) {
    sources = (0..<spec.partitions).map(spec.source(of:))
    seed = spec.seed
    batch = spec.batch
    producers = spec.producers
    messageSize = spec.messageSize
    keys = spec.keys
    requestsAreAtomic = spec.system.requestsAreAtomic
    counts = (0..<spec.partitions).map(spec.messages(ofPartition:))
    firsts = counts.map { _ in 0 }
    pace = spec.pace
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

  /// The same, but only the requests of `part` are sent.
  func sending(_ part: Range<Int>) -> Workload {
    var workload = self
    workload.part = part
    return workload
  }

  /// Messages of the requests before `end`.
  func messages(before end: Int) -> Int { (0..<end).reduce(0) { $0 + (request($1)?.count ?? 0) } }

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
    on log: TestedLog, loop: EventLoop, journal: Journal,
    turn: @escaping @Sendable (_ request: Int) async -> Void = { _ in },
    done: @escaping @Sendable (_ request: Int, _ partition: PartitionID) async -> Void = { _, _ in },
    answered: @escaping @Sendable (Int) -> Void
  ) async {
    let contents = sources.map { MessageContent(seed: seed, topic: $0.topic, partition: $0.partition) }
    let part = part ?? 0..<requests
    let progress = Progress(messages: messages(before: part.lowerBound))
    await withTaskGroup(of: Void.self) { group in
      for producer in 0..<max(1, producers) {
        group.addTask(executorPreference: loop) {
          var isFirst = true
          for k in stride(from: part.lowerBound + producer, to: part.upperBound, by: max(1, producers)) {
            guard let request = request(k) else { continue }
            if pace > .zero, !isFirst { await loop.sleep(until: loop.now + pace) }
            isFirst = false
            await turn(k)
            await send(
              request.partition, request.first, request.count, contents[request.partition.index],
              firstProducer + producer, log, loop, journal)
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
    var messages: Int
    init(messages: Int) { self.messages = messages }
  }

  private func send(
    _ partition: PartitionID, _ first: Int, _ count: Int, _ content: MessageContent, _ producer: Int,
    _ log: TestedLog, _ loop: EventLoop, _ journal: Journal
  ) async {
    let share = requestsAreAtomic ? count : 1
    let rows = stride(from: 0, to: count, by: share).map {
      journal.produce(partition, producer: producer, first: first + $0, count: share, at: loop.now)
    }
    do throws(LogFailure) {
      let messages = JournaledMessages(
        content: content, first: first, count: count, valueBytes: messageSize, keys: keys, journal: journal)
      let base = try await log.produce(messages, to: sources[partition.index])
      for (index, row) in rows.enumerated() {
        journal.answer(row, .acknowledged, baseOffset: base + index * share, at: loop.now)
      }
    } catch {
      for row in rows { journal.answer(row, error.isCertain ? .failed : .indeterminate, at: loop.now) }
    }
  }
}

/// Messages of a request, which the harness writes in the middle of the log's work.
private struct JournaledMessages: OutgoingMessages {
  let content: MessageContent
  let first: Int
  let count: Int
  let valueBytes: Int
  let keys: MessageKeys
  let journal: Journal

  var keyBytes: Int {
    keys == .none ? 0 : (0..<count).reduce(0) { $0 + (content.keySize(keys, of: UInt64(first + $1)) ?? 0) }
  }

  func key(_ index: Int) -> [UInt8]? { content.key(keys, of: UInt64(first + index)) }

  func writeValue(_ index: Int, into bytes: UnsafeMutableRawBufferPointer) {
    journal.harness { content.write(sequence: UInt64(first + index), into: bytes) }
  }
}
