import LogModel
import Storage

/// What opening a replay buffer found.
public struct ReplayBufferReport: Hashable, Sendable {
  public var recovery = RecordRecoveryReport()
  /// Transactions that wait for their replay.
  public var unfinished = 0
  public var committed = 0
  public var rolledBack = 0
}

/// Buffers of measurements, one transaction each, that survive a crash until they have been replayed (replay-buffer
/// plan).
///
/// Each operation is answered when its entry is on the medium: entries are synced together, every 100 ms or 1 MB, and
/// the answer waits for that (R1). What a crash leaves unfinished is replayed by the next process, once: the replay is
/// committed in the log (R2), as is a rollback (R4).
///
/// The order of a start: `open`, `recover`, then `start` and the others; `maintain` now and then.
public final class ReplayBuffer: @unchecked Sendable {
  // Owned by the storage's loop.

  private let log: RecordLog<ReplayCodec>
  private let retention: Duration
  private let clock: WallClock
  private let parts: ReplayParts
  private var nextNumber: UInt64
  /// What an earlier process has left.
  private var inherited: [ReplayTransaction]
  private var live: [UInt64: Live] = [:]
  /// A transaction of this process.
  private struct Live {
    var user: [UInt8]
    var stage = ReplayTransaction.Stage.filling
    var measurements: UInt64 = 0
    var firstFile: Int
  }

  private init(
    _ log: RecordLog<ReplayCodec>, _ table: ReplayTable, retention: Duration, clock: WallClock, parts: ReplayParts
  ) {
    self.log = log
    self.retention = retention
    self.clock = clock
    self.parts = parts
    nextNumber = table.last + 1
    inherited = table.unfinished.filter { parts.selection.isReplayed($0) }
  }

  /// Opens the log `replay` in `directory`, which exists and whose entry is durable; compressed files are read as they
  /// are.
  /// - Parameters:
  ///   - policy: one that skips what is damaged.
  ///   - retention: the replay-buffer plan keeps completed files for 7 days.
  /// - Throws: `log`, `cuttingPolicy`.
  public static func open(
    in directory: String, of storage: any Storage, policy: RecordLogPolicy = .replayBuffer,
    retention: Duration = .seconds(7 * 86_400), clock: WallClock = .system, parts: ReplayParts = ReplayParts()
  ) async throws(ReplayBufferError) -> (buffer: ReplayBuffer, report: ReplayBufferReport) {
    guard policy.recoveryPolicy == .skipCorrupted else { throw .cuttingPolicy }
    do throws(RecordLogError) {
      var table = ReplayTable()
      let (log, recovery) = try await RecordLog<ReplayCodec>.open("replay", in: directory, of: storage, policy) {
        table.take($1, in: $0.file)
      }
      let report = ReplayBufferReport(
        recovery: recovery, unfinished: table.open.count, committed: table.committed, rolledBack: table.rolledBack)
      return (ReplayBuffer(log, table, retention: retention, clock: clock, parts: parts), report)
    } catch { throw .log(error) }
  }

  // MARK: Recovery

  /// Hands each transaction that an earlier process has left to `replay`, in their order: a CHECKPOINT before, and
  /// after it a COMMIT, or, where `replay` returns false, a ROLLBACK. A crash in between makes the next process do it
  /// again, so `replay` should know transactions by their number.
  /// - Returns: how many were committed and rolled back.
  /// - Throws: `log`; the rest waits for another call.
  @discardableResult
  public func recover(
    _ replay: (ReplayTransaction) async -> Bool
  ) async throws(ReplayBufferError) -> (committed: Int, rolledBack: Int) {
    var (committed, rolledBack) = (0, 0)
    while let transaction = inherited.first {
      let user = transaction.userBytes
      try await write(.checkpoint, of: transaction.number, user)
      let isReplayed = await replay(transaction)
      try await writeEnd(
        isReplayed ? .commit : .rollback, of: transaction.number, user, replayedFrom: transaction.stage)
      if isReplayed { committed += 1 } else { rolledBack += 1 }
      inherited.removeFirst()
    }
    return (committed, rolledBack)
  }

  // MARK: Transactions

