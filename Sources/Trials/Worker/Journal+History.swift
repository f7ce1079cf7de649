import LogModel
import ScenarioFormat
import Synchronization
import Verification

/// What a journal says, as the oracle reads it.
extension Journal {
  /// Everything so far of a trial, as the oracle reads it.
  func history(of spec: TrialSpec, damages: [(row: Int, damage: Damage)] = []) -> History {
    var history = history(
      seed: spec.seed, shape: spec.shape, group: Incarnation.group, damages: damages, source: spec.source(of:))
    history.firstOffset = Offset(spec.firstOffset)
    return history
  }

  /// Everything so far, as the oracle reads it.
  /// - Parameters:
  ///   - group: of the commits of group 0; the others have their number behind it.
  ///   - damages: each with the row that it came before.
  ///   - source: the partition of a number that rows have.
  func history(
    seed: UInt64, shape: MessageShape? = nil, group: String, damages: [(row: Int, damage: Damage)],
    source: (_ number: Int) -> TopicPartition
  ) -> History {
    var history = History(seed: seed, shape: shape)
    let count = rowCount
    history.reserveOperations(count)
    // Rows name partitions by their numbers. Of several topics these are not created in the order of the numbers.
    var slots: [Int32: PartitionSlot] = [:]
    var slow: [SlowOperation] = []
    for index in 0..<count {
      for (at, damage) in damages where at == index { history.damage(damage) }
      // The two words that make the rest of the row valid, before the rest.
      let kind = kindWord(index).pointee.load(ordering: .acquiring)
      let answer = outcomeWord(index).pointee.load(ordering: .acquiring)
      let row = rows[index]
      let submitted = Instant(nanoseconds: row.submittedAt)
      let answered = Instant(nanoseconds: row.answeredAt)
      let outcome = answer == 0 ? Outcome.indeterminate : Outcome(rawValue: UInt8(answer - 1)) ?? .indeterminate
      let slot = slots[row.partition] ?? PartitionSlot(Int(row.partition))
      switch Kind(rawValue: kind) {
      case .create where slots[row.partition] != nil: history.createAgain(slot)
      case .create:
        slots[row.partition] = history.create(
          source(Int(row.partition)), outcome, submittedAt: submitted, at: max(submitted, answered))
      case .produce:
        let operation = history.submit(
          slot, producer: Int(row.producer), firstSequence: Int(row.value), count: Int(row.count), at: submitted)
        switch outcome {
        case .acknowledged: history.acknowledge(operation, baseOffset: Offset(row.baseOffset), at: answered)
        case .failed: history.fail(operation, certainly: true, at: answered)
        case .indeterminate: if answer != 0 { history.fail(operation, certainly: false, at: answered) }
        }
      case .commit:
        history.commit(
          group: row.producer == 0 ? group : "\(group)-\(row.producer)", slot, offset: Offset(row.value), outcome,
          at: max(submitted, answered))
      case .opened: history.opened(at: submitted)
      // Without an answer it was cut off, by what is written down elsewhere.
      case .close: if answer != 0 { history.close(outcome, submittedAt: submitted, at: answered) }
      case .archived: history.archived(slot, before: Offset(row.value))
      // One that was cut off was not refused.
      case .trim: history.answer(trim: history.trim(slot, before: Offset(row.value)), outcome)
      case .read:
        history.read(
          slot, by: Int(row.producer), from: Offset(row.value), logStartOffset: Offset(row.count),
          highWatermark: Offset(row.baseOffset),
          at: submitted)
      case .served:
        history.readMessages(
          Offset(row.value), sequence: row.baseOffset < 0 ? nil : UInt64(row.baseOffset), count: Int(row.count))
      case .flush: if answer != 0 { history.flush(outcome, at: answered) }
      case .slow: slow.append(SlowOperation(endedAt: Instant(nanoseconds: row.value), took: .nanoseconds(row.count)))
      case .crash:
        history.crash(
          CrashKind.allCases[Int(row.value)], at: submitted, deviceDelay: .nanoseconds(row.count), slowOperations: slow)
        slow = []
      case .unused, nil: break
      }
    }
    for (at, damage) in damages where at >= count { history.damage(damage) }
    return history
  }
}
