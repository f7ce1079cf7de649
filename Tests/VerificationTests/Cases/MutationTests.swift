import LogModel
import Testing
import Verification

/// Each mutation is a lie or a loss that one check must find, and no check but its companions.
enum Mutation: String, CaseIterable, Sendable {
  case lostRequest, lostMessageInRequest, lostTail, lostEverything
  case skippedWhileConsuming, servedTwice, doubledLog, swappedOfOneProducer, swappedUnanswered, swappedOfTwoProducers
  case neverSent, certainlyFailed, flippedBit, splitUnanswered, renumbered
  case watermarkTooLow, watermarkZero, watermarkGuessedFromBytes, watermarkWentBack, endCountsTornRecord
  case startOffOnAnother, startAnswersEmpty, startServesBehind, stuckAtOffset, stuckAtClaim, fetchFails
  case partitionForgotten, partitionInvented, commitForgotten, commitBehind, commitInvented
  case reportedUndamaged, reportedBeyondEnd, lostAfterRestart, foreignMessages, lostBeyondReceipts

  var check: CheckName {
    switch self {
    case .lostRequest, .lostMessageInRequest, .lostTail, .lostEverything: .noAcknowledgedLoss
    case .skippedWhileConsuming: .noGaps
    case .servedTwice: .noDuplicates
    case .doubledLog: .recoveredWithinAttempted
    case .swappedOfOneProducer, .swappedUnanswered: .noReordering
    case .swappedOfTwoProducers, .renumbered: .offsetsStable
    case .neverSent, .certainlyFailed: .noPhantoms
    case .flippedBit, .splitUnanswered, .foreignMessages: .contentIntact
    case .watermarkTooLow, .watermarkZero, .watermarkGuessedFromBytes: .highWatermark
    case .watermarkWentBack: .watermarkMonotonic
    case .endCountsTornRecord: .logEndOffset
    case .startOffOnAnother, .startAnswersEmpty, .startServesBehind: .everyStartOffset
    case .stuckAtOffset, .stuckAtClaim, .fetchFails: .consumerMakesProgress
    case .partitionForgotten, .partitionInvented: .partitionsRegistered
    case .commitForgotten, .commitBehind, .commitInvented: .consumerOffsets
    case .reportedUndamaged, .reportedBeyondEnd: .damageReported
    case .lostAfterRestart: .appendAfterRecovery
    case .lostBeyondReceipts: .lossWithinExpected
    }
  }

  /// What is protected and lost is lost beyond what is expected, too.
  var companions: Set<CheckName> {
    let losing = check == .noAcknowledgedLoss || others.contains(.noAcknowledgedLoss)
    return others.union(losing && self != .splitUnanswered ? [.lossWithinExpected] : [])
  }

  private var others: Set<CheckName> {
    switch self {
    case .lostBeyondReceipts: [.noAcknowledgedLoss, .noGaps, .appendAfterRecovery, .everyStartOffset]
    case .skippedWhileConsuming: [.everyStartOffset]
    case .lostRequest: [.noGaps, .appendAfterRecovery, .everyStartOffset]
    case .lostMessageInRequest: [.noGaps, .contentIntact, .appendAfterRecovery, .everyStartOffset]
    case .lostTail, .lostEverything:
      [.highWatermark, .logEndOffset, .watermarkMonotonic, .appendAfterRecovery, .committedOffsetWithinLog]
    case .commitInvented: [.committedOffsetWithinLog]
    case .lostAfterRestart: [.noAcknowledgedLoss, .highWatermark, .logEndOffset, .watermarkMonotonic]
    case .doubledLog: [.noDuplicates]
    case .swappedOfOneProducer: [.offsetsStable, .committedOffsetWithinLog]
    case .neverSent: [.recoveredWithinAttempted]
    case .flippedBit, .foreignMessages: [.noAcknowledgedLoss, .appendAfterRecovery]
    case .splitUnanswered: [.noGaps, .everyStartOffset, .noAcknowledgedLoss]
    case .renumbered:
      [
        .noAcknowledgedLoss, .highWatermark, .logEndOffset, .watermarkMonotonic, .appendAfterRecovery,
        .contentIntact, .offsetsNameOneMessage,
      ]
    case .watermarkZero: [.watermarkMonotonic]
    case .watermarkTooLow, .watermarkGuessedFromBytes: [.watermarkMonotonic]
    case .watermarkWentBack: [.highWatermark]
    case .stuckAtOffset, .fetchFails: [.noAcknowledgedLoss, .appendAfterRecovery]
    default: []
    }
  }

  /// It needs requests without an answer behind everything else, and a crash more.
  var isOfAnOlderStory: Bool { self == .swappedUnanswered || self == .splitUnanswered }

