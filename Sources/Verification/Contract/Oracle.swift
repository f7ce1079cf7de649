import LogModel

/// Judges what was observed by what was promised: from the calls and their answers, and from message content.
///
/// One pass over the served messages of each partition; no memory but arrays sized by what was attempted.
public struct Oracle: Sendable {
  public let contract: Contract

  public init(_ contract: Contract) { self.contract = contract }

  /// Judges all readbacks of a trial, in the order in which they were made, and merges.
  public func judge(_ history: History, _ readbacks: [Observation]) -> Judgement {
    guard !readbacks.isEmpty else {
      return Judgement(checks: [
        .found(.noAcknowledgedLoss, .unknown, "the engine was never read: there is nothing to judge")
      ])
    }
    let judgements = readbacks.indices.map { judge(history, readbacks[$0], earlier: Array(readbacks[..<$0])) }
    return judgements.dropFirst().reduce(judgements[0]) { $0.merged(with: $1) }
  }

  /// Judges one readback. `earlier` are the readbacks before it, oldest first: what they served must still be there as
  /// far as it is promised, and what they found gone must stay gone.
  public func judge(_ history: History, _ readback: Observation, earlier: [Observation] = []) -> Judgement {
    if let flaw = Self.flaw(history, readback, earlier) { return Self.unjudged(flaw, readback.restart) }
    let partitions = PartitionHistory.all(history, readback.mark)
    if let flaw = partitions.lazy.compactMap(\.flaw).first { return Self.unjudged(flaw, readback.restart) }

    var ledger = CheckAccumulator(restart: readback.restart)
    var counts = MessageCounts()
    var states: [PartitionState] = []
    var losses: [PartitionLoss] = []
    var served: [ServedLog] = []
    let reports = ([readback] + earlier).flatMap { given in
      given.reported.map { report in
        var report = report
        report.operationsBefore = report.operationsBefore ?? given.mark.operations
        return report
      }
    }
    for partition in partitions {
      var examination = PartitionChecker(
        history, readback, contract, partition, earlier.map { EarlierReadback($0, partition) }, reports: reports)
      examination.run(&ledger)
      counts.add(examination.counts)
      let account = examination.lossAccount
      examination.judge(account, &ledger)
      losses.append(account.loss)
      served.append(examination.served)
      if let claims = examination.claims {
        states.append(
          PartitionState(
            topic: partition.name.topic, partition: partition.name.partition, logStartOffset: claims.logStartOffset,
            highWatermark: claims.highWatermark, logEndOffset: claims.logEndOffset, gaps: examination.served.gaps))
      }
    }
    judgeRegistration(history, readback, earlier, &ledger)
    judgeCommits(history, readback, earlier, partitions, served, &ledger)
    if !readback.isFinished { ledger.doubt(.consumerMakesProgress, "the readback was cut off before its end") }
    var judgement = Judgement(
      checks: ledger.results, counts: counts, partitions: states, losses: losses, countedRestart: readback.restart)
    let before = earlier.last?.mark.readings ?? 0
    judgement.looked = LookedAt(
      readback, history.readings[min(before, readback.mark.readings)..<readback.mark.readings])
    if readback.restart == 0 { judgement.consumedLive = counts.recovered }
    return judgement
  }

  private static func flaw(_ history: History, _ readback: Observation, _ earlier: [Observation]) -> String? {
    for observation in earlier + [readback] {
      let (mark, now) = (observation.mark, history.mark)
      guard mark.operations <= now.operations, mark.crashes <= now.crashes, mark.creations <= now.creations,
        mark.damages <= now.damages, mark.commits <= now.commits, mark.trims <= now.trims,
        mark.readings <= now.readings,
        observation.partitions.count == mark.creations
      else { return "the readback was made with a longer history than it is judged by" }
    }
    for (i, crash) in history.crashes.enumerated().dropFirst() where crash.instant < history.crashes[i - 1].instant {
      return "crash \(i) happened before crash \(i - 1)"
    }
    let last = history.operations.last?.incarnation ?? 0
    return history.crashes.count < last ? "operations outlive the last crash" : nil
  }

