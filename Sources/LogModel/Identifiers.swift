/// A position in a partition's sequence of messages. The first message of a partition has offset 0.
///
/// Ranges of offsets are half-open everywhere: a *log end offset* and a *high watermark* are the offset of
/// the next message, not of the last one.
public struct Offset: Hashable, Comparable, Sendable, Codable, ExpressibleByIntegerLiteral, CustomStringConvertible {
  public var rawValue: Int64

  /// No log gets so far: what bears a larger one was written by nobody, and nothing that is counted from here
  /// overflows.
  @inlinable public static var largest: Offset { Offset(Int64(1) << 62) }

  @inlinable public init(_ rawValue: Int64) { self.rawValue = rawValue }
  @inlinable public init(_ rawValue: Int) { self.rawValue = Int64(rawValue) }
  @inlinable public init(integerLiteral value: Int64) { rawValue = value }

  public init(from decoder: any Decoder) throws {
    rawValue = try decoder.singleValueContainer().decode(Int64.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rawValue)
  }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  @inlinable public static func + (a: Self, count: Int) -> Self { Self(a.rawValue + Int64(count)) }
  @inlinable public static func += (a: inout Self, count: Int) { a.rawValue += Int64(count) }
  /// The number of offsets in `b ..< a`.
  @inlinable public static func - (a: Self, b: Self) -> Int { Int(a.rawValue - b.rawValue) }

  public var description: String { String(rawValue) }
}

/// The number of a partition within its topic, from 0.
public struct PartitionID: Hashable, Comparable, Sendable, Codable, ExpressibleByIntegerLiteral, CustomStringConvertible
{
  public var rawValue: Int32

  @inlinable public init(_ rawValue: Int) { self.rawValue = Int32(rawValue) }
  @inlinable public init(integerLiteral value: Int32) { rawValue = value }

  public init(from decoder: any Decoder) throws {
    rawValue = try decoder.singleValueContainer().decode(Int32.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rawValue)
  }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  @inlinable public var index: Int { Int(rawValue) }
  public var description: String { String(rawValue) }
}

/// One partition of one topic.
public struct TopicPartition: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
  public var topic: String
  public var partition: PartitionID

  public init(_ topic: String, _ partition: PartitionID) {
    self.topic = topic
    self.partition = partition
  }

  public static func < (a: Self, b: Self) -> Bool {
    (a.topic, a.partition) < (b.topic, b.partition)
  }

  /// For messages to a person. Never a file name: `orders-0` partition 1 and `orders` partition `0-1` would collide.
  public var description: String { "\(topic)/\(partition)" }
}

/// The incarnation of a writer: every opening of a partition for append takes a higher one.
public struct Epoch: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
  /// No writer is given a larger one: what bears it was made by nobody.
  @inlinable public static var largest: Epoch { Epoch(UInt64(Int64.max)) }
  public var rawValue: UInt64
  @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  public var description: String { String(rawValue) }
}
