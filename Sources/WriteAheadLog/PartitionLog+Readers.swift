import LogModel
import Storage

/// The files that fetches read from.
///
/// A segment's file is opened by the first fetch that needs it and stays open for the next one; of the files that nobody
/// is reading from, only the `idleReaders` read last stay open, however many segments there are. A segment that leaves
/// the log while it is being read stays open for those who read it.
extension PartitionLog {
  static var idleReaders: Int { 6 }

  /// Opens the segment for reading, or joins those who read from it. `release` ends it.
  func acquire(_ segment: Segment) async throws(StorageError) -> FileID {
    segment.readers += 1
    reads += 1
    segment.lastRead = reads
    if let reader = segment.reader { return reader }
    let opened: FileID
    do throws(StorageError) {
      opened = try await storage.open(segment.path, [])
    } catch {
      await release(segment)
      throw error
    }
    guard let other = segment.reader else {
      segment.reader = opened
      openReaders += 1
      return opened
    }
    // Somebody else has opened it in the meantime.
    await storage.close(opened)
    return other
  }

  func release(_ segment: Segment) async {
    segment.readers -= 1
    guard segment.readers == 0 else { return }
    if segment.isRetired { return await closeReader(of: segment) }
    guard openReaders > Self.idleReaders else { return }
    let idle = segments.filter { $0.reader != nil && $0.readers == 0 }
    if let oldest = idle.min(by: { $0.lastRead < $1.lastRead }) { await closeReader(of: oldest) }
  }

  /// The segment leaves the log.
  func retire(_ segment: Segment) async {
    segment.isRetired = true
    if segment.readers == 0 { await closeReader(of: segment) }
  }

  private func closeReader(of segment: Segment) async {
    guard let reader = segment.reader else { return }
    segment.reader = nil
    openReaders -= 1
    await storage.close(reader)
  }
}
