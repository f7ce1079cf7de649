import LogModel
import WriteAheadLog

/// A size of the workload that exploration does not take.
public struct WorkloadLimit: Hashable, Sendable, CustomStringConvertible {
  /// By the name of scenarios and tokens.
  public var name: String
  public var value: Int
  public var allowed: ClosedRange<Int>

  public var description: String {
    "\(name) is \(value); exploration takes \(allowed.lowerBound) to \(allowed.upperBound)"
  }
}

extension ExplorationWorkload {
  /// The first size that is out of range; nil where the workload can be explored. Larger ones give millions of states
  /// that differ in nothing but their numbers.
  public var exceeded: WorkloadLimit? {
    var limits = [
      WorkloadLimit(name: "messages", value: messages, allowed: 1...10_000),
      WorkloadLimit(name: "partitions", value: partitions, allowed: 1...64),
      WorkloadLimit(name: "producers", value: producers, allowed: 1...256),
      WorkloadLimit(name: "committers", value: committers, allowed: 0...8),
      WorkloadLimit(name: "readers", value: readers, allowed: isTakenOver ? 0...0 : 0...8),
      WorkloadLimit(name: "batch", value: messagesPerBatch, allowed: 1...1000),
      WorkloadLimit(name: "message-size", value: messageSize, allowed: MessageContent.minimumSize...Self.commitBytes),
      WorkloadLimit(name: "segment-size", value: segmentBytes, allowed: 16 << 10...64 << 20),
      WorkloadLimit(name: "short-writes", value: deviceFaults.shortWriteEvery, allowed: 0...1_000_000),
      WorkloadLimit(name: "failing-sync", value: deviceFaults.failingSync, allowed: 0...1_000_000),
      WorkloadLimit(name: "failing-writes", value: deviceFaults.failingWriteEvery, allowed: 0...1_000_000),
    ]
    if let limit = limits.first(where: { !$0.allowed.contains($0.value) }) { return limit }
    limits = [
      WorkloadLimit(
        name: "the number of requests", value: requests, allowed: 1...2000),
      WorkloadLimit(
        name: "the size of a batch in bytes", value: Self.batchBytes(min(messages, messagesPerBatch), messageSize),
        allowed: 1...LogConfiguration(commitBytes: Self.commitBytes).largestBatch),
    ]
    return limits.first { !$0.allowed.contains($0.value) }
  }

  /// A batch as the log counts it: header, two lengths of four bytes before each value, and padding. See
  /// BatchFormat.swift.
  private static func batchBytes(_ messages: Int, _ size: Int) -> Int {
    BatchHeader.size + BatchHeader.alignment + messages * (size + 8)
  }
}
