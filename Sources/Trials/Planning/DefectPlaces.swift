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
    obstacle(in: cell.settings, ignoringNeeds: false)
  }

  fileprivate static func obstacle(in settings: TrialSettings, ignoringNeeds: Bool) -> String? {
    guard let id = settings.defect else { return nil }
    guard let defect = Defect(id: id) else { return nil }
    var ground = DefectGround(.engine, system: settings.system)
    if let delivery = settings.delivery {
      ground = DefectGround(.delivery)
      if delivery.archives { ground.has.insert(.archive) }
      if delivery.isRetried { ground.has.insert(.severalExecutions) }
    } else if let client = settings.client {
      guard client == .transactions else {
        return "defect \(id) is no part of client \(client.rawValue); leave one of them out"
      }
      ground = DefectGround(.transactions, hasLayer: false)
    } else {
      if settings.checkpoint != .none { ground.has.insert(.objectStore) }
      if settings.writers.getsPastExclusion { ground.has.insert(.otherWriter) }
      if settings.topics.count > 1 { ground.has.insert(.severalTopics) }
    }
    return defect.obstacle(on: ground, ignoringNeeds: ignoringNeeds)?.description
  }
}

extension TrialSpec {
  /// Why the defect's code is no part of the program that this trial runs; nil where it is, or there is none. A
  /// scenario may
  /// have cells in which its defect lacks what it needs: it says itself what it expects of them.
  var defectProblem: String? {
    TrialPlanner.obstacle(in: settings, ignoringNeeds: true)
  }
}
