/// Looks for an order of writes that gives a map.
///
/// Writes happen one after the other. One that ended before another was sent comes first. What was acknowledged must
/// happen; the rest may. Where the last may be lost, each crash may take an end of the order, but nothing required.
///
/// The search goes back from the last write. A write may stand last where the map shows all of it that no later one
/// hides. One that may stand last is put there at once: that hides more keys, and hinders no other write. So there is
/// nothing to try twice, but for the place where each life's order was cut off.
struct OrderSearch {
  enum Outcome { case explained, none, tooMany }

  private struct Write {
    /// Numbers of keys, and whether the map shows what it left there.
    var keys: [(number: Int, fits: Bool)]
    var submitted: Int
    var end: Int
    var isAcknowledged: Bool
    var isRequired: Bool
  }

  /// By life, those that ended first first.
  private var lives: [[Write]]
  /// Of each life, when its writes were sent, the latest first.
  private var sendings: [[Int]] = []
  private let mayLoseLast: Bool
  /// Of the keys that any write knows, those that the map has.
  private var isInMap: [Bool] = []
  private let hasStranger: Bool
  private var stepsLeft: Int

  init(_ entries: [CutHistory.Entry], _ map: [String: String], lives: Int, mayLoseLast: Bool, mostSteps: Int) {
    (self.mayLoseLast, stepsLeft) = (mayLoseLast, mostSteps)
    self.lives = [[Write]](repeating: [], count: lives)
    var numbers: [String: Int] = [:]
    // What the map holds, by number of key.
    var held: [String?] = []
    for entry in entries {
      guard case .write(let writes) = entry.request.call else { continue }
      let keys = writes.lastOfEachKey.map { write in
        if let number = numbers[write.key] { return (number: number, fits: held[number] == write.value) }
        numbers[write.key] = held.count
        held.append(map[write.key])
        return (number: held.count - 1, fits: held.last! == write.value)
      }
      self.lives[entry.life].append(
        Write(
          keys: keys, submitted: entry.request.submitted, end: entry.end, isAcknowledged: entry.isAcknowledged,
          isRequired: entry.isRequired))
    }
    isInMap = held.map { $0 != nil }
    hasStranger = isInMap.count(where: \.self) < map.count
    for life in self.lives.indices {
      self.lives[life].sort { ($0.end, $0.submitted) < ($1.end, $1.submitted) }
      sendings.append(self.lives[life].map(\.submitted).sorted(by: >))
    }
  }

  mutating func run() -> Outcome {
    if hasStranger { return .none }
    if search(lives.count - 1, [Bool](repeating: false, count: isInMap.count)) { return .explained }
    return stepsLeft <= 0 ? .tooMany : .none
  }

  /// - Parameter hidden: keys that a later write has set, as the map has them.
  private mutating func search(_ life: Int, _ hidden: [Bool]) -> Bool {
    if life < 0 { return !zip(hidden, isInMap).contains { !$0 && $1 } }
    if !mayLoseLast {
      var hidden = hidden
      return place(life, upTo: .max, &hidden) && search(life - 1, hidden)
    }
    let lastRequired = lives[life].lazy.filter(\.isRequired).map(\.submitted).max() ?? -1
    for cut in sendings[life] + [-1] where cut >= lastRequired {
      var hidden = hidden
      if place(life, upTo: cut, &hidden), search(life - 1, hidden) { return true }
      if stepsLeft <= 0 { return false }
    }
    return false
  }

  /// Puts the writes of a life into an order, from the last back. What was sent later than `cut` is lost.
  /// What had not ended then may be left out.
  /// - Returns: whether all that must be there has a place.
  private mutating func place(_ life: Int, upTo cut: Int, _ hidden: inout [Bool]) -> Bool {
    let writes = lives[life]
    // Those in reach, those that must have a place, and of these the latest sending.
    var left = writes.indices.filter { writes[$0].submitted <= cut }
    func mustStay(_ write: Write) -> Bool { write.isRequired || write.isAcknowledged && write.end < cut }
    var owed = left.filter { mustStay(writes[$0]) }.map { writes[$0].submitted }.sorted()
    stepsLeft -= writes.count
    var earliestEnd = Int.max
    var at = left.count - 1
    while at >= 0 {
      stepsLeft -= 1
      if stepsLeft <= 0 { return false }
      let write = writes[left[at]]
      // All further ones ended before one was sent that must have a place.
      if let last = owed.last, write.end < last { return false }
      let fits = write.submitted <= earliestEnd && write.keys.allSatisfy { hidden[$0.number] || $0.fits }
      guard fits else {
        at -= 1
        continue
      }
      for key in write.keys { hidden[key.number] = true }
      earliestEnd = min(earliestEnd, write.end)
      if mustStay(write) { owed.remove(at: owed.partitioningIndex { $0 >= write.submitted }) }
      left.remove(at: at)
      at = left.count - 1
    }
    return owed.isEmpty
  }
}
