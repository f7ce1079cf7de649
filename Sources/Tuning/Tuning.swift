import LogModel
import Storage

/// How long each part of a tuning run takes.
public struct TuningEffort: Hashable, Sendable {
  public var probe: Duration
  public var strip: Duration
  public var flatOut: Duration
  public var atRate: Duration
  public var warmUp: Duration
  /// Power cuts of a setting: at most so many, and at most so long. `always` gets `alwaysCuts`.
  public var cuts: Int
  public var alwaysCuts: Int
  public var cutTime: Duration
  /// The policies that are measured with other batches and other producers than those of the requirements.
  public var compared: [SyncPolicy]
  public var isThorough: Bool

  /// Under a minute.
  public static let quick = TuningEffort(
    probe: .milliseconds(200), strip: .seconds(2), flatOut: .milliseconds(350), atRate: .milliseconds(800),
    warmUp: .milliseconds(150), cuts: 25, alwaysCuts: 25, cutTime: .milliseconds(1200),
    compared: [.always, .interval(.milliseconds(100)), .never], isThorough: false)
  /// 200 power cuts of each setting, 1000 of `always`.
  public static let thorough = TuningEffort(
    probe: .seconds(1), strip: .seconds(15), flatOut: .seconds(2), atRate: .seconds(5), warmUp: .milliseconds(500),
    cuts: 200, alwaysCuts: 1000, cutTime: .seconds(600), compared: Tuning.policies, isThorough: true)
}

/// Everything that a tuning run found.
public struct TuningResult: Sendable, Codable {
  public var requirements: Requirements
  public var isThorough: Bool
  /// Nil for a simulated disk.
  public var disk: DiskFigures?
  public var points: [TuningPoint]
  public var recommendation: Recommendation
  /// Indices into `points`.
  public var front: [Int]
  public var seconds: Double
  /// A signal ended it: there are fewer points, and no recommendation is to be trusted.
  public var isInterrupted: Bool
  /// `signal`; nil where everything was measured.
  public var stoppedBy: String?

  private enum CodingKeys: String, CodingKey {
    case requirements, disk, points, recommendation, front, seconds, stoppedBy
    case isThorough = "thorough"
    case isInterrupted = "interrupted"
  }
}

/// Finds a sync policy for a disk, a load and a limit of loss.
public struct Tuning {
  public struct Progress: Sendable {
    public var title: String
    /// Of the whole run, from 0 to 1.
    public var share: Double
    public var secondsLeft: Double
  }

  public var disk: TuningDisk
  public var requirements: Requirements
  public var effort: TuningEffort
  /// Nil: those of `policies`, with commit windows, other batches and other producers.
  public var chosenPolicies: [SyncPolicy]?
  public var onProgress: (Progress) -> Void = { _ in }
  public var isCancelled: @Sendable () -> Bool = { false }

  public init(_ disk: TuningDisk, _ requirements: Requirements, _ effort: TuningEffort) {
    (self.disk, self.requirements, self.effort) = (disk, requirements, effort)
  }

  public static let intervals: [Duration] = [1, 5, 10, 20, 50, 100, 500, 1000].map { .milliseconds($0) }
  public static let policies: [SyncPolicy] = [.always] + intervals.map { .interval($0) } + [.never]
  public static let windows: [Duration] = [.microseconds(500), .milliseconds(2)]

  /// The settings that are measured, those that can be recommended first.
  public var settings: [LoadSetting] {
    let (batch, producers) = (requirements.batch, requirements.producers)
    func setting(_ policy: SyncPolicy, window: Duration = .zero, _ b: Int? = nil, _ p: Int? = nil) -> LoadSetting {
      LoadSetting(policy, commitWindow: window, batch: b ?? batch, producers: p ?? producers)
    }
    if let chosenPolicies { return chosenPolicies.map { setting($0) } }
    var settings = Self.policies.map { setting($0) }
    settings += Self.windows.map { setting(.always, window: $0) }
    // What another batch, or other producers, would change.
    for policy in effort.compared {
      for other in [1, 10, 100] where other != batch { settings.append(setting(policy, other)) }
      for other in [1, 16, 64] where other != producers { settings.append(setting(policy, batch, other)) }
    }
    return settings
  }

  /// `always` comes first, for the others are compared with it.
  public static func isSafer(_ a: SyncPolicy, _ b: SyncPolicy) -> Bool {
    func promise(_ policy: SyncPolicy) -> Duration {
      LoadSetting(policy, batch: 1, producers: 1).promisedLoss ?? .seconds(Int64.max / 2)
    }
    return promise(a) < promise(b)
  }

  private func canBeRecommended(_ setting: LoadSetting) -> Bool {
    setting.batch == requirements.batch && setting.producers == requirements.producers
  }

