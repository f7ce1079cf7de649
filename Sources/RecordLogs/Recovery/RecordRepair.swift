import Glibc
import LogModel
import Storage

/// Leaves the last file of a log with records and nothing else, on the medium. Every step may be cut by a crash, and
/// taken again from the start.
struct RecordRepair<Codec: RecordCodec> {
  let storage: any Storage
  let policy: RecordLogPolicy
  let files: RecordFiles

  /// What stood behind the last record.
  enum Tail {
    case none
    case torn
    /// A copy of it is in this file now.
    case damage(setAside: String)
  }

  private static var pieceSize: Int { 256 << 10 }

  /// Cuts the file behind its last record, writes its last bytes again, and syncs it with its entry.
  /// - Returns: the file, open for appends.
  func finish(_ number: Int, _ outcome: RecordOutcome) async throws(StorageError) -> (FileID, Tail) {
    let path = files.path(number)
    let file = try await storage.here().open(path, .write)
    do throws(StorageError) {
      var tail = Tail.none
      if outcome.size > outcome.end {
        tail = .torn
        if try await !isTorn(file, outcome) {
          tail = .damage(
            setAside: try await storage.copyAside(path, file, outcome.end..<outcome.size, in: files.directory))
        }
        try await storage.here().truncate(file, to: outcome.end)
      }
      if outcome.head != .right { try await writeHead(file, path) }
      try await writeAgain(file, path, upTo: outcome.end)
      try await storage.here().sync(file, .all)
      try await storage.here().syncDirectory(files.directory)
      return (file, tail)
    } catch {
      await storage.close(file)
      throw error
    }
  }

  /// Of a file without a record: it goes, and is kept under another name where it is more than a torn commit.
  @inline(never)  // or its operations and `createRecordFile`'s look as if they came from one place, in a backtrace
  func removeUnlessDamaged(_ number: Int, _ outcome: RecordOutcome) async throws(StorageError) -> Tail {
    let path = files.path(number)
    let file = try await storage.here().open(path, [])
    let isTorn: Bool
    do throws(StorageError) {
      isTorn = try await self.isTorn(file, outcome)
      await storage.close(file)
    } catch {
      await storage.close(file)
      throw error
    }
    if isTorn {
      try await storage.here().unlink(path)
      return outcome.tail.isEmpty ? .none : .torn
    }
    return .damage(setAside: try await storage.setFileAside(path, in: files.directory))
  }

  /// Whether what stands behind the last record can be what a crash has left of a commit. Sectors of it may be there or
  /// not: so its first record begins as records do, or with zeros, or with a mixture where the beginning crosses a
  /// sector.
  private func isTorn(_ file: FileID, _ outcome: RecordOutcome) async throws(StorageError) -> Bool {
    if outcome.tailIsBlank { return true }
    if outcome.cutAt != nil { return false }
    if let limit = policy.unsyncedLimit, Int64(outcome.tail.count) > limit { return false }
    switch outcome.tailFault {
    case .wrongMagic, .unknownVersion, .lengthOutOfRange: break
    default: return true
    }
    let at = outcome.tail.lowerBound
    let sector = Int64(PersistenceProfile.sectorSize)
    if at / sector != (at + Int64(Codec.prefixSize) - 1) / sector { return true }
    let buffer = storage.makeBuffer(capacity: Codec.prefixSize)
    let count = try await storage.readPatiently(file, at: at, into: buffer, 0..<Codec.prefixSize)
    return buffer[0..<count].allSatisfy { $0 == 0 }
  }

  private func writeHead(_ file: FileID, _ path: String) async throws(StorageError) {
    let buffer = storage.makeBuffer(capacity: Codec.fileHeader.count)
    buffer.mutableBytes(0..<Codec.fileHeader.count).copyBytes(from: Codec.fileHeader)
    try await storage.here().writeWhole(file, path, at: 0, from: buffer, 0..<Codec.fileHeader.count)
  }

  /// Writes what may be unsynced again, byte for byte, so that the sync that follows covers it: all of it but sectors
  /// that cannot be read. A piece of which some cannot is halved, so that few reads meet the device's error.
  private func writeAgain(_ file: FileID, _ path: String, upTo end: Int64) async throws(StorageError) {
    let buffer = storage.makeBuffer(capacity: Self.pieceSize)
    var piece = Int64(Self.pieceSize)
    var at = max(0, end - (policy.unsyncedLimit ?? Int64(policy.commitBytes)))
    while at < end {
      let sector = Int64(PersistenceProfile.sectorSize)
      /// From the last boundary of a sector on: so a piece ends at one.
      let begun = at % sector
      let count = min(piece - begun, end - at)
      var got = 0
      do throws(StorageError) {
        got = try await storage.readPatiently(file, at: at, into: buffer, 0..<Int(count))
      } catch {
        guard error.isErrno(EIO) else { throw error }
        // What cannot be read is left as it is.
        if piece > sector { piece = max(sector, piece / 2) } else { at += count }
        continue
      }
      guard got > 0 else { return }
      try await storage.here().writeWhole(file, path, at: at, from: buffer, 0..<got)
      at += Int64(got)
      piece = min(piece * 2, Int64(Self.pieceSize))
    }
  }
}

extension Storage {
  /// Renames a file to a name that no log takes for its own. Durable when this returns.
  func setFileAside(_ path: String, in directory: String) async throws(StorageError) -> String {
    let target = try await freeName(path + ".cut", in: directory)
    try await here().rename(path, to: target)
    try await here().syncDirectory(directory)
    return target
  }

  /// Copies a part of a file to a file of its own, on the medium when this returns. What cannot be read is zero in it.
  func copyAside(
    _ path: String, _ file: FileID, _ range: Range<Int64>, in directory: String
  ) async throws(StorageError) -> String {
    let target = try await freeName("\(path).cut-\(range.lowerBound)", in: directory)
    let copy = try await here().open(target, [.write, .create])
    do throws(StorageError) {
      let source = FileSource(self, file, from: range.lowerBound, limit: range.upperBound)
      let buffer = makeBuffer(capacity: 256 << 10)
      var at: Int64 = 0
      while true {
        let got = try await source.read(into: buffer, 0..<buffer.capacity)
        if got == 0 { break }
        try await here().writeWhole(copy, target, at: at, from: buffer, 0..<got)
        at += Int64(got)
      }
      try await here().sync(copy, .all)
      await close(copy)
    } catch {
      await close(copy)
      throw error
    }
    try await here().syncDirectory(directory)
    return target
  }

  /// `path`, or `path` with the first number that nobody has yet: nothing that was set aside is overwritten.
  private func freeName(_ path: String, in directory: String) async throws(StorageError) -> String {
    let taken = Set(try await here().list(directory).map { directory.isEmpty ? $0.name : "\(directory)/\($0.name)" })
    if !taken.contains(path) { return path }
    var number = 2
    while taken.contains("\(path).\(number)") { number += 1 }
    return "\(path).\(number)"
  }
}
