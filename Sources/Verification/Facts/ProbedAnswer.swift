import LogModel

/// Takes down the answer to a fetch from a start offset, record by record. The first one is the probe; the others must
/// follow it, and what no answer before has reached is compared.
public struct ProbedAnswer {
  private let partition: PartitionSlot
  private let start: Offset
  /// What stands before it has been compared.
  private let compared: Offset
  private var next: Offset?

  public init(_ partition: PartitionSlot, _ start: Offset, _ observer: Observer) {
    self.partition = partition
    self.start = start
    compared = observer.comparedEnd(of: partition)
  }

  /// Whether the first record is enough of an answer that ends before `end`: an answer before it has brought the
  /// others, and they are many. So each message is read a bounded number of times, however large its batch is.
  public func isFirstEnough(_ end: Offset) -> Bool {
    end <= compared && end.rawValue &- start.rawValue > Int64(StartOffsets.mostOfABatch)
  }

  public mutating func note(_ offset: Offset, _ bytes: UnsafeRawBufferPointer, _ observer: inout Observer) {
    if next == nil { observer.probe(partition, start: start, first: (offset, bytes)) }
    observer.answered(partition, offset, expected: next ?? offset, bytes: offset >= compared ? bytes : nil)
    next = offset.rawValue < Int64.max ? offset + 1 : offset
  }

  /// - Parameter reading: nil where nobody has compared the bytes.
  public mutating func note(_ offset: Offset, _ reading: MessageContent.Reading?, _ observer: inout Observer) {
    if next == nil, let reading { observer.probe(partition, start: start, reading: (offset, reading)) }
    observer.answered(partition, offset, expected: next ?? offset, reading: offset >= compared ? reading : nil)
    next = offset.rawValue < Int64.max ? offset + 1 : offset
  }

  /// The answer is over.
  public mutating func end(_ observer: inout Observer) {
    if next == nil { observer.probe(partition, start: start, first: nil) }
  }
}
