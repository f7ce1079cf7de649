import LogModel
import ScenarioFormat

/// Recognises messages by their content in files of any format: the harness knows nothing of the engine's.
struct MessagesAtRest {
  let content: MessageContent
  /// Lengths that a message of the workload can have, in bytes.
  let sizes: ClosedRange<Int>

  init(_ spec: TrialSpec, _ source: TopicPartition) {
    content = MessageContent(seed: spec.seed, topic: source.topic, partition: source.partition)
    sizes = spec.messageSize...spec.messageSize
  }

  /// Calls `found` for every whole message in `bytes`, in one pass; bytes of a message are not looked at again.
  /// - Parameter found: given the message's bytes in `bytes` and its sequence number; answers whether to go on.
  func forEach(in bytes: UnsafeRawBufferPointer, _ found: (_ place: Range<Int>, _ sequence: UInt64) -> Bool) {
    guard let base = bytes.baseAddress, bytes.count >= MessageContent.minimumSize else { return }
    // Bytes 16..<24 of a message: partition and length; see MessageContent.
    let partition = UInt32(bitPattern: content.partition.rawValue)
    var at = 0
    while at <= bytes.count - MessageContent.minimumSize {
      let word = UInt64(littleEndian: (base + at).loadUnaligned(fromByteOffset: 16, as: UInt64.self))
      let length = Int(word >> 32)
      guard UInt32(truncatingIfNeeded: word) == partition, sizes.contains(length), length <= bytes.count - at,
        case .intact(let sequence) = content.read(UnsafeRawBufferPointer(start: base + at, count: length))
      else {
        at += 1
        continue
      }
      if !found(at..<(at + length), sequence) { return }
      at += length
    }
  }
}