  func apply(to answers: inout Answers, _ story: inout Story) {
    let partition = Int.random(in: 0..<3, using: &story.random)
    let requests = story.acknowledged(partition)
    let request = requests[Int.random(in: 0..<requests.count - 1, using: &story.random)]
    var edit = Edit(answers: answers, p: partition, ops: requests, op: request)
    if !changeMessages(&edit, story) { changeAnswers(&edit) }
    answers = edit.answers
  }

  /// The answers of one partition, and ways to change them.
  private struct Edit {
    var answers: Answers
    let p: Int
    /// Acknowledged requests of the partition, and one of them.
    let ops: [Operation]
    let op: Operation
    var last: Operation { ops[ops.count - 1] }
    var partition: Answers.Partition {
      get { answers.partitions[p] }
      set { answers.partitions[p] = newValue }
    }

    func mark(_ hw: Int, _ leo: Int) -> Watermarks {
      Watermarks(logStartOffset: 0, highWatermark: Offset(hw), logEndOffset: Offset(leo))
    }
    mutating func claim(_ hw: Int, _ leo: Int) {
      (partition.before, partition.after) = (mark(hw, leo), mark(hw, leo))
    }
    mutating func cut(to end: Int) {
      partition.served.removeLast(partition.served.count - end)
      claim(end, end)
      partition.probes.removeAll()
    }
    mutating func remove(_ offsets: Range<Int>) {
      partition.served.removeAll { offsets.contains($0.offset) }
      for i in partition.probes.indices {
        let start = partition.probes[i].start
        partition.probes[i].first = partition.served.first { $0.offset >= start }
      }
    }
    mutating func add(_ sequence: Int?) {
      partition.served.append(Answers.Served(offset: partition.served.count, sequence: sequence))
      claim(partition.served.count, partition.served.count)
      partition.probes.removeLast()
    }
    mutating func swap(_ i: Int, _ j: Int) {
      let (x, y) = (partition.served[i].sequence, partition.served[j].sequence)
      (partition.served[i].sequence, partition.served[j].sequence) = (y, x)
      partition.probes.removeAll()
    }
  }

  /// - Returns: false where the mutation is about something else.
  private func changeMessages(_ edit: inout Edit, _ story: Story) -> Bool {
    let (p, ops, op, last, count) = (edit.p, edit.ops, edit.op, edit.last, edit.partition.served.count)
    switch self {
    case .lostRequest, .lostBeyondReceipts: edit.remove(op.offsets)
    case .lostMessageInRequest:
      let wide = ops.dropLast().first { $0.count > 1 }!
      edit.remove(wide.offsets.lowerBound..<wide.offsets.lowerBound + 1)
    case .lostTail: edit.cut(to: last.offsets.lowerBound)
    case .lostEverything: edit.cut(to: 0)
    case .lostAfterRestart: edit.cut(to: last.offsets.lowerBound)
    case .skippedWhileConsuming: edit.partition.served.removeAll { op.offsets.contains($0.offset) }
    case .servedTwice: edit.add(op.firstSequence)
    case .doubledLog: for s in edit.partition.served { edit.add(s.sequence) }
    case .swappedOfOneProducer:
      for i in ops.indices {
        guard let j = ops.indices.first(where: { $0 > i && ops[$0].producer == ops[i].producer }) else { continue }
        edit.swap(ops[i].offsets.lowerBound, ops[j].offsets.lowerBound)
        return true
      }
    case .swappedOfTwoProducers:
      for i in ops.indices.dropLast() where ops[i].producer != ops[i + 1].producer {
        // Neighbours of one message each keep the order of every producer.
        guard ops[i].count == 1, ops[i + 1].count == 1, ops[i].offsets.upperBound == ops[i + 1].offsets.lowerBound
        else { continue }
        edit.swap(ops[i].offsets.lowerBound, ops[i + 1].offsets.lowerBound)
        return true
      }
    case .swappedUnanswered: edit.swap(count - 1, count - 2)
    case .splitUnanswered:
      edit.partition.served.removeLast(2)
      edit.claim(count - 2, count - 2)
      edit.partition.probes.removeAll()
    case .neverSent: edit.add(1_000_000)
    case .certainlyFailed:
      edit.add(story.history.operations.first { $0.partition.index == p && $0.outcome == .failed }!.firstSequence)
    case .flippedBit: edit.partition.served[op.offsets.lowerBound].sequence = nil
    case .foreignMessages:
      for offset in op.offsets { edit.partition.served[offset].sequence = nil }
    case .renumbered:
      edit.remove(op.offsets)
      for i in edit.partition.served.indices { edit.partition.served[i].offset = i }
      let end = edit.partition.served.count
      edit.claim(end, end)
      edit.partition.probes.removeAll()
    default: return false
    }
    return true
  }

