import LogModel

/// What messages are like, which of them are deleted, and who reads meanwhile.
public struct ContentAxes: Hashable, Sendable, Codable {
  public var keys = MessageKeys.none
  public var deletion = DeletionSetup.none
  /// Consumers that read while messages are sent.
  public var readers = 0

  public init() {}
}

extension AxisDescriptor {
  static let ofContents: [AxisDescriptor] = [keys, deletion, readers]

  private static let onlyOfOwnLog = "none with delivery, client, exploration or another system than tornlog"

  /// Keys are compared byte for byte by whoever reads. `empty` is a key of no bytes, and another thing than none.
  public static let keys = AxisDescriptor(
    "keys", \.contents.keys, .word("keys"), token: .ifUnusual("k"), place: .workload, mention: .inTimeline,
    smaller: { now in Array(MessageKeys.allCases.prefix { $0 != now }) },
    meaning: "keys of messages: no key; a key of 0 bytes; 16 bytes with two NUL; 64 KiB; some of each"
  ) { $0.keys == .none || $0.isOfOwnLog ? nil : onlyOfOwnLog }

  public static let deletion = AxisDescriptor(
    "deletion", \.contents.deletion, .word("deletion"), token: .ifUnusual("del"), place: .workload,
    mention: .inTimeline, smaller: { now in Array(DeletionSetup.allCases.prefix { $0 != now }) },
    meaning: "which messages of each partition are deleted: when half of the workload is answered, when all of it is, "
      + "and after what is appended between the restarts"
  ) { $0.deletion == .none || $0.isOfOwnLog ? nil : onlyOfOwnLog }

  public static let readers = AxisDescriptor(
    "readers", \.contents.readers, .number(0...8), token: .ifUnusual("rd"), place: .workload, isExplored: true,
    smaller: { now in [0, 1].filter { $0 < now } },
    meaning: "consumers that read while messages are sent; see [Readers](#readers)"
  ) { settings in
    guard settings.readers > 0 else { return nil }
    if settings.isOfAnotherProgram || settings.exploration?.client != nil { return "0 with delivery or client" }
    if settings.messageSize < MessageContent.minimumSize {
      return "0 with messages below 24 bytes, which do not say which they are"
    }
    return settings.writers == .one ? nil : "0 with writers=\(settings.writers.rawValue)"
  }
}
