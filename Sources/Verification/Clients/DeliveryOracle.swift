import LogModel

/// What a receiver has of one execution of a job, in the order in which it arrived first.
public struct Delivered: Hashable, Sendable, Codable {
  /// The job's number in the history.
  public var slot: PartitionSlot
  /// The message of each event; -1 where its bytes are no message of this job.
  public var messages: [Int]
  /// The number under which the receiver knows each event.
  public var numbers: [Int64]

  public init(slot: PartitionSlot, messages: [Int], numbers: [Int64]) {
    self.slot = slot
    self.messages = messages
    self.numbers = numbers
  }
}

/// A sender that was stopped in order.
public struct StoppedSender: Hashable, Sendable, Codable {
  /// The life in which it was.
  public var life: Int
  /// Events that it left unsent.
  public var left: Int
  /// Whether the receiver had been well for so long before the sender's time was over that it could have sent them.
  public var couldSend: Bool

  public init(life: Int, left: Int, couldSend: Bool) {
    self.life = life
    self.left = left
    self.couldSend = couldSend
  }
}

/// What the log of one execution says of its events in the end, by their numbers.
public struct SettledEvents: Hashable, Sendable, Codable {
  /// The job's number in the history.
  public var slot: PartitionSlot
  /// Recorded as acknowledged by the receiver.
  public var sent: [Int64]
  /// Recorded as refused for good.
  public var failed: [Int64]

  public init(slot: PartitionSlot, sent: [Int64], failed: [Int64]) {
    (self.slot, self.sent, self.failed) = (slot, sent, failed)
  }
}

/// Judges what arrived at the receiver by what was promised to whoever appended: every acknowledged event, once, in
/// order. It asks neither the log nor the sender.
public enum DeliveryOracle {
  /// - Parameters:
  ///   - delivered: what the receiver had in the end, each job once; a job that is missing has nothing.
  ///   - foreign: events that it took for jobs which nobody runs.
  ///   - stops: senders that were stopped in order.
  ///   - archives: what was found in the end of each job whose log had been archived; nothing where there was no
  ///     archive.
  ///   - settled: what the logs that are left say in the end.
  ///   - rejected: the number of the event, of each job, that the receiver takes never; nil where it takes all.
  public static func judge(
    _ history: History, _ delivered: [Delivered], foreign: Int = 0, stops: [StoppedSender], archives: [Delivered] = [],
    settled: [SettledEvents] = [], rejected: Int64? = nil
  ) -> Judgement {
    var ledger = CheckAccumulator()
    var counts = MessageCounts()
    let sent = Dictionary(grouping: history.operations, by: \.partition)
    var losses: [PartitionLoss] = []
    for slot in 0..<history.partitionCount {
      let job = DeliveredJob(
        slot: PartitionSlot(slot), name: history.creations[slot].partition, operations: sent[PartitionSlot(slot)] ?? [],
        rejected: rejected)
      let own = delivered.filter { $0.slot.index == slot }.joined
      losses.append(job.judge(own, &ledger, &counts))
      if let settled = settled.first(where: { $0.slot.index == slot }) {
        job.judge(settled, own, isWhole: stops.contains { $0.left == 0 }, &ledger)
      }
      if let archive = archives.filter({ $0.slot.index == slot }).joined { job.judge(archive: archive, &ledger) }
    }
    ledger.apply(.noPhantoms, exercised: !delivered.isEmpty)
    if foreign > 0 {
      counts.phantom += foreign
      ledger.violate(.noPhantoms, slot: .max, at: nil) { "\(foreign) events were taken for jobs that nobody runs" }
    }
    judge(stops, &ledger)
    return Judgement(checks: ledger.results, counts: counts, losses: losses, countedRestart: 1)
  }

  private static func judge(_ stops: [StoppedSender], _ ledger: inout CheckAccumulator) {
    ledger.apply(.deliveredAtStop, exercised: !stops.isEmpty)
    if stops.isEmpty { ledger.doubt(.deliveredAtStop, "no sender was ever stopped in order") }
    for stop in stops where stop.left > 0 {
      if stop.couldSend {
        ledger.violate(.deliveredAtStop, slot: stop.life, at: nil) {
          "a sender that is stopped must send what is pending, and the receiver was well: found \(stop.left) events "
            + "left in life \(stop.life)"
        }
      } else {
        ledger.doubt(
          .deliveredAtStop,
          "the receiver was not well for long enough before the end of life \(stop.life); give it more time")
      }
    }
  }
}

