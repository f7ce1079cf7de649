/// The bytes of every message follow from (seed, topic, partition, sequence), so content is checked without
/// being stored.
///
/// | byte | field |
/// |---|---|
/// | 0..<8 | tag: a mix of seed, topic, partition and sequence, little-endian |
/// | 8..<16 | sequence: the message's number within its partition's workload, from 0 |
/// | 16..<20 | partition |
/// | 20..<24 | length of the message in bytes |
/// | 24... | fill: word *i* is `mix(tag + i * golden)`, the last word cut to the length |
public struct MessageContent: Sendable {
  /// A message of fewer bytes could not carry its identity.
  public static let minimumSize = 24

  private let key: UInt64
  public let partition: PartitionID

  public init(seed: UInt64, topic: String, partition: PartitionID) {
    key = mix64(seed ^ stableHash(topic) &+ UInt64(UInt32(bitPattern: partition.rawValue)) &* 0x9E37_79B9_7F4A_7C15)
    self.partition = partition
  }

  /// Writes message `sequence` over the whole of `bytes` (at least `minimumSize`).
  public func write(sequence: UInt64, into bytes: UnsafeMutableRawBufferPointer) {
    precondition(bytes.count >= Self.minimumSize, "a message has at least \(Self.minimumSize) bytes")
    let tag = tag(of: sequence)
    bytes.storeBytes(of: tag.littleEndian, toByteOffset: 0, as: UInt64.self)
    bytes.storeBytes(of: sequence.littleEndian, toByteOffset: 8, as: UInt64.self)
    bytes.storeBytes(of: UInt32(bitPattern: partition.rawValue).littleEndian, toByteOffset: 16, as: UInt32.self)
    bytes.storeBytes(of: UInt32(bytes.count).littleEndian, toByteOffset: 20, as: UInt32.self)
    var x = tag
    var at = 24
    let whole = bytes.count & ~7
    let base = bytes.baseAddress!
    while at < whole {
      x &+= 0x9E37_79B9_7F4A_7C15
      (base + at).storeBytes(of: Self.word(x), as: UInt64.self)
      at &+= 8
    }
    var rest = Self.word(x &+ 0x9E37_79B9_7F4A_7C15)
    while at < bytes.count {
      bytes[at] = UInt8(truncatingIfNeeded: rest)
      rest >>= 8
      at += 1
    }
  }

  /// What `bytes` are, judged by themselves alone.
  public enum Reading: Equatable, Sendable {
    /// Exactly message `sequence` of this partition.
    case intact(sequence: UInt64)
    /// Not a message of this partition, or one with other bytes than it was sent with.
    case corrupt
  }

  /// Compares every byte with what it must be.
  public func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
    guard bytes.count >= Self.minimumSize, let base = bytes.baseAddress else { return .corrupt }
    let sequence = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    let tag = tag(of: sequence)
    guard UInt64(littleEndian: base.loadUnaligned(as: UInt64.self)) == tag,
      UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 16, as: UInt32.self)) == UInt32(bitPattern: partition.rawValue),
      UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 20, as: UInt32.self)) == UInt32(bytes.count)
    else { return .corrupt }
    var x = tag
    var at = 24
    let whole = bytes.count & ~7
    var difference: UInt64 = 0
    while at < whole {
      x &+= 0x9E37_79B9_7F4A_7C15
      difference |= (base + at).loadUnaligned(as: UInt64.self) ^ Self.word(x)
      at &+= 8
    }
    var rest = Self.word(x &+ 0x9E37_79B9_7F4A_7C15)
    while at < bytes.count {
      difference |= UInt64(bytes[at] ^ UInt8(truncatingIfNeeded: rest))
      rest >>= 8
      at += 1
    }
    return difference == 0 ? .intact(sequence: sequence) : .corrupt
  }

  private func tag(of sequence: UInt64) -> UInt64 { mix64(key &+ sequence &* 0xD134_2543_DE82_EF95) }
  @inline(__always) private static func word(_ x: UInt64) -> UInt64 { (x ^ (x >> 29)).littleEndian }
}