  private func changeAnswers(_ edit: inout Edit) {
    let (p, op, count) = (edit.p, edit.op, edit.partition.served.count)
    switch self {
    case .watermarkTooLow: edit.claim(count - 1, count)
    case .watermarkZero: edit.claim(0, count)
    case .watermarkGuessedFromBytes: edit.claim(count * 10 + 1, count)
    case .watermarkWentBack:
      edit.partition.before = edit.mark(count + 1, count)
    case .endCountsTornRecord: edit.claim(count, count + 1)
    case .startOffOnAnother:
      edit.partition.probes[1].first = edit.partition.served[2]
    case .startAnswersEmpty: edit.partition.probes[op.offsets.lowerBound].first = nil
    case .startServesBehind: edit.partition.probes[count / 2].first = edit.partition.served[0]
    case .stuckAtOffset, .fetchFails:
      let at = op.offsets.lowerBound
      edit.partition.served.removeLast(count - at)
      edit.partition.probes.removeAll()
      edit.partition.end =
        self == .fetchFails
        ? .failed(at: Offset(at), "EIO") : .stuck(at: Offset(at), emptyAnswers: 5)
    case .stuckAtClaim: edit.partition.end = .stuck(at: Offset(count), emptyAnswers: 5)
    case .partitionForgotten: edit.answers.registered!.remove(at: p)
    case .partitionInvented: edit.answers.registered!.append(TopicPartition("orders-0", 5))
    case .commitForgotten: edit.answers.commits[p].offset = nil
    case .commitBehind: edit.answers.commits[p].offset = 1
    case .commitInvented: edit.answers.commits[p].offset = 77_777
    case .reportedUndamaged:
      edit.answers.reported.append(
        ReportedDamage(partition: PartitionSlot(p), offsets: OffsetRange(from: 2, to: 3), reason: "checksum"))
    case .reportedBeyondEnd:
      let tail = OffsetRange(from: Offset(count), to: Offset(count + 3))
      edit.answers.reported.append(ReportedDamage(partition: PartitionSlot(p), offsets: tail, reason: "checksum"))
    default: preconditionFailure("\(self) changes nothing")
    }
  }
}

struct MutationTests {
  /// Three incarnations under `always`; the last readback is the one that lies.
  static func story(_ seed: UInt64, for mutation: Mutation? = nil) -> (Story, [Observation]) {
    var story = Story(seed: seed)
    if mutation == .reportedBeyondEnd {
      for p in 0..<3 { for _ in 0..<6 { story.append(p, count: 2) } }
    } else {
      for p in 0..<3 {
        story.append(p, count: 1, producer: 0)
        story.append(p, count: 1, producer: 1)
        story.append(p, count: 4, producer: 2)
      }
      story.fillAll()
    }
    for p in 0..<3 {
      story.commit(p, 1)
      story.commit(p, 3)
    }
    var readbacks = [story.readback()]
    story.crash(.processKill)
    readbacks.append(story.readback())
    for p in 0..<3 { for _ in 0..<4 { story.append(p, count: 2) } }
    story.crash(.powerLoss)
    readbacks.append(story.readback())
    return (story, readbacks)
  }

  @Test(arguments: 0..<100 as Range<UInt64>)
  func soundEngineIsHeld(seed: UInt64) {
    let (story, readbacks) = Self.story(seed)
    let judgement = Oracle(Contract(sync: .always)).judge(story.history, readbacks)
    #expect(judgement.verdict == .held, "\(judgement.text)")
    #expect(judgement.counts.lost == 0 && judgement.counts.recovered > 0)
    #expect(judgement.countedRestart == 1)
  }

  @Test(arguments: Mutation.allCases)
  func eachMutationIsFoundByItsCheckAlone(mutation: Mutation) {
    for seed in 0..<40 as Range<UInt64> {
      let judgement = Self.judged(mutation, seed: seed)
      #expect(judgement.verdict == .violated)
      #expect(judgement.violated.contains(mutation.check), "seed \(seed): \(judgement.text)")
      let others = judgement.violated.subtracting(mutation.companions).subtracting([mutation.check])
      #expect(others.isEmpty, "seed \(seed): \(judgement.text)")
      let found = judgement[mutation.check]!
      #expect(!found.detail.isEmpty && found.divergence?.restart == (mutation.isOfAnOlderStory ? 3 : 2))
    }
  }

