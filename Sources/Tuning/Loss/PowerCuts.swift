import FaultInjection
import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// What power cuts took from a setting.
public struct LossFigures: Hashable, Sendable, Codable {
  public var cuts: Int
  /// Acknowledged messages that were gone after recovery.
  public var messages: Spread
  /// Nanoseconds from the acknowledgement of the oldest lost message to the cut.
  public var time: Spread
  /// What the trace said would be lost, at the same moments.
  public var exposedMessages: Spread
  public var exposedTime: Spread
  /// The most, in nanoseconds, by which a loss was longer than its exposure, or shorter than it would have been if
  /// every sync in flight had reached the medium. Zero: recovery and trace agree.
  public var widestGap: Int64

  private enum CodingKeys: String, CodingKey {
    case cuts, messages, exposedMessages
    case time = "nanoseconds"
    case exposedTime = "exposedNanoseconds"
    case widestGap = "widestGapNanoseconds"
  }
}

extension LossFigures {
  init(_ losses: [PowerCut]) {
    self.init(
      cuts: losses.count, messages: Spread(losses.map { Int64($0.messages) }),
      time: Spread(losses.map(\.time.nanoseconds)),
      exposedMessages: Spread(losses.map { Int64($0.exposed.messages) }),
      exposedTime: Spread(losses.map(\.exposed.time.nanoseconds)),
      widestGap: losses.map(\.gap).max() ?? 0)
  }
}

/// One power cut, recovered from.
struct PowerCut: Sendable {
  var messages: Int
  var time: Duration
  var exposed: ExposureMeter.Exposure

  /// In nanoseconds, by which the loss lies outside of what the trace allows.
  var gap: Int64 {
    max(0, (time - exposed.time).nanoseconds, (exposed.leastTime - time).nanoseconds)
  }
}

/// Takes the power at random moments under load, recovers, and reads back what is left. The layer of real files takes
/// back on the disk what was not made durable, and nothing else (`PersistenceProfile.dropUnsynced`): the most that a
/// power cut can take.
struct PowerCuts {
  var disk: TuningDisk
  var workload: Workload
  var isCancelled: @Sendable () -> Bool = { false }

  /// How long a load may run before its power goes: some cycles of the policy's syncs.
  static func longestLife(_ policy: SyncPolicy) -> Duration {
    if case .interval(let limit) = policy { return max(limit + limit / 2, .milliseconds(30)) }
    return .milliseconds(40)
  }

  /// - Returns: nil where the power went before anything had been acknowledged.
  func cut(_ setting: LoadSetting, seed: UInt64) throws -> PowerCut? {
    if isCancelled() { throw TuningError.interrupted }
    let machine = try disk.machine(seed: seed)
    let workload = workload
    return try machine.run("a power cut with \(setting.name)") { storage in
      try await Self.cut(setting, workload, seed, on: storage)
    }
  }

  private static func cut(
    _ setting: LoadSetting, _ workload: Workload, _ seed: UInt64, on storage: any Storage
  ) async throws -> PowerCut? {
    let loop = storage.loop
    let power = PowerLossStorage(storage)
    let meter = ExposureMeter(power)
    let configuration = LoadMeasurement.configuration(setting)
    let (engine, _) = try await PartitionEngine.open(meter, configuration)
    try await engine.createTopic(Producers.topic, partitions: workload.partitions)
    let producers = Producers(
      engine, loop, workload, setting, .rate(workload.rate), keepsAcknowledgements: true)
    var random = SeededGenerator(seed: seed, stream: "power cuts")
    let life = longestLife(setting.policy)
    let moment = loop.now + .nanoseconds(Int64.random(in: life.nanoseconds / 8...life.nanoseconds, using: &random))
    let moments = CutMoment()
    loop.spawn {
      await loop.sleep(until: moment)
      // All in one turn: nothing passes between them.
      power.freeze()
      producers.stop()
      moments.cut = loop.now
      moments.exposure = meter.exposure
    }
    await producers.run(warmUp: .zero, length: life * 2)
    let cutAt = moments.cut
    // After the cut every operation fails.
    if !power.isCut, let failure = producers.failure { throw TuningError.engine("\(failure)") }
    do { try await engine.close() } catch {}  // of a machine that is off
    _ = try await power.cutPower(seed: seed, profile: .dropUnsynced)
    let acknowledged = (producers.acknowledged ?? []).map { $0.filter { $0.time <= cutAt } }
    guard acknowledged.contains(where: { !$0.isEmpty }) else { return nil }
    let found = try await readBack(power.restarted(), configuration, acknowledged)
    return PowerCut(
      messages: found.lost, time: found.oldest.map { cutAt - $0 } ?? .zero, exposed: moments.exposure)
  }

  /// Set in the turn in which the power goes.
  private final class CutMoment: @unchecked Sendable {
    // Owned by the loop.
    var cut = Instant(nanoseconds: 0)
    var exposure = ExposureMeter.Exposure()
  }

  /// Recovers, and compares each acknowledged message with what is there.
  /// - Returns: how many are gone, and when the oldest of them was acknowledged.
  private static func readBack(
    _ storage: any Storage, _ configuration: EngineConfiguration, _ acknowledged: [[Producers.Acknowledgement]]
  ) async throws -> (lost: Int, oldest: Instant?) {
    let (engine, _) = try await PartitionEngine.open(storage, configuration)
    let response = FetchResponse(capacity: 1 << 20)
    var (lost, oldest): (Int, Instant?) = (0, nil)
    for (index, requests) in acknowledged.enumerated() {
      var there: [Int64: SentMessage] = [:]
      let marks = try engine.watermarks(Producers.topic, PartitionID(index))
      var next = marks.logStartOffset
      while next < marks.highWatermark {
        try await engine.fetch(Producers.topic, PartitionID(index), from: next, maxBytes: 1 << 20, into: response)
        response.forEachRecord { there[$0.offset.rawValue] = SentMessage($0.value) }
        guard response.nextOffset > next else { break }
        next = response.nextOffset
      }
      for request in requests {
        for place in 0..<request.count {
          let expected = SentMessage(producer: request.producer, number: request.first + place)
          let offset = request.base + place
          guard let found = there[offset.rawValue] else {
            lost += 1
            oldest = min(oldest ?? request.time, request.time)
            continue
          }
          if found != expected {
            throw TuningError.corrupted(
              "after a power cut under \(configuration.log.syncPolicy), offset \(offset) of partition \(index) holds "
                + "\(found), and \(expected) was acknowledged there")
          }
        }
      }
    }
    try await engine.close()
    return (lost, oldest)
  }
}

/// The name that a message carries.
private struct SentMessage: Equatable, CustomStringConvertible {
  var producer: Int
  var number: Int

  init(producer: Int, number: Int) { (self.producer, self.number) = (producer, number) }

  init(_ value: UnsafeRawBufferPointer) {
    guard value.count >= Producers.nameSize else { self.init(producer: -1, number: -1); return }
    self.init(
      producer: Int(value.loadUnaligned(as: Int64.self)),
      number: Int(value.loadUnaligned(fromByteOffset: 8, as: Int64.self)))
  }

  var description: String { "message \(number) of producer \(producer)" }
}
