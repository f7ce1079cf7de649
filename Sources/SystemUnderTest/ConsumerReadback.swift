import LogModel
import Verification

/// How a `ConsumerReadback` asks. What is no setting is the same for everybody.
public struct ReadbackSettings: Sendable {
  /// Bytes that one fetch of consumption asks for. Fewer make more fetches, and more reads that can fail; more are
  /// quicker with a large log.
  public var fetchBytes: Int
  /// Empty answers below the high watermark, one after the other, before consumption counts as stuck. Few are enough
  /// where nothing else runs that could make the next answer another one; on files other tasks run between two fetches.
  public var maxEmptyFetches: Int
  /// Whether fetches from start offsets follow consumption. A search that reads thousands of logs back does without
  /// them until one of them is to be judged.
  public var probesStartOffsets: Bool
  /// Consumer groups whose committed offsets are asked for.
  public var groups: [String]
  /// Operations of the history that had been submitted when the log was opened; nil for all.
  public var operationsBefore: Int?

  public init(
    fetchBytes: Int, maxEmptyFetches: Int, probesStartOffsets: Bool = true, groups: [String],
    operationsBefore: Int? = nil
  ) {
    self.fetchBytes = fetchBytes
    self.maxEmptyFetches = maxEmptyFetches
    self.probesStartOffsets = probesStartOffsets
    self.groups = groups
    self.operationsBefore = operationsBefore
  }
}

/// Reads a log back for the oracle: everything that a consumer can find out. It asks only what any client may ask.
///
/// Of each partition that is registered:
/// 1. What it claims. Then everything from the log start offset to the high watermark, which is read again after each
///    answer: a consumer follows a log that grows. Where the log says that messages are damaged, consumption goes on
///    behind them.
/// 2. Fetches from start offsets: from each, or from a sample of a large log; see `StartOffsets`. Between the sampled
///    ones ranges are fetched, so each message passes once more by the index. A start offset that answers that it is
///    damaged, or with an error, has an empty answer, and is not asked for again. Then fetches from where nothing is.
///
/// A partition that is not registered is not consumed: whether it must be there is judged by the list alone. Committed
/// offsets are asked for of all.
public struct ConsumerReadback<Log: ReadableLog, Sink: ReadbackSink> {
  /// Bytes that a fetch from a start offset asks for: one batch, whatever its size.
  private static var probeBytes: Int { 1 }

  private let log: Log
  private let partitions: [TopicPartition]
  private let settings: ReadbackSettings
  private let answer: Log.Answer
  private var random: SeededGenerator
  public private(set) var sink: Sink

  /// - Parameters:
  ///   - partitions: those that were asked for, by slot.
  ///   - answer: what the fetches fill; it may be used again afterwards.
  ///   - random: draws start offsets of large logs.
  public init(
    _ log: Log, _ partitions: [TopicPartition], into sink: Sink, _ settings: ReadbackSettings, _ answer: Log.Answer,
    random: SeededGenerator
  ) {
    self.log = log
    self.partitions = partitions
    self.sink = sink
    self.settings = settings
    self.answer = answer
    self.random = random
  }

  /// - Parameters:
  ///   - recovery: what opening the log came to; nil where nothing of it is to be told.
  ///   - batchEdges: by slot, where batches are known to begin; none where nothing is known.
  public mutating func run(_ recovery: RecoverySummary?, batchEdges: [[Offset]] = []) async {
    let registered = RegisteredPartitions(log.partitions)
    sink.registered(registered.all)
    if let recovery, !recovery.damage.isEmpty { report(recovery.damage) }
    for index in partitions.indices {
      let slot = PartitionSlot(index)
      if registered.contains(partitions[index], at: index), let claimed = await consume(slot),
        settings.probesStartOffsets
      {
        await probe(slot, claimed, index < batchEdges.count ? batchEdges[index] : [])
      }
      for group in settings.groups.indices { sink.committed(slot, group: group, committedOffset(slot, group)) }
    }
  }

  private mutating func report(_ damage: [RecoveryDamage]) {
    let slots = Dictionary(zip(partitions, partitions.indices)) { first, _ in first }
    for damage in damage {
      if let slot = slots[damage.partition] {
        sink.reported(
          ReportedDamage(damage, of: PartitionSlot(slot), operationsBefore: settings.operationsBefore),
          of: damage.partition)
      } else {
        sink.reportedOfNobody(damage.partition)
      }
    }
  }

  private func committedOffset(_ slot: PartitionSlot, _ group: Int) -> Offset? {
    do throws(LogFailure) {
      return try log.committedOffset(group: settings.groups[group], partitions[slot.index])
    } catch {
      return nil
    }
  }

  // MARK: Consumption

  /// - Returns: what the partition claimed last; nil where it claimed nothing.
  private mutating func consume(_ slot: PartitionSlot) async -> Watermarks? {
    let partition = partitions[slot.index]
    var at: Offset = 0
    var claimed: Watermarks?
    do throws(LogFailure) {
      var marks = try log.watermarks(partition)
      claimed = marks
      sink.claimedBefore(slot, marks)
      at = marks.logStartOffset
      var emptyFetches = 0
      while at < marks.highWatermark {
        sink.asked(slot, at)
        if let next = try await fetch(partition, at, settings.fetchBytes) {
          sink.passedOver(slot, at, to: next)
          at = next
          continue
        }
        answer.forEachMessage { message in sink.served(slot, message) }
        answer.forEachBatchTime { base, time in sink.timed(slot, base, time) }
        if answer.nextOffset > at {
          at = answer.nextOffset
          emptyFetches = 0
        } else {
          emptyFetches += 1
          if emptyFetches >= settings.maxEmptyFetches {
            sink.ended(slot, .stuck(at: at, emptyAnswers: emptyFetches))
            return marks
          }
        }
        marks = try log.watermarks(partition)
      }
      if let start = sink.spotCheck(slot) { await spotCheck(slot, start) }
      marks = try log.watermarks(partition)
      claimed = marks
      sink.claimedAfter(slot, marks)
      sink.ended(slot, .reached)
    } catch {
      sink.ended(slot, .failed(at: at, "\(error)"))
    }
    return claimed
  }

