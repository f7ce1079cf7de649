import LogModel
import Verification

/// What one readback is told, before it is fed to an `Observer`: a mutation edits this.
struct Answers {
  struct Served: Equatable {
    var offset: Int
    /// Nil: corrupt.
    var sequence: Int?
  }

  struct Partition {
    var before: Watermarks?
    var after: Watermarks?
    var served: [Served] = []
    var end: ConsumptionEnd? = .reached
    var probes: [(start: Int, first: Served?)] = []
  }

  var partitions: [Partition] = []
  var registered: [TopicPartition]?
  var commits: [(group: String, partition: Int, offset: Offset?)] = []
  var reported: [ReportedDamage] = []
  var reportedOfNobody: [TopicPartition] = []
  var isFinished = true

  func observed(by history: History) -> Observation {
    var observer = Observer(history)
    func reading(_ served: Served) -> MessageContent.Reading {
      served.sequence.map { .intact(sequence: UInt64($0)) } ?? .corrupt
    }
    for (p, partition) in partitions.enumerated() {
      let slot = PartitionSlot(p)
      if let before = partition.before { observer.claimedBefore(slot, before) }
      for served in partition.served { observer.observe(slot, Offset(served.offset), reading(served)) }
      if let end = partition.end { observer.ended(slot, end) }
      if let after = partition.after { observer.claimedAfter(slot, after) }
      for probe in partition.probes {
        observer.probe(
          slot, start: Offset(probe.start), reading: probe.first.map { (Offset($0.offset), reading($0)) })
      }
    }
    if let registered { observer.registered(registered) }
    for commit in commits { observer.committed(group: commit.group, PartitionSlot(commit.partition), commit.offset) }
    for report in reported { observer.reported(report) }
    for partition in reportedOfNobody { observer.reportedOfNobody(partition) }
    return isFinished ? observer.finish() : observer.observation
  }
}

/// A reference log in memory, an array of messages per partition, and the history that made it.
struct Story {
  var history: History
  /// Sequence numbers by offset; nil is an offset that is quarantined.
  var logs: [[Int?]]
  var nextSequence: [Int]
  var now = Instant(nanoseconds: 1_000_000)
  var random: SeededGenerator
  var commits: [(group: String, partition: Int, offset: Offset?)] = []

  init(seed: UInt64, partitions: Int = 3) {
    history = History(seed: seed)
    random = SeededGenerator(seed: seed)
    logs = Array(repeating: [], count: partitions)
    nextSequence = Array(repeating: 0, count: partitions)
    for p in 0..<partitions { history.create(TopicPartition("orders", PartitionID(p)), at: now) }
    history.opened(at: now)
  }

  mutating func wait(_ duration: Duration) { now = now + duration }

  /// One request; `lands`: its messages are in the log. Returns the operation.
  @discardableResult
  mutating func append(
    _ p: Int, count: Int, producer: Int = 0, _ outcome: Outcome = .acknowledged, lands: Bool? = nil
  ) -> Int {
    let operation = history.submit(
      PartitionSlot(p), producer: producer, firstSequence: nextSequence[p], count: count, at: now)
    wait(.microseconds(10))
    let base = logs[p].count
    if lands ?? (outcome == .acknowledged) { logs[p] += (0..<count).map { nextSequence[p] + $0 } }
    nextSequence[p] += count
    switch outcome {
    case .acknowledged: history.acknowledge(operation, baseOffset: Offset(base), at: now)
    case .failed: history.fail(operation, certainly: true, at: now)
    case .indeterminate: history.fail(operation, certainly: false, at: now)
    }
    return operation
  }

  /// Requests of random sizes from three producers; a failed and two indeterminate ones among them.
  mutating func fill(_ p: Int, requests: Int = 12) {
    for i in 0..<requests {
      let count = Int.random(in: 1...5, using: &random)
      let producer = Int.random(in: 0..<3, using: &random)
      switch i {
      case requests / 3: append(p, count: count, producer: producer, .failed)
      case requests / 2: append(p, count: count, producer: producer, .indeterminate, lands: true)
      case requests * 2 / 3: append(p, count: count, producer: producer, .indeterminate, lands: false)
      default: append(p, count: count, producer: producer)
      }
    }
  }

  mutating func fillAll(requests: Int = 12) {
    for p in logs.indices { fill(p, requests: requests) }
  }

  mutating func commit(_ p: Int, _ offset: Int, _ outcome: Outcome = .acknowledged) {
    wait(.microseconds(10))
    history.commit(group: "billing", PartitionSlot(p), offset: Offset(offset), outcome, at: now)
    guard outcome == .acknowledged else { return }
    commits.removeAll { $0.partition == p }
    commits.append(("billing", p, Offset(offset)))
  }

  mutating func crash(_ kind: CrashKind) {
    history.crash(kind, at: now)
    wait(.milliseconds(5))
    history.opened(at: now)
  }

  /// What a sound engine answers.
  func answers() -> Answers {
    var answers = Answers()
    for log in logs {
      var partition = Answers.Partition()
      let marks = Watermarks(logStartOffset: 0, highWatermark: Offset(log.count), logEndOffset: Offset(log.count))
      (partition.before, partition.after) = (marks, marks)
      for (offset, sequence) in log.enumerated() {
        if let sequence { partition.served.append(Answers.Served(offset: offset, sequence: sequence)) }
      }
      for start in 0...log.count {
        partition.probes.append((start, partition.served.first { $0.offset >= start }))
      }
      answers.partitions.append(partition)
    }
    answers.registered = history.creations.map(\.partition)
    answers.commits = commits
    return answers
  }

  func readback() -> Observation { answers().observed(by: history) }

  /// Acknowledged operations of a partition and incarnation, in order.
  func acknowledged(_ p: Int, incarnation: Int? = nil) -> [Operation] {
    history.operations.filter {
      $0.partition.index == p && $0.outcome == .acknowledged && (incarnation == nil || $0.incarnation == incarnation)
    }
  }
}

extension Operation {
  var offsets: Range<Int> {
    let base = Int(baseOffset!.rawValue)
    return base..<(base + count)
  }
}

extension Judgement {
  /// The checks that are violated.
  var violated: Set<CheckName> { Set(checks.lazy.filter { $0.verdict == .violated }.map(\.name)) }

  var text: String {
    checks.filter { $0.verdict != .held }.map { "\($0.name.rawValue) \($0.verdict): \($0.detail)" }
      .joined(separator: "\n")
  }
}

extension Observer {
  /// A fetch from each offset, with the message that stands there.
  mutating func probeAll(_ slot: PartitionSlot, _ log: [Int]) {
    for (offset, sequence) in log.enumerated() {
      probe(slot, start: Offset(offset), reading: (Offset(offset), .intact(sequence: UInt64(sequence))))
    }
  }
}
