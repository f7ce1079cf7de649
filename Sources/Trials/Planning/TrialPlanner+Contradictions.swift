import LogModel
import ScenarioFormat

extension TrialPlanner {
  /// What keeps cells of a scenario from being trials at all, a defect of another program than the one that runs, say:
  /// the first cell with its reason, and how many more there are. Nil where there is none. The parser cannot know it:
  /// it sees no defects.
  public static func contradiction(in scenario: Scenario) -> String? {
    var first: String?
    var more = 0
    for cell in scenario.cells() where cell.exploration == nil {
      let storage: StorageChoice = cell.client == nil ? .auto : .memory
      guard isPossible(cell, on: storage) else { continue }
      do throws(TrialError) {
        _ = try trial(cell, storage: storage, seed: nil, phaseSeconds: nil, expectsSound: false)
      } catch {
        if first == nil { first = "\(scenario.file): \(error)" } else { more += 1 }
      }
    }
    return first.map { more > 0 ? "\($0) (and \(more) more cells)" : $0 }
  }
}
