import LogModel
import Verification

/// Damage at rest, placed without the engine's help: the victim is a message that was acknowledged and is on the
/// medium, found by its content, and what was touched follows from the history.
struct RestingDamage {
  let spec: TrialSpec
  let history: History

  /// Files as the fault sees them.
  protocol Medium {
    /// Segment files of a partition, sorted.
    func files(of partition: PartitionID) throws(TrialError) -> [String]
    /// The bytes of one file, for as long as `body` runs.
    func read<Value>(_ path: String, _ body: (UnsafeRawBufferPointer) -> Value) throws(TrialError) -> Value
    func flipBit(_ path: String, byte: Int, bit: Int) throws(TrialError)
  }

  /// - Throws: `TrialError.faultMissed` where nothing that was acknowledged is on the medium.
  func apply(_ fault: FaultSpec, number: Int, to medium: some Medium) throws(TrialError) -> Receipt {
    guard fault.kind == "bit-flip" else { throw .unknownFault(fault.kind) }
    var random = SeededGenerator(seed: spec.seed, stream: "fault-\(number)")
    let candidates = try requestsOnMedium(medium)
    guard let chosen = candidates.randomElement(using: &random) else {
      throw .faultMissed(
        history.operations.contains { $0.outcome == .acknowledged }
          ? "nothing that was acknowledged is on the medium" : "nothing was acknowledged")
    }
    let victim = history.operations[chosen]
    let index = Int.random(in: 0..<victim.count, using: &random)
    let partition = history.creations[victim.partition.index].partition.partition
    guard let base = victim.baseOffset,
      let place = try Self.find(
        UInt64(victim.firstSequence + index), MessagesAtRest(spec, partition), partition, medium)
    else { throw .faultMissed("message \(victim.firstSequence + index) of partition \(partition) is not on the medium") }
    // Past the message's head, so that it is a wrong byte of this message and not another message.
    let head = min(MessageContent.minimumSize, place.bytes.count - 1)
    let byte = Int.random(in: (place.bytes.lowerBound + head)..<place.bytes.upperBound, using: &random)
    let bit = Int.random(in: 0..<8, using: &random)
    try medium.flipBit(place.path, byte: byte, bit: bit)
    let offset = base + index
    let text = "bit \(bit) of byte \(byte) of \(place.path): payload of offset \(offset) of partition \(partition)"
    return Receipt(
      kind: fault.kind, fired: 1, places: [text],
      damage: [
        Damage(
          partition: victim.partition, kind: fault.kind, touched: [OffsetRange(from: offset, to: offset + 1)],
          description: text)
      ])
  }

  /// The acknowledged requests of which every message is on the medium, as numbers in the history: what a power cut
  /// took, in whole or in part, is no victim. One pass over the files; memory goes with the number of requests.
  private func requestsOnMedium(_ medium: some Medium) throws(TrialError) -> [Int] {
    var missing = history.operations.map { $0.count }
    for slot in history.creations.indices {
      let own = history.operations.indices.filter { history.operations[$0].partition.index == slot }
      let end = own.map { history.operations[$0].firstSequence + history.operations[$0].count }.max() ?? 0
      var isSeen = [Bool](repeating: false, count: end)
      let partition = history.creations[slot].partition.partition
      let messages = MessagesAtRest(spec, partition)
      for path in try medium.files(of: partition) {
        try medium.read(path) { bytes in
          messages.forEach(in: bytes) { _, sequence in
            if sequence < UInt64(end) { isSeen[Int(sequence)] = true }
            return true
          }
        }
      }
      for number in own {
        let first = history.operations[number].firstSequence
        missing[number] -= isSeen[first..<(first + history.operations[number].count)].count { $0 }
      }
    }
    return history.operations.indices.filter {
      missing[$0] == 0 && history.operations[$0].outcome == .acknowledged && history.operations[$0].baseOffset != nil
    }
  }

  /// Where message `sequence` stands first, whole.
  static func find(
    _ wanted: UInt64, _ messages: MessagesAtRest, _ partition: PartitionID, _ medium: some Medium
  ) throws(TrialError) -> (path: String, bytes: Range<Int>)? {
    for path in try medium.files(of: partition) {
      let place = try medium.read(path) { bytes in
        var place: Range<Int>?
        messages.forEach(in: bytes) { range, sequence in
          if sequence == wanted { place = range }
          return place == nil
        }
        return place
      }
      if let place { return (path, place) }
    }
    return nil
  }
}
