import LogModel
import Verification

/// Messages of one partition, found in the bytes of a file by their content.
struct MessagesInFile {
  let reader: MessageContent
  /// Bytes of a message.
  let size: Int
  let system: LogSystem

  init(_ workload: ExplorationWorkload, _ partition: Int) {
    reader = MessageContent(seed: workload.seed, topic: workload.topic, partition: PartitionID(partition))
    (size, system) = (workload.messageSize, workload.system)
  }

  /// The numbers of those of whose bytes any stands in `range`.
  func touched(_ content: [UInt8], in range: Range<Int>) -> [Int] {
    content.withUnsafeBytes { bytes in
      // In the engine's own log messages stand at multiples of 8 bytes.
      let step = system == .tornlog ? 8 : 1
      let first = max(0, range.lowerBound - size) / step * step
      return stride(from: first, to: min(range.upperBound, bytes.count - size + 1), by: step).compactMap { at in
        guard at + size > range.lowerBound,
          case .intact(let sequence) = reader.read(UnsafeRawBufferPointer(rebasing: bytes[at..<at + size]))
        else { return nil }
        return Int(sequence)
      }
    }
  }
}
