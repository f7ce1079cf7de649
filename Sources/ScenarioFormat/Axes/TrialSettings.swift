import LogModel

/// Everything that a scenario decides of a trial, resolved: a value on each axis, and what is no axis. Cells and trials
/// have the same, so that one set of rules serves both.
///
/// The workload: partition *p* gets messages p, p + P, p + 2P ... of all, so the largest has
/// `ceil(messages / partitions)`; each partition's messages are cut into produce requests of `batch`, the last one
/// shorter, and the producers share the requests.
@dynamicMemberLookup
public struct TrialSettings: Hashable, Sendable, Codable {
  public var volume = VolumeAxes()
  public var crashes = CrashAxes()
  public var setup = SetupAxes()
  public var contents = ContentAxes()
  public var load = LoadAxes()

  public var topic = "orders"
  /// Topics beside it, in the order of their creation. The partitions are those of all topics, dealt to them in turn.
  public var otherTopics: [String] = []
  /// Messages for each partition, appended between the two restarts.
  public var appendBetween = 10
  /// Consumer groups that commit offsets while messages are sent.
  public var committers = 0
  public var faults: [FaultSpec] = []
  /// Not nil: a trial of the job log and its sender. A partition is a job then, and a message an event.
  public var delivery: DeliverySettings?
  /// Not nil: for `explore` only, and no trial.
  public var exploration: ExplorationSettings?
  /// What must have happened in the trial for a verdict.
  public var onlyIf: [TrialCondition] = []

  public init() {}

  /// In the order of their creation.
  public var topics: [String] { [topic] + otherTopics }

  /// A job log with its sender, or a client, stands in the place of an engine with partitions.
  var isOfAnotherProgram: Bool { delivery != nil || setup.client != nil }

  /// An engine with partitions and its own log, in a trial.
  var isOfOwnLog: Bool { !isOfAnotherProgram && exploration == nil && setup.system == .tornlog }

  // The groups of axes, so that `settings.messages` is `settings.volume.messages`.

  public subscript<Value>(dynamicMember path: WritableKeyPath<VolumeAxes, Value>) -> Value {
    get { volume[keyPath: path] }
    set { volume[keyPath: path] = newValue }
  }

  public subscript<Value>(dynamicMember path: WritableKeyPath<CrashAxes, Value>) -> Value {
    get { crashes[keyPath: path] }
    set { crashes[keyPath: path] = newValue }
  }

  public subscript<Value>(dynamicMember path: WritableKeyPath<SetupAxes, Value>) -> Value {
    get { setup[keyPath: path] }
    set { setup[keyPath: path] = newValue }
  }

  public subscript<Value>(dynamicMember path: WritableKeyPath<ContentAxes, Value>) -> Value {
    get { contents[keyPath: path] }
    set { contents[keyPath: path] = newValue }
  }

  public subscript<Value>(dynamicMember path: WritableKeyPath<LoadAxes, Value>) -> Value {
    get { load[keyPath: path] }
    set { load[keyPath: path] = newValue }
  }
}

extension AxisDescriptor {
  /// Every axis, in the order in which pages and messages name them.
  public static let all = ofVolume + ofCrashes + ofSetup + ofContents + ofLoad
}