  /// Seconds that the whole run takes, about.
  public var estimate: Double {
    let isReal = if case .folder = disk.kind { true } else { false }
    let each = (effort.flatOut + effort.atRate + effort.warmUp * 2).inSeconds + 0.1
    let probe = isReal ? Double(FlushWay.all.count) * effort.probe.inSeconds + effort.strip.inSeconds + 0.5 : 0
    return settings.reduce(probe) { $0 + each + (canBeRecommended($1) ? cutSeconds($1) : 0) }
  }

  private func cutSeconds(_ setting: LoadSetting) -> Double {
    guard setting.commitWindow == 0 else { return 0 }
    let cuts = setting.policy == .always ? effort.alwaysCuts : effort.cuts
    return min(Double(cuts) * (PowerCuts.longestLife(setting.policy).inSeconds * 0.6 + 0.03), effort.cutTime.inSeconds)
  }

  /// - Throws: `TuningError`; `StorageError` of the disk.
  public func run() throws -> TuningResult {
    let began = Stopwatch()
    var result = TuningResult(
      requirements: requirements, isThorough: effort.isThorough, disk: nil, points: [],
      recommendation: Recommendation([], requirements), front: [], seconds: 0, isInterrupted: false)
    do {
      try measureDisk(into: &result, began)
      try measureSettings(into: &result, began)
    } catch TuningError.interrupted {
      (result.isInterrupted, result.stoppedBy) = (true, "signal")
    }
    result.recommendation = Recommendation(result.points, requirements)
    result.front = Recommendation.front(result.points, requirements)
    result.seconds = began.seconds
    return result
  }

  private func tell(_ title: String, _ began: Stopwatch) {
    let (done, all) = (began.seconds, max(estimate, 0.1))
    onProgress(Progress(title: title, share: min(0.99, done / all), secondsLeft: max(0, all - done)))
  }

  private func measureDisk(into result: inout TuningResult, _ began: Stopwatch) throws {
    guard case .folder(let directory, _) = disk.kind else { return }
    tell("the disk", began)
    let folder = try TuningFolder(in: directory)
    var figures = try DiskProbe(
      directory: folder.path, messageSize: requirements.workload.messageSize, time: effort.probe,
      stripTime: effort.strip, isCancelled: isCancelled
    ).run()
    figures.directory = directory
    figures.slowed = disk.timing != nil
    result.disk = figures
  }

  private func measureSettings(into result: inout TuningResult, _ began: Stopwatch) throws {
    let load = LoadMeasurement(disk: disk, workload: requirements.workload, isCancelled: isCancelled)
    for setting in settings {
      let producers = setting.producers == 1 ? "1 producer" : "\(setting.producers) producers"
      tell("\(setting.name), \(producers), batches of \(setting.batch)", began)
      let flat = try load.run(setting, .flatOut, warmUp: effort.warmUp, length: effort.flatOut)
      let atRate = try load.run(
        setting, .rate(requirements.workload.rate), warmUp: effort.warmUp, length: effort.atRate)
      var point = TuningPoint(setting: setting, capacity: flat.rate, timesAlways: nil, atRate: atRate, loss: nil)
      if canBeRecommended(setting), setting.commitWindow == 0 { point.loss = try measureLoss(setting, began) }
      let always = result.points.first {
        $0.setting.policy == .always && $0.setting.commitWindow == 0 && $0.setting.batch == setting.batch
          && $0.setting.producers == setting.producers
      }
      point.timesAlways = always.map { $0.capacity > 0 ? flat.rate / $0.capacity : 0 }
      result.points.append(point)
    }
  }

  private func measureLoss(_ setting: LoadSetting, _ began: Stopwatch) throws -> LossFigures? {
    let cuts = PowerCuts(disk: disk, workload: requirements.workload, isCancelled: isCancelled)
    let most = setting.policy == .always ? effort.alwaysCuts : effort.cuts
    let watch = Stopwatch()
    var losses: [PowerCut] = []
    var seed: UInt64 = 0
    while losses.count < most, seed < UInt64(2 * most), losses.isEmpty || watch.seconds < effort.cutTime.inSeconds {
      seed += 1
      if let loss = try cuts.cut(setting, seed: seed) { losses.append(loss) }
      if effort.isThorough, seed % 20 == 0 {
        tell("\(setting.name): \(losses.count) of \(most) power cuts", began)
      }
    }
    return losses.isEmpty ? nil : LossFigures(losses)
  }
}

/// Seconds on the machine's own clock.
struct Stopwatch {
  private let start = ContinuousClock.now
  var seconds: Double { (ContinuousClock.now - start).inSeconds }
}
