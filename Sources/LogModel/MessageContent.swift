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
///
/// A message of fewer than 24 bytes has no room for these fields: its bytes follow from the tag and the length alone.
/// Whoever reads one must know which message it may be: see `holds`.
public struct MessageContent: Sendable {
  /// A message of fewer bytes does not carry its identity.
  public static let minimumSize = 24

  private let key: UInt64
  public let partition: PartitionID

  public init(seed: UInt64, topic: String, partition: PartitionID) {
    key = mix64(seed ^ stableHash(topic) &+ UInt64(UInt32(bitPattern: partition.rawValue)) &* 0x9E37_79B9_7F4A_7C15)
    self.partition = partition
  }

  /// Writes message `sequence` over the whole of `bytes`.
  public func write(sequence: UInt64, into bytes: UnsafeMutableRawBufferPointer) {
    guard bytes.count >= Self.minimumSize else { return writeShort(sequence, into: bytes) }
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
      UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 16, as: UInt32.self))
        == UInt32(bitPattern: partition.rawValue),
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

  /// Whether `bytes` are message `sequence`, whatever its size; the only way to tell a message of fewer than
  /// `minimumSize` bytes.
  public func holds(_ sequence: UInt64, _ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count < Self.minimumSize else { return read(bytes) == .intact(sequence: sequence) }
    return withUnsafeTemporaryAllocation(byteCount: Self.minimumSize, alignment: 8) { memory in
      let expected = UnsafeMutableRawBufferPointer(rebasing: memory[0..<bytes.count])
      writeShort(sequence, into: expected)
      return bytes.elementsEqual(expected)
    }
  }

  /// The length is in every byte: a message that was cut is no shorter message.
  private func writeShort(_ sequence: UInt64, into bytes: UnsafeMutableRawBufferPointer) {
    var word = tag(of: sequence) &+ UInt64(bytes.count)
    for at in bytes.indices {
      if at & 7 == 0 { word = mix64(word &+ 0x9E37_79B9_7F4A_7C15) }
      bytes[at] = UInt8(truncatingIfNeeded: word >> (UInt64(at & 7) * 8))
    }
  }

  func tag(of sequence: UInt64) -> UInt64 { mix64(key &+ sequence &* 0xD134_2543_DE82_EF95) }
  @inline(__always) private static func word(_ x: UInt64) -> UInt64 { (x ^ (x >> 29)).littleEndian }
}
