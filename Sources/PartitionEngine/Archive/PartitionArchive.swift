import LogModel
import Metrics
import ObjectStore
import Storage
import WriteAheadLog

/// What of one partition is in the object store, and what waits to go there.
///
/// A checkpoint of a piece of the log, in this order, each step durable before the next:
///
/// 1. The piece is read from the log: whole batches, acknowledged, and as durable as the policy makes them.
/// 2. It is put into the store, under a name that says its offsets, and read back: what the store has is what was put.
/// 3. The metadata records that the log is archived up to the end of the piece. From here on nothing before it is
///    looked for in the log.
/// 4. Files of the log that hold nothing else are removed, the oldest first.
///
/// A crash after 2 leaves an object that nobody knows; the piece is put again, by a writer of a higher epoch, and
/// counts in the first one's place. A crash after 3 leaves files whose contents recovery passes over. Their offsets are
/// their own in the log and in the store: nothing is appended again.
///
/// Batches whose checksum is wrong are passed over, and the file that they stand in is set aside, not removed. At bytes
/// that the device cannot read the archive of that partition stands still, with the failure in the status: they may be
/// whole.
final class PartitionArchive: @unchecked Sendable {
  // Owned by the loop of the log.

  let log: PartitionLog
  let partitionCount: Int
  let services: CheckpointServices
  var source: TopicPartition { log.source }

  /// Nil as long as the store has not said what it holds.
  var chain: ObjectChain?
  /// As the metadata says: everything before it is in the store.
  var archivedEnd: Offset
  /// Where the piece ends that an attempt has failed to put: the next one has the same end, hence the same name.
  var pendingEnd: Offset?
  /// Beyond `archivedEnd` where a piece is given up; see `FailedUploadHandling`.
  var givenUpEnd: Offset = 0
  /// When the oldest message that is not archived was acknowledged, or earlier.
  private(set) var waitingSince: Instant?
  /// Nothing could be done before.
  var notBefore = Instant(nanoseconds: .min)
  /// Bytes of batches that are not archived, but for what has been acknowledged since `countedAt`.
  private var countedBytes: Int64 = 0
  private var countedAt: Int64 = 0
  /// What of `waitingBytes` is in the metrics.
  private var reportedBytes: Int64 = 0
  /// Shut while the chain is being asked for.
  private let listing = AsyncEvent(isOpen: true)

  init(
    _ log: PartitionLog, partitionCount: Int, archivedEnd: Offset, chain: ObjectChain?, _ services: CheckpointServices
  ) {
    self.log = log
    self.partitionCount = partitionCount
    self.archivedEnd = archivedEnd
    self.chain = chain
    self.services = services
    settle(startedAt: services.loop.now)
  }

  /// Where clients may begin to read.
  var logStartOffset: Offset { services.metadata.state.logStarts[source] ?? 0 }

  // MARK: What waits

  /// The first offset that is still to be archived.
  var cursor: Offset { max(archivedEnd, givenUpEnd, log.logStartOffset) }

  /// Bytes that wait for the store, roughly.
  var waitingBytes: Int64 { max(0, countedBytes + log.appendedBytes - countedAt) }

  /// Something has been acknowledged.
  func noteAppend() {
    if waitingSince == nil { waitingSince = services.loop.now }
    countWaiting()
    services.alarm.ring(at: due)
  }

  /// What is before the cursor waits no more; what is behind it has waited since `start`, or less.
  func settle(startedAt start: Instant) {
    let isWaiting = cursor < log.highWatermark
    waitingSince = isWaiting ? start : nil
    countedBytes = isWaiting ? log.bytes(from: cursor) : 0
    countedAt = log.appendedBytes
    countWaiting()
  }

  private func countWaiting() {
    guard let gauge = services.metrics?.waitingBytes else { return }
    let waiting = waitingBytes
    if waiting != reportedBytes { gauge.add(waiting - reportedBytes) }
    reportedBytes = waiting
  }

  /// When there is something to do; nil for nothing.
  var due: Instant? {
    var due = log.nextRemoval(archivedBefore: archivedEnd, keeping: services.policy.retention)
    if let rotation = log.rotationDue { due = min(due ?? rotation, rotation) }
    if let since = waitingSince, cursor < log.highWatermark {
      let limit = min(services.policy.bytes, services.policy.mostWaiting.map { $0 / 2 } ?? .max)
      let isLate = log.activeBase > cursor || waitingBytes >= limit
      let upload = isLate ? since : since + services.policy.interval
      due = min(due ?? upload, upload)
    }
    return due.map { max($0, notBefore) }
  }

