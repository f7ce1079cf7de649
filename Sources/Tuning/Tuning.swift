import FaultInjection
import Glibc
import LogModel
import Storage

/// How long each part of a tuning run takes.
public struct TuningEffort: Hashable, Sendable {
  public var probe: Duration
  public var strip: Duration
  public var flatOut: Duration
  public var atRate: Duration
  public var warmUp: Duration
  /// Each setting runs so often, and the times above are of all its runs together.
  public var rounds: Int
  /// Power cuts of a setting: at most so many, and at most so long. `always` gets `alwaysCuts`.
  public var cuts: Int
  public var alwaysCuts: Int
  public var cutTime: Duration
  /// The policies that are measured with other batches and other producers than those of the requirements.
  public var compared: [SyncPolicy]
  public var isThorough: Bool

  /// About a minute on a fast disk.
  public static let quick = TuningEffort(
    probe: .milliseconds(200), strip: .seconds(2), flatOut: .milliseconds(350), atRate: .milliseconds(800),
    warmUp: .milliseconds(100), rounds: 2, cuts: 25, alwaysCuts: 25, cutTime: .milliseconds(1200),
    compared: [.always, .interval(.milliseconds(100)), .never], isThorough: false)
  /// 200 power cuts of each setting, 1000 of `always`.
  public static let thorough = TuningEffort(
    probe: .seconds(1), strip: .seconds(15), flatOut: .seconds(2), atRate: .seconds(5), warmUp: .milliseconds(300),
    rounds: 3, cuts: 200, alwaysCuts: 1000, cutTime: .seconds(600), compared: Tuning.policies, isThorough: true)

  /// Bytes that a run writes at the most, and removes again: a fast disk takes some 1.5 GB a second.
  public var room: Int64 { Int64((flatOut + warmUp).inSeconds * 1.5e9) + (256 << 20) }
}

