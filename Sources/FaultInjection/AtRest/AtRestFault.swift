import Glibc
import LogModel
import Storage

/// One bit of a file.
public struct BitPlace: Hashable, Sendable, Codable {
  public var byte: Int64
  /// From 0, the lowest, to 7.
  public var bit: Int

  public init(byte: Int64, bit: Int) {
    precondition((0..<8).contains(bit))
    self.byte = byte
    self.bit = bit
  }
}

/// An edit of files while no engine runs: damage that no operation shows. Paths are relative to the medium's root.
///
/// Sources: Bairavasundaram et al., "An Analysis of Data Corruption in the Storage Stack", FAST 2008 (bits, sectors
/// that are lost or stale); Pillai et al., OSDI 2014 (files cut short, missing or doubled after a crash).
public enum AtRestFault: Hashable, Sendable, Codable {
  /// Each bit turns over; the same bit twice is no change.
  case flipBits(String, [BitPlace])
  /// The range, whole sectors or not, reads as zeros.
  case zero(String, Range<Int64>)
  /// The range holds bytes of the seed's choice.
  case garbage(String, Range<Int64>, seed: UInt64)
  /// From this byte on stands what stood there before: the caller has kept it, from a snapshot for instance.
  case stale(String, at: Int64, [UInt8])
  case truncate(String, to: Int64)
  case delete(String)
  /// A second file with the same bytes; `to` must not exist, its directory must.
  case duplicate(String, to: String)
  /// Sectors of 512 bytes, from 0, change places; both lie whole in the file.
  case swapSectors(String, Int64, Int64)

  /// Bits of `range`, each another one, chosen by the seed; the caller knows which bytes are header, length or payload.
  /// - Parameters:
  ///   - count: from 1 to the number of bits in `range`.
  ///   - range: not empty.
  public static func flipChosen(_ count: Int, in range: Range<Int64>, of path: String, seed: UInt64) -> AtRestFault {
    precondition(count >= 1 && count <= range.count * 8)
    var random = SeededGenerator(seed: seed, stream: "bit flip")
    var places: [BitPlace] = []
    while places.count < count {
      let place = BitPlace(
        byte: Int64.random(in: range, using: &random), bit: Int.random(in: 0..<8, using: &random))
      if !places.contains(place) { places.append(place) }
    }
    return .flipBits(path, places)
  }

  /// The file that is edited.
  public var path: String {
    switch self {
    case .flipBits(let path, _), .zero(let path, _), .garbage(let path, _, seed: _), .stale(let path, at: _, _),
      .truncate(let path, to: _), .delete(let path), .duplicate(let path, to: _), .swapSectors(let path, _, _):
      path
    }
  }
}

/// The evidence of a `AtRestFault`: which bytes are not what they were.
public struct AtRestFaultReceipt: Hashable, Sendable, Codable, CustomStringConvertible {
  public var fault: AtRestFault
  /// Bytes whose content is another or gone, ascending; no others were changed. Empty for zeros over zeros, and for a
  /// duplicate.
  public var destroyed: [FileRange]
  public var description: String
}

