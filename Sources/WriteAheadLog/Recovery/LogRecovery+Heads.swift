import Glibc
import LogModel
import Storage

/// Damaged copies of segments' heads.
extension LogRecovery {
  /// Writes each damaged copy of a head again, from the sound one, and reports it: a second damage must not cost the
  /// segment.
  ///
  /// Last of all: what is served is durable by then, so that a sync which fails here endangers nothing. Only the sector
  /// of the damaged copy is written; a crash leaves it as it was or as it will be, and the other copy is the same
  /// before and after. A device that does not take it keeps nobody from opening.
  ///
  /// The newest segment, empty, is left alone: a crash in its creation looks the same, and nothing is in it.
  mutating func repairHeads() async {
    for entry in scanned {
      guard let position = entry.damagedCopy, !entry.segment.isEmpty || entry.segment !== scanned.last?.segment else {
        continue
      }
      var damaged = DamagedHead(
        path: entry.segment.path, byteFrom: Int64(position), byteTo: Int64(position + SegmentHeader.copySize),
        isRepaired: false)
      do throws(StorageError) {
        try await writeCopy(at: position, of: entry.segment)
        damaged.isRepaired = true
      } catch {}  // the report says so
      report.damagedHeads.append(damaged)
    }
  }

  private func writeCopy(at position: Int, of segment: Segment) async throws(StorageError) {
    let head = storage.makeBuffer(capacity: SegmentHeader.size)
    segment.header.write(into: head.mutableBytes(0..<SegmentHeader.size))
    let file = try await storage.here().open(segment.path, [.write])
    do throws(StorageError) {
      try await storage.here().writeWhole(
        file, segment.path, at: Int64(position), from: head, position..<position + SegmentHeader.copySize)
      if configuration.syncPolicy != .never || !segment.header.isNeverSynced {
        try await storage.here().sync(file, .data)
      }
    } catch {
      await storage.close(file)
      throw error
    }
    await storage.close(file)
  }
}

extension SegmentHeader {
  /// Where the copy stands that is not a valid one; nil where both are.
  /// - Parameter bytes: a segment's first `size` bytes; this header was read from one of the copies in them.
  func damagedCopy(in bytes: UnsafeRawBufferPointer) -> Int? {
    guard bytes.count >= Self.size, let base = bytes.baseAddress else { return nil }
    // The same in both but after a crash, or damage.
    if memcmp(base + Self.copyPositions[0], base + Self.copyPositions[1], Self.copySize) == 0 { return nil }
    return Self.copyPositions.first { SegmentHeader(copyAt: $0, of: bytes)?.isOfSameSegment(as: self) != true }
  }

  private func isOfSameSegment(as other: SegmentHeader) -> Bool {
    (baseOffset, epoch, salt) == (other.baseOffset, other.epoch, other.salt) && source == other.source
  }
}
