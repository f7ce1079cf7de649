/// How much was looked at: what nobody has asked for, nobody has judged.
public struct LookedAt: Hashable, Sendable, Codable {
  /// Readbacks that came to their end, over all lives.
  public var readbacks = 0
  /// Partitions whose consumption came to its end, in all these readbacks together.
  public var partitions = 0
  /// Messages that consumption was served.
  public var messages = 0
  /// Offsets from which a fetch was asked for, besides consumption.
  public var startOffsets = 0
  /// Messages in the answers to these that were compared byte by byte.
  public var compared = 0
  /// Committed offsets that were asked for.
  public var commits = 0
  /// Answers that consumers were given while messages were sent, and the messages in them.
  public var readings = 0
  public var read = 0

  public init() {}

  /// - Parameter readings: of consumers, since the readback before it.
  init(_ readback: Observation, _ readings: ArraySlice<ConsumerReading> = []) {
    (self.readings, read) = (readings.count, readings.reduce(0) { $0 + $1.messages })
    readbacks = readback.isFinished ? 1 : 0
    for partition in readback.partitions {
      if partition.end == .reached { partitions += 1 }
      messages += partition.served.count
      startOffsets += partition.probes
      compared += partition.answered.count
    }
    commits = readback.commits.count
  }

  public static func + (a: Self, b: Self) -> Self {
    var sum = a
    sum.readbacks += b.readbacks
    sum.partitions += b.partitions
    sum.messages += b.messages
    sum.startOffsets += b.startOffsets
    sum.compared += b.compared
    sum.commits += b.commits
    sum.readings += b.readings
    sum.read += b.read
    return sum
  }
}
