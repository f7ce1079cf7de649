import LogModel
import Verification

/// What the oracle says of one transcript at one crash point.
struct StateJudgement: Sendable {
  var verdict: Verdict
  /// Of a violation, the first check that was violated, by the order of `CheckName.allCases`.
  var check: CheckResult?
}

extension Transcript {
  /// Judges what was seen after `history`, which ends with a power cut.
  /// - Parameter appendedSequence: the number of the message that the first life has appended to each partition.
  func judge(
    _ history: History, appendedSequence: Int, clock: (Int) -> Instant, _ contract: Contract
  ) -> StateJudgement {
    var reader = TranscriptReader(history, appendedSequence: appendedSequence)
    for entry in entries { reader.read(entry, clock) }
    let (readbacks, history) = (reader.readbacks, reader.history)
    var checks = reader.refusals
    if !readbacks.isEmpty { checks += Oracle(contract).judge(history, readbacks).checks }
    if let checkpoint = CheckResult.checkpointCompletes(history) { checks.append(checkpoint) }
    let order = CheckName.allCases
    let violated = checks.filter { $0.verdict == .violated }.min {
      (order.firstIndex(of: $0.name) ?? 0) < (order.firstIndex(of: $1.name) ?? 0)
    }
    if let violated { return StateJudgement(verdict: .violated, check: violated) }
    // Neither a readback after each restart nor a reason why there is none.
    if readbacks.count < 2 {
      let reason =
        readbacks.isEmpty
        ? "the engine was never read: there is nothing to judge" : "the engine was not read after restart 2"
      return StateJudgement(verdict: .unknown, check: .unknown(.noAcknowledgedLoss, because: reason))
    }
    if let doubt = checks.first(where: { $0.verdict == .unknown }) {
      return StateJudgement(verdict: .unknown, check: doubt)
    }
    return StateJudgement(verdict: .held, check: nil)
  }
}

/// Turns the entries of a transcript into readbacks, and goes on with the history.
private struct TranscriptReader {
  private(set) var history: History
  private(set) var readbacks: [Observation] = []
  private(set) var refusals: [CheckResult] = []
  private var observer: Observer?
  private var restart = 0
  private var answer: ProbedAnswer?
  /// Restarts before the first in the transcript.
  private let before: Int
  private let slots: Int
  private let appendedSequence: Int

  init(_ history: History, appendedSequence: Int) {
    (self.history, self.appendedSequence) = (history, appendedSequence)
    (before, slots) = (history.incarnation - 1, history.partitionCount)
  }

  mutating func read(_ entry: Transcript.Entry, _ clock: (Int) -> Instant) {
    switch entry {
    case .refused(let number, let text, let files):
      var refusal = CheckResult.recoveryCompletes(restart: number, refusal: text, files: files)
      // As readbacks count them: a recovery that was cut off came before the first of these.
      refusal.restart = before + number
      refusals.append(refusal)
    case .hung(let number, let text):
      refusals.append(
        CheckResult(
          .noHang, .violated, "after restart \(number) the engine never ends: \(text)", restart: before + number))
    case .opened(let number):
      // The first life ends with its appends: no time passes on a machine that answers at once.
      if number == 2 { history.crash(.powerLoss, at: clock(1)) }
      restart = number
      history.opened(at: clock(number))
      observer = Observer(history)
    case .registered(let partitions): observer?.registered(partitions)
    case .reported(let damage, let partition):
      if damage.partition.index < slots { observer?.reported(damage) } else { observer?.reportedOfNobody(partition) }
    case .reportedOfNobody(let partition): observer?.reportedOfNobody(partition)
    case .before(let slot, let marks):
      if slot < slots { observer?.claimedBefore(PartitionSlot(slot), marks) }
    case .asked(let slot, let offset): if slot < slots { observer?.asked(PartitionSlot(slot), offset) }
    case .message(let slot, let offset, let sequence):
      if slot < slots {
        observer?.observe(PartitionSlot(slot), offset, sequence.map { .intact(sequence: $0) } ?? .corrupt)
      }
    case .after(let slot, let marks): if slot < slots { observer?.claimedAfter(PartitionSlot(slot), marks) }
    case .ended(let slot, let end): if slot < slots { observer?.ended(PartitionSlot(slot), end) }
    case .probed(let slot, let start, let first, let sequence):
      guard slot < slots, observer != nil else { return }
      let reading = sequence.map { MessageContent.Reading.intact(sequence: $0) } ?? .corrupt
      var next = ProbedAnswer(PartitionSlot(slot), start, observer!)
      if let first { next.note(first, reading, &observer!) } else { next.end(&observer!) }
      answer = next
    case .answered(let slot, let offset, let sequence):
      guard slot < slots, observer != nil else { return }
      answer?.note(offset, sequence.map { MessageContent.Reading.intact(sequence: $0) } ?? .corrupt, &observer!)
    case .committed(let slot, let group, let offset):
      if slot < slots {
        observer?.committed(group: ExplorationWorkload.name(ofGroup: group), PartitionSlot(slot), offset)
      }
    case .looked:
      if let readback = observer?.finish() { readbacks.append(readback) }
      observer = nil
    case .appended(let slot, let outcome, let base):
      guard slot < slots else { return }
      let number = history.submit(
        PartitionSlot(slot), firstSequence: appendedSequence, count: 1, at: clock(restart))
      switch outcome {
      case .acknowledged: history.acknowledge(number, baseOffset: base, at: clock(restart))
      case .failed, .indeterminate: history.fail(number, certainly: outcome == .failed, at: clock(restart))
      }
    case .flushed(let outcome, let reason): history.flush(outcome, reason: reason, at: clock(restart))
    }
  }
}
