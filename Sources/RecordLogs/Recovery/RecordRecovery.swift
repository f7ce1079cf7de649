import Glibc
import LogModel
import Storage

/// What recovery does with the bytes of a log, file by file, in memory that does not grow with it.
///
/// What can stand behind the last record of a file, or between two:
///
/// | found | in | what is done |
/// |---|---|---|
/// | zeros to the end | the last file | cut: space that was filled ahead |
/// | no record to the end, not more bytes than can be unsynced | the last file | a torn tail: cut |
/// | no record to the end, more bytes than that | the last file | damage: reported, set aside, cut |
/// | no record to the end | an earlier file | damage: it had been synced before the next one was begun |
/// | no record, then a record | any | damage |
/// | a missing file between two | | damage |
/// | a compressed file whose checksum does not hold | | damage: none of its records is taken |
/// | a wrong head, then a record | any | damage; the head of the last file is written anew |
/// | a wrong head, or none | an earlier file | damage |
/// | a head of right bytes and zeros, then nothing or zeros | the last file | a file that was being made: made anew |
/// | a wrong head, and no record | the last file | `notALog` |
/// | what would be cut holds bytes that the device cannot read (`EIO`) | any | the error: nothing is cut, and the log stays closed |
///
/// The last row is for errors that pass: what cannot be read now may hold acknowledged records, and be read tomorrow.
/// Where it never can, somebody has to decide that; copying the file to a healthy device, with zeros for what is lost,
/// is that decision.
///
/// Under `skipCorrupted` damage is reported and passed over. Under `truncateAtCorruption` the log ends before the first
/// damage: what follows is set aside in files of its own, synced, before it is cut off.
///
/// None of these formats carries what was durable when a record was written. So
/// - the last records of a log, damaged or cut off by somebody after they had been acknowledged, look like a torn tail,
///   as long as they are not more than can be unsynced;
/// - of a commit of several records that a power cut has torn, a later record may be whole. The one before it is then
///   reported as damage although it had never been acknowledged. And under `interval` and `never`, what is left of the
///   unsynced records need not be a prefix of them unless the policy is `truncateAtCorruption`.
///
/// At the end the last file holds records and nothing else, and is on the medium with its entry. Its last bytes, as
/// many as may be unsynced, are written again first: a sync of them may have failed in this boot and left them readable
/// and clean, and such pages no sync makes durable (Rebello et al., ATC 2020).
struct RecordRecovery<Codec: RecordCodec> {
  struct Found {
    var files: RecordFiles
    var lock: FileID
    var file: FileID
    var number: Int
    var end: Int64
  }

  private let storage: any Storage
  private let policy: RecordLogPolicy
  private let files: RecordFiles
  /// Whether a log whose files do not begin with the first one lacks it. Where old files are removed it does not.
  private let keepsFirstFile: Bool
  private(set) var report = RecordRecoveryReport()

  init(_ storage: any Storage, _ policy: RecordLogPolicy, _ files: RecordFiles, keepsFirstFile: Bool = false) {
    self.keepsFirstFile = keepsFirstFile
    self.storage = storage
    self.policy = policy
    self.files = files
  }

  mutating func run(_ visit: (RecordFinding<Codec>) -> Void) async throws(RecordLogError) -> Found {
    let lock = try await takeLock()
    do throws(RecordLogError) {
      return try await recover(lock, visit)
    } catch {
      await storage.close(lock)
      throw error
    }
  }

  private func takeLock() async throws(RecordLogError) -> FileID {
    while true {
      let lock: FileID
      do throws(StorageError) {
        lock = try await storage.here().open(files.lockPath, [.write, .create])
      } catch { throw .storage(error) }
      do throws(StorageError) {
        try await storage.here().lock(lock)
        // Whoever archives a log removes its lock last: then another one is to be made.
        if try await storage.here().linkCount(of: lock) > 0 { return lock }
        await storage.close(lock)
      } catch {
        await storage.close(lock)
        throw error.isErrno(EAGAIN) || error.isErrno(EACCES) ? .inUse(path: files.path(0)) : .storage(error)
      }
    }
  }

  // MARK: File by file

  private var truncates: Bool { policy.recoveryPolicy == .truncateAtCorruption }
  private var headSize: Int64 { Int64(Codec.fileHeader.count) }

