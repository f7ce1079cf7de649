import LogModel
import Metrics
import Storage

/// How events are sent. Airunner runbook: back-off from 1 s to 60 s, doubling.
public struct SenderPolicy: Hashable, Sendable {
  public var firstBackOff: Duration
  public var longestBackOff: Duration
  public var backOffFactor: Int
  /// The most that is waited at the word of a receiver.
  public var longestRetryAfter: Duration
  /// How long an answer is waited for.
  public var timeout: Duration
  /// The most events of a batch, and the most bytes of their payloads (but one event at least).
  public var batchEvents: Int
  public var batchBytes: Int

  public init(
    firstBackOff: Duration = .seconds(1), longestBackOff: Duration = .seconds(60), backOffFactor: Int = 2,
    longestRetryAfter: Duration = .seconds(3600), timeout: Duration = .seconds(10), batchEvents: Int = 100,
    batchBytes: Int = 256 << 10
  ) {
    precondition(firstBackOff > .zero && longestBackOff >= firstBackOff && backOffFactor >= 1 && batchEvents >= 1)
    self.firstBackOff = firstBackOff
    self.longestBackOff = longestBackOff
    self.backOffFactor = backOffFactor
    self.longestRetryAfter = longestRetryAfter
    self.timeout = timeout
    self.batchEvents = batchEvents
    self.batchBytes = batchBytes
  }
}

/// Waits between attempts: *n* doubles from `firstBackOff` to `longestBackOff`, and the wait is somewhere between n/2
/// and n, but never below `firstBackOff`, so that senders which failed together do not come back together.
struct BackOff {
  private let policy: SenderPolicy
  private var random: SeededGenerator
  private var step: Duration?

  init(_ policy: SenderPolicy, seed: UInt64) {
    self.policy = policy
    random = SeededGenerator(seed: seed, stream: "back-off")
  }

  mutating func next() -> Duration {
    let whole = step.map { min($0 * policy.backOffFactor, policy.longestBackOff) } ?? policy.firstBackOff
    step = whole
    let least = max(whole / 2, policy.firstBackOff)
    return .nanoseconds(Int64.random(in: least.nanoseconds...whole.nanoseconds, using: &random))
  }

  mutating func reset() { step = nil }
}

/// Sends the events of one job in their order, each until the receiver has acknowledged it.
///
/// One batch is under way at a time, and the next is made when the receiver has acknowledged the last one. So whatever
/// arrives late, or twice, has been received before: the receiver that knows events by (job, sequence) has each once,
/// in order.
public final class Sender: @unchecked Sendable {
  // Owned by the log's loop.

  private let log: JobLog
  private let transport: any Transport
  private let policy: SenderPolicy
  private let loop: EventLoop
  private let alarm: WakeableTimer
  private let ended = AsyncEvent()
  private var backOff: BackOff
  private var deadline: Instant?
  private var hasStarted = false
  /// The event that comes next, read and not yet sent.
  private var ahead: Event?
  /// The first failure to read the log, or to record in it what was sent. What was sent and not recorded is sent again
  /// after a restart, and known to the receiver.
  public private(set) var failure: JobLogError?

  /// - Parameter seed: of the jitter.
  public init(_ log: JobLog, over transport: any Transport, _ policy: SenderPolicy = SenderPolicy(), seed: UInt64) {
    self.log = log
    self.transport = transport
    self.policy = policy
    loop = log.loop
    alarm = WakeableTimer(log.loop)
    backOff = BackOff(policy, seed: seed)
  }

  /// Begins to send; what earlier processes have left in the log comes first.
  public func start() {
    precondition(!hasStarted, "a sender starts once")
    hasStarted = true
    loop.spawn { await self.run() }
  }

  /// Sends what is pending, for `limit` at most, and ends. A wait between two attempts is cut short for it, but not one
  /// that the receiver has asked for. Holds nothing that sending needs (A7).
  /// - Returns: how many events are not sent. They are in the log.
  @discardableResult
  public func stop(within limit: Duration) async -> Int {
    guard hasStarted else { return log.pendingCount }
    deadline = deadline ?? log.parts.flushing.deadline(stoppedAt: loop.now, within: limit)
    alarm.ring()
    await ended.wait()
    return log.pendingCount
  }

  private var isOver: Bool { deadline.map { loop.now >= $0 } ?? false }

