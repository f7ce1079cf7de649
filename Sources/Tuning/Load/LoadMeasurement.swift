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
  /// Nanoseconds that an acknowledgement was not durable, seen at regular moments; `longest` is exact.
  public var exposedTime: Spread
  /// Messages that were acknowledged and not durable, seen at the same moments.
  public var exposedMessages: Spread

  private enum CodingKeys: String, CodingKey {
    case rate, unsent, exposedMessages
    case latency = "latencyNanoseconds"
    case exposedTime = "exposedNanoseconds"
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

  /// - Throws: `TuningError`; `StorageError` of the disk.
  func run(
    _ setting: LoadSetting, _ pace: Producers.Pace, warmUp: Duration, length: Duration, seed: UInt64 = 1
  ) throws -> LoadFigures {
    if isCancelled() { throw TuningError.interrupted }
    let machine = try disk.machine(seed: seed)
    let workload = workload
    return try machine.run("a load with \(setting.name)") { storage in
      let meter = ExposureMeter(storage)
      let (engine, _) = try await PartitionEngine.open(meter, Self.configuration(setting))
      try await engine.createTopic(Producers.topic, partitions: workload.partitions)
      let producers = Producers(engine, storage.loop, workload, setting, pace)
      let sampler = ExposureSampler(meter)
      let start = storage.loop.now
      storage.loop.spawn { await sampler.run(from: start + warmUp, until: start + warmUp + length) }
      await producers.run(warmUp: warmUp, length: length)
      if let failure = producers.failure { throw TuningError.engine("\(failure)") }
      // In a run that acknowledged nothing in time, what it took counts.
      let seconds = max(length, storage.loop.now - start - warmUp).inSeconds
      let longest = meter.longest
      try await engine.close()
      return LoadFigures(
        rate: Double(producers.count) / seconds, latency: LatencyFigures(producers.latencies),
        unsent: producers.unsent, exposedTime: sampler.times(longest: longest),
        exposedMessages: Spread(sampler.messages))
    }
  }
}

/// Looks at what is exposed every millisecond.
private final class ExposureSampler: @unchecked Sendable {
  // Owned by the meter's loop.

  private let meter: ExposureMeter
  private var nanoseconds: [Int64] = []
  private(set) var messages: [Int64] = []

  init(_ meter: ExposureMeter) { self.meter = meter }

  func run(from begin: Instant, until end: Instant) async {
    var next = begin
    while next < end {
      await meter.loop.sleep(until: next)
      let exposure = meter.exposure
      nanoseconds.append(exposure.time.nanoseconds)
      messages.append(Int64(exposure.messages))
      next = max(next + .milliseconds(1), meter.loop.now)
    }
  }

  func times(longest: Duration) -> Spread {
    var spread = Spread(nanoseconds)
    spread.longest = max(spread.longest, longest.nanoseconds)
    return spread
  }
}
