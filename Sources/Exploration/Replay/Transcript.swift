import LogModel
import Verification

/// What callers saw of the lives after a crash: a running hash of it, and, where it is kept, all of it for the oracle.
///
/// Two states whose transcripts are equal behave alike: they are one behaviour group, and the oracle, which sees
/// nothing else, judges them alike.
struct Transcript {
  enum Entry: Hashable {
    /// Files are those that the refusal is about.
    case refused(restart: Int, String, files: [String])
    /// The life waited for ever, or made operations without end.
    case hung(restart: Int, String)
    case opened(restart: Int)
    case registered([TopicPartition])
    /// Apart from the others, which are many, and small.
    indirect case reported(ReportedDamage, TopicPartition)
    case reportedOfNobody(TopicPartition)
    case before(slot: Int, Watermarks)
    case asked(slot: Int, Offset)
    case message(slot: Int, Offset, sequence: UInt64?)
    case after(slot: Int, Watermarks)
    case ended(slot: Int, ConsumptionEnd)
    case probed(slot: Int, Offset, first: Offset?, sequence: UInt64?)
    /// One more message of the answer to the last of these.
    case answered(slot: Int, Offset, sequence: UInt64?)
    case committed(slot: Int, group: Int, Offset?)
    case looked
    case appended(slot: Int, Outcome, Offset)
    /// Everything was to go to the object store.
    case flushed(Outcome, reason: String?)
  }

  private(set) var hash: UInt64 = 0x6A09_E667_F3BC_C908
  let isKept: Bool
  private(set) var entries: [Entry] = []

  init(isKept: Bool) { self.isKept = isKept }

  @inline(__always)
  mutating func mix(_ word: UInt64) { hash = mix64(hash ^ word) &+ 0x9E37_79B9_7F4A_7C15 }

  /// Takes in the transcript of a later life by its hash.
  mutating func append(hashOnly other: UInt64) { mix(other) }

  mutating func takeEntries(of later: Transcript) { entries += later.entries }

  mutating func refused(_ restart: Int, _ text: String, files: [String] = []) {
    mix(1)
    mix(stableHash(text))
    keep(.refused(restart: restart, text, files: files))
  }

  mutating func hung(_ restart: Int, _ text: String) {
    mix(2)
    mix(stableHash(text))
    keep(.hung(restart: restart, text))
  }

  mutating func opened(_ restart: Int) {
    mix(3)
    keep(.opened(restart: restart))
  }

  mutating func registered(_ partitions: [TopicPartition]) {
    mix(4)
    for partition in partitions {
      mix(stableHash(partition.topic))
      mix(UInt64(partition.partition.index))
    }
    keep(.registered(partitions))
  }

  mutating func reported(_ damage: ReportedDamage, of partition: TopicPartition) {
    mix(5)
    mix(UInt64(damage.partition.index))
    mix(UInt64(bitPattern: damage.offsets.from.rawValue))
    mix(UInt64(bitPattern: damage.offsets.to.rawValue))
    keep(.reported(damage, partition))
  }

  /// Damage of a partition that the workload does not have.
  mutating func reportedOfNobody(_ partition: TopicPartition) {
    mix(18)
    mix(stableHash(partition.topic))
    mix(UInt64(partition.partition.index))
    keep(.reportedOfNobody(partition))
  }

  mutating func claimed(_ slot: Int, _ marks: Watermarks, after: Bool) {
    mix(after ? 7 : 6)
    mix(UInt64(bitPattern: marks.logStartOffset.rawValue))
    mix(UInt64(bitPattern: marks.highWatermark.rawValue))
    mix(UInt64(bitPattern: marks.logEndOffset.rawValue))
    keep(after ? .after(slot: slot, marks) : .before(slot: slot, marks))
  }

  /// No part of the hash: how much one answer holds is the engine's affair, and what it holds is in the messages.
  mutating func asked(_ slot: Int, _ offset: Offset) {
    if isKept { keep(.asked(slot: slot, offset)) }
  }

  /// An answer that begins before what was asked for: no start offset is served that way.
  mutating func wentBack(_ slot: Int, _ asked: Offset, to offset: Offset) {
    mix(16)
    mix(UInt64(bitPattern: asked.rawValue) << 20 ^ UInt64(bitPattern: offset.rawValue))
  }

  /// The engine has answered that what stood there is damaged.
  mutating func passedOver(_ slot: Int, _ asked: Offset, to offset: Offset) {
    mix(15)
    mix(UInt64(bitPattern: asked.rawValue) << 20 ^ UInt64(bitPattern: offset.rawValue))
  }

  @inline(__always)
  mutating func message(_ slot: Int, _ offset: Offset, _ reading: MessageContent.Reading) {
    var sequence: UInt64?
    if case .intact(let intact) = reading { sequence = intact }
    mix(UInt64(bitPattern: offset.rawValue) << 20 ^ (sequence ?? UInt64.max))
    if isKept { keep(.message(slot: slot, offset, sequence: sequence)) }
  }

  mutating func ended(_ slot: Int, _ end: ConsumptionEnd) {
    switch end {
    case .reached: mix(8)
    case .stuck(let at, let answers):
      mix(9)
      mix(UInt64(bitPattern: at.rawValue) ^ UInt64(answers) << 32)
    case .failed(let at, let text):
      mix(10)
      mix(UInt64(bitPattern: at.rawValue) ^ stableHash(text))
    }
    keep(.ended(slot: slot, end))
  }

  /// Start offsets are probed where the transcript is kept; they are no part of the hash.
  mutating func probed(_ slot: Int, _ start: Offset, first: Offset?, _ reading: MessageContent.Reading?) {
    var sequence: UInt64?
    if case .intact(let intact)? = reading { sequence = intact }
    keep(.probed(slot: slot, start, first: first, sequence: sequence))
  }

  /// The message behind the first, or behind the last one, of the answer to a start offset.
  mutating func answered(_ slot: Int, _ offset: Offset, _ reading: MessageContent.Reading) {
    var sequence: UInt64?
    if case .intact(let intact) = reading { sequence = intact }
    keep(.answered(slot: slot, offset, sequence: sequence))
  }

  /// A fetch from a start offset has another answer than consumption had there.
  mutating func differed(_ slot: Int, _ asked: Offset, _ found: Offset?) {
    mix(17)
    mix(UInt64(bitPattern: asked.rawValue) << 20 ^ UInt64(bitPattern: found?.rawValue ?? -1))
  }

  /// - Parameter group: its number in `ExplorationWorkload.groups`.
  mutating func committed(_ slot: Int, group: Int, _ offset: Offset?) {
    mix(11 + UInt64(group) << 8)
    mix(UInt64(bitPattern: offset?.rawValue ?? -1))
    keep(.committed(slot: slot, group: group, offset))
  }

  mutating func looked() {
    mix(12)
    keep(.looked)
  }

  mutating func appended(_ slot: Int, _ outcome: Outcome, _ base: Offset) {
    mix(13)
    mix(UInt64(outcome.rawValue) << 32 ^ UInt64(bitPattern: base.rawValue))
    keep(.appended(slot: slot, outcome, base))
  }

  /// - Parameter reason: the error; states that differ in its words alone behave alike.
  mutating func flushed(_ outcome: Outcome, reason: String? = nil) {
    mix(14)
    mix(UInt64(outcome.rawValue))
    keep(.flushed(outcome, reason: reason))
  }

  @inline(__always)
  private mutating func keep(_ entry: @autoclosure () -> Entry) {
    if isKept { entries.append(entry()) }
  }
}
