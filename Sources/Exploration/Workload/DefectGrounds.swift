import Defects
import LogModel

// What each exploration and search offers to a defect; see `Defect.obstacle(on:)`.

extension ExplorationWorkload {
  /// The engine, with what this workload has beside it.
  public var defectGround: DefectGround {
    var ground = DefectGround(.engine, system: system)
    if checkpoints { ground.has.insert(.objectStore) }
    if isTakenOver { ground.has.insert(.otherWriter) }
    return ground
  }
}

extension LogClient {
  public var defectGround: DefectGround {
    switch self {
    // Each session runs the jobs once more, as executions of their own, and archives them.
    case .delivery: DefectGround(.delivery, has: [.archive, .severalExecutions])
    case .transactions: DefectGround(.transactions)
    }
  }
}

extension ErrorScenario {
  public var defectGround: DefectGround { client?.defectGround ?? workload.defectGround }
}

extension ScheduleScenario {
  public var defectGround: DefectGround {
    var ground = ground.defectGround
    if second == .takesOver { ground.has.insert(.otherWriter) }
    return ground
  }
}

extension Defect {
  /// Of several situations those in which it can act, and why it cannot in the first of the others.
  public func split<Situation>(
    _ situations: [Situation], _ ground: (Situation) -> DefectGround
  ) -> (possible: [Situation], leftOut: Int, reason: DefectObstacle?) {
    let obstacles = situations.map { obstacle(on: ground($0)) }
    let possible = zip(situations, obstacles).filter { $0.1 == nil }.map(\.0)
    return (possible, situations.count - possible.count, obstacles.lazy.compactMap { $0 }.first)
  }
}
