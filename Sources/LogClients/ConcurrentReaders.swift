import EngineAdapter
import LogModel
import Storage
import SystemUnderTest
import Verification

/// Consumers that read the partitions of an engine while others send: at the tail, ranges anywhere, and again from the
/// beginning.
///
/// They wait for the answers of producers, and read a moment after one, when other requests are under way. Everything
/// that they do follows from the seed.
package final class ConcurrentReaders: @unchecked Sendable {
  // Owned by the loop.

  /// One answer to one fetch.
  package struct Answer: Hashable, Sendable {
    package struct Run: Hashable, Sendable {
      package var offset: Offset
      /// Of the first message; nil where their bytes are not those that were sent.
      package var sequence: UInt64?
      package var count: Int
    }

    package var reader: Int
    /// Its number among the partitions that are read.
    package var partition: Int
    package var asked: Offset
    /// What the partition claimed when the answer had come.
    package var logStartOffset: Offset
    package var highWatermark: Offset
    package var at: Instant
    package var runs: [Run]

    /// Rows that it takes to write it down.
    var rows: Int { 1 + runs.count }
  }

  /// Runs of one answer that are noted; what comes behind them in the same answer is not.
  package static let mostRuns = 64
  /// The longest pause before a fetch, in nanoseconds: the device is at work for about as long.
  private static let longestPause: Int64 = 150_000

  private let log: TestedLog
  private let loop: EventLoop
  private let sources: [TopicPartition]
  private let contents: [MessageContent]
  private let seed: UInt64
  private let name: String
  private let rows: Int
  private let wakings: Int
  /// Answers to producers so far.
  private var rung = 0
  private let note: (Answer) -> Void
  private var waiters: [UnsafeContinuation<Void, Never>] = []
  private var isOver = false
  /// What was noted last of each partition.
  private var told: [Int: (start: Offset, watermark: Offset)] = [:]

  /// - Parameters:
  ///   - name: tells the readers of one life from those of others.
  ///   - rows: that one reader may take; then it stops.
  ///   - wakings: answers to producers that are expected.
  ///   - note: writes an answer down.
  package init(
    _ log: TestedLog, on loop: EventLoop, _ sources: [TopicPartition], seed: UInt64, name: String, rows: Int,
    wakings: Int, note: @escaping (Answer) -> Void
  ) {
    self.log = log
    self.loop = loop
    self.sources = sources
    contents = sources.map { MessageContent(seed: seed, topic: $0.topic, partition: $0.partition) }
    self.seed = seed
    self.name = name
    self.rows = rows
    self.wakings = max(1, wakings)
    self.note = note
  }

  /// A producer has been answered.
  package func ring() {
    rung += 1
    let woken = waiters
    waiters.removeAll(keepingCapacity: true)
    for waiter in woken { waiter.resume() }
  }

  /// Nothing more is sent.
  package func end() {
    isOver = true
    ring()
  }

  /// Reads until nothing more is sent, and then each tail once more.
  package func run(_ reader: Int) async {
    var random = SeededGenerator(seed: seed, stream: "reader \(reader) \(name)")
    var positions = [Offset?](repeating: nil, count: sources.count)
    var left = rows
    let response = log.newAnswer(capacity: 64 << 10)
    while !isOver, left > Self.mostRuns {
      // Its rows are to last until the last answer.
      if (rows - left) * wakings <= rows * rung {
        for _ in 0..<Int.random(in: 1...4, using: &random) where left > Self.mostRuns {
          let pause = Int64.random(in: 0...Self.longestPause, using: &random)
          await loop.sleep(until: loop.now + .nanoseconds(pause))
          let partition = Int.random(in: sources.indices, using: &random)
          left -= await read(partition, reader, &positions[partition], response, &random)
        }
      }
      if !isOver { await withUnsafeContinuation { waiters.append($0) } }
    }
    for partition in sources.indices where left > Self.mostRuns {
      left -= await fetch(partition, reader, from: positions[partition], 256 << 10, response).rows
    }
  }

  /// - Returns: the rows that it took.
  private func read(
    _ partition: Int, _ reader: Int, _ position: inout Offset?, _ response: TestedLog.Answer,
    _ random: inout SeededGenerator
  ) async -> Int {
    let bytes = [1, 2000, 16 << 10, 256 << 10][Int.random(in: 0..<4, using: &random)]
    switch Int.random(in: 0..<8, using: &random) {
    case 0: position = nil  // a consumer that has been restarted, and begins anew
    case 1, 2:
      guard let (start, watermark) = marks(partition) else { return 0 }
      let from = Offset(Int64.random(in: start.rawValue...max(start.rawValue, watermark.rawValue), using: &random))
      return await fetch(partition, reader, from: from, bytes, response).rows
    default: break
    }
    let fetched = await fetch(partition, reader, from: position, bytes, response)
    position = fetched.next
    return fetched.rows
  }

  private func marks(_ partition: Int) -> (start: Offset, watermark: Offset)? {
    do throws(LogFailure) {
      let marks = try log.watermarks(sources[partition])
      return (marks.logStartOffset, marks.highWatermark)
    } catch {
      return nil
    }
  }

  /// - Parameter from: nil for the beginning of the log.
  /// - Returns: where to go on, nil for the beginning, and the rows that the answer took. An error is no answer.
  private func fetch(
    _ partition: Int, _ reader: Int, from position: Offset?, _ bytes: Int, _ response: TestedLog.Answer
  ) async -> (next: Offset?, rows: Int) {
    guard let asked = position ?? marks(partition)?.start else { return (nil, 0) }
    do throws(LogFailure) {
      try await log.fetch(sources[partition], from: asked, maxBytes: bytes, into: response)
    } catch {
      if case .damaged(let end) = error.kind { return (max(end, asked + 1), 0) }
      return (nil, 0)
    }
    guard let (start, watermark) = marks(partition) else { return (nil, 0) }
    var answer = Answer(
      reader: reader, partition: partition, asked: asked, logStartOffset: start, highWatermark: watermark, at: loop.now,
      runs: [])
    let content = contents[partition]
    response.forEachMessage { message in answer.take(message.offset, content.read(message.value)) }
    let next = max(asked, response.nextOffset)
    if answer.runs.isEmpty, let last = told[partition], last == (start, watermark) { return (next, 0) }
    told[partition] = (start, watermark)
    note(answer)
    return (next, answer.rows)
  }
}

extension ConcurrentReaders.Answer {
  fileprivate mutating func take(_ offset: Offset, _ reading: MessageContent.Reading) {
    var sequence: UInt64?
    if case .intact(let number) = reading { sequence = number }
    if let last = runs.last {
      let follows = last.sequence.map { $0 &+ UInt64(last.count) == sequence } ?? (sequence == nil)
      if follows, offset == last.offset + last.count {
        runs[runs.count - 1].count += 1
        return
      }
    }
    guard runs.count < ConcurrentReaders.mostRuns else { return }
    runs.append(Run(offset: offset, sequence: sequence, count: 1))
  }
}