  private static func unjudged(_ flaw: String, _ restart: Int) -> Judgement {
    Judgement(checks: [.found(.noAcknowledgedLoss, .unknown, flaw)], countedRestart: restart)
  }

  private func judgeRegistration(
    _ history: History, _ readback: Observation, _ earlier: [Observation], _ ledger: inout CheckAccumulator
  ) {
    ledger.apply(.partitionsRegistered, exercised: readback.mark.creations > 0)
    guard let registered = readback.registered else {
      ledger.doubt(.partitionsRegistered, "the engine's partitions were not asked for")
      return
    }
    let found = Set(registered)
    let known = LastKnown(readback, earlier)
    for (slot, creation) in history.creations[..<readback.mark.creations].enumerated() {
      let isThere = found.contains(creation.partition)
      let wasThere = creation.outcome == .indeterminate ? known.isRegistered(creation, slot: slot) : nil
      let isOwed = promise(creation.outcome, creation.incarnation, history, readback) != .none || wasThere == true
      if isThere, wasThere == false {
        ledger.violate(.partitionsRegistered, slot: slot, at: Self.place(creation.partition, readback)) {
          CheckFinding.readback(.topicIsBack(creation.partition)).description
        }
      }
      if !isThere && isOwed {
        let vague = history.damages[..<readback.mark.damages].contains {
          $0.partition.index == slot && $0.touched == nil
        }
        let detail = CheckFinding.notRegistered(creation.partition).description
        if excuses(.vague, vague) {
          ledger.doubt(.partitionsRegistered, "\(detail); a fault damaged it")
        } else {
          ledger.violate(.partitionsRegistered, slot: slot, at: Self.place(creation.partition, readback)) { detail }
        }
      } else if !isThere, creation.outcome != .acknowledged,
        creation.incarnation == readback.restart || creation.outcome == .failed,
        !excuses(.creation, contract.refusals.excuses(creation))
      {
        // A readback comes after the answer.
        ledger.violate(.partitionsRegistered, slot: slot, at: Self.place(creation.partition, readback)) {
          CheckFinding.refusedWithoutFault(creation.partition).description
        }
      } else if isThere && creation.outcome == .failed {
        ledger.violate(.partitionsRegistered, slot: slot, at: Self.place(creation.partition, readback)) {
          CheckFinding.registeredThoughRefused(creation.partition).description
        }
      }
    }
    let created = Set(history.creations[..<readback.mark.creations].map(\.partition))
    for stranger in registered where !created.contains(stranger) {
      ledger.violate(.partitionsRegistered, slot: .max - 1, at: Self.place(stranger, readback)) {
        CheckFinding.registeredByNobody(stranger).description
      }
    }
    for stranger in readback.reportedOfNobody {
      ledger.violate(.damageReported, slot: .max - 1, at: Self.place(stranger, readback)) {
        CheckFinding.readback(.reportOfNobody(stranger)).description
      }
    }
  }

  /// The promise of a single acknowledged fact at the time of the readback.
  func promise(
    _ outcome: Outcome, _ incarnation: Int, _ history: History, _ readback: Observation
  ) -> Promise {
    guard outcome == .acknowledged else { return .none }
    // Registrations and committed offsets are durable when they are acknowledged, whatever the policy for messages.
    let rules = PromiseRules(contract, history)
    let initial = Promise.durable
    return stride(from: incarnation, to: readback.restart, by: 1).reduce(initial) { rules.after($0, crash: $1) }
  }

  static func place(_ partition: TopicPartition, _ readback: Observation, _ offset: Offset = 0) -> Divergence {
    Divergence(topic: partition.topic, partition: partition.partition, offset: offset, restart: readback.restart)
  }
}

extension MessageCounts {
  mutating func add(_ other: MessageCounts) {
    attempted += other.attempted
    acknowledged += other.acknowledged
    indeterminate += other.indeterminate
    recovered += other.recovered
    lost += other.lost
    lostLater += other.lostLater
    duplicated += other.duplicated
    reordered += other.reordered
    phantom += other.phantom
    corruptServed += other.corruptServed
    corruptReported += other.corruptReported
  }
}
