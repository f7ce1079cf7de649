import FaultInjection
import Glibc
import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// Takes the power at random moments under load, recovers, and reads back what is left. The layer of real files takes
/// back on the disk what was not made durable (`PersistenceProfile.dropUnsynced`). Of a sync in flight the seed decides
/// what it still made durable.
struct PowerCuts {
  var disk: TuningDisk
  var workload: Workload
  var isCancelled: @Sendable () -> Bool = { false }

  /// How long a load may run before its power goes: some cycles of the policy's syncs, and of the producers' requests.
  func longestLife(_ setting: LoadSetting) -> Duration {
    let cycles: Duration =
      if case .interval(let limit) = setting.policy { max(limit + limit / 2, .milliseconds(30)) } else {
        .milliseconds(40)
      }
    return cycles + .seconds(2 * workload.secondsToFill(setting))
  }

  /// - Returns: nil where the power went before anything had been acknowledged.
  func cut(_ setting: LoadSetting, seed: UInt64) throws(TuningError) -> PowerCut? {
    if isCancelled() { throw .interrupted }
    let (workload, life) = (workload, longestLife(setting))
    return try disk.machine(seed: seed).run("a power cut with \(setting.name)") { storage in
      try await Self.cut(setting, workload, life, seed, on: storage)
    }
  }

  private static func cut(
    _ setting: LoadSetting, _ workload: Workload, _ life: Duration, _ seed: UInt64, on storage: any Storage
  ) async throws -> PowerCut? {
    let loop = storage.loop
    let power = PowerLossStorage(storage)
    let meter = ExposureMeter(power, keepsAll: true)
    let configuration = LoadMeasurement.configuration(setting)
    let (engine, _) = try await PartitionEngine.open(meter, configuration)
    try await engine.createTopic(Producers.topic, partitions: workload.partitions)
    let producers = Producers(engine, loop, workload, setting, .rate(workload.rate), keepsAnswers: true)
    var random = SeededGenerator(seed: seed, stream: "power cuts")
    let moment = loop.now + .nanoseconds(Int64.random(in: life.nanoseconds / 8...life.nanoseconds, using: &random))
    let cut = CutMoment(partitions: workload.partitions)
    loop.spawn {
      await loop.sleep(until: moment)
      // All in one turn: nothing passes between them.
      power.freeze()
      producers.stop()
      cut.note(meter, at: loop.now)
      cut.happened.open()
    }
    loop.spawn { await cut.watchDelays(of: loop) }
    await producers.run(warmUp: .zero, length: life * 2)
    if !power.isCut, let failure = producers.failure { throw failure }
    await cut.happened.wait()
    await cut.isWatched.wait()
    do { try await engine.close() } catch {}  // of a machine that is off
    _ = try await power.cutPower(seed: seed, profile: .dropUnsynced)
    guard cut.acknowledgements.contains(where: { !$0.isEmpty }) else { return nil }
    let lost: [Int]
    do {
      lost = try await ReadBack(producers.answers ?? []).lowestLost(
        of: cut.acknowledgements, on: power.restarted(), configuration)
    } catch let error as EngineError {
      let failure = TuningError(error)
      if case .disk(_, ENOSPC) = failure { throw failure }
      throw TuningError.corrupted("after a power cut under \(setting.policy) the engine fails: \(error)")
    }
    return PowerCut(setting, cut, lost)
  }
}

/// What there was when the power went.
final class CutMoment: @unchecked Sendable {
  // Owned by the loop.

  let happened = AsyncEvent()
  /// The watch over delays has ended.
  let isWatched = AsyncEvent()
  /// By which the loop has come to a timer too late: the machine's doing, and not the engine's.
  private(set) var delay = Duration.zero
  private(set) var time = Instant(nanoseconds: 0)
  private(set) var exposure = ExposureMeter.Exposure()
  private(set) var slowestSync = Duration.zero
  /// Of each partition.
  private(set) var acknowledgements: [[ExposureMeter.Acknowledgement]]

  init(partitions: Int) { acknowledgements = Array(repeating: [], count: partitions) }

  /// Every millisecond until the power goes.
  func watchDelays(of loop: EventLoop) async {
    while !happened.isOpen {
      let due = loop.now + .milliseconds(1)
      await loop.sleep(until: due)
      delay = max(delay, loop.now - due)
    }
    isWatched.open()
  }

  /// The longest loss that a promise, the syncs of this life and the delays of the machine explain. A message that is
  /// acknowledged just after a sync was submitted waits for that sync and for the next one.
  func longestExplained(_ promise: Duration) -> Duration {
    max(promise + slowestSync, promise / 4 + slowestSync * 2) + delay * 2
  }

  func note(_ meter: ExposureMeter, at now: Instant) {
    (time, exposure, slowestSync) = (now, meter.exposure(at: now), meter.slowestSync(at: now))
    for partition in acknowledgements.indices {
      acknowledgements[partition] = meter.acknowledgements(
        of: TopicPartition(Producers.topic, PartitionID(partition)))
    }
  }
}

/// One power cut, recovered from.
struct PowerCut: Sendable {
  /// Acknowledged messages that were gone.
  var messages: Int
  /// From the acknowledgement of the oldest of them to the cut.
  var time: Duration
  var exposed: ExposureMeter.Exposure
  /// By which the loss was longer than promise, syncs and delays explain; see `CutMoment.longestExplained`.
  var beyond: Duration

  /// In nanoseconds, by which the loss lies outside of what the meter allows: it is longer than what was exposed, or
  /// shorter than it would be if every sync in flight had reached the medium.
  var gap: Int64 {
    max(0, (time - exposed.time).nanoseconds, (exposed.leastTime - time).nanoseconds)
  }

  /// - Parameter lost: of each partition, messages lost at its end.
  fileprivate init(_ setting: LoadSetting, _ cut: CutMoment, _ lost: [Int]) {
    messages = lost.reduce(0, +)
    var oldest: Instant?
    for (acknowledgements, count) in zip(cut.acknowledgements, lost) where count > 0 {
      guard let end = acknowledgements.last?.end else { continue }
      let lowest = Offset(end.rawValue - Int64(count))
      if let first = acknowledgements.first(where: { $0.end > lowest }) {
        oldest = min(oldest ?? first.time, first.time)
      }
    }
    time = oldest.map { cut.time - $0 } ?? .zero
    exposed = cut.exposure
    beyond = setting.promisedLoss.map { [time] in max(.zero, time - cut.longestExplained($0)) } ?? .zero
  }
}
