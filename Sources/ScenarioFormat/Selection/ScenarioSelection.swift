/// Which cells of the loaded scenarios a command takes.
public struct ScenarioSelection: Hashable, Sendable {
  /// A cell must have one of them. None given: `quick`.
  public var tags: [String]
  public var expression: SelectionExpression?
  public var shard: Shard?

  public init(tags: [String] = [], expression: SelectionExpression? = nil, shard: Shard? = nil) {
    self.tags = tags.isEmpty ? ["quick"] : tags
    self.expression = expression
    self.shard = shard
  }

  /// The chosen cells, in the order of files and matrices. The shard cuts what the rest has chosen.
  public func cells(of scenarios: [Scenario], replacing replaced: [AxisDescriptor: [AxisValue]] = [:]) -> [Cell] {
    let chosen = scenarios.flatMap { $0.cells(replacing: replaced) }.filter { cell in
      tags.contains { cell.tags.contains($0) } && expression?.matches(cell) ?? true
    }
    guard let shard else { return chosen }
    return chosen.enumerated().filter { shard.keeps(position: $0, name: $1.description) }.map(\.element)
  }

  /// A tag that no scenario defines is a mistake of typing: an error in place of an empty run.
  public func checkTags(of scenarios: [Scenario]) throws(SelectionError) {
    var known = ["quick", "full"]
    for name in scenarios.flatMap(\.suiteNames) where !known.contains(name) { known.append(name) }
    for tag in tags where !known.contains(tag) {
      throw SelectionError(
        source: tag, column: 1, message: "\(ScenarioProblem.unknownWord(tag, of: "tag", known: known))")
    }
  }
}

extension Scenario {
  /// The names of its suites, in the file's order.
  public var suiteNames: [String] { suites.map(\.name) }
}
