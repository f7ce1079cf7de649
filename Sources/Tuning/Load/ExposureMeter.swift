import LogModel
import Storage

/// Follows, at the storage interface, what is acknowledged and not yet durable. It asks the engine nothing: it hears
/// acknowledgements as the trace does, and sees writes and syncs.
///
/// An acknowledgement is durable with the first sync of the partition's files that was submitted after it and has
/// completed, or at once where a durable write came before it.
final class ExposureMeter: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  /// What would be lost if the power went now.
  struct Exposure: Hashable, Sendable {
    var messages = 0
    /// Since the oldest acknowledgement that is not durable.
    var time = Duration.zero
    /// The same if every sync in flight had reached the medium: a power cut may leave that too.
    var leastTime = Duration.zero
  }

  private final class Log {
    struct Pending {
      var time: Instant
      var end: Offset
    }

    var pending: [Pending] = []
    /// Of `pending`; those before it are durable.
    var first = 0
    var acknowledged: Offset = 0
    var durable: Offset = 0
    /// Acknowledgements that the syncs in flight cover, by their number.
    var inFlight = 0
    /// A durable write has completed since the last acknowledgement.
    var wroteDurably = false

    var oldest: Instant? { first < pending.count ? pending[first].time : nil }

    func settle(before end: Int) {
      guard end > first else { return }
      durable = max(durable, pending[end - 1].end)
      first = end
      if first > 4096, first * 2 > pending.count {
        pending.removeFirst(first)
        first = 0
      }
    }

    /// Of all acknowledgements since the beginning, how many have been heard; survives `settle`.
    var heard = 0
    /// The index in `pending` of the acknowledgement of that number.
    func index(of number: Int) -> Int { pending.count - (heard - number) }
  }

  private var logs: [String: Log] = [:]
  private var files: [FileID: Log] = [:]
  /// The longest that an acknowledgement has waited to be durable.
  private(set) var longest = Duration.zero

  /// What would be lost now.
  var exposure: Exposure {
    var exposure = Exposure()
    for log in logs.values {
      guard let oldest = log.oldest else { continue }
      exposure.messages += log.acknowledged - log.durable
      exposure.time = max(exposure.time, loop.now - oldest)
      let next = max(log.first, log.index(of: log.inFlight))
      if next < log.pending.count { exposure.leastTime = max(exposure.leastTime, loop.now - log.pending[next].time) }
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
    try await super.sync(file, scope)
    guard let log else { return }
    let end = log.index(of: covered)
    if end > log.first, let oldest = log.oldest { longest = max(longest, loop.now - oldest) }
    log.settle(before: end)
  }

  override func note(_ note: TraceNote) {
    // The engine's own metadata is a log too, and not one of these.
    if case .acknowledged(let partition, let end) = note, let log = logs["topics/\(partition)"] {
      log.acknowledged = max(log.acknowledged, end)
      if log.wroteDurably {
        log.wroteDurably = false
        if log.oldest == nil { log.durable = log.acknowledged }
      }
      if log.durable < log.acknowledged {
        log.pending.append(Log.Pending(time: loop.now, end: log.acknowledged))
        log.heard += 1
      }
    }
    super.note(note)
  }
}
