import LogModel
import Verification

/// Who takes down what a `ConsumerReadback` finds, in the order in which it finds it.
///
/// Partitions are named by their slots: their places in the list of those that are read back.
public protocol ReadbackSink {
  /// The partitions that the log lists.
  mutating func registered(_ partitions: [TopicPartition])
  /// Damage that the opening has reported of a partition that is read back.
  mutating func reported(_ damage: ReportedDamage, of partition: TopicPartition)
  /// The opening has reported damage of a partition that nobody has asked for.
  mutating func reportedOfNobody(_ partition: TopicPartition)

  /// Consumption of a partition begins; it claims these offsets.
  mutating func claimedBefore(_ slot: PartitionSlot, _ watermarks: Watermarks)
  /// Consumption asks for `offset`; the next message begins the answer.
  mutating func asked(_ slot: PartitionSlot, _ offset: Offset)
  /// A message as consumption is served it. Its bytes are valid during the call.
  mutating func served(_ slot: PartitionSlot, _ message: FetchedMessage)
  /// The time of a batch that consumption was served, which begins at `offset`.
  mutating func timed(_ slot: PartitionSlot, _ offset: Offset, _ time: Instant)
  /// The log has answered that what consumption asked for is damaged; consumption goes on at `next`.
  mutating func passedOver(_ slot: PartitionSlot, _ asked: Offset, to next: Offset)
  /// A start offset for a spot check, once consumption has come to the end; nil for none.
  func spotCheck(_ slot: PartitionSlot) -> Offset?
  /// The first message of the answer from there; nil where there is none. Its bytes are valid during the call.
  mutating func spotChecked(_ slot: PartitionSlot, _ start: Offset, found: FetchedMessage?)
  /// The partition claims these offsets after it has been consumed.
  mutating func claimedAfter(_ slot: PartitionSlot, _ watermarks: Watermarks)
  mutating func ended(_ slot: PartitionSlot, _ end: ConsumptionEnd)

  /// A fetch from a start offset has been answered: the messages of the answer follow, and then `probeEnded`.
  mutating func probed(_ slot: PartitionSlot, from start: Offset)
  /// Whether the first message is enough of an answer that ends before `end`.
  func isFirstEnough(before end: Offset) -> Bool
  /// A message of the answer. Its bytes are valid during the call.
  mutating func answered(_ message: FetchedMessage)
  /// The answer is over. One without a message was empty, an error, or a report of damage.
  mutating func probeEnded()

  /// What a group has committed. A log that answers with an error knows no offset: a consumer begins anew then.
  /// - Parameter group: its place in the list of groups that are asked for.
  mutating func committed(_ slot: PartitionSlot, group: Int, _ offset: Offset?)
}

extension ReadbackSink {
  public mutating func passedOver(_ slot: PartitionSlot, _ asked: Offset, to next: Offset) {}
  public func spotCheck(_ slot: PartitionSlot) -> Offset? { nil }
  public mutating func spotChecked(_ slot: PartitionSlot, _ start: Offset, found: FetchedMessage?) {}
}

/// Takes everything down in an observation for the oracle: values, keys and times.
public struct ObserverSink: ReadbackSink {
  private var observer: Observer
  private let groups: [String]
  private var probe: ProbedAnswer?

  /// - Parameters:
  ///   - history: everything that happened before: by that the observation is judged.
  ///   - groups: the names of the groups that are asked for.
  public init(_ history: History, groups: [String]) {
    observer = Observer(history)
    self.groups = groups
  }

  /// The observation, which is whole now.
  public mutating func finish() -> Observation { observer.finish() }

  public mutating func registered(_ partitions: [TopicPartition]) { observer.registered(partitions) }
  public mutating func reported(_ damage: ReportedDamage, of partition: TopicPartition) { observer.reported(damage) }
  public mutating func reportedOfNobody(_ partition: TopicPartition) { observer.reportedOfNobody(partition) }

  public mutating func claimedBefore(_ slot: PartitionSlot, _ watermarks: Watermarks) {
    observer.claimedBefore(slot, watermarks)
  }

  public mutating func asked(_ slot: PartitionSlot, _ offset: Offset) { observer.asked(slot, offset) }

  @inline(__always)
  public mutating func served(_ slot: PartitionSlot, _ message: FetchedMessage) {
    observer.observe(slot, message.offset, message.value, key: message.key)
  }

  @inline(__always)
  public mutating func timed(_ slot: PartitionSlot, _ offset: Offset, _ time: Instant) {
    observer.timed(slot, offset, time)
  }

  public mutating func claimedAfter(_ slot: PartitionSlot, _ watermarks: Watermarks) {
    observer.claimedAfter(slot, watermarks)
  }

  public mutating func ended(_ slot: PartitionSlot, _ end: ConsumptionEnd) { observer.ended(slot, end) }

  public mutating func probed(_ slot: PartitionSlot, from start: Offset) {
    probe = ProbedAnswer(slot, start, observer)
  }

  public func isFirstEnough(before end: Offset) -> Bool { probe?.isFirstEnough(end) ?? false }

  @inline(__always)
  public mutating func answered(_ message: FetchedMessage) { probe?.note(message.offset, message.value, &observer) }

  public mutating func probeEnded() {
    probe?.end(&observer)
    probe = nil
  }

  public mutating func committed(_ slot: PartitionSlot, group: Int, _ offset: Offset?) {
    observer.committed(group: groups[group], slot, offset)
  }
}
