import FaultInjection
import LogModel
import Verification
import WriteAheadLog

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
    func apply(_ fault: RestingFault) throws(TrialError) -> RestingFaultReceipt
  }

  /// - Throws: `TrialError.faultMissed` where nothing that was acknowledged is on the medium, or nothing of the kind.
  func apply(_ fault: FaultSpec, number: Int, to medium: some Medium) throws(TrialError) -> Receipt {
    var random = SeededGenerator(seed: spec.seed, stream: "fault-\(number) of \(spec.cell)")
    let candidates = try requestsOnMedium(medium)
    guard let chosen = candidates.randomElement(using: &random) else {
      throw .faultMissed(
        history.operations.contains { $0.outcome == .acknowledged }
          ? "nothing that was acknowledged is on the medium" : "nothing was acknowledged")
    }
    let operation = history.operations[chosen]
    let partition = history.creations[operation.partition.index].partition.partition
    let messages = MessagesAtRest(spec, partition)
    func place(_ index: Int) throws(TrialError) -> (path: String, bytes: Range<Int>) {
      let sequence = UInt64(operation.firstSequence + index)
      guard let place = try Self.find(sequence, messages, partition, medium) else {
        throw .faultMissed("message \(sequence) of partition \(partition) is not on the medium")
      }
      return place
    }
    let first = try place(0)
    let files = try medium.files(of: partition)
    var places = MessagePlaces(spec)
    for path in files { try medium.read(path) { places.note(path, $0, at: 0) } }
    let victim = try RestingWords.Victim(
      path: first.path, first: first.bytes, any: place(Int.random(in: 0..<operation.count, using: &random)).bytes,
      last: place(operation.count - 1).bytes, end: places.end(of: first.path),
      size: try medium.read(first.path) { $0.count }, files: files)
    var (texts, destroyed): ([String], [FileRange]) = ([], [])
    for edit in try RestingWords.edits(fault, victim, &random) {
      let receipt = try medium.apply(edit)
      texts.append(receipt.description)
      destroyed += receipt.destroyed
    }
    guard !destroyed.isEmpty else { throw .faultMissed("\(fault.kind) changed nothing: \(texts.joined(separator: "; "))") }
    return Receipt(kind: fault.kind, fired: 1, places: texts, touched: places.messages(in: destroyed))
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
