import LogModel

/// A scenario as its file describes it. `cells()` are its trials.
public struct Scenario: Hashable, Sendable {
  struct Dimension: Hashable, Sendable {
    var axis: AxisDescriptor
    var values: [AxisValue]
    /// Of the axis, and of each value.
    var position: SourcePosition
    var valuePositions: [SourcePosition] = []
  }

  struct Override: Hashable, Sendable {
    var condition: Condition
    var faults: [PlacedFault]?
    var appendBetween: Int?
    var crashAt: CrashMoment?
    var trialSeconds: Int?
  }

  struct ExpectationRule: Hashable, Sendable {
    var condition: Condition
    var expectation: CellExpectation
  }

  struct Suite: Hashable, Sendable {
    var name: String
    /// A cell that any of these matches belongs to the suite.
    var selections: [(condition: Condition, position: SourcePosition)]

    static func == (a: Self, b: Self) -> Bool {
      a.name == b.name && a.selections.elementsEqual(b.selections) { $0 == $1 }
    }

    func hash(into hasher: inout Hasher) { hasher.combine(name) }
  }

  /// How many groups may commit beside the producers.
  public static let committers = 0...8

  public let name: String
  public let title: String
  /// Where the scenario comes from: the history behind it, with its source.
  public let story: String
  /// What an operator should do about it; one line.
  public let remedy: String
  /// What documents promise of it.
  public let claims: [Claim]
  public let file: String
  /// The seed to use where the command line gives none.
  public let seed: UInt64?

  /// What all cells have, before the matrix: with the faults of none.
  let fixed: TrialSettings
  let dimensions: [Dimension]
  let exclusions: [Condition]
  let faults: [PlacedFault]
  /// What each value of the axis `fault` adds to them; `none` adds nothing.
  let faultCases: [String: [PlacedFault]]
  let overrides: [Override]
  let rules: [ExpectationRule]
  let suites: [Suite]
  let limits: TrialLimits

  /// Not nil: for `explore` only.
  public var exploration: ExplorationSettings? { fixed.exploration }
  /// Not nil: its trials are of the job log and its sender.
  public var delivery: DeliverySettings? { fixed.delivery }
  /// What must have happened in each of its trials.
  public var onlyIf: [TrialCondition] { fixed.onlyIf }

  /// Of all cases and overrides.
  var allFaults: [PlacedFault] {
    faults + faultCases.sorted { $0.key < $1.key }.flatMap(\.value) + overrides.flatMap { $0.faults ?? [] }
  }

  /// The axes of the matrix, in its order.
  public var axes: [AxisDescriptor] { dimensions.map(\.axis) }

  /// Every cell of the matrix but the excluded, the last axis fastest.
  ///
  /// `replacing` puts other values in the place of an axis, as `--defect C2b` and `--storage memory` do; an axis that
  /// the matrix does not have is added behind the others.
  public func cells(replacing replaced: [AxisDescriptor: [AxisValue]] = [:]) -> [Cell] {
    var dimensions = dimensions.map { ($0.axis, replaced[$0.axis] ?? $0.values) }
    for axis in AxisDescriptor.all where !axes.contains(axis) {
      if let values = replaced[axis] { dimensions.append((axis, values)) }
    }
    var product: [[AxisSetting]] = [[]]
    for (axis, values) in dimensions {
      product = product.flatMap { head in values.map { head + [AxisSetting(axis, $0)] } }
    }
    return product.enumerated().compactMap { index, settings in cell(index: index, settings) }
  }

  /// The cell that has exactly these settings (in any order), as `reproduce` needs it; its expectation and faults
  /// follow from the file as for any other. Nil where the matrix excludes it.
  public func cell(with settings: [AxisSetting]) -> Cell? {
    cells(replacing: Dictionary(settings.map { ($0.axis, [$0.value]) }) { first, _ in first }).first
  }

  /// Where the value stands: in the matrix, or at its place beside it.
  /// - Parameter given: of the axes beside the matrix.
  func position(
    of axis: AxisDescriptor, _ value: AxisValue, _ given: [AxisDescriptor: SourcePosition]
  ) -> SourcePosition? {
    guard let dimension = dimensions.first(where: { $0.axis == axis }) else { return given[axis] }
    return dimension.values.firstIndex(of: value).map { dimension.valuePositions[$0] } ?? dimension.position
  }

  private func cell(index: Int, _ settings: [AxisSetting]) -> Cell? {
    var cell = Cell(self, index: index, fixed: fixed, varied: settings)
    if exclusions.contains(where: { $0.matches(cell) }) { return nil }
    if let change = overrides.first(where: { $0.condition.matches(cell) }) {
      cell.settings.faults = change.faults?.map(\.fault) ?? cell.faults
      cell.settings.appendBetween = change.appendBetween ?? cell.appendBetween
      cell.settings.crashAt = change.crashAt ?? cell.crashAt
      cell.limits.trialSeconds = change.trialSeconds ?? cell.limits.trialSeconds
    }
    cell.expectation = rules.first { $0.condition.matches(cell) }?.expectation ?? .held
    cell.claims = claims.filter { $0.isMeasured && $0.condition.matches(cell) }
    cell.tags = suites.isEmpty ? ["quick", "full"] : suites.filter { $0.holds(cell) }.map(\.name)
    return cell
  }
}

extension Scenario.Suite {
  func holds(_ cell: Cell) -> Bool { selections.contains { $0.condition.matches(cell) } }
}
