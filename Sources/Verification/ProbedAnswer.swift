import LogModel

/// Takes down the answer to a fetch from a start offset, record by record. The first one is the probe; the others must follow it,
/// and what no answer before has reached is compared.
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

  public mutating func note(_ offset: Offset, _ bytes: UnsafeRawBufferPointer, _ observer: inout Observer) {
    let isFirst = next == nil
    let reading = isFirst || offset >= compared ? observer.read(partition, bytes) : nil
    note(offset, reading, &observer)
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