  /// - Returns: where to go on behind damage, where the log says that the offset is damaged; else nil, and the answer
  ///   is there.
  @inline(__always)
  private func fetch(
    _ partition: TopicPartition, _ offset: Offset, _ maxBytes: Int
  ) async throws(LogFailure) -> Offset? {
    do throws(LogFailure) {
      try await log.fetch(partition, from: offset, maxBytes: maxBytes, into: answer)
      return nil
    } catch {
      if case .damaged(let end) = error.kind { return max(end, offset + 1) }
      throw error
    }
  }

  private mutating func spotCheck(_ slot: PartitionSlot, _ start: Offset) async {
    var isFound = false
    do throws(LogFailure) {
      if try await fetch(partitions[slot.index], start, Self.probeBytes) == nil {
        answer.withFirstMessage { message in
          isFound = true
          sink.spotChecked(slot, start, found: message)
        }
      }
    } catch {}  // no answer is found out too
    if !isFound { sink.spotChecked(slot, start, found: nil) }
  }

  // MARK: Start offsets

  private mutating func probe(_ slot: PartitionSlot, _ claimed: Watermarks, _ batchEdges: [Offset]) async {
    var segmentEdges: [Offset] = []
    do throws(LogFailure) {
      segmentEdges = try log.segmentBases(partitions[slot.index])
    } catch {}  // they are asked for too, as edges of batches or between them
    let starts = StartOffsets.thinned(
      StartOffsets.sample(
        from: claimed.logStartOffset, to: claimed.highWatermark, batchEdges: batchEdges, segmentEdges: segmentEdges,
        using: &random),
      batchEdges: batchEdges)
    var at = claimed.logStartOffset
    for start in starts {
      if at < start { at = await sweep(slot, from: at, to: start) }
      at = max(at, await ask(slot, start, Self.probeBytes) ?? start + 1)
    }
    if at < claimed.highWatermark { _ = await sweep(slot, from: at, to: claimed.highWatermark) }
    for outside in StartOffsets.outside(from: claimed.logStartOffset, to: claimed.highWatermark) {
      _ = await ask(slot, outside, Self.probeBytes)
    }
  }

  /// Fetches ranges, one behind the other.
  /// - Returns: how far it has come.
  private mutating func sweep(_ slot: PartitionSlot, from start: Offset, to end: Offset) async -> Offset {
    var at = start
    while at < end, let next = await ask(slot, at, settings.fetchBytes) { at = next }
    return at
  }

  /// - Returns: where the next fetch may go on; nil where this one got nowhere.
  private mutating func ask(_ slot: PartitionSlot, _ start: Offset, _ maxBytes: Int) async -> Offset? {
    let next: Offset?
    do throws(LogFailure) { next = try await fetch(partitions[slot.index], start, maxBytes) } catch {
      sink.probed(slot, from: start)
      sink.probeEnded()
      return nil
    }
    sink.probed(slot, from: start)
    if next == nil {
      if sink.isFirstEnough(before: answer.nextOffset) {
        answer.withFirstMessage { message in sink.answered(message) }
      } else {
        answer.forEachMessage { message in sink.answered(message) }
      }
    }
    sink.probeEnded()
    return next ?? (answer.nextOffset > start ? answer.nextOffset : nil)
  }
}

extension ConsumerReadback where Sink == ObserverSink {
  /// Reads back every partition that the history has created, for the oracle.
  /// - Parameters:
  ///   - history: everything that happened before.
  ///   - operationsARequest: of requests that are several operations of the history, one in so many begins a request.
  ///   - recovery: what opening the log came to; nil where nothing of it is to be told.
  ///   - answerBytes: that an answer holds without growing.
  public static func observe(
    _ log: Log, _ history: History, operationsARequest: Int = 1, _ recovery: RecoverySummary?,
    _ settings: ReadbackSettings, answerBytes: Int, random: SeededGenerator
  ) async -> Observation {
    var edges = history.creations.map { _ in [Offset]() }
    for operation in history.operations where operation.firstSequence % operationsARequest == 0 {
      if let base = operation.baseOffset { edges[operation.partition.index].append(base) }
    }
    var readback = ConsumerReadback(
      log, history.creations.map(\.partition), into: ObserverSink(history, groups: settings.groups), settings,
      log.newAnswer(capacity: answerBytes), random: random)
    await readback.run(recovery, batchEdges: edges)
    return readback.sink.finish()
  }
}

/// The partitions that a log lists, mostly in the order in which they were asked for.
private struct RegisteredPartitions {
  let all: [TopicPartition]
  private let set: Set<TopicPartition>?

  /// Fewer are looked through one by one.
  private static let fewPartitions = 16

  init(_ all: [TopicPartition]) {
    self.all = all
    set = all.count > Self.fewPartitions ? Set(all) : nil
  }

  func contains(_ partition: TopicPartition, at index: Int) -> Bool {
    if index < all.count, all[index] == partition { return true }
    return set?.contains(partition) ?? all.contains(partition)
  }
}