  private func run() async {
    do throws(RecordLogError) {
      let reader = try await RecordReader.open(log.log)
      do throws(RecordLogError) {
        while !isOver {
          if let batch = try await nextBatch(reader) {
            await send(batch)
          } else if deadline != nil {
            break
          } else {
            log.sender = alarm
            await alarm.wait()
            log.sender = nil
          }
        }
        await reader.close()
      } catch {
        await reader.close()
        throw error
      }
    } catch { failure = failure ?? .log(error) }
    ended.open()
  }

  /// Nil where nothing is to be sent.
  private func nextBatch(_ reader: RecordReader<AirunnerCodec>) async throws(RecordLogError) -> EventBatch? {
    var batch = EventBatch(job: log.job, events: [])
    var bytes = 0
    while batch.events.count < policy.batchEvents {
      if ahead == nil { ahead = try await nextEvent(reader, behind: batch.events) }
      guard let event = ahead, batch.events.isEmpty || bytes + event.payload.count <= policy.batchBytes else { break }
      bytes += event.payload.count
      batch.events.append(event)
      ahead = nil
    }
    return batch.events.isEmpty ? nil : batch
  }

  /// The next record that is an event and still to be sent; of two with one number only the first is.
  private func nextEvent(
    _ reader: RecordReader<AirunnerCodec>, behind batch: [Event]
  ) async throws(RecordLogError) -> Event? {
    while let record = try await reader.next() {
      guard record.status == .pending, log.unsettled.contains(record.sequence),
        !batch.contains(where: { $0.sequence == record.sequence })
      else { continue }
      return Event(sequence: record.sequence, timestamp: record.timestamp, payload: Array(record.payload))
    }
    return nil
  }

  /// Ends when each event of the batch is settled, or the time is over.
  private func send(_ batch: EventBatch) async {
    var rest = batch.events
    // After a refusal one by one, to find the event that is refused.
    var most = rest.count
    while !rest.isEmpty, !isOver {
      let part = EventBatch(job: batch.job, events: Array(rest.prefix(most)))
      switch log.parts.acceptance.meaning(of: await attempt(part)) {
      case .accepted:
        backOff.reset()
        await settle(part, .sent)
        rest.removeFirst(part.events.count)
      case .refused:
        if part.events.count > 1 {
          most = 1
          continue
        }
        backOff.reset()
        log.metrics.failures.add()
        await settle(part, .failed)
        rest.removeFirst()
      case .notConnected, .unavailable:
        log.metrics.retries.add()
        await pause(backOff.next(), asked: .zero)
      case .tooManyRequests(let retryAfter):
        log.metrics.retries.add()
        await pause(backOff.next(), asked: min(retryAfter ?? .zero, policy.longestRetryAfter))
      }
    }
  }

  private func settle(_ batch: EventBatch, _ status: AirunnerCodec.Status) async {
    do throws(JobLogError) { try await log.settle(batch.events.map(\.sequence), as: status) } catch {
      failure = failure ?? error
    }
  }

  /// Waits for `duration`, which `stop` cuts short, and in any case as long as the receiver has asked for; never beyond
  /// the deadline.
  private func pause(_ duration: Duration, asked: Duration) async {
    let (due, notBefore) = (loop.now + max(duration, asked), loop.now + asked)
    let wasStopping = deadline != nil
    while !isOver {
      let isCut = deadline != nil && !wasStopping
      let end = min(isCut ? notBefore : due, deadline ?? due)
      if loop.now >= end { return }
      await alarm.wait(until: end)
    }
  }

  /// One delivery, or the end of its time.
  private func attempt(_ batch: EventBatch) async -> Delivery {
    let answer = Answer()
    let due = loop.now + policy.timeout
    loop.spawn { [transport, alarm] in
      let delivery = await transport.deliver(batch)
      // What comes later comes too late.
      if answer.isAwaited {
        answer.value = delivery
        alarm.ring()
      }
    }
    while answer.value == nil, loop.now < min(due, deadline ?? due) {
      await alarm.wait(until: min(due, deadline ?? due))
    }
    answer.isAwaited = false
    return answer.value ?? .unavailable("no answer within \(DurationText.render(policy.timeout))")
  }

  /// Touched on the loop.
  private final class Answer: @unchecked Sendable {
    var value: Delivery?
    var isAwaited = true
  }
}
