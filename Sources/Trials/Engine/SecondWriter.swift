import LogModel
import PartitionEngine
import ScenarioFormat
import Storage
import Verification

/// What became of a trial's second writer, as it is written down before the first life's crash.
struct WriterReceipt: Codable, Hashable {
  var setup: WriterSetup
  /// When it began to open: what the first writer is refused from then on, it may be refused.
  var triedAt: Instant
  /// When it was open; nil where it never was.
  var openedAt: Instant?
  /// Why it never was.
  var refusal: String?
  /// Operations of the first writer that its link to the storage has failed or kept; see `WriterLink`.
  var hindered = 0
  /// Attempts of a second writer to take a lease that were refused because it is held; of `holderLives`.
  var attemptsRefused = 0
}

extension WriterReceipt {
  private struct Share {
    var sent = 0
    var acknowledged = 0

    mutating func count(_ operation: Verification.Operation) {
      sent += operation.count
      if operation.outcome == .acknowledged { acknowledged += operation.count }
    }
  }

  /// What the first writer sent before and after the second was open, and what the second sent.
  private func shares(_ spec: TrialSpec, _ history: History) -> (before: Share, after: Share, second: Share) {
    var shares = (before: Share(), after: Share(), second: Share())
    let settled = openedAt ?? triedAt
    for operation in history.operations where operation.incarnation == 0 {
      if operation.producer >= spec.producers {
        shares.second.count(operation)
      } else if operation.submittedAt < settled {
        shares.before.count(operation)
      } else {
        shares.after.count(operation)
      }
    }
    return shares
  }

  /// For the report.
  func summary(_ spec: TrialSpec, _ history: History) -> Receipt {
    let (before, after, second) = shares(spec, history)
    let first = "the first writer had sent \(before.sent) messages, \(before.acknowledged) of them acknowledged"
    var places: [String]
    if let refusal {
      places = ["\(first), when the second tried to open and was refused: \(refusal)"]
    } else {
      places = [
        "\(first), when the second opened",
        "the second sent \(second.sent), \(second.acknowledged) acknowledged",
      ]
    }
    places.append("the first then sent another \(after.sent), \(after.acknowledged) acknowledged")
    if attemptsRefused > 0 {
      places.append("the second writer tried \(attemptsRefused) times, and was refused each time")
    }
    if hindered > 0 {
      places.append("\(hindered) operations of the first writer met its link to the storage cut, or failed there")
    }
    return Receipt(kind: setup.rawValue, fired: 1, places: places)
  }

  /// Why there is no verdict: there were no two writers.
  func doubts(_ spec: TrialSpec, _ history: History) -> [String] {
    let (before, after, second) = shares(spec, history)
    if let refusal {
      return setup.getsPastExclusion ? ["\(setup.rawValue): the second writer did not get in: \(refusal)"] : []
    }
    var doubts: [String] = []
    if WriterLink.isFor(setup), hindered == 0 {
      doubts.append(
        "\(setup.rawValue): no operation of the first writer met its link to the storage cut, or failed there")
    }
    if second.sent == 0 { doubts.append("\(setup.rawValue): the second writer opened and sent nothing") }
    if before.acknowledged == 0, SecondWriter.hold(spec) > 0 {
      doubts.append("\(setup.rawValue): nothing of the first writer was acknowledged before the second was open")
    }
    if after.sent == 0 { doubts.append("\(setup.rawValue): the first writer sent nothing once the second was open") }
    return doubts
  }

  /// The requests that a takeover excuses.
  func takeover(_ spec: TrialSpec) -> Takeover? {
    openedAt.map { _ in Takeover(replaced: 0..<spec.producers, from: triedAt) }
  }
}

/// Brings a second writer to the files of a life while the first is at work, and sees to it that both really write.
///
/// The first writer's requests go on until `hold`; there they wait until the second has been refused or has its first
/// answer. The second begins when `start` requests of the first are answered, which the seed chooses from 1 to all that
/// come before `hold`; where there are none, the two writers begin together. At least one request of each partition
/// comes after `hold`.
final class SecondWriter: @unchecked Sendable {
  // Owned by the loop of the trial's storage.

  /// How long a lease runs that nobody renews.
  static let lease = Duration.milliseconds(50)
  static let skew = Duration.seconds(3600)
  /// For how long a second writer tries to take the lease of one that is well.
  static let siege = lease * 7 / 2

