/// The keys of a workload's messages, by the names of scenarios. Like contents, keys follow from seed, topic, partition
/// and sequence: see `MessageContent.key`.
public enum MessageKeys: String, Hashable, Sendable, Codable, CaseIterable {
  /// No message has a key.
  case none
  /// Each has a key of no bytes, which is another thing than no key.
  case empty
  /// Each has a key of `nulSize` bytes, with a NUL in its middle and one at its end.
  case nul
  /// Each has a key of `largeSize` bytes.
  case large
  /// Of each some, one in sixteen large.
  case mixed

  /// Bytes.
  public static let nulSize = 16
  /// Bytes.
  public static let largeSize = 64 << 10

  /// Bytes of the largest key that a message can have.
  public var largest: Int {
    switch self {
    case .none, .empty: 0
    case .nul: Self.nulSize
    case .large, .mixed: Self.largeSize
    }
  }
}

/// What the messages of a trial are like: what a reader must know to judge them that messages do not say themselves.
public struct MessageShape: Hashable, Sendable, Codable {
  /// Bytes of each value.
  public var valueBytes: Int
  public var keys: MessageKeys

  public init(valueBytes: Int, keys: MessageKeys) {
    (self.valueBytes, self.keys) = (valueBytes, keys)
  }

  /// Whether a value does not say which message it is.
  public var isShort: Bool { valueBytes < MessageContent.minimumSize }
}

extension MessageContent {
  /// Bytes of the key of message `sequence`; nil where it has none.
  public func keySize(_ keys: MessageKeys, of sequence: UInt64) -> Int? {
    switch keys {
    case .none: return nil
    case .empty: return 0
    case .nul: return MessageKeys.nulSize
    case .large: return MessageKeys.largeSize
    case .mixed:
      switch mix64(tag(of: sequence) &+ 1) % 16 {
      case 0: return MessageKeys.largeSize
      case 1...5: return nil
      case 6...10: return 0
      default: return MessageKeys.nulSize
      }
    }
  }

  /// The key of message `sequence`; nil where it has none.
  public func key(_ keys: MessageKeys, of sequence: UInt64) -> [UInt8]? {
    guard let size = keySize(keys, of: sequence) else { return nil }
    var word = tag(of: sequence)
    return [UInt8](unsafeUninitializedCapacity: size) { bytes, count in
      for at in 0..<size {
        if at & 7 == 0 { word = mix64(word &+ 0xD1B5_4A32_D192_ED03) }
        bytes[at] = UInt8(truncatingIfNeeded: word >> (UInt64(at & 7) * 8)) | 1
      }
      // Nothing else in it is a NUL.
      if size > 0 { (bytes[size / 2], bytes[size - 1]) = (0, 0) }
      count = size
    }
  }
}

/// Which messages are deleted in a trial, by the names of scenarios.
public enum DeletionSetup: String, Hashable, Sendable, Codable, CaseIterable {
  case none
  /// The older half of what each partition has: when half of the workload has been answered, again when all of it has,
  /// and after what is appended between the restarts.
  case half
  /// All that each partition has, at the same moments.
  case all

  /// Everything before this is deleted from a log of `start ..< end`.
  public func bound(from start: Offset, to end: Offset) -> Offset? {
    switch self {
    case .none: nil
    case .half: start + (end - start) / 2
    case .all: end
    }
  }
}
