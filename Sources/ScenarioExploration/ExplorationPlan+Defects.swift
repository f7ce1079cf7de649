import Defects
import Exploration
import ScenarioFormat

extension ExplorationPlan {
  /// Why the defect of a cell cannot act in its exploration; nil where it can, or where the cell has none.
  static func defectObstacle(in cell: ScenarioFormat.Cell, ignoringNeeds: Bool) -> DefectObstacle? {
    guard let defect = cell.defect.flatMap({ Defect(id: $0) }) else { return nil }
    let client = cell.exploration?.client.flatMap { LogClient(rawValue: $0) }
    return defect.obstacle(
      on: client?.defectGround ?? workload(cell, seed: 1).defectGround, ignoringNeeds: ignoringNeeds)
  }
}
