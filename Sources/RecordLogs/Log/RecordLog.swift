import LogModel
import Storage

/// One append-only log of single records in a format of a real system, in one file or, rotated, in several.
///
/// Producers encode straight into the commit that is being filled; a commit loop writes one commit at a time and
/// answers its producers. What was not answered may be there after a crash; what was answered is, as far as the sync
/// policy promises.
///
/// 1. A commit is written whole behind the last one and, under `always`, synced; then it is acknowledged.
/// 2. A write that fails may have left some of its bytes. The next commit cuts them off first, and syncs the cut:
///    nothing acknowledged ever stands behind garbage (A2, C16).
/// 3. A sync that fails poisons the log: its pages may count as clean, and no later sync makes them durable. Nothing is
///    appended any more until the log has been closed and opened again; recovery then writes the tail anew.
/// 4. A file that a log goes on to is on the medium, with its directory entry, before a record is put into it.
public final class RecordLog<Codec: RecordCodec>: @unchecked Sendable {
  // Owned by `storage.loop`: every call is made there. Transitions are synchronous, only completions are awaited.

  public let name: String
  public let policy: RecordLogPolicy
  let storage: any Storage
  let loop: EventLoop
  let files: RecordFiles
  /// Held for the writer's lock.
  let lock: FileID

  /// The file that takes the appends.
  var file: FileID
  public internal(set) var fileNumber: Int
  var fileBegun: Instant
  /// Where the next commit goes: everything before it has been acknowledged.
  public internal(set) var end: Int64
  /// Everything before it, in the present file, is on the medium.
  public internal(set) var durableEnd: Int64
  /// Bytes behind `end` may be those of a write that failed.
  var isTorn = false
  var poison: StorageError?
  var isOpen = true

  var filling: RecordCommit
  var spare: RecordCommit?
  var fillingSince: Instant?
  var roomWaiters: [UnsafeContinuation<Void, Never>] = []
  let committer: WakeableTimer
  var committerWaits = false
  /// It waits for more records than there are.
  var isLingering = false
  let committerEnded = AsyncEvent()

  /// Nil where records carry nothing that only a commit decides.
  package weak var numbering: (any CommitNumbering)?

  var unsyncedSince: Instant?
  let syncer: WakeableTimer
  let syncerEnded = AsyncEvent()
  let syncIdle = AsyncEvent(isOpen: true)

  init(_ storage: any Storage, _ policy: RecordLogPolicy, _ found: RecordRecovery<Codec>.Found) {
    self.storage = storage
    self.policy = policy
    loop = storage.loop
    files = found.files
    name = found.files.name
    lock = found.lock
    file = found.file
    fileNumber = found.number
    fileBegun = storage.loop.now
    end = found.end
    durableEnd = found.end
    filling = RecordCommit(storage)
    committer = WakeableTimer(storage.loop)
    syncer = WakeableTimer(storage.loop)
  }

  /// Recovers the log and opens it for appending; makes it where there is none.
  ///
  /// `directory` exists, and its entry is durable. What recovery found is on the medium when this returns.
  /// - Parameter visit: sees each record in the order of the log, as it is found; the pointers are valid for the call.
  /// - Throws: `inUse`, `notALog`, or what the device says. The log is then as it was, or partly recovered: opening it
  ///   again ends as this would have ended.
  public static func open(
    _ name: String, in directory: String, of storage: any Storage, _ policy: RecordLogPolicy,
    visiting visit: (RecordPosition, Codec.Record) -> Void = { _, _ in }
  ) async throws(RecordLogError) -> (log: RecordLog, report: RecordRecoveryReport) {
    try await open(name, in: directory, of: storage, policy) { finding in
      if case .record(let position, let record) = finding { visit(position, record) }
    }
  }

  /// As the other one, for whoever has to know where between the records something is missing.
  /// - Parameter keepsFirstFile: false where old files may have been removed.
  package static func open(
    _ name: String, in directory: String, of storage: any Storage, _ policy: RecordLogPolicy,
    keepsFirstFile: Bool = false,
    finding found: (RecordFinding<Codec>) -> Void
  ) async throws(RecordLogError) -> (log: RecordLog, report: RecordRecoveryReport) {
    // Patience upon patience would be a hundred times a hundred attempts.
    let storage = storage as? RetryingStorage ?? RetryingStorage(storage)
    var recovery = RecordRecovery<Codec>(
      storage, policy, RecordFiles(directory: directory, name: name), keepsFirstFile: keepsFirstFile)
    let found = try await recovery.run(found)
    let log = RecordLog(storage, policy, found)
    log.loop.spawn { await log.runCommitLoop() }
    log.loop.spawn { await log.runSyncLoop() }
    return (log, recovery.report)
  }

  /// The most bytes that one record may have here.
  public var largestRecord: Int { min(policy.largestRecord, Codec.lengths.upperBound) }

  /// Appends a record of `length` bytes, which `write` writes (see `RecordCodec.write`), and returns once it is
  /// acknowledged under the sync policy. Records are in the log in the order in which `write` was called.
  ///
  /// - Returns: where the record stands.
  /// - Throws: `RecordLogError`. Unless `isCertainFailure`, the record may be there after a restart.
  public func append(
    length: Int, _ write: (UnsafeMutableRawPointer) -> Void
  ) async throws(RecordLogError) -> RecordPosition {
    try await appendNumbered(length: length, write).position
  }

  /// As `append`; the bytes may be several records, which stand together, in one file.
  package func appendNumbered(
    length: Int, _ write: (UnsafeMutableRawPointer) -> Void
  ) async throws(RecordLogError) -> AppendedRecord {
    loop.assertOwned()
    guard length <= largestRecord else { throw .recordTooLarge(bytes: length, limit: largestRecord) }
    if !roomWaiters.isEmpty || !filling.hasRoom(for: length, limit: policy.commitBytes) {
      repeat {
        await withUnsafeContinuation {
          roomWaiters.append($0)
          wakeCommitter()
        }
      } while isOpen && !filling.hasRoom(for: length, limit: policy.commitBytes)
    }
    guard isOpen else { throw .closed }
    if let poison { throw .poisoned(by: poison) }
    let commit = filling
    let (start, target) = commit.reserve(length, storage, limit: policy.commitBytes)
    write(target)
    if fillingSince == nil { fillingSince = loop.now }
    let appended = await withUnsafeContinuation { waiter in
      commit.add(start, waiter)
      wakeCommitter()
    }
    guard let appended else { throw commit.failure ?? .closed }
    return appended
  }

  /// Why a sync failed, the last word on its file; nil where none has.
  public var syncFailure: StorageError? { poison }

  /// Commits what is pending, syncs it (under `never` too) and closes. Nobody may append any more.
  /// - Throws: the failure of a sync: some of what was acknowledged may not survive a power cut.
  public func close() async throws(RecordLogError) {
    guard await end() else { return }
    await release()
    if let poison { throw .poisoned(by: poison) }
  }

  /// Commits and syncs what is pending; the file and the lock are kept.
  /// - Returns: whether it is this call that has ended the log.
  func end() async -> Bool {
    guard isOpen else { return false }
    isOpen = false
    wakeRoomWaiters()
    committer.ring()
    await committerEnded.wait()
    syncer.ring()
    await syncerEnded.wait()
    if durableEnd < end { await syncTail() }
    return true
  }

  func release() async {
    await storage.close(file)
    await storage.close(lock)
  }

  func wakeRoomWaiters() {
    let waiting = roomWaiters
    roomWaiters.removeAll(keepingCapacity: true)
    for waiter in waiting { waiter.resume() }
  }
}
