/// What must have survived of one log or queue, given what is there: the least that explains it.
///
/// What is there was appended. What ended before something was sent that survived has survived too: at each crash the
/// loss is an end of the order. An item that survived and is not there was taken.
struct Survivors {
  private let appends: [CutHistory.Entry]
  private let takes: [CutHistory.Entry]
  private let mayComeAgain: Bool
  /// Of each append the take that was told to have taken it.
  private var takeOf: [Int: Int] = [:]
  /// Takes of which nobody knows what they took, by life, in the order in which they were sent.
  private var openTakes: [[Int]]
  private var isThere: [Bool]
  private var hasSurvived: [Bool]
  private var takeHasSurvived: [Bool]
  /// For each life, the last place at which something was sent that survived, in that life or before.
  private var reach: [Int]

  /// Appends that survived, are gone, and were not taken. In the order in which they were sent.
  private(set) var missing: [Int] = []

  /// - Parameters:
  ///   - byValue: indices of `appends`.
  ///   - there: those that are there, in the order in which they stand.
  ///   - mayComeAgain: an item whose take has survived may be there.
  init(
    _ appends: [CutHistory.Entry], _ takes: [CutHistory.Entry], _ byValue: [String: Int], _ there: [Int], lives: Int,
    mayComeAgain: Bool
  ) {
    (self.appends, self.takes, self.mayComeAgain) = (appends, takes, mayComeAgain)
    isThere = [Bool](repeating: false, count: appends.count)
    hasSurvived = isThere
    takeHasSurvived = [Bool](repeating: false, count: takes.count)
    (reach, openTakes) = ([Int](repeating: -1, count: lives), [[Int]](repeating: [], count: lives))
    for (index, take) in takes.enumerated() {
      if !take.isAcknowledged {
        openTakes[take.life].append(index)
      } else if let value = take.taken, let append = byValue[value] {
        takeOf[append] = index
      }
    }
    for index in there { isThere[index] = true }
    for index in appends.indices where isThere[index] || appends[index].isRequired { keep(index) }
    for index in takes.indices where takes[index].isRequired { keepTake(index) }
    repeat { while spread() {} } while mayComeAgain && moveBack(there) || explain(there)
  }

  /// Something that is there, although its take has survived.
  var back: Int? { appends.indices.first { isThere[$0] && isTaken($0) } }

  /// Its take has survived.
  func isTaken(_ append: Int) -> Bool { takeOf[append].map { takeHasSurvived[$0] } ?? false }

  private mutating func keep(_ index: Int) {
    hasSurvived[index] = true
    extend(appends[index])
  }

  private mutating func keepTake(_ index: Int) {
    takeHasSurvived[index] = true
    extend(takes[index])
  }

  private mutating func extend(_ entry: CutHistory.Entry) {
    for life in entry.life..<reach.count { reach[life] = max(reach[life], entry.request.submitted) }
  }

  /// - Returns: whether more has survived than was known.
  private mutating func spread() -> Bool {
    var isMore = false
    for index in appends.indices where !hasSurvived[index] {
      let entry = appends[index]
      let take = takeOf[index]
      // A later life that took it, or read it, shows that it was there.
      let seen = max(entry.seen, take.map { takes[$0].life } ?? 0)
      let isBefore = (entry.isAcknowledged || take != nil) && entry.end < reach[seen]
      if isBefore || take.map({ takeHasSurvived[$0] }) == true {
        keep(index)
        isMore = true
      }
    }
    for index in takes.indices where !takeHasSurvived[index] && takes[index].isAcknowledged {
      if takes[index].end < reach[takes[index].life] {
        keepTake(index)
        isMore = true
      }
    }
    for (append, take) in takeOf where hasSurvived[append] && !isThere[append] && !takeHasSurvived[take] {
      keepTake(take)
      isMore = true
    }
    return isMore
  }

  /// An item that stands in the wrong place has come again: then its take has survived.
  /// - Returns: whether there is one of which that was not known.
  private mutating func moveBack(_ there: [Int]) -> Bool {
    var latest: Int?
    for index in there where !isTaken(index) {
      if let before = latest, appends[index].end < appends[before].request.submitted {
        let own = [index, before].compactMap { takeOf[$0] }
        guard let take = own.min(by: { takes[$0].request.submitted < takes[$1].request.submitted }) else { continue }
        keepTake(take)
        return true
      }
      if latest.map({ appends[index].request.submitted > appends[$0].request.submitted }) ?? true { latest = index }
    }
    return false
  }

  /// Looks which of those that are gone an open take can have taken: it takes the first that is there. The later it
  /// takes the better, so all take at the end of their life. An item that an open take had in hand may be back.
  /// - Returns: whether more has survived than was known: an open take that has taken something.
  private mutating func explain(_ there: [Int]) -> Bool {
    missing = appends.indices.filter { hasSurvived[$0] && !isThere[$0] && takeOf[$0] == nil }
    if missing.isEmpty { return false }
    var isMore = false
    for life in openTakes.indices where !openTakes[life].isEmpty {
      let candidates = missing.filter { appends[$0].life <= life }
        .map { (index: $0, before: itemsBefore($0, there, life)) }
        .sorted { ($0.before, $0.index) < ($1.before, $1.index) }
      for (rank, candidate) in candidates.enumerated() {
        guard rank + candidate.before < openTakes[life].count else { break }
        missing.removeAll { $0 == candidate.index }
        for take in openTakes[life][...(rank + candidate.before)] where !takeHasSurvived[take] {
          takeHasSurvived[take] = true
          let before = reach
          extend(takes[take])
          if reach != before { isMore = true }
        }
      }
    }
    return isMore || mayComeAgain && standAside(there)
  }

  /// What stands before one that is missing may have been taken before, and have come again.
  /// - Returns: whether there is a take of which it was not known that it has survived.
  private mutating func standAside(_ there: [Int]) -> Bool {
    for index in missing {
      let standing = there[..<endOfItems(before: index, there)].compactMap { takeOf[$0] }
      guard let take = standing.filter({ !takeHasSurvived[$0] }).min() else { continue }
      keepTake(take)
      return true
    }
    return false
  }

  /// Items that are there up to the last one that certainly came before one that is gone.
  private func endOfItems(before index: Int, _ there: [Int]) -> Int {
    (there.lastIndex { appends[$0].end < appends[index].request.submitted && !isTaken($0) } ?? -1) + 1
  }

  /// How many others certainly came before one, and were still there at the end of a life.
  private func itemsBefore(_ index: Int, _ there: [Int], _ life: Int) -> Int {
    let submitted = appends[index].request.submitted
    let standing = Set(there[..<endOfItems(before: index, there)])
    var count = 0
    for other in standing where !isTaken(other) {
      // One that was taken later in this life was in nobody's hand.
      if let take = takeOf[other], takes[take].life == life { return .max / 2 }
      count += 1
    }
    for (append, take) in takeOf
    where takeHasSurvived[take] && takes[take].life > life && appends[append].end < submitted
      && !isThere[append]
    { count += 1 }
    return count
  }
}
