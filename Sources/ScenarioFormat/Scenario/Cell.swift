import LogModel

/// What a trial of a cell must come to. Check names are text here: this module does not see the checks.
public enum CellExpectation: Hashable, Sendable {
  case held
  case caught(by: String)
}

public struct TrialLimits: Hashable, Sendable {
  /// After this long a trial is given up.
  public var trialSeconds: Int
}

/// One trial to be: everything that a scenario says about it, resolved. `cell.messages` and its like are those of its
/// `settings`.
@dynamicMemberLookup
public struct Cell: Hashable, Sendable {
  public let scenario: String
  public let title: String
  public let file: String
  /// The cell's number in the matrix as asked for, from 0; excluded cells keep theirs.
  public let index: Int
  /// What the matrix varies, in its order.
  public let axes: [AxisSetting]
  public let seed: UInt64?
  public internal(set) var settings: TrialSettings
  public internal(set) var expectation = CellExpectation.held
  /// What documents promise of it.
  public internal(set) var claims: [Claim] = []
  /// The suites that it belongs to.
  public internal(set) var tags: [String] = []
  public internal(set) var limits: TrialLimits

  /// Of the partition with the most.
  public var messagesPerPartition: Int { (settings.messages + settings.partitions - 1) / settings.partitions }
  /// Of the partition with the most.
  public var batchesPerPartition: Int { (messagesPerPartition + settings.batch - 1) / settings.batch }

  /// `ten-vs-hundred messages=100 partitions=3 sync=always`: what `-k` looks at.
  public var description: String { ([scenario] + axes.map(\.description)).joined(separator: " ") }

  /// The value of an axis, varied or not; `auto` for a storage that is left to the command line.
  public func value(of axis: AxisDescriptor) -> AxisValue { axis.value(in: settings) }

  /// - Parameters:
  ///   - fixed: what all cells of the scenario have.
  ///   - varied: was parsed by each axis, so each value has its axis' form.
  init(_ scenario: Scenario, index: Int, fixed: TrialSettings, varied: [AxisSetting]) {
    self.scenario = scenario.name
    self.title = scenario.title
    self.file = scenario.file
    self.index = index
    self.axes = varied
    self.seed = scenario.seed
    self.limits = scenario.limits
    settings = fixed
    for setting in varied { setting.axis.set(setting.value, in: &settings) }
    settings.faults = scenario.faults.map(\.fault)
    if let name = settings.fault { settings.faults += (scenario.faultCases[name] ?? []).map(\.fault) }
  }

  public subscript<Value>(dynamicMember path: KeyPath<TrialSettings, Value>) -> Value { settings[keyPath: path] }
  public subscript<Value>(dynamicMember path: KeyPath<VolumeAxes, Value>) -> Value { settings.volume[keyPath: path] }
  public subscript<Value>(dynamicMember path: KeyPath<CrashAxes, Value>) -> Value { settings.crashes[keyPath: path] }
  public subscript<Value>(dynamicMember path: KeyPath<SetupAxes, Value>) -> Value { settings.setup[keyPath: path] }
  public subscript<Value>(dynamicMember path: KeyPath<ContentAxes, Value>) -> Value { settings.contents[keyPath: path] }
  public subscript<Value>(dynamicMember path: KeyPath<LoadAxes, Value>) -> Value { settings.load[keyPath: path] }
}
