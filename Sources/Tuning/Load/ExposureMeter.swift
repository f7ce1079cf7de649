import LogModel
import Storage

/// Follows, at the storage interface, what is acknowledged and not yet durable. It asks the engine nothing: it hears
/// acknowledgements as the persistence trace does, and sees writes and syncs.
///
/// An acknowledgement is durable with the first sync of the partition's files that was submitted after it and has
/// completed, or at once where a durable write came before it.
final class ExposureMeter: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  /// What would be lost if the power went at one moment.
  struct Exposure: Hashable, Sendable {
    var messages = 0
    /// Since the oldest acknowledgement that is not durable.
    var time = Duration.zero
    /// The same if every sync in flight had reached the medium: a power cut may leave that too.
    var leastTime = Duration.zero
  }

  /// The engine has told that everything before `end` is accepted.
  struct Acknowledgement: Hashable, Sendable {
    var time: Instant
    var end: Offset
  }

  private final class Log {
    /// Those that are not durable yet, from `first` on.
    var pending: [Acknowledgement] = []
    var first = 0
    /// All of them, where they are kept.
    var all: [Acknowledgement] = []
    var acknowledged: Offset = 0
    var durable: Offset = 0
    /// A durable write has completed since the last acknowledgement.
    var wroteDurably = false
    /// How many have ever been pending.
    var heard = 0
    /// Of those, how many the syncs in flight cover.
    var inFlight = 0

    var oldest: Instant? { first < pending.count ? pending[first].time : nil }

    /// Where in `pending` the acknowledgement of that number stands.
    func index(of number: Int) -> Int { pending.count - (heard - number) }

    /// - Returns: messages that are durable now.
    func settle(before end: Int) -> Int {
      guard end > first else { return 0 }
      let before = durable
      durable = max(durable, pending[end - 1].end)
      first = end
      if first > 4096, first * 2 > pending.count {
        pending.removeFirst(first)
        first = 0
      }
      return durable - before
    }
  }

  private var logs: [String: Log] = [:]
  private var files: [FileID: Log] = [:]
  private let keepsAll: Bool
  /// Messages of all logs that are acknowledged and not durable.
  private var exposed = 0
  private var isMeasuring = false
  /// Since measuring began: the longest that an acknowledgement has waited to be durable, and the most messages that
  /// waited at one time.
  private(set) var longest = Duration.zero
  private(set) var most = 0
  /// Of the syncs that have ended the slowest, and when those in flight began, by their number.
  private var slowest = Duration.zero
  private var begun: [Int: Instant] = [:]
  private var syncs = 0

  /// - Parameter keepsAll: for `acknowledgements`.
  init(_ base: any Storage, keepsAll: Bool = false) {
    self.keepsAll = keepsAll
    super.init(base)
  }

  func beginMeasuring() {
    isMeasuring = true
    (longest, most) = (.zero, exposed)
  }

  /// The slowest sync until `now`, one in flight included.
  func slowestSync(at now: Instant) -> Duration { begun.values.reduce(slowest) { max($0, now - $1) } }

  /// Every acknowledgement of a partition, in order.
  func acknowledgements(of partition: TopicPartition) -> [Acknowledgement] { logs["topics/\(partition)"]?.all ?? [] }

  /// What would be lost at `now`.
  func exposure(at now: Instant) -> Exposure {
    var exposure = Exposure(messages: exposed)
    for log in logs.values {
      guard let oldest = log.oldest else { continue }
      exposure.time = max(exposure.time, now - oldest)
      let next = max(log.first, log.index(of: log.inFlight))
      if next < log.pending.count { exposure.leastTime = max(exposure.leastTime, now - log.pending[next].time) }
    }
    return exposure
  }

  private func log(of folder: String) -> Log {
    if let log = logs[folder] { return log }
    let log = Log()
    logs[folder] = log
    return log
  }

  override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    let file = try await super.open(path, mode)
    if mode.contains(.write), path.hasPrefix("topics/"), let slash = path.lastIndex(of: "/") {
      files[file] = log(of: String(path[..<slash]))
    }
    return file
  }

  override func close(_ file: FileID) async {
    files[file] = nil
    await super.close(file)
  }

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    let taken = try await super.write(file, at: offset, from: buffer, range, durability)
    // The head of a segment is no message.
    if durability == .durable, offset > 0 { files[file]?.wroteDurably = true }
    return taken
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    let log = files[file]
    let covered = log?.heard ?? 0
    log?.inFlight = covered
    syncs += 1
    let (number, begin) = (syncs, loop.now)
    begun[number] = begin
    defer {
      begun[number] = nil
      slowest = max(slowest, loop.now - begin)
    }
    try await super.sync(file, scope)
    guard let log else { return }
    let end = log.index(of: covered)
    if isMeasuring, end > log.first, let oldest = log.oldest { longest = max(longest, loop.now - oldest) }
    exposed -= log.settle(before: end)
  }

  override func note(_ note: TraceNote) {
    // The engine's own metadata is a log too, and not one of these.
    if case .acknowledged(let partition, let end) = note, let log = logs["topics/\(partition)"] {
      hear(end, of: log)
    }
    super.note(note)
  }

  private func hear(_ end: Offset, of log: Log) {
    guard end > log.acknowledged else { return }
    let acknowledgement = Acknowledgement(time: loop.now, end: end)
    if keepsAll { log.all.append(acknowledgement) }
    let isDurable = log.wroteDurably && log.oldest == nil
    log.wroteDurably = false
    if isDurable {
      log.durable = end
    } else {
      exposed += end - log.acknowledged
      most = max(most, exposed)
      log.pending.append(acknowledgement)
      log.heard += 1
    }
    log.acknowledged = end
  }
}
