import LogModel
import ScenarioFormat
import Storage

/// One trial, fully decided: everything that its outcome may depend on. `spec.messages` and its like are those of its
/// `settings`. Crosses to worker processes as JSON.
@dynamicMemberLookup
public struct TrialSpec: Hashable, Sendable, Codable {
  public var scenario: String
  /// The scenario's file, as the user would name it.
  public var file: String
  public var seed: UInt64
  public var settings: TrialSettings
  /// Real seconds that one phase may take; virtual seconds are limited separately.
  public var phaseSeconds: Double
  /// A file that the persistence trace is written to, line by line; nil for none.
  public var traceTo: String? = nil

  /// - Parameter settings: their storage counts only where they name one.
  public init(
    scenario: String, file: String, seed: UInt64, storage: StorageChoice, settings: TrialSettings = TrialSettings(),
    phaseSeconds: Double
  ) {
    (self.scenario, self.file, self.seed, self.settings) = (scenario, file, seed, settings)
    self.phaseSeconds = phaseSeconds
    self.settings.storage = settings.storage ?? storage
  }

  public var storage: StorageChoice {
    get { settings.setup.storage ?? .auto }
    set { settings.setup.storage = newValue }
  }

  /// `none`, or an id of `Defects`.
  public var defect: String {
    get { settings.setup.defect ?? "none" }
    set { settings.setup.defect = newValue == "none" ? nil : newValue }
  }

  /// Of the first life, over all partitions.
  public var messages: Int {
    get { settings.volume.messages }
    set { settings.volume.messages = newValue }
  }

  /// Of the first life.
  public var syncPolicy: SyncPolicy { settings.crashes.sync }

  /// Of life `number`, from 0.
  func syncPolicy(ofLife number: Int) -> SyncPolicy { number == 0 ? syncPolicy : settings.load.laterSync ?? syncPolicy }

  public subscript<Value>(dynamicMember path: WritableKeyPath<TrialSettings, Value>) -> Value {
    get { settings[keyPath: path] }
    set { settings[keyPath: path] = newValue }
  }

  public subscript<Value>(dynamicMember path: WritableKeyPath<VolumeAxes, Value>) -> Value {
    get { settings.volume[keyPath: path] }
    set { settings.volume[keyPath: path] = newValue }
  }

  public subscript<Value>(dynamicMember path: WritableKeyPath<CrashAxes, Value>) -> Value {
    get { settings.crashes[keyPath: path] }
    set { settings.crashes[keyPath: path] = newValue }
  }

  public subscript<Value>(dynamicMember path: WritableKeyPath<SetupAxes, Value>) -> Value {
    get { settings.setup[keyPath: path] }
    set { settings.setup[keyPath: path] = newValue }
  }

  public subscript<Value>(dynamicMember path: WritableKeyPath<ContentAxes, Value>) -> Value {
    get { settings.contents[keyPath: path] }
    set { settings.contents[keyPath: path] = newValue }
  }

  public subscript<Value>(dynamicMember path: WritableKeyPath<LoadAxes, Value>) -> Value {
    get { settings.load[keyPath: path] }
    set { settings.load[keyPath: path] = newValue }
  }
}

extension TrialSpec {
  /// Of the messages: an engine with partitions serves what it was sent, keys and all.
  var shape: MessageShape? {
    settings.delivery == nil && settings.setup.client == nil
      ? MessageShape(valueBytes: settings.volume.messageSize, keys: settings.contents.keys) : nil
  }

  /// What tells this trial from others of its seed: what is drawn for one cell says nothing of another's.
  var cell: String {
    let (volume, crashes) = (settings.volume, settings.crashes)
    let words =
      "\(volume.messages) \(volume.partitions) \(crashes.sync) \(crashes.recovery.rawValue) \(crashes.crash.rawValue) "
      + "\(volume.batch) \(volume.messageSize)"
    let more = AxisDescriptor.all.filter(\.isSeeded).compactMap(\.token).compactMap { field in
      field.write(settings).map { "\(field.name)=\($0)" }
    }
    return ([words] + more).joined(separator: " ")
  }

  /// Segments small enough that a thousand messages of a partition fill several, and never more than 64 MiB.
  var segmentBytes: Int64 {
    let volume = settings.volume
    let bytes = Int64(
      volume.messages / max(1, volume.partitions) * (volume.messageSize + settings.contents.keys.largest))
    return min(64 << 20, max(256 << 10, bytes / 4))
  }

  /// Bytes of the largest zero-fill of a log: 8 MiB, as usual, and two short ones where the first is another than
  /// usual, so that commits come to the end of each.
  var largestPreallocation: Int {
    let first = settings.load.preallocation
    return first * (first == LoadAxes.usualPreallocation ? 32 : 2)
  }

  /// In the order of their creation.
  public var topics: [String] { settings.topics }

  /// The partition of number `number`, which counts those of all topics: they are dealt to the topics in turn.
  public func source(of number: Int) -> TopicPartition {
    TopicPartition(topics[number % topics.count], PartitionID(number / topics.count))
  }

  /// Numbers of the partitions of the topic that stands at `index` in `topics`.
  func numbers(ofTopic index: Int) -> StrideTo<Int> {
    stride(from: index, to: settings.volume.partitions, by: topics.count)
  }

  /// Messages of partition `number`: as even as can be, the first ones taking the remainder.
  public func messages(ofPartition number: Int) -> Int {
    let (messages, partitions) = (settings.volume.messages, settings.volume.partitions)
    return messages / partitions + (number < messages % partitions ? 1 : 0)
  }

  /// How life `number`, from 0, ends. The last is always closed in order.
  func ending(of number: Int) -> CrashKind {
    switch number {
    case 0: settings.crashes.crash
    case 1: settings.load.secondCrash ?? settings.crashes.crash
    default: .none
    }
  }

  /// Whether the work of the first life is done, and read back, before a crash comes.
  var isFirstLifeWhole: Bool { settings.crashes.crashAt == .end || settings.crashes.crashAt.step?.phase.life == 1 }

  /// The step that a crash cuts off in life `number`; nil where none does.
  func crashStep(ofLife number: Int) -> CrashStep? {
    settings.crashes.crashAt.step.flatMap { $0.phase.life == number ? $0 : nil }
  }

  /// The lives of which a readback is owed.
  var readbacksOwed: [Int] {
    guard let step = settings.crashes.crashAt.step else {
      return settings.crashes.crashAt == .end ? [0, 1, 2] : [1, 2]
    }
    // The close comes behind the readback. A process that is killed takes its own readback along.
    return step.phase == .close ? [0, 1, 2] : step.phase.life == 0 ? [1, 2] : [0, 2]
  }

  /// For a story.
  var endings: String {
    func words(_ kind: CrashKind) -> String { kind == .none ? "closed in order" : kind.rawValue }
    return words(settings.crashes.crash) + (settings.load.secondCrash.map { ", then \(words($0))" } ?? "")
  }

  /// How often the machine has died before life `number`.
  func powerLosses(before number: Int) -> UInt32 { UInt32((0..<number).count { ending(of: $0).losesPower }) }

  var endsOutOfMemory: Bool { (0...1).contains { ending(of: $0) == .outOfMemory } }
  var losesPower: Bool { (0...1).contains { ending(of: $0).losesPower } }
}
