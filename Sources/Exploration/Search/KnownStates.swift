import CrashStates

/// What the profiles of one exploration have found out, for those after them.
struct KnownStates {
  /// Behaviours by what a disk holds and what its profile promises.
  var byContent: [UInt64: UInt64] = [:]
  /// By what the profile promises, as are the read sets that have been met.
  private var behaviours: [UInt64: BehaviourCache] = [:]
  private var readSets: [UInt64: Set<UInt64>] = [:]

  /// Nil where the options do without.
  mutating func behaviours(_ promises: UInt64, _ options: ExplorationOptions) -> BehaviourCache? {
    guard options.comparesReadSets else { return nil }
    if let known = behaviours[promises] { return known }
    let known = BehaviourCache(omitting: options.omittedQuestions)
    behaviours[promises] = known
    return known
  }

  /// - Returns: whether it is the first state with this read set.
  mutating func isFirst(_ readSet: UInt64, _ promises: UInt64) -> Bool {
    readSets[promises, default: []].insert(readSet).inserted
  }
}
