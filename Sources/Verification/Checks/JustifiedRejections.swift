import LogModel

/// When faults stood in the engine's way: which requests it had reason to refuse.
///
/// A request may be refused if, between its submission and its answer, an operation of the engine was refused, or so
/// many were interrupted that nobody would have tried again; or if its topic could not be created for such a reason. An
/// operation on the files of one partition gives reason to refuse that one's requests; any other, on metadata or the
/// lock say, all.
public struct JustifiedRejections: Hashable, Sendable {
  /// Interruptions (EINTR, EAGAIN: nothing has happened, try again) within one request that count as a refusal.
  static let patience = 32

  private var whole: Set<Int> = []
  private var refused: [Place: [Instant]] = [:]
  private var interrupted: [Place: [Instant]] = [:]
  private var standing: [Standing] = []

  private struct Standing: Hashable {
    var incarnation: Int
    /// The last life in which it stands.
    var through: Int
    var from: Instant
    var partition: TopicPartition?

    func covers(_ operation: Operation, of partition: TopicPartition) -> Bool {
      guard let answeredAt = operation.answeredAt, self.partition == nil || self.partition == partition else {
        return false
      }
      guard operation.incarnation <= through else { return false }
      return operation.incarnation > incarnation || operation.incarnation == incarnation && answeredAt >= from
    }
  }

  private struct Place: Hashable {
    var incarnation: Int
    /// Nil for what belongs to no partition.
    var partition: TopicPartition?
  }

  public init() {}

  /// An operation was refused in `incarnation`.
  /// - Parameter partition: whose files it was on; nil where they are nobody's, or it is not known.
  public mutating func note(
    incarnation: Int, at instant: Instant, partition: TopicPartition? = nil, isInterruption: Bool = false
  ) {
    let place = Place(incarnation: incarnation, partition: partition)
    func insert(_ table: inout [Place: [Instant]]) {
      table[place, default: []].insert(instant, at: Self.firstIndex(table[place] ?? [], from: instant))
    }
    if isInterruption { insert(&interrupted) } else { insert(&refused) }
  }

  /// What is refused from this moment on may be refused for as long as the fault lasts: whoever refuses goes on
  /// refusing, and need not be asked again each time.
  /// - Parameter last: the last life in which the fault refuses; its own where it is not known to last longer.
  public mutating func note(
    from incarnation: Int, through last: Int? = nil, at instant: Instant, partition: TopicPartition?
  ) {
    let through = last ?? incarnation
    if standing.contains(where: {
      $0.partition == partition && $0.through >= through && ($0.incarnation, $0.from) <= (incarnation, instant)
    }) {
      return
    }
    standing.append(Standing(incarnation: incarnation, through: through, from: instant, partition: partition))
  }

  /// In all of `incarnation` refusing is as good as going on: for searches that let any operation fail.
  public mutating func note(wholeOf incarnation: Int) { whole.insert(incarnation) }

  private static func firstIndex(_ instants: [Instant], from instant: Instant) -> Int {
    var (low, high) = (0, instants.count)
    while low < high {
      let middle = (low + high) / 2
      if instants[middle] < instant { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private static func count(_ instants: [Instant]?, _ from: Instant, _ to: Instant) -> Int {
    guard let instants, from <= to else { return 0 }
    return firstIndex(instants, from: Instant(nanoseconds: to.nanoseconds &+ 1)) - firstIndex(instants, from: from)
  }

  func excuses(_ operation: Operation, createdBy creation: Creation) -> Bool {
    if whole.contains(operation.incarnation) { return true }
    if standing.contains(where: { $0.covers(operation, of: creation.partition) }) { return true }
    if refused.isEmpty && interrupted.isEmpty { return false }
    if creation.outcome != .acknowledged, excuses(creation) { return true }
    guard let answeredAt = operation.answeredAt else { return false }
    let places = [nil, creation.partition].map { Place(incarnation: operation.incarnation, partition: $0) }
    return excuses(places, operation.submittedAt, answeredAt)
  }

  /// Whether the engine had reason not to create the partition: its topic is created as a whole.
  func excuses(_ creation: Creation) -> Bool {
    whole.contains(creation.incarnation)
      || excuses(
        places(of: creation.incarnation), creation.submittedAt ?? Instant(nanoseconds: .min), creation.answeredAt)
  }

  /// Whether the engine had reason not to close in order: what was refused at any time of the same incarnation may have
  /// left it with what it can no longer make durable. What was refused on files of a partition that nobody has is
  /// nobody's reason.
  func excuses(_ closing: Closing, in history: History) -> Bool {
    if whole.contains(closing.incarnation) { return true }
    let partitions = Set(history.creations.map(\.partition))
    let own = places(of: closing.incarnation).filter { $0.partition.map(partitions.contains) ?? true }
    return excuses(own, Instant(nanoseconds: .min), closing.answeredAt)
  }

  private func places(of incarnation: Int) -> [Place] {
    Set(refused.keys).union(interrupted.keys).filter { $0.incarnation == incarnation }
  }

  private func excuses(_ places: [Place], _ from: Instant, _ to: Instant) -> Bool {
    places.contains { Self.count(refused[$0], from, to) > 0 }
      || places.reduce(0) { $0 + Self.count(interrupted[$1], from, to) } >= Self.patience
  }
}