  /// Begins a buffer of a user.
  /// - Returns: the transaction's number.
  /// - Throws: `recoveryPending`, `badUser`, `log`.
  public func start(user: String) async throws(ReplayBufferError) -> UInt64 {
    guard inherited.isEmpty else { throw .recoveryPending }
    let name = Array(user.utf8)
    guard 1...Int(UInt16.max) ~= name.count else { throw .badUser(bytes: name.count) }
    let number = nextNumber
    nextNumber += 1
    // Noted before it is written: a file is kept from the moment on when a transaction may begin in it.
    live[number] = Live(user: name, firstFile: log.fileNumber)
    do throws(ReplayBufferError) { try await write(.startBuffer, of: number, name) } catch {
      live[number] = nil
      throw error
    }
    return number
  }

  /// Adds a measurement.
  /// - Throws: `unknownTransaction`, `outOfOrder`, `log`.
  public func add(_ measurement: [UInt8], to number: UInt64) async throws(ReplayBufferError) {
    let user = try await checked(number, .addMeasurement, in: [.filling]).user
    live[number]?.measurements += 1
    do throws(ReplayBufferError) { try await write(.addMeasurement, of: number, user, measurement) } catch {
      live[number]?.measurements -= 1
      throw error
    }
  }

  /// Ends the filling of a buffer; the entry counts its measurements.
  /// - Throws: `unknownTransaction`, `outOfOrder`, `log`.
  public func end(_ number: UInt64) async throws(ReplayBufferError) {
    let transaction = try await checked(number, .endBuffer, in: [.filling])
    let count = withUnsafeBytes(of: transaction.measurements.littleEndian) { Array($0) }
    try await advance(number, .endBuffer, from: .filling, to: .ended, count)
  }

  /// Says that the replay begins.
  /// - Throws: `unknownTransaction`, `outOfOrder`, `log`.
  public func checkpoint(_ number: UInt64) async throws(ReplayBufferError) {
    _ = try await checked(number, .checkpoint, in: [.ended])
    try await advance(number, .checkpoint, from: .ended, to: .replaying)
  }

  /// Says that the buffer has been replayed.
  /// - Throws: `unknownTransaction`, `outOfOrder`, `log`: whether it is committed is then open until the next opening.
  public func commit(_ number: UInt64) async throws(ReplayBufferError) {
    try await finish(number, .commit, in: [.replaying])
  }

  /// Drops the buffer, at any stage.
  /// - Throws: `unknownTransaction`, `log`: whether it is dropped is then open until the next opening.
  public func rollback(_ number: UInt64) async throws(ReplayBufferError) {
    try await finish(number, .rollback, in: [.filling, .ended, .replaying])
  }

  private func checked(
    _ number: UInt64, _ operation: ReplayCodec.Operation, in stages: [ReplayTransaction.Stage]
  ) async throws(ReplayBufferError) -> Live {
    guard let transaction = live[number] else { throw .unknownTransaction(number) }
    guard stages.contains(transaction.stage) else { throw .outOfOrder(number, operation, after: transaction.stage) }
    return transaction
  }

  private func advance(
    _ number: UInt64, _ operation: ReplayCodec.Operation, from: ReplayTransaction.Stage, to: ReplayTransaction.Stage,
    _ payload: [UInt8] = []
  ) async throws(ReplayBufferError) {
    live[number]?.stage = to
    do throws(ReplayBufferError) { try await write(operation, of: number, live[number]?.user ?? [], payload) } catch {
      live[number]?.stage = from
      throw error
    }
  }

  private func finish(
    _ number: UInt64, _ operation: ReplayCodec.Operation, in stages: [ReplayTransaction.Stage]
  ) async throws(ReplayBufferError) {
    let transaction = try await checked(number, operation, in: stages)
    try await writeEnd(operation, of: number, transaction.user, replayedFrom: nil)
    live[number] = nil
  }

  private func writeEnd(
    _ operation: ReplayCodec.Operation, of number: UInt64, _ user: [UInt8], replayedFrom stage: ReplayTransaction.Stage?
  ) async throws(ReplayBufferError) {
    guard parts.ends.isWritten(operation, replayedFrom: stage) else { return }
    try await write(operation, of: number, user)
  }

