import FaultInjection
import Glibc
import LogModel
import Storage
import Verification

/// Damage.
extension LifeBook {
  /// The offsets of messages that stand in `bytes` of a segment of `partition`, by their content; of those only that were
  /// acknowledged, since nothing is owed of others.
  func touched(_ partition: Int, _ content: [UInt8], in range: Range<Int>) -> [OffsetRange] {
    let reader = self.content(partition)
    let size = workload.messageSize
    var found: [OffsetRange] = []
    content.withUnsafeBytes { bytes in
      // In the engine's own log messages stand at multiples of 8 bytes.
      let step = workload.system == .tornlog ? 8 : 1
      for at in stride(from: max(0, range.lowerBound - size) / step * step, to: min(range.upperBound, bytes.count - size + 1), by: step) {
        guard at + size > range.lowerBound,
          case .intact(let sequence) = reader.read(UnsafeRawBufferPointer(rebasing: bytes[at..<at + size])),
          let offset = offset(of: Int(sequence), partition)
        else { continue }
        found.append(OffsetRange(from: offset, to: offset + 1))
      }
    }
    return found
  }

  /// Where the acknowledgement of a message says that it stands.
  private func offset(of sequence: Int, _ partition: Int) -> Offset? {
    for operation in history.operations where operation.partition.index == partition {
      guard let base = operation.baseOffset, operation.firstSequence <= sequence,
        sequence < operation.firstSequence + operation.count
      else { continue }
      return base + (sequence - operation.firstSequence)
    }
    return nil
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
      if touched.isEmpty { return nil }
      return Damage(
        partition: PartitionSlot(partition), kind: receipt.kind.rawValue, touched: touched,
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
