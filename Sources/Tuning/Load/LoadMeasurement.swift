import Histogram
import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// What one run of a load came to.
public struct LoadFigures: Hashable, Sendable, Codable {
  /// Messages acknowledged a second.
  public var rate: Double
  public var latency: LatencyFigures
  /// Of the messages that were due, those that could not be sent until the end.
  public var unsent: Int
  /// Nanoseconds for which an acknowledgement was not durable, seen every millisecond; `longest` is exact.
  public var exposedTime: Spread
  /// Messages that were acknowledged and not durable, seen at the same moments; `longest` is exact.
  public var exposedMessages: Spread

  package init(
    rate: Double, latency: LatencyFigures, unsent: Int, exposedTime: Spread, exposedMessages: Spread
  ) {
    (self.rate, self.latency, self.unsent) = (rate, latency, unsent)
    (self.exposedTime, self.exposedMessages) = (exposedTime, exposedMessages)
  }

  private enum CodingKeys: String, CodingKey {
    case rate, unsent, exposedMessages
    case latency = "latencyNanoseconds"
    case exposedTime = "exposedNanoseconds"
  }
}

/// One run of a load at a rate, or several together.
struct LoadSample: Sendable {
  private(set) var latencies: Histogram<UInt64>
  private var count: Int
  private var seconds: Double
  private var unsent: Int
  private var exposures: [ExposureMeter.Exposure]
  private var longest: Int64
  private var most: Int

  fileprivate init(
    _ producers: Producers, seconds: Double, _ exposures: [ExposureMeter.Exposure], _ meter: ExposureMeter
  ) {
    (latencies, count, unsent) = (producers.latencies, producers.count, producers.unsent)
    (self.seconds, self.exposures) = (seconds, exposures)
    (longest, most) = (meter.longest.nanoseconds, meter.most)
  }

  mutating func add(_ other: LoadSample) {
    latencies.add(other.latencies)
    count += other.count
    seconds += other.seconds
    unsent += other.unsent
    exposures += other.exposures
    (longest, most) = (max(longest, other.longest), max(most, other.most))
  }

  var figures: LoadFigures {
    LoadFigures(
      rate: Double(count) / seconds, latency: LatencyFigures(latencies), unsent: unsent,
      exposedTime: Spread(exposures.map(\.time.nanoseconds)).with(longest: longest),
      exposedMessages: Spread(exposures.map { Int64($0.messages) }).with(longest: Int64(most)))
  }
}

/// Runs loads on a disk, each on an engine of its own.
struct LoadMeasurement {
  var disk: TuningDisk
  var workload: Workload
  var isCancelled: @Sendable () -> Bool = { false }

  static func configuration(_ setting: LoadSetting) -> EngineConfiguration {
    EngineConfiguration(
      log: LogConfiguration(syncPolicy: setting.policy, commitWindow: .nanoseconds(setting.commitWindow)))
  }

  /// Messages a second with producers that never pause. Nothing stands between the engine and its storage.
  func capacity(_ setting: LoadSetting, warmUp: Duration, length: Duration) throws(TuningError) -> Double {
    if isCancelled() { throw .interrupted }
    let workload = workload
    return try disk.machine(seed: 1).run("a load with \(setting.name)") { storage in
      let (engine, _) = try await PartitionEngine.open(storage, Self.configuration(setting))
      try await engine.createTopic(Producers.topic, partitions: workload.partitions)
      let producers = Producers(engine, storage.loop, workload, setting, .flatOut)
      let seconds = await producers.run(warmUp: warmUp, length: length)
      if let failure = producers.failure { throw failure }
      try await engine.close()
      return Double(producers.count) / seconds
    }
  }

  /// At the rate of the workload, or at another one.
  func run(
    _ setting: LoadSetting, rate: Double? = nil, warmUp: Duration, length: Duration
  ) throws(TuningError) -> LoadSample {
    if isCancelled() { throw .interrupted }
    let workload = workload
    return try disk.machine(seed: 1).run("a load with \(setting.name)") { storage in
      let meter = ExposureMeter(storage)
      let (engine, _) = try await PartitionEngine.open(meter, Self.configuration(setting))
      try await engine.createTopic(Producers.topic, partitions: workload.partitions)
      let producers = Producers(engine, storage.loop, workload, setting, .rate(rate ?? workload.rate))
      let sampler = ExposureSampler(meter)
      let start = storage.loop.now
      storage.loop.spawn { await sampler.run(from: start + warmUp, until: start + warmUp + length) }
      let seconds = await producers.run(warmUp: warmUp, length: length)
      await sampler.ended.wait()
      if let failure = producers.failure { throw failure }
      // It syncs what is still exposed, and the meter sees how long that took.
      try await engine.close()
      return LoadSample(producers, seconds: seconds, sampler.exposures, meter)
    }
  }
}

/// Looks at what is exposed every millisecond.
private final class ExposureSampler: @unchecked Sendable {
  // Owned by the meter's loop.

  private let meter: ExposureMeter
  private(set) var exposures: [ExposureMeter.Exposure] = []
  let ended = AsyncEvent()

  init(_ meter: ExposureMeter) { self.meter = meter }

  func run(from begin: Instant, until end: Instant) async {
    var next = begin
    await meter.loop.sleep(until: begin)
    meter.beginMeasuring()
    while next < end {
      await meter.loop.sleep(until: next)
      exposures.append(meter.exposure(at: meter.loop.now))
      next = max(next + .milliseconds(1), meter.loop.now)
    }
    ended.open()
  }
}