  private mutating func recover(
    _ lock: FileID, _ visit: (RecordFinding<Codec>) -> Void
  ) async throws(RecordLogError) -> Found {
    var entries: [RecordFiles.Entry]
    do throws(StorageError) { entries = try await files.present(in: storage) } catch { throw .storage(error) }
    var last = RecordOutcome(size: 0)
    var index = 0
    while index < entries.count {
      if let gone = missingFile(before: index, entries) {
        report.note(gone.path, gone.range, gone.fault)
        if truncates { try await setAside(&entries, from: index) } else { visit(.damage(gone)) }
        if index == entries.count { break }
      }
      last = try await scan(entries[index], isLast: index == entries.count - 1, visit)
      // What a device cannot read now it may read later: nothing is cut off for that.
      let isCut = last.cutAt != nil || index == entries.count - 1 && (!last.tail.isEmpty || last.records == 0)
      if last.isUnreadable, isCut { throw .storage(StorageError(errno: EIO, .read, files.path(entries[index].number))) }
      if last.cutAt != nil { try await setAside(&entries, from: index + 1) }
      index += 1
    }
    report.files = entries.count
    let repair = RecordRepair<Codec>(storage: storage, policy: policy, files: files)
    guard let entry = entries.last, !entry.isCompressed else {
      return try await begin(repair, (entries.last?.number ?? -1) + 1, lock)
    }
    if last.records > 0 {
      do throws(StorageError) {
        let (file, tail) = try await repair.finish(entry.number, last)
        note(tail, entry.number, last)
        return Found(files: files, lock: lock, file: file, number: entry.number, end: last.end)
      } catch { throw .storage(error) }
    }
    if last.head == .wrong || last.head == .torn && !last.tailIsBlank { throw .notALog(path: files.path(entry.number)) }
    do throws(StorageError) { note(try await repair.removeUnlessDamaged(entry.number, last), entry.number, last) } catch
    {
      throw .storage(error)
    }
    return try await begin(repair, entry.number, lock)
  }

  private func missingFile(before index: Int, _ entries: [RecordFiles.Entry]) -> DamagedBytes? {
    let expected = index > 0 ? entries[index - 1].number + 1 : keepsFirstFile ? 0 : entries[0].number
    guard entries[index].number > expected else { return nil }
    return DamagedBytes(path: files.path(expected), range: 0..<0, fault: .missingFile)
  }

  private func begin(_ repair: RecordRepair<Codec>, _ number: Int, _ lock: FileID) async throws(RecordLogError) -> Found
  {
    do throws(StorageError) {
      let file = try await storage.createRecordFile(files.path(number), in: files.directory, header: Codec.fileHeader)
      return Found(files: files, lock: lock, file: file, number: number, end: Int64(Codec.fileHeader.count))
    } catch { throw .storage(error) }
  }

  /// Takes what became of the end of the last file into the report.
  private mutating func note(_ tail: RecordRepair<Codec>.Tail, _ number: Int, _ last: RecordOutcome) {
    if !last.tail.isEmpty {
      report.cutTail = DamagedBytes(
        path: files.path(number), range: last.tail, fault: last.tailFault ?? .fieldsDisagree)
    }
    switch tail {
    case .none: break
    case .torn:
      guard let fault = last.tailFault, !last.tailIsBlank else { return }
      report.tornTail = DamagedBytes(path: files.path(number), range: last.tail, fault: fault)
    case .damage(let path):
      // One that stopped recovery has been reported.
      if last.cutAt == nil { report.note(files.path(number), last.tail, last.tailFault ?? .fieldsDisagree) }
      report.setAside.append(path)
    }
  }

  /// Takes files out of the log, the newest first, so that the rest is a log at every moment.
  private mutating func setAside(_ entries: inout [RecordFiles.Entry], from first: Int) async throws(RecordLogError) {
    while entries.count > first {
      let entry = entries.removeLast()
      let path = entry.isCompressed ? files.compressedPath(entry.number) : files.path(entry.number)
      do throws(StorageError) {
        report.setAside.append(try await storage.setFileAside(path, in: files.directory))
      } catch { throw .storage(error) }
    }
  }

  // MARK: Scanning