  /// What the oracle says of a story whose last readback lies.
  static func judged(_ mutation: Mutation, seed: UInt64) -> Judgement {
    var (story, readbacks) = Self.story(seed, for: mutation)
    if mutation == .swappedUnanswered || mutation == .splitUnanswered {
      for p in 0..<3 { story.append(p, count: 1) }
    }
    if mutation == .swappedUnanswered {
      for p in 0..<3 { for _ in 0..<2 { story.append(p, count: 1, producer: 5, .indeterminate, lands: true) } }
    } else if mutation == .splitUnanswered {
      for p in 0..<3 { story.append(p, count: 4, producer: 5, .indeterminate, lands: true) }
    }
    if mutation == .swappedUnanswered || mutation == .splitUnanswered {
      story.crash(.processKill)
    } else {
      readbacks.removeLast()
    }
    var answers = story.answers()
    mutation.apply(to: &answers, &story)
    readbacks.append(answers.observed(by: story.history))
    return Oracle(Contract(sync: .always)).judge(story.history, readbacks)
  }

  /// Every check that the oracle judges can fail: this, `ContractTests`, `CommittedOffsetTests`, `DeliveryOracleTests`,
  /// `ShortMessageTests`, `LogStartTests`, `LeaseKeptTests`, `OracleCases` and `SettledEventsTests` name a way for
  /// each.
  @Test func everyCheckHasAMutation() {
    let elsewhere: Set<CheckName> = [
      .lossIsSuffix, .lossWindow, .recoveryCompletes, .boundedMemory, .noHang, .noEngineCrash, .noUnjustifiedRejection,
      .cleanShutdown,
      .checkpointCompletes, .deliveredAtStop, .archiveKept, .keysIntact, .timesKept, .logStartOffset,
      .deletedStaysDeleted,
      .leaseKept, .rejectedReported, .committedOffsetWithinLog, .offsetsNameOneMessage, .metadataBounded,
    ]
    let here = Set(Mutation.allCases.map(\.check))
    #expect(here.union(elsewhere) == Set(CheckName.allCases))
  }

  @Test func neverHeldWhenAProtectedMessageIsGone() {
    var random = SeededGenerator(seed: 7, stream: "drops")
    for round in 0..<1000 as Range<UInt64> {
      var (story, readbacks) = Self.story(round % 50)
      let k = Int.random(in: 0..<3, using: &random)
      // Drop from any readback what was acknowledged before it, in any of the ways an engine can hide it.
      let past = Self.prefix(story, restart: k)
      let p = Int.random(in: 0..<3, using: &random)
      let ops = story.acknowledged(p).filter { $0.incarnation < max(k, 1) }
      let op = ops.randomElement(using: &random)!
      var answers = past
      let victim = op.offsets.randomElement(using: &random)!
      answers.partitions[p].served.removeAll { $0.offset == victim }
      if random.chance(1, in: 2) {
        for i in answers.partitions[p].served.indices { answers.partitions[p].served[i].offset = i }
        let end = Offset(answers.partitions[p].served.count)
        let marks = Watermarks(logStartOffset: 0, highWatermark: end, logEndOffset: end)
        (answers.partitions[p].before, answers.partitions[p].after) = (marks, marks)
      }
      answers.partitions[p].probes.removeAll()
      readbacks[k] = answers.observed(by: Self.history(story.history, restart: k))
      let judgement = Oracle(Contract(sync: .always)).judge(story.history, readbacks)
      #expect(judgement.verdict == .violated)
      #expect(judgement[.noAcknowledgedLoss]?.verdict == .violated)
      #expect(judgement.counts.lost >= 1)
      story.wait(.zero)
    }
  }

  /// The sound answers of the readback after `restart`.
  static func prefix(_ story: Story, restart: Int) -> Answers {
    var past = story
    if restart < 2 {
      for p in 0..<3 {
        let appended = story.acknowledged(p, incarnation: 1).map(\.count).reduce(0, +)
        past.logs[p].removeLast(appended)
      }
    }
    return past.answers()
  }

  /// The history as it stood when the readback after `restart` began.
  static func history(_ whole: History, restart: Int) -> History {
    var history = History(seed: whole.seed)
    for creation in whole.creations { history.create(creation.partition, at: creation.answeredAt) }
    for operation in whole.operations where operation.incarnation < max(restart, 1) {
      while history.incarnation < operation.incarnation { history.crash(.processKill, at: operation.submittedAt) }
      let n = history.submit(
        operation.partition, producer: operation.producer, firstSequence: operation.firstSequence,
        count: operation.count, at: operation.submittedAt)
      if let base = operation.baseOffset { history.acknowledge(n, baseOffset: base, at: operation.answeredAt!) }
    }
    for commit in whole.commits {
      history.commit(
        group: commit.group, commit.partition, offset: commit.offset, commit.outcome, at: commit.answeredAt)
    }
    while history.incarnation < restart { history.crash(.processKill, at: Instant(nanoseconds: 0)) }
    return history
  }
}
