import LogModel
import SystemUnderTest
import Verification

/// Takes a readback down in the transcript of a recovered incarnation, message by message. What it has taken down stays
/// there when the life hangs.
///
/// It reads values only: the workload sends no keys, and a state's batches have the times of a machine on which no time
/// passes.
struct TranscriptSink: ReadbackSink {
  /// Outlives the readback that it makes.
  private unowned(unsafe) let owner: RecoveredIncarnation
  private var isFirst = true
  private var asked: Offset = 0
  /// A start offset of the partition that is consumed, from which every state is asked, not only the one of each group
  /// that is written out; nil where there is none.
  private var target: Offset?
  /// What consumption had there.
  private var atTarget: MessageContent.Reading?
  private var probing = (slot: 0, start: Offset(0))

  init(_ owner: RecoveredIncarnation) { self.owner = owner }

  func registered(_ partitions: [TopicPartition]) { owner.transcript.registered(partitions) }
  func reported(_ damage: ReportedDamage, of partition: TopicPartition) {
    owner.transcript.reported(damage, of: partition)
  }

  func reportedOfNobody(_ partition: TopicPartition) { owner.transcript.reportedOfNobody(partition) }

  mutating func claimedBefore(_ slot: PartitionSlot, _ watermarks: Watermarks) {
    owner.transcript.claimed(slot.index, watermarks, after: false)
    let span = UInt64(clamping: watermarks.highWatermark.rawValue - watermarks.logStartOffset.rawValue)
    target = span == 0 ? nil : watermarks.logStartOffset + Int(owner.transcript.hash % span)
    atTarget = nil
  }

  mutating func asked(_ slot: PartitionSlot, _ offset: Offset) {
    owner.transcript.asked(slot.index, offset)
    (asked, isFirst) = (offset, true)
  }

  @inline(__always)
  mutating func served(_ slot: PartitionSlot, _ message: FetchedMessage) {
    if isFirst, message.offset < asked { owner.transcript.wentBack(slot.index, asked, to: message.offset) }
    isFirst = false
    let reading = owner.contents[slot.index].read(message.value)
    owner.transcript.message(slot.index, message.offset, reading)
    if message.offset == target { atTarget = reading }
  }

  func timed(_ slot: PartitionSlot, _ offset: Offset, _ time: Instant) {}

  func passedOver(_ slot: PartitionSlot, _ asked: Offset, to next: Offset) {
    owner.transcript.passedOver(slot.index, asked, to: next)
  }

  func spotCheck(_ slot: PartitionSlot) -> Offset? { atTarget == nil ? nil : target }

  /// An answer that is another than consumption had is a behaviour of its own.
  func spotChecked(_ slot: PartitionSlot, _ start: Offset, found: FetchedMessage?) {
    let reading = found.map { owner.contents[slot.index].read($0.value) }
    if found?.offset != start || reading != atTarget { owner.transcript.differed(slot.index, start, found?.offset) }
  }

  func claimedAfter(_ slot: PartitionSlot, _ watermarks: Watermarks) {
    owner.transcript.claimed(slot.index, watermarks, after: true)
  }

  func ended(_ slot: PartitionSlot, _ end: ConsumptionEnd) { owner.transcript.ended(slot.index, end) }

  mutating func probed(_ slot: PartitionSlot, from start: Offset) {
    (probing, isFirst) = ((slot.index, start), true)
  }

  /// The oracle compares what it is told.
  func isFirstEnough(before end: Offset) -> Bool { false }

  @inline(__always)
  mutating func answered(_ message: FetchedMessage) {
    let reading = owner.contents[probing.slot].read(message.value)
    if isFirst {
      owner.transcript.probed(probing.slot, probing.start, first: message.offset, reading)
    } else {
      owner.transcript.answered(probing.slot, message.offset, reading)
    }
    isFirst = false
  }

  mutating func probeEnded() {
    if isFirst { owner.transcript.probed(probing.slot, probing.start, first: nil, nil) }
  }

  func committed(_ slot: PartitionSlot, group: Int, _ offset: Offset?) {
    owner.transcript.committed(slot.index, group: group, offset)
  }
}