  private mutating func scan(
    _ entry: RecordFiles.Entry, isLast: Bool, _ visit: (RecordFinding<Codec>) -> Void
  ) async throws(RecordLogError) -> RecordOutcome {
    let path = entry.isCompressed ? files.compressedPath(entry.number) : files.path(entry.number)
    do throws(StorageError) {
      if entry.isCompressed, try await storage.readCompressed(path) == nil {
        report.note(path, 0..<0, .damagedCompression)
        visit(.damage(DamagedBytes(path: path, range: 0..<0, fault: .damagedCompression)))
        return RecordOutcome(size: 0)
      }
      let file = try await storage.here().open(path, [])
      do throws(StorageError) {
        let outcome = try await scan(file, entry, path, isLast: isLast, visit)
        await storage.close(file)
        return outcome
      } catch {
        await storage.close(file)
        throw error
      }
    } catch { throw .storage(error) }
  }

  private mutating func scan(
    _ file: FileID, _ entry: RecordFiles.Entry, _ path: String, isLast: Bool,
    _ visit: (RecordFinding<Codec>) -> Void
  ) async throws(StorageError) -> RecordOutcome {
    let size = try await storage.here().size(of: file)
    let plain = FileSource(storage, file, limit: size)
    let source: any RecordSource = entry.isCompressed ? GzipSource(storage, plain) : plain
    var scanner = RecordScanner<Codec>(storage, source)
    var outcome = RecordOutcome(size: size)
    try await readHead(&scanner, &outcome)
    reading: while true {
      switch try await scanner.next() {
      case .record(let at, let length):
        outcome.records += 1
        outcome.end = at + Int64(length)
        visit(.record(RecordPosition(file: entry.number, offset: at), Codec.record(in: scanner.bytes(at: at, length))))
      case .damage(let range, let fault):
        report.note(path, range, fault)
        if !truncates || entry.isCompressed { visit(.damage(DamagedBytes(path: path, range: range, fault: fault))) }
        // A compressed file cannot be cut; whoever compresses files skips what is damaged in them.
        guard truncates, !entry.isCompressed else { continue }
        (outcome.cutAt, outcome.tail, outcome.tailFault, outcome.tailIsBlank) = (
          range.lowerBound, range.lowerBound..<size, fault, false
        )
        break reading
      case .end(let tail, let fault, let isBlank):
        (outcome.tail, outcome.tailFault, outcome.tailIsBlank) = (tail, fault, isBlank && source.unreadableBytes == 0)
        break reading
      }
    }
    outcome.isUnreadable =
      entry.isCompressed
      ? source.unreadableBytes > 0 : plain.unreadableEnd > (outcome.records > 0 ? outcome.end : 0)
    report.records += outcome.records
    report.bytesScanned += scanner.position
    report.unreadableBytes += source.unreadableBytes
    if outcome.head != .right, outcome.records > 0 || !isLast { report.note(path, 0..<headSize, .wrongFileHeader) }
    if !isLast, outcome.cutAt == nil, let fault = outcome.tailFault {
      report.note(path, outcome.tail, fault)
      if truncates, !entry.isCompressed {
        outcome.cutAt = outcome.tail.lowerBound
      } else {
        visit(.damage(DamagedBytes(path: path, range: outcome.tail, fault: fault)))
      }
    }
    return outcome
  }

  private func readHead(_ scanner: inout RecordScanner<Codec>, _ outcome: inout RecordOutcome)
    async throws(StorageError)
  {
    let right = Codec.fileHeader
    outcome.end = headSize
    guard !right.isEmpty else { return }
    let found = try await scanner.head(right.count)
    if found != right { outcome.head = zip(found, right).allSatisfy { $0 == 0 || $0 == $1 } ? .torn : .wrong }
    scanner.skip(to: Int64(found.count))
  }
}

/// What recovery finds on its way through a log, in the order of the log.
package enum RecordFinding<Codec: RecordCodec> {
  /// The pointers are valid for the call.
  case record(RecordPosition, Codec.Record)
  /// Bytes that are no record, behind which the log goes on.
  case damage(DamagedBytes)
}

/// What the bytes of one file came to.
struct RecordOutcome {
  enum Head {
    case right
    /// Right bytes and zeros, or too few.
    case torn
    case wrong
  }

  var size: Int64
  var records = 0
  /// Behind the last record; behind the head where there is none.
  var end: Int64 = 0
  /// What follows it.
  var tail: Range<Int64> = 0..<0
  var tailFault: RecordFault?
  var tailIsBlank = true
  var head = Head.right
  /// Some of what stands behind the last record could not be read; of a file without records, or a compressed one, any.
  var isUnreadable = false
  /// The first damage, where recovery stops at it.
  var cutAt: Int64?

  init(size: Int64) { self.size = size }
}
