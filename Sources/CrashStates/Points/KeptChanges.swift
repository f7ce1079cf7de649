/// Changes of metadata, and which sets of them a power cut may keep.
///
/// A set that is kept has, with a change, everything that had been over before that change began: the journal has an
/// order, and of two changes of which neither was over when the other began it may have either. A sync in flight may
/// have come with what it covers (`SyncedNames`).
package struct KeptChanges: Sendable {
  /// In the order of completion; those in flight last.
  package let changes: [VolatileDisk.Change]
  /// The changes that one alternative keeps.
  private struct Kept {
    /// So many from the beginning.
    var prefix: Int
    /// And these behind them, by place, sorted.
    var others: [Int] = []
    /// The log tree's effects of these are kept, in place of their own.
    var isLog = false
    /// The syncs in flight that are over, by their place in `syncs`: what they cover is kept too.
    var syncs: Int?
  }

  /// By alternative.
  private let sets: [Kept]
  private let syncs: [SyncedNames]
  /// There are more sets than are listed.
  let omits: Bool

  /// Changes that may overtake a missing one, of which every set is listed; of more, each by itself and all.
  private static let mostCombined = 5

  /// - Parameter syncs: what syncs in flight cover out of order: each, and several together.
  init(_ changes: [VolatileDisk.Change], syncs: [SyncedNames]) {
    self.changes = changes
    self.syncs = syncs
    var sets: [Kept] = []
    var withSyncs: [Kept] = []
    var omits = false
    for missing in changes.indices {
      // The first that is missing; what it came before for certain is missing too.
      let plain = Kept(prefix: missing)
      let logged = Self.logged(changes, behind: missing).map { Kept(prefix: missing, others: $0, isLog: true) }
      sets += [plain] + logged
      for (number, covered) in syncs.enumerated()
      where covered.effects[missing]?.contains(changes[missing].effect) != true {
        let places = covered.effects.keys.filter { $0 >= missing }
        if places.isEmpty { continue }
        withSyncs += ([plain] + logged).map { base in
          var kept = base
          kept.others = Set(base.others).union(places).sorted()
          kept.syncs = number
          return kept
        }
      }
      let free = changes.indices.dropFirst(missing + 1).filter { !changes[missing].precedes(changes[$0]) }
      if free.isEmpty { continue }
      var chosen: [[Int]] = []
      if free.count <= Self.mostCombined {
        chosen = (1..<1 << free.count).map { bits in free.indices.filter { bits >> $0 & 1 == 1 }.map { free[$0] } }
      } else {
        omits = true
        chosen = free.map { [$0] } + [free]
      }
      // With a change comes what it came after.
      sets += chosen.filter { set in
        set.allSatisfy { later in
          (missing + 1..<later).allSatisfy { set.contains($0) || !changes[$0].precedes(changes[later]) }
        }
      }.map { Kept(prefix: missing, others: $0) }
    }
    // Tokens name alternatives by number: these came later than the others.
    self.sets = sets + withSyncs + [Kept(prefix: changes.count)]
    self.omits = omits
  }

  package var count: Int { sets.count }

  package func kept(_ alternative: Int) -> [VolatileDisk.Change] {
    let set = sets[alternative]
    return changes[..<set.prefix]
      + set.others.flatMap { place in
        effects(of: place, in: set).map { effect in
          var change = changes[place]
          change.effect = effect
          return change
        }
      }
  }

  /// What is kept of a change behind the prefix.
  private func effects(of place: Int, in set: Kept) -> [VolatileDisk.Change.Effect] {
    if let number = set.syncs, let covered = syncs[number].effects[place] { return covered }
    guard set.isLog else { return [changes[place].effect] }
    return changes[place].log?.effects ?? []
  }

  /// Sets that the log tree of btrfs may have after a commit of so many changes: those of which the inode or the
  /// directory was synced since, with the last sync of all or without it, for that may be in flight.
  private static func logged(_ changes: [VolatileDisk.Change], behind prefix: Int) -> [[Int]] {
    let logged = changes.indices.dropFirst(prefix).filter { changes[$0].log?.durable != nil }
    guard let last = logged.compactMap({ changes[$0].log?.durable }).max() else { return [] }
    // The commit came between the last change that it has and the first that it lacks.
    let (begin, end) = (prefix == 0 ? -1 : changes[prefix - 1].at, changes[prefix].at)
    let moments = Set(logged.compactMap { changes[$0].log?.since }.filter { $0 > begin }).sorted()
    let commits = moments.prefix { $0 < end } + moments.drop { $0 < end }.prefix(1)
    var sets: [[Int]] = []
    for commit in commits {
      let since = logged.filter { changes[$0].log!.since >= commit }
      for set in [since, since.filter { changes[$0].log!.durable! < last }] where !set.isEmpty && !sets.contains(set) {
        sets.append(set)
      }
    }
    return sets
  }

  /// What had happened before a moment, and nothing newer.
  func alternative(before moment: Int) -> Int {
    let prefix = changes.prefix { $0.at < moment }.count
    return sets.firstIndex { $0.prefix == prefix && $0.others.isEmpty } ?? 0
  }

  /// The moment at which the first change that is missing was over; nil where none is missing, or it is in flight.
  func firstMissing(_ alternative: Int) -> Int? {
    let prefix = sets[alternative].prefix
    guard prefix < changes.count, changes[prefix].at < .max else { return nil }
    return changes[prefix].at
  }

  package func missing(_ alternative: Int) -> [VolatileDisk.Change] {
    let set = sets[alternative]
    return changes.indices.dropFirst(set.prefix).filter { !set.others.contains($0) }.map { changes[$0] }
  }
}

/// The changes that some syncs in flight make durable once they are over. On btrfs these are a file's own names,
/// without older changes of other names.
struct SyncedNames: Hashable, Sendable {
  /// By the change's place: the change's own effect, or the half of a rename that the sync covers.
  var effects: [Int: [VolatileDisk.Change.Effect]] = [:]
}
