import Defects
import LogModel
import ScenarioFormat

/// Where a defect can act: in the trials of scenarios, and in the explorations and searches.
extension TrialPlanner {
  /// Why the defect of a cell cannot act in its trial: nil where it can, and where the cell has none.
  ///
  /// A defect that the user has switched on is expected to do no harm: where its code cannot even run, that would be a
  /// pass for
  /// nothing.
  public static func defectObstacle(in cell: Cell) -> String? {
    guard let id = cell.defect else { return nil }
    return obstacle(
      to: id, delivery: cell.delivery, client: cell.client, system: cell.system, checkpoint: cell.checkpoint,
      writers: cell.writers,
      topics: 1 + cell.otherTopics.count, ignoringNeeds: false)
  }

  fileprivate static func obstacle(
    to id: String, delivery: DeliverySettings?, client: TrialClient?, system: LogSystem, checkpoint: CheckpointSetup,
    writers: WriterSetup,
    topics: Int, ignoringNeeds: Bool
  ) -> String? {
    guard let defect = Defect(id: id) else { return nil }
    var ground = DefectGround(.engine, system: system)
    if let delivery {
      ground = DefectGround(.delivery)
      if delivery.archives { ground.has.insert(.archive) }
      if delivery.isRetried { ground.has.insert(.severalExecutions) }
    } else if let client {
      guard client == .transactions else {
        return "defect \(id) is no part of client \(client.rawValue); leave one of them out"
      }
      ground = DefectGround(.transactions, hasLayer: false)
    } else {
      if checkpoint != .none { ground.has.insert(.objectStore) }
      if writers.getsPastExclusion { ground.has.insert(.otherWriter) }
      if topics > 1 { ground.has.insert(.severalTopics) }
    }
    return defect.obstacle(on: ground, ignoringNeeds: ignoringNeeds)?.description
  }
}

extension TrialSpec {
  /// Why the defect's code is no part of the program that this trial runs; nil where it is, or there is none. A
  /// scenario may
  /// have cells in which its defect lacks what it needs: it says itself what it expects of them.
  var defectProblem: String? {
    if defect == "none" { return nil }
    return TrialPlanner.obstacle(
      to: defect, delivery: delivery, client: client, system: system, checkpoint: checkpoint, writers: writers,
      topics: topics.count,
      ignoringNeeds: true)
  }
}
