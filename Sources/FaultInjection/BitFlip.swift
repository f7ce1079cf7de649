import Glibc
import LogModel
import Storage

/// One bit inverted on a file at rest, past every storage: damage that no operation shows.
public struct BitFlip: Hashable, Sendable {
  /// Relative to the root that `apply` is given.
  public var path: String
  public var byte: Int64
  /// From 0, the lowest.
  public var bit: Int

  public init(path: String, byte: Int64, bit: Int) {
    precondition((0..<8).contains(bit))
    self.path = path
    self.byte = byte
    self.bit = bit
  }

  /// A bit of `range`, chosen by the seed; the caller knows which bytes are header, length or payload.
  /// - Parameter range: not empty.
  public static func chosen(in range: Range<Int64>, of path: String, seed: UInt64) -> BitFlip {
    var random = SeededGenerator(seed: seed, stream: "bit flip")
    return BitFlip(
      path: path, byte: Int64.random(in: range, using: &random), bit: Int.random(in: 0..<8, using: &random))
  }

  public struct Receipt: Hashable, Sendable, CustomStringConvertible {
    public var flip: BitFlip
    public var before: UInt8
    public var after: UInt8

    public var description: String {
      "bit \(flip.bit) of byte \(flip.byte) of \(flip.path) flipped at rest: "
        + "0x\(String(before, radix: 16)) is 0x\(String(after, radix: 16))"
    }
  }

  /// Inverts the bit by `pread` and `pwrite`. `man 2 pwrite`.
  public func apply(under root: String) throws(StorageError) -> Receipt {
    let descriptor = Glibc.open("\(root)/\(path)", O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { throw StorageError(errno: errno, .open, path) }
    defer { _ = Glibc.close(descriptor) }
    var value: UInt8 = 0
    switch pread(descriptor, &value, 1, off_t(byte)) {
    case 1: break
    case 0: throw StorageError(errno: ERANGE, .read, path, offset: byte)
    default: throw StorageError(errno: errno, .read, path, offset: byte)
    }
    let before = value
    value ^= 1 << UInt8(bit)
    guard pwrite(descriptor, &value, 1, off_t(byte)) == 1 else {
      throw StorageError(errno: errno, .write, path, offset: byte)
    }
    return Receipt(flip: self, before: before, after: value)
  }
}
