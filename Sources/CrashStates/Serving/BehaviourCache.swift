import Synchronization

/// What has been found out of disks that a machine may begin on, for all threads of an exploration.
final class BehaviourCache: Sendable {
  private let tree = Mutex(ReadSetTree())
  private let omitted: DiskQuestion.Kind?

  /// - Parameter omitted: questions to leave out, which makes it wrong: for the test that this is found.
  init(omitting omitted: DiskQuestion.Kind? = nil) { self.omitted = omitted }

  /// See `ReadSetTree`.
  var contradictions: Int { tree.withLock { $0.contradictions } }

  func find(_ answer: (DiskQuestion) -> UInt64) -> ReadSetTree.Found? { tree.withLock { $0.find(answer) } }

  func add(
    _ questions: [DiskQuestion], _ answer: (DiskQuestion) -> UInt64, _ behaviour: UInt64
  ) -> ReadSetTree.Found {
    let asked = questions.lazy.filter { [omitted] in $0.kind != omitted }
    return tree.withLock { $0.add(asked, answer, behaviour) }
  }
}

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
