import LogModel

/// The offsets that consumer groups have committed.
///
/// A group is owed the offset that it committed last, or, where it committed on and was not answered, one of those.
/// Where recovery has brought the log back shorter, as the contract allows it to under `never` or after damage, the
/// offset must be lowered to the end that the log has come back with: what is appended then gets the offsets before the
/// committed one, and would never reach the group. So the offset must lie within the log, and behind nothing that was
/// sent after it had been committed. Under the other policies what lies before the offset was durable when the group
/// was answered: without damage the log reaches it.
extension Oracle {
  private struct Key: Hashable {
    var group: String
    var slot: Int
  }

  /// - Parameter served: of each partition, what the readback was served.
  func judgeCommits(
    _ history: History, _ readback: Observation, _ earlier: [Observation], _ partitions: [PartitionHistory],
    _ served: [ServedLog],
    _ ledger: inout CheckAccumulator
  ) {
    let commits = history.commits[..<readback.mark.commits]
    let known = LastKnown(readback, earlier)
    guard !commits.isEmpty || !readback.commits.isEmpty else { return }
    ledger.apply(.consumerOffsets, exercised: true)
    ledger.apply(.committedOffsetWithinLog, exercised: readback.commits.contains { ($0.offset ?? 0) > 0 })
    var found: [Key: Offset?] = [:]
    for commit in readback.commits {
      found[Key(group: commit.group, slot: commit.partition.index)] = .some(commit.offset)
    }
    var own: [Key: [OffsetCommit]] = [:]
    var keys: [Key] = []
    for commit in commits {
      let key = Key(group: commit.group, slot: commit.partition.index)
      if own[key] == nil { keys.append(key) }
      own[key, default: []].append(commit)
    }
    for commit in readback.commits {
      let key = Key(group: commit.group, slot: commit.partition.index)
      if own[key] == nil {
        keys.append(key)
        own[key] = []
      }
    }
    for key in keys {
      guard let answer = found[key] else {
        ledger.doubt(.consumerOffsets, "the committed offset of \(key.group) was not asked for")
        ledger.doubt(.committedOffsetWithinLog, "the committed offset of \(key.group) was not asked for")
        continue
      }
      let standing = StandingOffset(
        group: key.group, name: history.creations[key.slot].partition, slot: key.slot, answer: answer,
        commits: own[key] ?? [],
        restart: readback.restart,
        end: (readback.partitions[key.slot].after ?? readback.partitions[key.slot].before)?.logEndOffset,
        partition: partitions[key.slot], served: served[key.slot], contract: contract,
        damages: history.damages[..<readback.mark.damages].filter { $0.partition.index == key.slot })
      let last = standing.commits.lastIndex { promise($0.outcome, $0.incarnation, history, readback) != .none }
      let settled = known.commit(of: key.group, key.slot, commits)
      let since = settled.map { settled in
        history.commits[..<min(settled.commits, readback.mark.commits)].count {
          $0.group == key.group && $0.partition.index == key.slot
        }
      }
      let commit = standing.judgeValue(lastOwed: last, settled, since: since ?? 0, &ledger)
      standing.judgePlace(of: commit, &ledger)
    }
  }
}

/// What a readback was answered for a group's offset in one partition, and all that is known of it.
private struct StandingOffset {
  let group: String
  let name: TopicPartition
  let slot: Int
  let answer: Offset?
  /// In the order in which they were asked for.
  let commits: [OffsetCommit]
  let restart: Int
  /// Where the log says that it ends; nil where it was not asked.
  let end: Offset?
  let partition: PartitionHistory
  let served: ServedLog
  let contract: Contract
  /// Of the partition, before the readback.
  let damages: [Damage]

  private func divergence(_ offset: Offset) -> Divergence {
    Divergence(topic: name.topic, partition: name.partition, offset: offset, restart: restart)
  }

