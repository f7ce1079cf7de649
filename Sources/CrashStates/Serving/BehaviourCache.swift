import Synchronization

/// What has been found out of disks that a machine may begin on, for all threads of an exploration.
package final class BehaviourCache: Sendable {
  private let tree = Mutex(ReadSetTree())
  private let omitted: DiskQuestion.Kind?

  /// - Parameter omitted: questions to leave out, which makes it wrong: for the test that this is found.
  package init(omitting omitted: DiskQuestion.Kind? = nil) { self.omitted = omitted }

  /// See `ReadSetTree`.
  package var contradictions: Int { tree.withLock { $0.contradictions } }

  package func find(_ answer: (DiskQuestion) -> UInt64) -> ReadSetTree.Found? { tree.withLock { $0.find(answer) } }

  package func add(
    _ questions: [DiskQuestion], _ answer: (DiskQuestion) -> UInt64, _ behaviour: UInt64
  ) -> ReadSetTree.Found {
    let asked = questions.lazy.filter { [omitted] in $0.kind != omitted }
    return tree.withLock { $0.add(asked, answer, behaviour) }
  }
}
