import FaultInjection
import Glibc
import LogModel
import Storage
import Verification

/// Damage.
extension HistoryRecorder {
  /// The offsets of messages that stand in `bytes` of a segment of `partition`, by their content; and the requests of
  /// those that nobody was told an offset of.
  func touched(_ partition: Int, _ content: [UInt8], in range: Range<Int>) -> (ranges: [OffsetRange], unplaced: [Int]) {
    var found: [OffsetRange] = []
    var unplaced: Set<Int> = []
    for sequence in MessagesInFile(workload, partition).touched(content, in: range) {
      guard let number = request(with: sequence, partition) else { continue }
      let request = history.operations[number]
      if let base = request.baseOffset {
        let offset = base + (sequence - request.firstSequence)
        found.append(OffsetRange(from: offset, to: offset + 1))
      } else if request.outcome == .indeterminate {
        unplaced.insert(number)
      }
    }
    return (found, unplaced.sorted())
  }

  /// The request that a message was sent in.
  private func request(with sequence: Int, _ partition: Int) -> Int? {
    history.operations.firstIndex {
      $0.partition.index == partition && $0.firstSequence <= sequence && sequence < $0.firstSequence + $0.count
    }
  }

  /// What a fault at the storage interface has destroyed: bytes of files as they were then.
  struct Destroyed: Sendable {
    /// A sync failed, and the engine was told: what that was to make durable goes with the next power loss, if nobody
    /// writes it again.
    var isFailedSync = false
    var places: [(partition: Int, content: [UInt8], range: Range<Int>)] = []
  }

  /// - Parameter givesUp: whether an engine that is interrupted has to give up in the end. One interruption is none of
  ///   its excuses: the sync has not begun, and is made again.
  func destroyed(by receipt: StorageFaultReceipt, on disk: MemoryDisk, givesUp: Bool) -> Destroyed {
    var destroyed = Destroyed()
    var ranges = receipt.destroyed
    // A sync that fails has covered nothing, and no engine may believe a second one.
    if receipt.operation == .sync, case .error(let number) = receipt.answer,
      givesUp || (number != EINTR && number != EAGAIN)
    {
      (ranges, destroyed.isFailedSync) = (Self.volatile(receipt.path, on: disk), true)
    }
    for place in ranges {
      guard let partition = Self.partition(of: place.path), let bytes: [UInt8] = disk.read(place.path) else { continue }
      let range = place.range.clamped(to: 0..<Int64(bytes.count))
      destroyed.places.append((partition, bytes, Int(range.lowerBound)..<Int(range.upperBound)))
    }
    return destroyed
  }

  /// The same in messages. It names no place for a report: of acknowledged messages nothing but a failed sync destroys
  /// any, and what that has taken nobody knows before the next power loss.
  func damages(of receipt: StorageFaultReceipt, _ destroyed: Destroyed) -> [Damage] {
    destroyed.places.compactMap { place in
      let touched = touched(place.partition, place.content, in: place.range)
      // Whoever is told of a failed request must not take it for done: that excuses nothing of it.
      let unplaced = receipt.isTold ? [] : touched.unplaced
      if touched.ranges.isEmpty, unplaced.isEmpty { return nil }
      return Damage(
        partition: PartitionSlot(place.partition), kind: receipt.kind.rawValue, touched: touched.ranges,
        unplaced: unplaced,
        description: receipt.description, isDetectable: receipt.isDetectable, isInLife: true,
        isCertain: !destroyed.isFailedSync, isFailedSync: destroyed.isFailedSync)
    }
  }

  /// What of a file is not durable, by sectors.
  private static func volatile(_ path: String, on disk: MemoryDisk) -> [FileRange] {
    guard let seen: [UInt8] = disk.read(path) else { return [] }
    let durable: [UInt8] = disk.readDurable(path) ?? []
    return stride(from: 0, to: seen.count, by: PersistenceProfile.sectorSize).compactMap { at in
      let sector = at..<min(at + PersistenceProfile.sectorSize, seen.count)
      if sector.upperBound <= durable.count, seen[sector] == durable[sector] { return nil }
      return FileRange(path, Int64(sector.lowerBound)..<Int64(sector.upperBound))
    }
  }

  /// Of `topics/TOPIC/PARTITION/SEGMENT.log`.
  private static func partition(of path: String) -> Int? {
    let parts = path.split(separator: "/")
    return parts.count == 4 && parts[0] == "topics" && FaultTarget.isLog(path) ? Int(parts[2]) : nil
  }
}