  /// Waits until the store is no more than the policy's limit behind.
  /// - Throws: `EngineError.archiveBehind` where it stays behind.
  func admit(_ bytes: Int) async throws(EngineError) {
    guard let limit = services.policy.mostWaiting, waitingBytes + Int64(bytes) > limit, waitingBytes > 0 else {
      services.metrics?.allowed.add()
      return
    }
    let loop = services.loop
    let end = loop.now + services.policy.patience
    services.alarm.ring(at: due)
    while waitingBytes + Int64(bytes) > limit, waitingBytes > 0 {
      guard loop.now < end else {
        services.metrics?.limited.add()
        throw .archiveBehind(source, bytes: waitingBytes, limit: limit)
      }
      await loop.sleep(until: min(end, loop.now + .milliseconds(10)))
    }
    services.metrics?.delayed.add()
  }

  // MARK: Reading

  /// Asks the store what it holds, unless that is known.
  func loadChain() async throws(EngineError) -> ObjectChain {
    while !listing.isOpen { await listing.wait() }
    if let chain { return chain }
    listing.shut()
    defer { listing.open() }
    do throws(ObjectStoreError) {
      while true {
        let end = archivedEnd
        let found = ObjectChain(try await services.client.list(source), from: logStartOffset, to: end)
        // What was archived meanwhile is in the listing, or not.
        guard end == archivedEnd else { continue }
        chain = found
        return found
      }
    } catch {
      throw .store(error)
    }
  }

  /// Fetches from the store; as `PartitionLog.fetch`.
  func fetch(from offset: Offset, maxBytes: Int, into response: FetchResponse) async throws(EngineError) {
    guard offset >= logStartOffset else {
      throw .log(source, .offsetOutOfRange(offset, start: logStartOffset, end: log.highWatermark))
    }
    let chain = try await loadChain()
    guard let name = chain.link(containing: offset) else {
      throw damaged(offset, to: min(chain.nextBase(after: offset) ?? archivedEnd, archivedEnd), "objects of \(source)")
    }
    let object: SegmentObject
    do throws(ObjectStoreError) { object = try await services.reader.object(name) } catch {
      switch error {
      case .notFound, .damaged: throw damaged(offset, to: name.end, name.path)
      case .storage, .refused, .failed, .timedOut, .superseded: throw .store(error)
      }
    }
    let isServed = object.batches.withUnsafeBytes {
      response.take(archived: $0, from: offset, below: log.highWatermark, maxBytes: maxBytes)
    }
    if !isServed { throw damaged(offset, to: name.end, name.path) }
  }

  private func damaged(_ offset: Offset, to end: Offset, _ path: String) -> EngineError {
    .log(source, .damaged(DamagedRange(from: offset, to: max(end, offset + 1), path: path, byteFrom: 0, byteTo: 0)))
  }
}

/// What the archives of one engine share.
struct CheckpointServices: Sendable {
  var client: StoreClient
  var reader: ObjectReader
  var metadata: MetadataLog
  var claim: any WriterClaim
  var policy: CheckpointPolicy
  var parts: CheckpointParts
  var metrics: EngineMetrics?
  var alarm: CheckpointTimer
  var loop: EventLoop
}

/// Reads objects, one at a time, and keeps the one that was read last: consumers read on where they were.
final class ObjectReader: @unchecked Sendable {
  // Owned by the loop of its engine.

  private let client: StoreClient
  private var last: SegmentObject?
  private let idle = AsyncEvent(isOpen: true)

  init(_ client: StoreClient) { self.client = client }

  func object(_ name: ObjectName) async throws(ObjectStoreError) -> SegmentObject {
    if let last, last.name == name { return last }
    while !idle.isOpen { await idle.wait() }
    if let last, last.name == name { return last }
    idle.shut()
    defer { idle.open() }
    last = nil
    let object: SegmentObject
    do throws(ObjectStoreError) { object = try await read(name) } catch {
      // It may have been misread: once more.
      guard case .damaged = error else { throw error }
      object = try await read(name)
    }
    last = object
    return object
  }

  private func read(_ name: ObjectName) async throws(ObjectStoreError) -> SegmentObject {
    try SegmentObject(try await client.get(name), expecting: name)
  }
}
