import FaultInjection
import LogModel
import ScenarioFormat
import Verification
import WriteAheadLog

/// Damage at rest, placed without the engine's help: the victim is a message that was acknowledged and is on the
/// medium, found by its content, and what was touched follows from the history. One for all the faults of a crash: the
/// files are read once, and what one fault has destroyed is no victim of the next.
final class AtRestDamage {
  private let spec: TrialSpec
  private let history: History
  private var places: MessagePlaces
  /// Segment files of each partition as they were before the first fault, sorted; nil until then.
  private var files: [TopicPartition: [String]]?
  private var destroyed: Set<TouchedMessage> = []
  private var metadata = MetadataDamage()
  /// Partitions of which messages were destroyed, in the order of the faults.
  private var hit: [TopicPartition] = []

  /// Not nil where one fault has damaged both copies of the metadata at one record: one of them as it was before.
  var metadataBackup: MetadataBackup? { metadata.backupOfBoth }

  init(spec: TrialSpec, history: History) {
    self.spec = spec
    self.history = history
    places = MessagePlaces(spec)
  }

  /// Files as the fault sees them.
  protocol Medium {
    /// Segment files of a partition, sorted.
    func files(of partition: TopicPartition) throws(TrialError) -> [String]
    /// Segment files of one copy of the metadata, sorted; see `FaultTarget.metadataCopies`.
    func files(ofMetadata copy: String) throws(TrialError) -> [String]
    /// The bytes of one file, for as long as `body` runs.
    func read<Value>(_ path: String, _ body: (UnsafeRawBufferPointer) -> Value) throws(TrialError) -> Value
    func apply(_ fault: AtRestFault) throws(TrialError) -> AtRestFaultReceipt
  }

  /// - Throws: `TrialError.faultMissed` where nothing that was acknowledged is on the medium, or nothing of the kind.
  func apply(_ fault: FaultSpec, number: Int, to medium: some Medium) throws(TrialError) -> Receipt {
    var random = SeededGenerator(seed: spec.seed, stream: "fault-\(number) of \(spec.cell)")
    if MetadataDamage.isAimedAt(fault) {
      let (edits, copies, isTestified) = try metadata.edits(fault, on: medium, &random)
      var receipt = try apply(edits, of: fault, to: medium)
      receipt.metadata = copies
      if !isTestified {
        receipt.testimony =
          try leavesLogsAlone ? (requestsOnMedium(readFiles(of: medium)).isEmpty ? .none : .logs) : .none
      }
      return receipt
    }
    let wanted = FaultWords(fault).integer("partition").map { PartitionID($0) }
    let segment = fault.parameters["segment"].flatMap { SegmentPlace(rawValue: $0) }
    let files = try readFiles(of: medium).filter { wanted == nil || $0.key.partition == wanted }.mapValues { paths in
      segment.map { one in one.choose(in: paths).map { [$0] } ?? [] } ?? paths
    }
    if fault.kind == "bit-flip", fault.parameters["target"] == BatchPart.padding.rawValue {
      return try flipPadding(fault, files, medium, &random)
    }
    guard let chosen = requestsOnMedium(files).randomElement(using: &random) else {
      let place =
        (wanted.map { " of partition \($0)" } ?? "") + (segment.map { " in the segment `\($0.rawValue)`" } ?? "")
      throw .faultMissed(
        history.operations.contains {
          $0.outcome == .acknowledged && (wanted == nil || self.partition(of: $0).partition == wanted)
        }
          ? "nothing that was acknowledged\(place) is on the medium" : "nothing\(place) was acknowledged")
    }
    let operation = history.operations[chosen]
    let partition = partition(of: operation)
    let own = files[partition] ?? []
    func place(_ index: Int) throws(TrialError) -> (path: String, bytes: Range<Int>) {
      let message = TouchedMessage(partition: partition, sequence: UInt64(operation.firstSequence + index))
      guard let place = places.first(of: message, in: own) else {
        throw .faultMissed("message \(message.sequence) of \(partition) is not on the medium")
      }
      return place
    }
    let first = try place(0)
    let victim = try AtRestFaultGrammar.Victim(
      path: first.path, first: first.bytes, any: place(Int.random(in: 0..<operation.count, using: &random)).bytes,
      last: place(operation.count - 1).bytes, end: places.end(of: first.path),
      size: medium.read(first.path) { $0.count },
      files: medium.files(of: partition),
      layout: places.layout(from: TouchedMessage(partition: partition, sequence: UInt64(operation.firstSequence))))
    var receipt = try apply(AtRestFaultGrammar.edits(fault, victim, &random), of: fault, to: medium)
    // Another part of a batch may be one that says where its checksum stands.
    guard fault.kind == "bit-flip", fault.parameters["target"] == BatchPart.payload.rawValue,
      fault.parameters["edge"] == nil
    else {
      return receipt
    }
    receipt.checksums =
      try medium.read(victim.path) { bytes in
        ChecksumAtRest(
          spec.system, victim.layout, partition.partition, first: victim.first, message: victim.any, in: bytes)
      }.map { [$0] } ?? []
    return receipt
  }

