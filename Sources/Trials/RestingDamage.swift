import LogModel
import Verification

/// Damage at rest, placed without the engine's help: the victim is a message that was acknowledged, its place is found
/// by its bytes, and what was touched follows from the history.
struct RestingDamage {
  let spec: TrialSpec
  let history: History

  /// Files as the fault sees them.
  protocol Medium {
    /// Segment files of a partition, sorted.
    func files(of partition: PartitionID) throws(TrialError) -> [(path: String, bytes: [UInt8])]
    func flipBit(_ path: String, byte: Int, bit: Int) throws(TrialError)
  }

  func apply(_ fault: FaultSpec, number: Int, to medium: some Medium) throws(TrialError) -> Receipt {
    guard fault.kind == "bit-flip" else { throw .unknownFault(fault.kind) }
    var random = SeededGenerator(seed: spec.seed, stream: "fault-\(number)")
    let candidates = history.operations.filter { $0.outcome == .acknowledged && $0.baseOffset != nil }
    guard let victim = candidates.randomElement(using: &random), let base = victim.baseOffset else {
      throw .faultMissed("nothing was acknowledged")
    }
    let index = Int.random(in: 0..<victim.count, using: &random)
    let partition = history.creations[victim.partition.index].partition.partition
    let content = MessageContent(seed: spec.seed, topic: spec.topic, partition: partition)
    var needle = [UInt8](repeating: 0, count: spec.messageSize)
    needle.withUnsafeMutableBytes { content.write(sequence: UInt64(victim.firstSequence + index), into: $0) }
    for (path, bytes) in try medium.files(of: partition) {
      guard let at = Self.find(needle, in: bytes) else { continue }
      // Past the message's head, so that it is a wrong byte of this message and not another message.
      let byte = at + Int.random(in: min(MessageContent.minimumSize, needle.count - 1)..<needle.count, using: &random)
      let bit = Int.random(in: 0..<8, using: &random)
      try medium.flipBit(path, byte: byte, bit: bit)
      let offset = base + index
      let place = "bit \(bit) of byte \(byte) of \(path): payload of offset \(offset) of partition \(partition)"
      return Receipt(
        kind: fault.kind, fired: 1, places: [place],
        damage: [
          Damage(
            partition: victim.partition, kind: fault.kind, touched: [OffsetRange(from: offset, to: offset + 1)],
            description: place)
        ])
    }
    throw .faultMissed("the bytes of offset \(base + index) of partition \(partition) are not on the medium")
  }

  static func find(_ needle: [UInt8], in haystack: [UInt8]) -> Int? {
    guard haystack.count >= needle.count else { return nil }
    return haystack.withUnsafeBytes { hay in
      needle.withUnsafeBytes { pin in
        let first = pin.loadUnaligned(as: UInt64.self)
        return (0...(hay.count - pin.count)).first { at in
          hay.loadUnaligned(fromByteOffset: at, as: UInt64.self) == first
            && hay[at..<(at + pin.count)].elementsEqual(pin)
        }
      }
    }
  }
}