extension [Delivered] {
  /// All of one job, one after the other: whoever has it twice has its events twice.
  fileprivate var joined: Delivered? {
    guard var all = first else { return nil }
    for other in dropFirst() {
      all.messages += other.messages
      all.numbers += other.numbers
    }
    return all
  }
}

/// One execution of a job.
private struct DeliveredJob {
  let slot: PartitionSlot
  let name: TopicPartition
  let operations: [Operation]
  let rejected: Int64?

  /// Nothing excuses a loss here.
  func judge(_ delivered: Delivered?, _ ledger: inout CheckAccumulator, _ counts: inout MessageCounts) -> PartitionLoss
  {
    var operation: [Int: Int] = [:]
    for (index, sent) in operations.enumerated() {
      for message in sent.firstSequence..<sent.firstSequence + sent.count { operation[message] = index }
      if sent.incarnation == 0 { counts.attempted += sent.count }
      switch sent.outcome {
      case .acknowledged: counts.acknowledged += sent.count
      case .indeterminate: counts.indeterminate += sent.count
      case .failed: break
      }
    }
    let hasArrivals = !(delivered?.messages.isEmpty ?? true)
    for check in [CheckName.contentIntact, .noPhantoms, .noDuplicates, .noReordering, .offsetsStable] {
      ledger.apply(check, exercised: hasArrivals)
    }
    let arrived = judgeArrivals(delivered, operation, &ledger, &counts)
    counts.recovered += arrived.count
    var loss = PartitionLoss(
      topic: name.topic, partition: name.partition, acknowledged: 0, lost: 0, reported: 0, least: 0, most: 0,
      isTouched: false)
    ledger.apply(.noAcknowledgedLoss, exercised: operations.contains { $0.outcome == .acknowledged })
    for sent in operations where sent.outcome == .acknowledged {
      loss.acknowledged += sent.count
      // What the receiver takes never cannot arrive there.
      if let rejected, sent.baseOffset?.rawValue == rejected { continue }
      for message in sent.firstSequence..<sent.firstSequence + sent.count where !arrived.contains(message) {
        counts.lost += 1
        if sent.incarnation > 0 { counts.lostLater += 1 }
        loss.lost += 1
        ledger.violate(.noAcknowledgedLoss, slot: slot.index, at: divergence(sent.baseOffset?.rawValue)) {
          "\(name): message \(message) was acknowledged and must arrive at the receiver, found it missing there"
        }
      }
    }
    return loss
  }

  /// What is recorded as sent the receiver has; what is recorded as failed it rejects for good; and what it rejects is
  /// recorded.
  /// - Parameter isWhole: a sender was stopped in order and had nothing left.
  func judge(_ settled: SettledEvents, _ delivered: Delivered?, isWhole: Bool, _ ledger: inout CheckAccumulator) {
    let isOwed =
      rejected.map { number in operations.contains { $0.outcome == .acknowledged && $0.baseOffset?.rawValue == number }
      } ?? false
    ledger.apply(.rejectedReported, exercised: isOwed || !settled.sent.isEmpty)
    let taken = Set(delivered?.numbers ?? [])
    if let number = settled.sent.first(where: { !taken.contains($0) }) {
      ledger.violate(.rejectedReported, slot: slot.index, at: divergence(number)) {
        "\(name): event \(number) is recorded as sent, and the receiver has never accepted it"
      }
    }
    if let number = settled.failed.first(where: { $0 != rejected }) {
      ledger.violate(.rejectedReported, slot: slot.index, at: divergence(number)) {
        "\(name): event \(number) is recorded as failed, and the receiver had not rejected it for good"
      }
    }
    guard isOwed, let rejected, !settled.failed.contains(rejected) else { return }
    guard isWhole else {
      return ledger.doubt(
        .rejectedReported, "\(name): no sender came to its end, and event \(rejected) may not have been sent")
    }
    ledger.violate(.rejectedReported, slot: slot.index, at: divergence(rejected)) {
      "\(name): event \(rejected), which the receiver rejects for good, must be recorded as failed"
    }
  }

