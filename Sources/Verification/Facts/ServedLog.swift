import LogModel

/// Where every message of a partition was served in one readback: the one walk over all that consumption returned.
/// Messages only: nothing is allocated for one.
struct ServedLog {
  enum Finding {
    case corrupt(Int64)
    case phantom(Int64, sequence: Int64, Duty.Kind?)
    case duplicate(Int64, sequence: Int64, first: Int64)
    case moved(Int64, sequence: Int64, expected: Int64)
    case replaced(Int64, sequence: Int64)
    case reordered(Int64, sequence: Int64)
    case gap(OffsetRange)
  }

  /// The offset of each sequence number's first appearance, or -1.
  var offsetOf: [Int64]
  /// Messages of each operation that were served, and the offset of its first.
  var servedOf: [Int32]
  var baseOf: [Int64]
  /// Corrupt messages, as ranges.
  var corrupt: [OffsetRange] = []
  /// The next offset that consumption would have asked for.
  var end: Int64
  var intact = 0
  /// Different offsets that answered with anything.
  var distinctOffsets = 0
  var corruptCount = 0
  var duplicated = 0
  var phantom = 0
  var reordered = 0
  var gaps: [OffsetRange] = []

  static let maximumGaps = 1_000

  init(start: Int64, _ partition: PartitionHistory) {
    end = start
    offsetOf = [Int64](repeating: -1, count: partition.operationOfSequence.count)
    servedOf = [Int32](repeating: 0, count: partition.operations.count)
    baseOf = [Int64](repeating: -1, count: partition.operations.count)
  }

  mutating func walk(
    _ runs: [ServedRun], _ partition: PartitionHistory, _ duties: [Duty], _ find: (Finding) -> Void
  ) {
    var lastOfProducer = [Int64](repeating: -1, count: partition.producers)
    var place = -1
    var (first, count, producer, base) = (Int64(0), Int64(0), 0, Int64(-1))
    for run in runs {
      for i in 0..<Int64(run.count) {
        let offset = run.offset &+ i
        let isRepeat = offset < end
        if !isRepeat {
          distinctOffsets &+= 1
          if offset > end { noteGap(to: offset, find) }
          end = offset &+ 1
        }
        guard run.sequence >= 0 else {
          if !isRepeat { noteCorrupt(offset, find) } else if !isCorrupt(offset) { find(.corrupt(offset)) }
          continue
        }
        let sequence = run.sequence &+ i
        if place < 0 || sequence < first || sequence >= first &+ count {
          place =
            sequence >= 0 && sequence < partition.operationOfSequence.count
            ? Int(partition.operationOfSequence[Int(sequence)]) : -1
          guard place >= 0 else {
            phantom &+= 1
            find(.phantom(offset, sequence: sequence, nil))
            continue
          }
          let operation = partition.operations[place]
          (first, count) = (Int64(operation.firstSequence), Int64(operation.count))
          producer = operation.producer
          base = duties[place].base
        }
        let s = Int(sequence)
        if offsetOf[s] == offset { continue }
        if offsetOf[s] >= 0 {
          duplicated &+= 1
          find(.duplicate(offset, sequence: sequence, first: offsetOf[s]))
          continue
        }
        if isRepeat { find(.replaced(offset, sequence: sequence)) }
        offsetOf[s] = offset
        intact &+= 1
        servedOf[place] &+= 1
        if baseOf[place] < 0 { baseOf[place] = offset &- (sequence &- first) }
        switch duties[place].kind {
        case .failed, .settled:
          if excuses(.comesBack, duties[place].mayComeBack) { break }
          phantom &+= 1
          find(.phantom(offset, sequence: sequence, duties[place].kind))
          continue
        case .required, .optional:
          let expected = (base >= 0 ? base : baseOf[place]) &+ (sequence &- first)
          if offset != expected { find(.moved(offset, sequence: sequence, expected: expected)) }
        }
        // Submission order of the producer: place in the history, then the message within its request.
        let order = Int64(place) << 32 | (sequence &- first)
        if order < lastOfProducer[producer] {
          reordered &+= 1
          find(.reordered(offset, sequence: sequence))
        } else {
          lastOfProducer[producer] = order
        }
      }
    }
  }

  private mutating func noteGap(to offset: Int64, _ find: (Finding) -> Void) {
    let gap = OffsetRange(from: Offset(end), to: Offset(offset))
    if gaps.count < Self.maximumGaps { gaps.append(gap) }
    find(.gap(gap))
  }

  /// Whether it was corrupt before; of very many nobody asks.
  private func isCorrupt(_ offset: Int64) -> Bool {
    corrupt.count > Self.maximumGaps || corrupt.contains { $0.from.rawValue <= offset && offset < $0.to.rawValue }
  }

  private mutating func noteCorrupt(_ offset: Int64, _ find: (Finding) -> Void) {
    corruptCount &+= 1
    if let last = corrupt.last, last.to.rawValue == offset {
      corrupt[corrupt.count - 1].to = Offset(offset &+ 1)
    } else {
      corrupt.append(OffsetRange(from: Offset(offset), to: Offset(offset &+ 1)))
    }
    find(.corrupt(offset))
  }
}