  /// No fault at rest of this trial hits anything but the metadata.
  private var leavesLogsAlone: Bool {
    spec.faults.allSatisfy { !StorageFaultGrammar.isResting($0) || MetadataDamage.isAimedAt($0) }
  }

  /// What follows the last batch of a commit is nobody's: no victim is chosen, and nothing is excused.
  private func flipPadding(
    _ fault: FaultSpec, _ files: [TopicPartition: [String]], _ medium: some Medium, _ random: inout SeededGenerator
  ) throws(TrialError) -> Receipt {
    var paddings: [(path: String, bytes: Range<Int>)] = []
    for path in files.sorted(by: { $0.key < $1.key }).flatMap(\.value) {
      let found = try medium.read(path) { BatchLayout.places(of: .padding, in: $0, at: 0) }
      paddings += found.map { (path, $0) }
    }
    guard let chosen = paddings.randomElement(using: &random) else {
      throw .faultMissed("no commit on the medium is padded (under the sync policy `never` none is)")
    }
    return try apply(
      [AtRestFaultGrammar.flip(fault, in: chosen.bytes, of: chosen.path, &random)], of: fault, to: medium)
  }

  private func apply(
    _ edits: [AtRestFault], of fault: FaultSpec, to medium: some Medium
  ) throws(TrialError) -> Receipt {
    var (texts, ranges): ([String], [FileRange]) = ([], [])
    for edit in edits {
      let receipt = try medium.apply(edit)
      texts.append(receipt.description)
      ranges += receipt.destroyed
    }
    guard !ranges.isEmpty else { throw .faultMissed("\(fault.kind) changed nothing: \(texts.joined(separator: "; "))") }
    var receipt = Receipt(kind: fault.kind, fired: 1, places: texts, touched: destroy(ranges))
    let isGone = edits.contains { edit in
      switch edit {
      case .truncate, .delete: true
      case .flipBits, .zero, .garbage, .stale, .duplicate, .swapSectors: false
      }
    }
    receipt.touchedPlaces = places.touchedPlaces(in: ranges, isGone ? .file : .bytes)
    return receipt
  }

  private func destroy(_ ranges: [FileRange]) -> [TouchedMessage] {
    let touched = places.destroy(ranges)
    destroyed.formUnion(touched)
    if let partition = touched.first?.partition { hit.append(partition) }
    return touched
  }

  /// The partition that the first fault hit.
  /// - Throws: `TrialError.faultMissed` where none has hit any: an operator would find nothing corrupt.
  func firstPartition() throws(TrialError) -> TopicPartition {
    guard let first = hit.first else {
      throw .faultMissed("no partition's log is corrupt, and the runbook has nothing to be followed for")
    }
    return first
  }

  /// Somebody has taken files, or what stood in them, away on purpose.
  /// - Returns: the messages that stood there, and where.
  func remove(_ ranges: [FileRange]) -> (messages: [TouchedMessage], places: [TouchedPlace]) {
    (destroy(ranges), places.touchedPlaces(in: ranges, .file))
  }

  private func partition(of operation: Operation) -> TopicPartition {
    history.creations[operation.partition.index].partition
  }

  private func readFiles(of medium: some Medium) throws(TrialError) -> [TopicPartition: [String]] {
    if let files { return files }
    var found: [TopicPartition: [String]] = [:]
    for creation in history.creations {
      let partition = creation.partition
      found[partition] = try medium.files(of: partition)
      for path in found[partition] ?? [] { try medium.read(path) { places.note(path, $0, at: 0) } }
    }
    files = found
    return found
  }

  /// The acknowledged requests of which every message is whole on the medium, as numbers in the history: what a power
  /// cut or an earlier fault took, in whole or in part, is no victim.
  private func requestsOnMedium(_ files: [TopicPartition: [String]]) -> [Int] {
    var isSeen: [TopicPartition: [Bool]] = [:]
    for (partition, paths) in files {
      let end =
        history.operations.lazy.filter { self.partition(of: $0) == partition }.map { $0.firstSequence + $0.count }.max()
        ?? 0
      var seen = [Bool](repeating: false, count: end)
      for path in paths { places.forEach(in: path) { if $0.sequence < UInt64(end) { seen[Int($0.sequence)] = true } } }
      isSeen[partition] = seen
    }
    for message in destroyed where message.sequence < UInt64(isSeen[message.partition]?.count ?? 0) {
      isSeen[message.partition]?[Int(message.sequence)] = false
    }
    return history.operations.indices.filter { number in
      let operation = history.operations[number]
      guard operation.outcome == .acknowledged, operation.baseOffset != nil, let seen = isSeen[partition(of: operation)]
      else {
        return false
      }
      return seen[operation.firstSequence..<(operation.firstSequence + operation.count)].allSatisfy { $0 }
    }
  }
}