  private func write(
    _ operation: ReplayCodec.Operation, of number: UInt64, _ user: [UInt8], _ payload: [UInt8] = []
  ) async throws(ReplayBufferError) {
    let timestamp = clock.milliseconds
    do throws(RecordLogError) {
      _ = try await log.append(length: ReplayCodec.lengths.lowerBound + user.count + payload.count) { target in
        user.withUnsafeBytes { user in
          payload.withUnsafeBytes { payload in
            let entry = ReplayCodec.Record(
              transaction: number, timestamp: timestamp, user: user, operation: operation, payload: payload)
            ReplayCodec.write(entry, to: target)
          }
        }
      }
    } catch { throw .log(error) }
  }

  /// Closes the log. Transactions that are not finished wait for the next process.
  /// - Throws: `log`.
  public func close() async throws(ReplayBufferError) {
    do throws(RecordLogError) { try await log.close() } catch { throw .log(error) }
  }

  // MARK: Completed files

  /// What `maintain` came to: numbers of files.
  public struct Maintenance: Hashable, Sendable {
    public var compressed: [Int] = []
    public var removed: [Int] = []
    /// Left as they are for a transaction that is not finished.
    public var kept: [Int] = []
  }

  /// Compresses the files that the log has gone on from, and removes those whose compression is older than the
  /// retention: only once what an earlier process has left has been replayed (R3), and none in which or before which an
  /// unfinished transaction begins. One bit can cost a compressed file all of its entries: those are entries that
  /// nobody waits for.
  ///
  /// The oldest go first, one after the other: where a commit is gone, so is what it committed. Before that the log is
  /// marked, by a ROLLBACK without a user, with the highest number in use, so that it is not used again, and with the
  /// first file that stays: a removal whose sync fails may be undone by the next power loss, and what comes back is
  /// finished.
  /// - Throws: `recoveryPending`, `log`.
  public func maintain() async throws(ReplayBufferError) -> Maintenance {
    guard inherited.isEmpty || !parts.cleanUp.waitsForRecovery else { throw .recoveryPending }
    var maintenance = Maintenance()
    let now = clock.milliseconds / 1000
    var expired: [Int] = []
    do throws(StorageError) {
      let (storage, files) = (log.storage, log.files)
      var isOldest = true
      for entry in try await files.present(in: storage) where entry.number < log.fileNumber {
        if live.values.contains(where: { $0.firstFile <= entry.number }) {
          maintenance.kept.append(entry.number)
          isOldest = false
          continue
        }
        var isCompressed = entry.isCompressed
        if !isCompressed {
          isCompressed = try await compress(entry.number, UInt32(clamping: now))
          if isCompressed { maintenance.compressed.append(entry.number) }
        }
        guard isOldest, isCompressed, let time = try await storage.compressedTime(files.compressedPath(entry.number)),
          Int64(time) + retention.nanoseconds / 1_000_000_000 <= now
        else {
          isOldest = false
          continue
        }
        expired.append(entry.number)
      }
    } catch { throw .log(.storage(error)) }
    if expired.isEmpty { return maintenance }
    let first = UInt64((expired.last ?? 0) + 1)
    try await write(.rollback, of: nextNumber - 1, [], withUnsafeBytes(of: first.littleEndian) { Array($0) })
    do throws(StorageError) {
      for number in expired {
        try await log.storage.here().unlink(log.files.compressedPath(number))
        try await log.storage.here().syncDirectory(log.files.directory)
        maintenance.removed.append(number)
      }
    } catch { throw .log(.storage(error)) }
    return maintenance
  }

  /// The compressed file is on the medium, and compared, before the other one goes.
  private func compress(_ number: Int, _ time: UInt32) async throws(StorageError) -> Bool {
    let (storage, files) = (log.storage, log.files)
    let (path, target) = (files.path(number), files.compressedPath(number))
    let file = try await storage.here().open(path, [])
    let summary: GzipSummary
    do throws(StorageError) {
      let source = FileSource(storage, file, limit: try await storage.here().size(of: file))
      summary = try await storage.writeCompressed(source, to: target + ".tmp", time: time).summary
      await storage.close(file)
      // What cannot be read stays as it is: somebody may still read it.
      guard source.unreadableBytes == 0 else { return false }
    } catch {
      await storage.close(file)
      throw error
    }
    guard try await storage.readCompressed(target + ".tmp") == summary else { return false }
    try await storage.here().rename(target + ".tmp", to: target)
    try await storage.here().syncDirectory(files.directory)
    try await storage.here().unlink(path)
    try await storage.here().syncDirectory(files.directory)
    return true
  }
}
