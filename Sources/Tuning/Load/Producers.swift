import Histogram
import LogModel
import PartitionEngine
import Storage
import WriteAheadLog

/// Producers of a load, each a task of its own. At a rate they are an open loop: every message has a moment at which it
/// is due, and its latency counts from there, whether its producer could send it then or not. So a stall counts for
/// every message that it delays (Tene, "How NOT to Measure Latency", 2015: coordinated omission).
final class Producers: @unchecked Sendable {
  // Owned by the engine's loop.

  static let topic = "tune"
  /// Bytes at the beginning of a message that name it; `messageSize` is at least that.
  static let nameSize = 16

  enum Pace {
    /// Each sends its next request as soon as the last is acknowledged.
    case flatOut
    /// Messages a second, all together.
    case rate(Double)
  }

  /// A request that was acknowledged.
  struct Answer {
    var base: Offset
    var count: Int
    var producer: Int
    /// The number of its first message, of its producer's.
    var first: Int
  }

  private let engine: PartitionEngine
  private let loop: EventLoop
  private let workload: Workload
  private let setting: LoadSetting
  private let pace: Pace
  private let payload: IOBuffer
  /// Where they are wanted: answered requests of each partition, in the order of their answers.
  private(set) var answers: [[Answer]]?

  private(set) var latencies = LatencyFigures.histogram()
  /// Messages acknowledged since `measuredFrom`.
  private(set) var count = 0
  /// Messages that were due before the end and have not been sent.
  private(set) var unsent = 0
  private(set) var failure: EngineError?
  private var isStopped = false
  private var start = Instant(nanoseconds: 0)
  private var measuredFrom = Instant(nanoseconds: 0)
  private var end = Instant(nanoseconds: 0)

  init(
    _ engine: PartitionEngine, _ loop: EventLoop, _ workload: Workload, _ setting: LoadSetting, _ pace: Pace,
    keepsAnswers: Bool = false
  ) {
    (self.engine, self.loop, self.workload, self.setting, self.pace) = (engine, loop, workload, setting, pace)
    payload = IOBuffer(capacity: max(workload.messageSize, Self.nameSize))
    payload.mutableBytes(0..<payload.capacity).initializeMemory(as: UInt8.self, repeating: 0x5A)
    answers = keepsAnswers ? Array(repeating: [], count: workload.partitions) : nil
  }

  /// Nobody sends anything from now on.
  func stop() { isStopped = true }

  /// Sends until `length` has passed, and waits for what is in flight then.
  /// - Parameter warmUp: latencies and counts leave out what is due in it.
  /// - Returns: the seconds in which `count` was reached: `length`, or longer where the last answers were late.
  @discardableResult
  func run(warmUp: Duration, length: Duration) async -> Double {
    start = loop.now
    measuredFrom = start + warmUp
    end = measuredFrom + length
    await withTaskGroup(of: Void.self) { group in
      for producer in 0..<setting.producers {
        group.addTask(executorPreference: loop) { await self.produce(producer) }
      }
    }
    return max(length, loop.now - measuredFrom).inSeconds
  }

  private func produce(_ producer: Int) async {
    var number = 0
    // Each is out of step with the others.
    let gap: Double =
      switch pace {
      case .flatOut: 0
      case .rate(let rate): 1e9 * Double(setting.producers) / rate
      }
    let phase = gap * Double(producer) / Double(setting.producers)
    func due(_ message: Int) -> Instant {
      Instant(nanoseconds: start.nanoseconds + Int64(phase + gap * Double(message)))
    }
    while !isStopped {
      // A batch goes when its last message is there.
      if gap > 0 {
        let complete = due(number + setting.batch - 1)
        if complete >= end { return }
        if complete > loop.now { await loop.sleep(until: complete) }
      }
      if isStopped || loop.now >= end { break }
      let begin = loop.now
      guard await send(producer, number) else { return }
      let now = loop.now
      for message in number..<number + setting.batch {
        let moment = gap > 0 ? due(message) : begin
        if moment < measuredFrom { continue }
        count += 1
        latencies.record(UInt64(clamping: (now - moment).nanoseconds))
      }
      number += setting.batch
    }
    guard gap > 0, !isStopped else { return }
    // What was due and could not be sent has waited so long at least.
    while due(number) < end {
      let moment = due(number)
      if moment >= measuredFrom {
        unsent += 1
        latencies.record(UInt64(clamping: (max(loop.now, end) - moment).nanoseconds))
      }
      number += 1
    }
  }

  /// - Returns: false where the engine refused it.
  private func send(_ producer: Int, _ number: Int) async -> Bool {
    let partition = PartitionID(producer % workload.partitions)
    let (batch, size) = (setting.batch, max(workload.messageSize, Self.nameSize))
    do throws(EngineError) {
      let receipt = try await engine.produce(
        to: Self.topic, partition, recordCount: batch, payloadBytes: batch * size
      ) { writer in
        for message in number..<number + batch {
          writer.append(valueSize: size) { bytes in
            bytes.copyMemory(from: payload[0..<size])
            bytes.storeBytes(of: Int64(producer), as: Int64.self)
            bytes.storeBytes(of: Int64(message), toByteOffset: 8, as: Int64.self)
          }
        }
      }
      answers?[partition.index].append(
        Answer(base: receipt.baseOffset, count: batch, producer: producer, first: number))
      return true
    } catch {
      failure = failure ?? error
      return false
    }
  }
}
