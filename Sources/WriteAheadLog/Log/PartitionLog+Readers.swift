import LogModel
import Storage

/// Files that stay open for reading though nobody reads from them now: of all logs that share this, those that were
/// read last. However many partitions an engine has, reading takes a bounded number of descriptors beside those of the
/// fetches under way.
public final class IdleReaders: @unchecked Sendable {
  // Owned by the loop of the logs that share it.

  private let most: Int
  /// The one that was read longest ago comes first.
  private var segments: [Segment] = []

  /// - Parameter most: files that stay open.
  public init(most: Int) { self.most = most }

  func remove(_ segment: Segment) { segments.removeAll { $0 === segment } }

  /// - Returns: the segment whose file is to be closed for it; nil for none.
  func add(_ segment: Segment) -> Segment? {
    segments.append(segment)
    return segments.count > most ? segments.removeFirst() : nil
  }
}

/// The files that fetches read from.
///
/// A segment's file is opened by the first fetch that needs it and stays open for the next one, as `IdleReaders` says.
/// A segment that leaves the log while it is being read stays open for those who read it.
extension PartitionLog {
  /// Files of this log's that are open for reading.
  var openReaders: Int { segments.count { $0.reader != nil } }

  /// Opens the segment for reading, or joins those who read from it. `release` ends it.
  func acquire(_ segment: Segment) async throws(StorageError) -> FileID {
    if segment.readers == 0 { idleReaders.remove(segment) }
    segment.readers += 1
    if let reader = segment.reader { return reader }
    let opened: FileID
    do throws(StorageError) {
      opened = try await storage.here().open(segment.path, [])
    } catch {
      await release(segment)
      throw error
    }
    guard let other = segment.reader else {
      segment.reader = opened
      return opened
    }
    // Somebody else has opened it in the meantime.
    await storage.close(opened)
    return other
  }

  func release(_ segment: Segment) async {
    segment.readers -= 1
    guard segment.readers == 0, segment.reader != nil else { return }
    if segment.isRetired { return await closeReader(of: segment) }
    if let oldest = idleReaders.add(segment) { await closeReader(of: oldest) }
  }

  /// The segment leaves the log.
  func retire(_ segment: Segment) async {
    segment.isRetired = true
    guard segment.readers == 0 else { return }
    idleReaders.remove(segment)
    await closeReader(of: segment)
  }

  private func closeReader(of segment: Segment) async {
    guard let reader = segment.reader else { return }
    segment.reader = nil
    await storage.close(reader)
  }
}
