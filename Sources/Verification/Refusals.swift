import LogModel

/// When faults stood in the engine's way: which requests it had reason to refuse.
///
/// A request may be refused if, between its submission and its answer, an operation of the engine was refused, or so many
/// were interrupted that nobody would have tried again; or if its topic could not be created for such a reason.
public struct Refusals: Hashable, Sendable {
  /// Interruptions (EINTR, EAGAIN: nothing has happened, try again) within one request that count as a refusal.
  static let patience = 32

  private var whole: Set<Int> = []
  private var refused: [Int: [Instant]] = [:]
  private var interrupted: [Int: [Instant]] = [:]

  public init() {}

  /// An operation was refused in `incarnation`.
  public mutating func note(incarnation: Int, at instant: Instant, isInterruption: Bool = false) {
    func insert(_ table: inout [Int: [Instant]]) {
      let place = Self.firstIndex(table[incarnation] ?? [], from: instant)
      table[incarnation, default: []].insert(instant, at: place)
    }
    if isInterruption { insert(&interrupted) } else { insert(&refused) }
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
    if refused.isEmpty && interrupted.isEmpty { return false }
    if creation.outcome != .acknowledged, excuses(creation) { return true }
    guard let answeredAt = operation.answeredAt else { return false }
    return excuses(operation.incarnation, operation.submittedAt, answeredAt)
  }

  /// Whether the engine had reason not to create the partition.
  func excuses(_ creation: Creation) -> Bool {
    whole.contains(creation.incarnation)
      || excuses(creation.incarnation, creation.submittedAt ?? Instant(nanoseconds: .min), creation.answeredAt)
  }

  /// Whether the engine had reason not to close in order: what was refused at any time of the same incarnation may have left
  /// it with what it can no longer make durable.
  func excuses(_ closing: Closing) -> Bool {
    whole.contains(closing.incarnation)
      || excuses(closing.incarnation, Instant(nanoseconds: .min), closing.answeredAt)
  }

  private func excuses(_ incarnation: Int, _ from: Instant, _ to: Instant) -> Bool {
    Self.count(refused[incarnation], from, to) > 0 || Self.count(interrupted[incarnation], from, to) >= Self.patience
  }
}