  private let spec: TrialSpec
  private let loop: EventLoop
  private let hold: Int
  private let start: Int
  private var answered = 0
  private let begin = AsyncEvent()
  private let settled = AsyncEvent()
  private let running = AsyncEvent(isOpen: true)
  /// Where the first writer's clock stands still.
  private var stoppedAt: Instant?
  /// Between the first writer and the storage; nil until it opens, and where nothing is done to it.
  private(set) var link: WriterLink?

  init(_ spec: TrialSpec, _ loop: EventLoop) {
    self.spec = spec
    self.loop = loop
    let workload = Workload(spec)
    hold = Self.hold(spec)
    var random = SeededGenerator(seed: spec.seed, stream: "second-writer")
    // A link that is cut, or fails, must have something to pass it: a request, or else the renewals of the lease. And
    // something must have been acknowledged by then, however slow the machine: where there is one request only, it
    // comes before the cut.
    let all = (0..<hold).count { workload.request($0) != nil }
    let most = WriterLink.isFor(spec.writers) ? max(min(1, all), all - 1) : all
    start = Int.random(in: min(1, most)...most, using: &random)
    if start == 0 { begin.open() }
  }

  /// The request from which on the first writer waits for the second: 0 where the partitions have one request each.
  static func hold(_ spec: TrialSpec) -> Int {
    let workload = Workload(spec)
    let last = (0..<workload.requests).filter { workload.request($0) != nil }.suffix(spec.partitions)
    return min(last.first ?? 0, workload.requests * 3 / 4)
  }

  /// What the first writer reaches the storage through.
  func storageOfFirst(_ storage: any Storage) -> any Storage {
    guard WriterLink.isFor(spec.writers) else { return storage }
    let link = WriterLink(storage)
    self.link = link
    return link
  }

  /// For the first writer: a sound engine's lock becomes a lease where the trial is about one.
  func partsOfFirst(_ parts: EngineParts) -> EngineParts {
    guard spec.writers.takesLease, parts.exclusion is DirectoryExclusion else { return parts }
    var parts = parts
    parts.exclusion = LeaseExclusion(duration: Self.lease, clock: WallClock { [self] in stoppedAt ?? loop.now })
    return parts
  }

  /// For the second writer.
  func partsOfSecond(_ parts: EngineParts) -> EngineParts {
    guard spec.writers.takesLease, parts.exclusion is DirectoryExclusion else { return parts }
    var parts = parts
    let ahead = spec.writers == .clockSkew ? Self.skew : .zero
    parts.exclusion = LeaseExclusion(duration: Self.lease, clock: .following(loop, ahead: ahead))
    return parts
  }

  /// Awaited by the first writer before each of its requests.
  func turn(_ request: Int) async {
    await running.wait()
    if request >= hold { await settled.wait() }
  }

  /// A request of the first writer has been answered.
  func firstAnswered() {
    answered += 1
    if answered >= start { begin.open() }
  }

  /// Waits for the moment at which the second writer begins, and makes way for it.
  func approach(_ storage: any Storage) async throws(StorageError) {
    await begin.wait()
    switch spec.writers {
    case .one, .secondEngine, .secondProcess, .clockSkew, .holderLives: break
    case .lockRemoved:
      do throws(StorageError) { try await storage.unlink("lock") } catch {
        if !error.isNotFound { throw error }  // a defect that locks nothing has no file for it
      }
    case .leaseExpired:
      running.shut()
      stoppedAt = loop.now
      await loop.sleep(until: loop.now + Self.lease + .milliseconds(1))
    case .renewalFailed, .networkCut, .holderKilled:
      link?.hinder(spec.writers == .renewalFailed ? .failingRenewals : .cut)
      await loop.sleep(until: loop.now + Self.lease + .milliseconds(1))
    }
  }

  /// The second writer has opened, or was refused: a first writer that was made to stand still goes on.
  func goOn() {
    stoppedAt = nil
    running.open()
  }

  /// The second writer has its first answer, or will never have one.
  func settle() {
    settled.open()
    // What has waited arrives where the second has written.
    link?.hinder(spec.writers == .holderKilled ? .dead : .open)
  }
}