  /// `consumer-offsets`. What an earlier restart has answered is the last known value: only a later commit changes it,
  /// or a later recovery that lowers it.
  /// - Parameters:
  ///   - lastOwed: the last commit that is owed to the readback; nil for none.
  ///   - settled: the last known value; nil where nobody has asked for it.
  ///   - since: of `commits`, the first one behind it.
  /// - Returns: the commit that the answer is of; nil where it is of none, or lowered.
  func judgeValue(
    lastOwed last: Int?, _ settled: LastKnown.Commit?, since: Int, _ ledger: inout CheckAccumulator
  ) -> OffsetCommit? {
    var allowed = commits[(last ?? commits.startIndex)...].filter { $0.outcome != .failed }
    var mayBeAbsent = last == nil
    let later = commits[since...].filter { $0.outcome != .failed }
    let known = later.contains { $0.outcome == .acknowledged } ? nil : settled
    if let known {
      allowed = later
      if let offset = known.offset {
        let standing = OffsetCommit(
          group: group, partition: PartitionSlot(slot), offset: offset, outcome: .acknowledged,
          answeredAt: Instant(nanoseconds: 0),
          incarnation: known.restart, operationsBefore: known.operations)
        allowed.insert(standing, at: 0)
      }
      mayBeAbsent = known.offset == nil
    }
    if let answer, let commit = allowed.last(where: { $0.offset == answer }) { return commit }
    if answer == nil && mayBeAbsent { return nil }
    let lowered = allowed.filter { commit in answer.map { isLowered(commit, to: $0) } ?? false }
    if let answer, excuses(.lowered, !lowered.isEmpty) {
      let from = allowed.map(\.offset).max() ?? answer
      if excuses(.shorter, lowered.contains(where: mayBeCutOff)) {
        ledger.remark(.consumerOffsets) {
          "\(name): \(group) had committed \(from), and goes on at \(answer), where the log ended when it was recovered"
        }
      } else {
        ledger.violate(.committedOffsetWithinLog, slot: slot, at: divergence(answer)) {
          "\(name): \(ReaderFinding.committedNotDurable(group: group, committed: from.rawValue, end: answer.rawValue))"
        }
      }
      return nil
    }
    let finding: CheckFinding =
      if let known {
        .readback(
          .commitChanged(group: group, was: known.offset?.rawValue, restart: known.restart, found: answer?.rawValue))
      } else {
        .committedOffset(
          group: group, allowed: last == nil ? [] : allowed.map(\.offset.rawValue), found: answer?.rawValue)
      }
    ledger.violate(.consumerOffsets, slot: slot, at: divergence(answer ?? 0)) { "\(name): \(finding)" }
    return nil
  }

  /// Whether a recovery after the commit can have found that the log ends at `answer`: what stands there or behind it
  /// was sent after that recovery, and what stands before it was not.
  private func isLowered(_ commit: OffsetCommit, to answer: Offset) -> Bool {
    guard commit.offset > answer, restart > commit.incarnation, let end, end >= answer else { return false }
    if end == answer { return true }
    var (first, earliestBehind, latestBefore) = (Int64.max, Int.max, Int.min)
    for place in partition.operations.indices where served.servedOf[place] > 0 {
      let operation = partition.operations[place]
      if served.baseOf[place] &+ Int64(operation.count) > answer.rawValue {
        earliestBehind = min(earliestBehind, operation.incarnation)
        first = min(first, served.baseOf[place])
      } else {
        latestBefore = max(latestBefore, operation.incarnation)
      }
    }
    if first == .max { return true }
    return earliestBehind > commit.incarnation && latestBefore < earliestBehind
      && first == max(answer, partition.trimmedBefore).rawValue
  }

  /// Whether the log may have come back shorter than what `commit` counts as processed: where nothing was synced for
  /// it, and where damage has taken a part. A sync that failed is no excuse: the engine knew of it, and records no
  /// offset behind what it could not make durable.
  private func mayBeCutOff(_ commit: OffsetCommit) -> Bool {
    if contract.sync(of: commit.incarnation) == .never { return true }
    return damages.contains { damage in
      let isBefore = damage.touched.map { $0.contains { start(of: $0) < commit.offset.rawValue } } ?? true
      guard isBefore || !damage.unplaced.isEmpty else { return false }
      return contract.recovery == .truncateAtCorruption || !damage.isFailedSync
    }
  }

  /// Where the request begins in which `range` begins: what destroys a part of it costs all of it.
  private func start(of range: OffsetRange) -> Int64 {
    let from = range.from.rawValue
    for place in partition.operations.indices {
      let base = served.baseOf[place] >= 0 ? served.baseOf[place] : partition.operations[place].base
      if base >= 0, base <= from, from < base &+ Int64(partition.operations[place].count) { return base }
    }
    return from
  }

  /// `committed-offset-within-log`.
  /// - Parameter commit: that the answer is of. Where a recovery has lowered it, what stands behind it has been looked
  ///   at already.
  func judgePlace(of commit: OffsetCommit?, _ ledger: inout CheckAccumulator) {
    guard let answer else { return }
    if let end, answer > end {
      ledger.violate(.committedOffsetWithinLog, slot: slot, at: divergence(end)) {
        "\(name): \(ReaderFinding.committedBeyondEnd(group: group, committed: answer.rawValue, end: end.rawValue))"
      }
      return
    }
    guard let commit else { return }
    for place in partition.operations.indices.reversed() {
      let operation = partition.operations[place]
      if operation.number < commit.operationsBefore { break }
      let base = served.baseOf[place] >= 0 ? served.baseOf[place] : operation.base
      guard base >= 0, base < answer.rawValue else { continue }
      let finding = ReaderFinding.committedOverLater(
        group: group, committed: answer.rawValue, offset: base, message: operation.firstSequence)
      ledger.violate(.committedOffsetWithinLog, slot: slot, at: divergence(Offset(base))) { "\(name): \(finding)" }
    }
  }
}
