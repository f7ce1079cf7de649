import LogModel

/// How much is sent, and in which pieces.
public struct VolumeAxes: Hashable, Sendable, Codable {
  /// Of the first life, over all partitions.
  public var messages = 1
  /// Of all topics together; see `TrialSettings.topics`.
  public var partitions = 1
  /// Concurrent ones.
  public var producers = 4
  /// Messages of a produce request.
  public var batch = 10
  /// Bytes of a message's value.
  public var messageSize = 1000

  public init() {}
}

extension AxisDescriptor {
  static let ofVolume: [AxisDescriptor] = [messages, partitions, producers, batch, messageSize]

  public static let messages = AxisDescriptor(
    "messages", \.volume.messages, .number(1...1_000_000_000), token: .always("m"), usual: .required, place: .workload,
    mention: .always, isExplored: true,
    smaller: { now in
      [
        1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 101, 128, 200, 256, 303, 512, 1000, 1001, 2000, 5000,
        10_000,
      ].filter { $0 < now }
    },
    meaning: "messages of the first life, over all partitions")

  public static let partitions = AxisDescriptor(
    "partitions", \.volume.partitions, .number(1...10_000), token: .always("p"), place: .workload, mention: .always,
    isExplored: true, smaller: { now in [1, 2, 3, 6].filter { $0 < now } },
    meaning: "partitions, over all topics")

  public static let producers = AxisDescriptor(
    "producers", \.volume.producers, .number(1...10_000), token: .always("n"), place: .workload, mention: .never,
    isExplored: true, smaller: { now in [1, 2, 4, 8].filter { $0 < now } }, meaning: "concurrent producers")

  public static let batch = AxisDescriptor(
    "batch", \.volume.batch, .number(1...1_000_000), token: .always("b"), place: .workload, mention: .never,
    isExplored: true, smaller: { now in [1, 2, 3, 4, 5, 8, 10, 100].filter { $0 < now } },
    meaning: "messages of a produce request. The request must be one that the engine takes")

  public static let messageSize = AxisDescriptor(
    "message-size", \.volume.messageSize, .size(0...(64 << 20)), token: .always("z"), place: .workload,
    mention: .never, isExplored: true,
    smaller: { now in [MessageContent.minimumSize, 100, 300, 1000].filter { $0 < now } },
    meaning: "bytes of a message's value; see [Small messages](#small-messages)"
  ) { settings in
    // Of 24 bytes and more a message says which it is; a shorter one the oracle tells by its offset and its bytes. What
    // a fault destroys, and what two writers send at once, is found by messages that say which they are.
    guard settings.messageSize < MessageContent.minimumSize else { return nil }
    if !settings.isOfOwnLog { return "24 or more with delivery, client, exploration or another system than tornlog" }
    if !settings.faults.isEmpty { return "24 or more with faults, which find messages by what they say of themselves" }
    return settings.writers == .one || settings.writers == .holderLives
      ? nil : "24 or more with writers=\(settings.writers.rawValue)"
  }
}