extension AtRestFault {
  /// Makes the edit.
  /// - Throws: `StorageError` ERANGE where the file has no such byte, EEXIST where a duplicate's path is taken, ENOENT
  ///   where there is no file, and what the medium says; nothing is changed then, but for errors of the medium itself.
  public func apply(to medium: some FileMedium) throws(StorageError) -> AtRestFaultReceipt {
    switch self {
    case .flipBits(_, let places): return try flip(places, medium)
    case .zero(_, let range): return try overwrite(range, [UInt8](repeating: 0, count: range.count), "zeros", medium)
    case .garbage(_, let range, let seed):
      var random = SeededGenerator(seed: seed, stream: "garbage")
      let bytes = range.map { _ in UInt8(truncatingIfNeeded: random.next()) }
      return try overwrite(range, bytes, "garbage", medium)
    case .stale(_, let start, let bytes):
      return try overwrite(start..<start + Int64(bytes.count), bytes, "stale bytes", medium)
    case .truncate(_, let size):
      let before = try medium.size(of: path)
      if size < 0 || size > before { throw StorageError(errno: ERANGE, .truncate, path, offset: size) }
      try medium.truncate(path, to: size)
      return receipt(size < before ? [FileRange(path, size..<before)] : [], "cut from \(before) to \(size) bytes")
    case .delete:
      let size = try medium.size(of: path)
      try medium.remove(path)
      return receipt([FileRange(path, 0..<size)], "deleted, \(size) bytes")
    case .duplicate(_, let copy):
      let bytes = try medium.read(path, 0..<(try medium.size(of: path)))
      if try medium.files().contains(copy) { throw StorageError(errno: EEXIST, .open, copy) }
      try medium.write(copy, bytes, at: 0)
      return receipt([], "duplicated as \(copy), \(bytes.count) bytes")
    case .swapSectors(_, let a, let b):
      let (first, second) = (a * 512..<a * 512 + 512, b * 512..<b * 512 + 512)
      let (one, other) = (try whole(first, medium), try whole(second, medium))
      try medium.write(path, other, at: first.lowerBound)
      try medium.write(path, one, at: second.lowerBound)
      let touched = one == other ? [] : [first, second].sorted { $0.lowerBound < $1.lowerBound }
      return receipt(touched.map { FileRange(path, $0) }, "sectors \(a) and \(b) have changed places")
    }
  }

  private func receipt(_ destroyed: [FileRange], _ what: String) -> AtRestFaultReceipt {
    AtRestFaultReceipt(fault: self, destroyed: destroyed, description: "\(path) at rest: \(what)")
  }

  /// The bytes of `range`, all of which must be there.
  private func whole(_ range: Range<Int64>, _ medium: some FileMedium) throws(StorageError) -> [UInt8] {
    if range.lowerBound < 0 { throw StorageError(errno: ERANGE, .read, path, offset: range.lowerBound) }
    let bytes = try medium.read(path, range)
    if bytes.count < range.count {
      throw StorageError(errno: ERANGE, .read, path, offset: range.lowerBound + Int64(bytes.count))
    }
    return bytes
  }

  private func overwrite(
    _ range: Range<Int64>, _ bytes: [UInt8], _ what: String, _ medium: some FileMedium
  ) throws(StorageError) -> AtRestFaultReceipt {
    let before = try whole(range, medium)
    try medium.write(path, bytes, at: range.lowerBound)
    return receipt(
      differences(before, bytes, at: range.lowerBound), "\(what) in bytes \(range.lowerBound)..<\(range.upperBound)")
  }

  private func flip(
    _ places: [BitPlace], _ medium: some FileMedium
  ) throws(StorageError) -> AtRestFaultReceipt {
    var before: [Int64: UInt8] = [:]
    for place in places where before[place.byte] == nil {
      before[place.byte] = try whole(place.byte..<place.byte + 1, medium)[0]
    }
    var after = before
    for place in places { after[place.byte]? ^= 1 << UInt8(place.bit) }
    var destroyed: [FileRange] = []
    for byte in after.keys.sorted() where after[byte] != before[byte] {
      try medium.write(path, [after[byte] ?? 0], at: byte)
      destroyed.append(FileRange(path, byte..<byte + 1))
    }
    let words = places.prefix(8).map { place in
      let (old, new) = (before[place.byte] ?? 0, after[place.byte] ?? 0)
      return "bit \(place.bit) of byte \(place.byte) flipped, "
        + "0x\(String(old, radix: 16)) is 0x\(String(new, radix: 16))"
    }
    let more = places.count > 8 ? " and \(places.count - 8) more" : ""
    return receipt(destroyed, words.joined(separator: "; ") + more)
  }

  private func differences(_ a: [UInt8], _ b: [UInt8], at offset: Int64) -> [FileRange] {
    var list = RangeList()
    for i in a.indices where a[i] != b[i] { list.add(offset + Int64(i)..<offset + Int64(i) + 1) }
    return list.ranges.map { FileRange(path, $0) }
  }
}
