import FaultInjection
import Glibc
import LogModel
import Storage
import Verification

/// Damage.
extension LifeBook {
  /// The offsets of messages that stand in `bytes` of a segment of `partition`, by their content; and the requests of those
  /// that nobody was told an offset of.
  func touched(_ partition: Int, _ content: [UInt8], in range: Range<Int>) -> (ranges: [OffsetRange], unplaced: [Int]) {
    let reader = self.content(partition)
    let size = workload.messageSize
    var found: [OffsetRange] = []
    var unplaced: Set<Int> = []
    content.withUnsafeBytes { bytes in
      // In the engine's own log messages stand at multiples of 8 bytes.
      let step = workload.system == .tornlog ? 8 : 1
      for at in stride(from: max(0, range.lowerBound - size) / step * step, to: min(range.upperBound, bytes.count - size + 1), by: step) {
        guard at + size > range.lowerBound,
          case .intact(let sequence) = reader.read(UnsafeRawBufferPointer(rebasing: bytes[at..<at + size])),
          let number = request(with: Int(sequence), partition)
        else { continue }
        let request = history.operations[number]
        if let base = request.baseOffset {
          let offset = base + (Int(sequence) - request.firstSequence)
          found.append(OffsetRange(from: offset, to: offset + 1))
        } else if request.outcome == .indeterminate {
          unplaced.insert(number)
        }
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

  /// What a fault at the seam has destroyed, in messages.
  /// - Parameter givesUp: whether an engine that is interrupted has to give up in the end. One interruption is none of its
  ///   excuses: the sync has not begun, and is made again.
  func damages(of receipt: StorageFaultReceipt, on disk: MemoryDisk, givesUp: Bool) -> [Damage] {
    var places = receipt.destroyed
    var isCertain = true
    // A sync that fails has covered nothing, and no engine may believe a second one.
    if receipt.operation == .sync, case .error(let number) = receipt.answer, givesUp || (number != EINTR && number != EAGAIN) {
      (places, isCertain) = (Self.volatile(receipt.path, on: disk), false)
    }
    return places.compactMap { place in
      guard let partition = Self.partition(of: place.path), let bytes: [UInt8] = disk.read(place.path) else { return nil }
      let range = place.range.clamped(to: 0..<Int64(bytes.count))
      let touched = touched(partition, bytes, in: Int(range.lowerBound)..<Int(range.upperBound))
      // Whoever is told of a failed request must not take it for done: that excuses nothing of it.
      let unplaced = receipt.isTold ? [] : touched.unplaced
      if touched.ranges.isEmpty, unplaced.isEmpty { return nil }
      return Damage(
        partition: PartitionSlot(partition), kind: receipt.kind.rawValue, touched: touched.ranges, unplaced: unplaced,
        description: receipt.description, isDetectable: receipt.isDetectable, isInLife: true, isCertain: isCertain)
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