/// Finds a sync policy for a disk, a load and a limit of loss.
public struct Tuning {
  public var disk: TuningDisk
  public var requirements: Requirements
  public var effort: TuningEffort
  /// Nil: those of `policies`, with commit windows, other batches and other producers.
  public var chosenPolicies: [SyncPolicy]?
  public var onProgress: (TuningProgress) -> Void = { _ in }
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
    // What another batch, or other producers, would change: the two that differ most.
    let batches = [1, 100, 10].filter { $0 != batch && requirements.workload.fits(batch: $0) }.prefix(2)
    let others = [1, 64, 16].filter { $0 != producers }.prefix(2)
    for policy in effort.compared {
      settings += batches.map { setting(policy, $0) } + others.map { setting(policy, batch, $0) }
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

  /// How long a load runs at the rate: some requests of each producer, and two stalls.
  private func timeAtRate(_ setting: LoadSetting) -> Duration {
    let fill = Duration.seconds(4 * requirements.workload.secondsToFill(setting))
    return max(effort.atRate, max(fill, (disk.timing?.stall?.period ?? .zero) * 2) * effort.rounds)
  }

  /// Seconds that the whole run takes, about.
  /// - Parameter flush: seconds of one, as far as it is known.
  func estimate(flush: Double) -> Double {
    let isReal = if case .folder = disk.kind { true } else { false }
    // Opening an engine and making a topic flush so often, and again for each partition.
    let opening = 0.05 + flush * Double(20 + 4 * requirements.workload.partitions)
    let probe = isReal ? Double(FlushWay.all.count) * effort.probe.inSeconds + effort.strip.inSeconds + 0.5 : 0
    return settings.reduce(probe) { sum, setting in
      let loads =
        (effort.flatOut + timeAtRate(setting) + effort.warmUp * 2 * effort.rounds).inSeconds
        + Double(2 * effort.rounds) * opening
      return sum + loads + (setting.isAsked(requirements) ? cutSeconds(setting, opening) : 0)
    }
  }

  private func mostCuts(_ setting: LoadSetting) -> Int {
    setting.policy == .always && setting.commitWindow == 0 ? effort.alwaysCuts : effort.cuts
  }

  private func cutSeconds(_ setting: LoadSetting, _ opening: Double) -> Double {
    let cuts = PowerCuts(disk: disk, workload: requirements.workload)
    let each = cuts.longestLife(setting).inSeconds * 0.6 + 2 * opening
    let most = mostCuts(setting)
    return max(each, min(Double(most) * each, effort.cutTime.inSeconds))
  }

  /// - Throws: `TuningError`. An interruption is no error: the result says so.
  public func run() throws(TuningError) -> TuningResult {
    try checkRoom()
    let began = Stopwatch()
    var result = TuningResult(requirements, isThorough: effort.isThorough)
    do throws(TuningError) {
      try measureDisk(into: &result, began)
      try measureSettings(into: &result, began)
      result.choose()
    } catch .interrupted {
      result.interrupt()
    }
    result.seconds = began.seconds
    return result
  }

  /// A disk that fills in the middle would end the run after most of it.
  private func checkRoom() throws(TuningError) {
    guard case .folder(let directory, _) = disk.kind else { return }
    var info = statvfs()
    guard statvfs(directory, &info) == 0 else { throw .disk(directory, errno: errno) }
    let free = Int64(info.f_bavail) * Int64(info.f_frsize)
    if free < effort.room { throw .noRoom(directory, free: free, needed: effort.room) }
  }

  private func tell(_ title: String, _ began: Stopwatch, _ result: TuningResult) {
    let measured = Double(result.disk?.flush?.p50 ?? 0) / 1e9
    let flush = max(measured, disk.timing?.atLeast.inSeconds ?? 0)
    let (done, all) = (began.seconds, max(estimate(flush: flush), 0.1))
    onProgress(TuningProgress(title: title, share: min(0.99, done / all), secondsLeft: max(1, all - done)))
  }

  private func measureDisk(into result: inout TuningResult, _ began: Stopwatch) throws(TuningError) {
    guard case .folder(let directory, let choice) = disk.kind else { return }
    tell("the disk", began, result)
    let folder: TuningFolder
    let storage: (name: String, notices: [String])
    do throws(StorageError) {
      folder = try TuningFolder(in: directory)
      let properties = try choice.openFiles(root: folder.path, loop: EventLoop()).properties
      storage = (properties.name, properties.notices)
    } catch {
      throw TuningError(error)
    }
    var figures = try DiskProbe.figures(
      of: directory, messageSize: requirements.workload.messageSize, effort, storage: storage.name,
      isCancelled: isCancelled)
    figures.notices = storage.notices
    figures.isSlowed = disk.timing != nil
    result.disk = figures
  }

  /// Round by round, so that a disturbance of the machine meets them all alike; then their losses.
  private func measureSettings(into result: inout TuningResult, _ began: Stopwatch) throws(TuningError) {
    let load = LoadMeasurement(disk: disk, workload: requirements.workload, isCancelled: isCancelled)
    let settings = settings
    var rounds = [[TuningPoint.Round]](repeating: [], count: settings.count)
    var samples: [LoadSample] = []
    for round in 0..<effort.rounds {
      for (index, setting) in settings.enumerated() {
        let producers = setting.producers == 1 ? "1 producer" : "\(setting.producers) producers"
        tell("\(setting.name), \(producers), batches of \(setting.batch), round \(round + 1)", began, result)
        let capacity = try load.capacity(setting, warmUp: effort.warmUp, length: effort.flatOut / effort.rounds)
        let sample = try load.run(setting, warmUp: effort.warmUp, length: timeAtRate(setting) / effort.rounds)
        rounds[index].append(
          TuningPoint.Round(capacity: capacity, p99: LatencyFigures(sample.latencies).p99))
        // What there is so far is a point: an interruption leaves it.
        let before = result.points.prefix(index)
        if index < samples.count {
          samples[index].add(sample)
          result.points[index] = point(setting, rounds[index], samples[index], after: before)
        } else {
          samples.append(sample)
          result.points.append(point(setting, rounds[index], sample, after: before))
        }
      }
    }
    for index in result.points.indices where settings[index].isAsked(requirements) {
      result.points[index].loss = try measureLoss(settings[index], began, result)
    }
  }

  private func point(
    _ setting: LoadSetting, _ rounds: [TuningPoint.Round], _ sample: LoadSample, after points: ArraySlice<TuningPoint>
  ) -> TuningPoint {
    let capacity = rounds.reduce(0) { $0 + $1.capacity } / Double(rounds.count)
    let always = points.first {
      $0.setting.policy == .always && $0.setting.commitWindow == 0 && $0.setting.batch == setting.batch
        && $0.setting.producers == setting.producers
    }
    return TuningPoint(
      setting: setting, capacity: capacity, timesAlways: always.map { $0.capacity > 0 ? capacity / $0.capacity : 0 },
      atRate: sample.figures, rounds: rounds, loss: nil)
  }

  private func measureLoss(
    _ setting: LoadSetting, _ began: Stopwatch, _ result: TuningResult
  ) throws(TuningError) -> LossFigures? {
    let cuts = PowerCuts(disk: disk, workload: requirements.workload, isCancelled: isCancelled)
    let most = mostCuts(setting)
    let watch = Stopwatch()
    var losses: [PowerCut] = []
    // A few are made whatever they take: the first may come before the first message.
    for seed in 1...UInt64(2 * most) where losses.count < most {
      if seed > 4, watch.seconds >= effort.cutTime.inSeconds { break }
      if let loss = try cuts.cut(setting, seed: seed) { losses.append(loss) }
      if effort.isThorough, seed % 20 == 0 {
        tell("\(setting.name): \(losses.count) of \(most) power cuts", began, result)
      }
      if !losses.isEmpty, watch.seconds >= effort.cutTime.inSeconds { break }
    }
    return losses.isEmpty ? nil : LossFigures(losses)
  }
}