  func judge(archive: Delivered, _ ledger: inout CheckAccumulator) {
    let owed = operations.filter { $0.outcome == .acknowledged }
    ledger.apply(.archiveKept, exercised: !owed.isEmpty)
    judgeOrder(archive, &ledger)
    let kept = Set(archive.messages)
    for sent in owed {
      for message in sent.firstSequence..<sent.firstSequence + sent.count where !kept.contains(message) {
        ledger.violate(.archiveKept, slot: slot.index, at: divergence(sent.baseOffset?.rawValue)) {
          "\(name): its log was archived and removed, and message \(message) must be in the archive, found it missing"
        }
      }
    }
  }

  /// An archive holds each event once, in order, and nothing else.
  private func judgeOrder(_ archive: Delivered, _ ledger: inout CheckAccumulator) {
    var seen: Set<Int> = []
    var newest: [Int: Int] = [:]
    for message in archive.messages {
      guard
        let sent = operations.first(where: { $0.firstSequence <= message && message < $0.firstSequence + $0.count }),
        sent.outcome != .failed
      else {
        ledger.violate(.archiveKept, slot: slot.index, at: divergence(nil)) {
          "\(name): its archive must hold events of this job, found "
            + "\(message < 0 ? "other bytes" : "message \(message), never sent")"
        }
        continue
      }
      guard seen.insert(message).inserted else {
        ledger.violate(.archiveKept, slot: slot.index, at: divergence(nil)) {
          "\(name): its archive holds message \(message) twice"
        }
        continue
      }
      if let before = newest[sent.producer], before > message {
        ledger.violate(.archiveKept, slot: slot.index, at: divergence(nil)) {
          "\(name): its archive holds message \(message) of producer \(sent.producer) behind its message \(before)"
        }
      }
      newest[sent.producer] = max(newest[sent.producer] ?? message, message)
    }
  }

  /// - Returns: the messages that arrived intact.
  private func judgeArrivals(
    _ delivered: Delivered?, _ operation: [Int: Int], _ ledger: inout CheckAccumulator, _ counts: inout MessageCounts
  ) -> Set<Int> {
    var arrived: Set<Int> = []
    var newest: [Int: Int] = [:]
    var highest = Int64.min
    for (message, number) in zip(delivered?.messages ?? [], delivered?.numbers ?? []) {
      let place = divergence(number)
      if number <= highest {
        counts.reordered += 1
        ledger.violate(.noReordering, slot: slot.index, at: place) {
          number < highest
            ? "\(name): event \(number) arrived behind event \(highest)"
            : "\(name): event \(number) arrived twice in a row"
        }
      }
      highest = max(highest, number)
      guard message >= 0 else {
        counts.corruptServed += 1
        ledger.violate(.contentIntact, slot: slot.index, at: place) {
          "\(name): event \(number) is no message of this job"
        }
        continue
      }
      guard let index = operation[message], operations[index].outcome != .failed else {
        counts.phantom += 1
        ledger.violate(.noPhantoms, slot: slot.index, at: place) {
          "\(name): message \(message) arrived, and was never sent, or its sending had failed for certain"
        }
        continue
      }
      guard arrived.insert(message).inserted else {
        counts.duplicated += 1
        ledger.violate(.noDuplicates, slot: slot.index, at: place) {
          "\(name): message \(message) arrived twice, again as event \(number)"
        }
        continue
      }
      if let base = operations[index].baseOffset, operations[index].outcome == .acknowledged,
        case let acknowledged = base.rawValue + Int64(message - operations[index].firstSequence), acknowledged != number
      {
        ledger.violate(.offsetsStable, slot: slot.index, at: place) {
          "\(name): message \(message) was acknowledged as event \(acknowledged), found it arrived as event \(number)"
        }
      }
      let producer = operations[index].producer
      if let before = newest[producer], before > message {
        counts.reordered += 1
        ledger.violate(.noReordering, slot: slot.index, at: place) {
          "\(name): message \(message) of producer \(producer) arrived behind its message \(before)"
        }
      }
      newest[producer] = max(newest[producer] ?? message, message)
    }
    return arrived
  }

  private func divergence(_ number: Int64?) -> Divergence {
    Divergence(topic: name.topic, partition: name.partition, offset: Offset(number ?? 0), restart: 2)
  }
}
