import LogModel
import ObjectStore
import Storage
import WriteAheadLog

@testable import PartitionEngine
@testable import RecordLogs

/// Damages a disk at random: bytes, blocks, sizes, names. In half of the cases the checksum over what was changed is
/// made right again, so that absurd values pass it.
struct DiskFuzzMutator {
  let world: DiskFuzzWorld
  let disk: MemoryDisk
  var random: SeededGenerator
  /// What was done, for whoever looks into a seed.
  private(set) var story: [String] = []

  init(_ world: DiskFuzzWorld, _ disk: MemoryDisk, seed: UInt64) {
    (self.world, self.disk) = (world, disk)
    random = SeededGenerator(seed: seed, stream: "disk fuzz \(world.rawValue)")
  }

  private mutating func pick<Element>(_ elements: [Element]) -> Element { elements[int(elements.count)] }
  private mutating func int(_ bound: Int) -> Int { bound < 2 ? 0 : Int.random(in: 0..<bound, using: &random) }

  static let numbers: [UInt64] = [
    0, 1, 7, 8, 63, 64, 255, 512, 4096, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 40,
    1 << 48, 1 << 62,
    (1 << 62) - 1, (1 << 62) + 1, UInt64(Int64.max), UInt64(Int64.max) - 1, 1 << 63, .max, .max - 1, .max - 7,
  ]

  mutating func mutate() throws {
    for _ in 0..<[1, 1, 2, 3, 6][int(5)] {
      let paths = disk.paths.filter { $0 != "lock" && !$0.hasSuffix(".lock") }
      guard !paths.isEmpty else { return }
      let path = pick(paths)
      let bytes = disk.read(path) ?? []
      switch int(24) {
      case 0..<3:
        try edit(path, bytes, "flips a bit") { bytes, at, random in
          bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        }
      case 3..<5:
        try edit(path, bytes, "sets a byte") { bytes, at, random in bytes[at] = Bool.random(using: &random) ? 0 : 0xFF }
      case 5..<11: try putNumber(path, bytes)
      case 11: try cut(path, bytes.count)
      case 12: try extend(path, bytes)
      case 13..<15: try moveBlock(path, bytes)
      case 15..<18: try rename(path, bytes)
      case 18:
        story.append("removes \(path)")
        try disk.removeAtRest(path)
      case 19: try exchange(path, bytes, with: pick(paths))
      case 20..<22: try putObject(path, bytes)
      case 22: try putClaim()
      default: try appendMetadata()
      }
    }
  }

  // MARK: Bytes

  private mutating func edit(
    _ path: String, _ old: [UInt8], _ what: String, _ change: (inout [UInt8], Int, inout SeededGenerator) -> Void
  ) throws {
    guard !old.isEmpty else { return }
    var bytes = old
    var at = int(bytes.count)
    let seals = Seal.all(in: old, of: path, world)
    // Most of a file may be zeros that nobody looks at.
    if let seal = seals.isEmpty ? nil : pick(seals), random.chance(2, in: 3) {
      at = seal.range.lowerBound + int(min(seal.range.count, 96))
    }
    change(&bytes, at, &random)
    try put(path, bytes, at, what, seals)
  }

  private mutating func putNumber(_ path: String, _ old: [UInt8]) throws {
    let (width, value) = (pick([1, 2, 4, 4, 8, 8, 8]), pick(Self.numbers))
    let end = random.chance(1, in: 3)
    guard old.count >= width else { return }
    var bytes = old
    let seals = Seal.all(in: old, of: path, world)
    var at = int(old.count - width + 1)
    if let seal = seals.isEmpty ? nil : pick(seals) {
      // Where fields are: at the head of what a checksum covers, or at its end.
      let offset = min(int(24) * 4 + pick([0, 0, 0, 1, 2]), max(0, seal.range.count - width))
      at = end ? max(seal.range.lowerBound, seal.range.upperBound - width - int(24)) : seal.range.lowerBound + offset
    }
    at = min(at, old.count - width)
    withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(at..<at + width, with: $0[0..<width]) }
    try put(path, bytes, at, "puts \(value) in \(width) bytes", seals)
  }

  private mutating func put(_ path: String, _ new: [UInt8], _ at: Int, _ what: String, _ seals: [Seal]) throws {
    var bytes = new
    let isSealed = Bool.random(using: &random)
    if isSealed { for seal in seals where seal.range.contains(at) { seal.renew(&bytes) } }
    story.append("\(what) at \(at) of \(path)\(isSealed ? ", sealed" : "")")
    try write(path, bytes)
  }

  private func write(_ path: String, _ bytes: [UInt8]) throws {
    try disk.putAtRest(path, bytes, at: 0)
    try disk.truncateAtRest(path, to: Int64(bytes.count))
  }

  private mutating func cut(_ path: String, _ size: Int) throws {
    let to = pick([0, int(size + 1), int(size + 1), max(0, size - 1), min(size, 512)])
    story.append("cuts \(path) to \(to)")
    try disk.truncateAtRest(path, to: Int64(to))
  }

  private mutating func extend(_ path: String, _ bytes: [UInt8]) throws {
    let count = pick([1, 7, 64, 512, 4096, 70_000])
    story.append("extends \(path) by \(count)")
    switch int(4) {
    case 0: try disk.truncateAtRest(path, to: Int64(bytes.count + count))
    case 1: try disk.truncateAtRest(path, to: Int64(bytes.count) + 8 << 20)
    case 2: try write(path, bytes + [UInt8](repeating: 0xFF, count: count))
    default: try write(path, bytes + bytes.prefix(count))
    }
  }

  /// Copies a block over another, or exchanges them.
  private mutating func moveBlock(_ path: String, _ old: [UInt8]) throws {
    let size = pick([8, 64, 512, 4096])
    guard old.count >= 2 * size else { return }
    let (from, to) = (int(old.count / size) * size, int(old.count / size) * size)
    var bytes = old
    bytes.replaceSubrange(to..<to + size, with: old[from..<from + size])
    if Bool.random(using: &random) { bytes.replaceSubrange(from..<from + size, with: old[to..<to + size]) }
    try put(path, bytes, to, "moves \(size) bytes from \(from)", Seal.all(in: old, of: path, world))
  }

  private mutating func exchange(_ path: String, _ bytes: [UInt8], with other: String) throws {
    story.append("exchanges \(path) and \(other)")
    let others = disk.read(other) ?? []
    try write(path, others)
    try write(other, bytes)
  }

  // MARK: Names

  /// Gives a file, or a copy of it, a name with other numbers, or in another folder.
  private mutating func rename(_ path: String, _ bytes: [UInt8]) throws {
    var fields: [Substring] = []
    var rest = path[...]
    while let first = rest.first {
      let isNumber = first.isNumber
      fields.append(rest.prefix { $0.isNumber == isNumber })
      rest = rest.dropFirst(fields[fields.count - 1].count)
    }
    let places = fields.indices.filter { fields[$0].first?.isNumber ?? false }
    guard !places.isEmpty else { return }
    let place = pick(places)
    let digits = String(pick(Self.numbers))
    fields[place] = Substring(
      String(repeating: "0", count: max(0, pick([0, fields[place].count]) - digits.count)) + digits)
    let target = fields.joined()
    guard target != path, let folder = target.lastIndex(of: "/"), disk.paths.allSatisfy({ !$0.hasPrefix(target + "/") })
    else { return }
    story.append("puts \(path) at \(target)")
    try DiskFuzzWorld.live(disk, seed: 1, hours: 0) { try await $0.makeDirectory(String(target[..<folder])) }
    try write(target, bytes)
    if Bool.random(using: &random) { try disk.removeAtRest(path) }
  }

  // MARK: Contents

  /// An object whose own checksums are right, and whose batches are not.
  private mutating func putObject(_ path: String, _ bytes: [UInt8]) throws {
    let objects = disk.paths.filter { $0.hasSuffix(".tlo") }
    guard !objects.isEmpty else { return try putNumber(path, bytes) }
    let path = pick(objects)
    let fields = path.split(separator: "/")
    guard fields.count == 4, let number = Int32(fields[2]),
      let name = ObjectName(
        fileName: String(fields[3]), of: TopicPartition(String(fields[1]), PartitionID(Int(number)))),
      let bytes = disk.read(path), var object = try? SegmentObject(bytes, expecting: name)
    else { return }
    for _ in 0...int(3) where object.batches.count >= 72 {
      let (at, value) = (int(min(object.batches.count - 8, 300)), pick(Self.numbers))
      withUnsafeBytes(of: value.littleEndian) { object.batches.replaceSubrange(at..<at + 8, with: $0) }
    }
    if random.chance(1, in: 4) { object.partitionCount = Int(UInt32(truncatingIfNeeded: pick(Self.numbers))) }
    if random.chance(1, in: 4) { object.batches.removeLast(int(object.batches.count + 1)) }
    story.append("puts other batches into \(path)")
    try write(path, object.encoded())
  }

  /// A claim whose checksum is right.
  private mutating func putClaim() throws {
    guard let path = disk.paths.first(where: { $0.hasPrefix("writers/") }) else { return }
    let claim = LeaseClaim(
      end: Instant(nanoseconds: Int64(truncatingIfNeeded: pick(Self.numbers))),
      duration: .nanoseconds(Int64(truncatingIfNeeded: pick(Self.numbers))))
    story.append("claims `\(claim.text)`")
    try write(path, Array(claim.text.utf8))
  }

  /// Records of the metadata that nobody has written, in one copy or in both.
  private mutating func appendMetadata() throws {
    guard world.hasEngine else { return }
    let texts = (0..<1 + int(4)).map { _ in metadataText() }
    let copies = Bool.random(using: &random) ? MetadataLog.directories : [pick(MetadataLog.directories)]
    story.append("records \(texts) in \(copies)")
    let configuration = world.configuration.log
    try DiskFuzzWorld.live(disk, seed: 1, hours: 0) { storage in
      for copy in copies {
        do {
          let (log, _) = try await PartitionLog.open(MetadataLog.source, in: copy, of: storage, configuration)
          for text in texts {
            let bytes = Array(text.utf8)
            _ = try await log.append(recordCount: 1, payloadBytes: bytes.count) { writer in
              bytes.withUnsafeBytes { writer.append(value: $0) }
            }
          }
          try await log.close()
        } catch {}  // what was damaged before is answer enough
      }
    }
  }

  private mutating func metadataText() -> String {
    func number(_ random: inout SeededGenerator) -> String {
      let value = Self.numbers[Int.random(in: 0..<Self.numbers.count, using: &random)]
      return Bool.random(using: &random) ? String(Int64(truncatingIfNeeded: value)) : String(value)
    }
    let topic = pick(["orders", "b", "nobody", "..", "", "a/b"])
    let partition = pick(["0", "1", "9999", "2147483647", "-1"])
    let place = "\(topic)\t\(partition)"
    switch int(9) {
    case 0: return "topic\t\(topic)\t\(pick(["0", "1", "2", "300", "10000", "10001", number(&random)]))"
    case 1: return "offset\tg0\t\(place)\t\(number(&random))"
    case 2: return "start\t\(place)\t\(number(&random))"
    case 3: return "end\t\(place)\t\(number(&random))"
    case 4: return "cut\t\(place)\t\(number(&random))\t\(number(&random))"
    case 5: return "segment\t\(place)\t\(number(&random))\t\(number(&random))\t\(number(&random))\t\(number(&random))"
    case 6: return "archive\t\(place)\t\(number(&random))"
    case 7: return "lower\tg1\t\(place)\t\(number(&random))\t\(number(&random))"
    default: return "snapshot\t\(pick(["0", "1", "2", number(&random)]))"
    }
  }
}

/// Bytes of a file, and the checksum over them.
struct Seal {
  enum Kind {
    case head, batch(salt: UInt64), object, manifest, streamhouse, airunner, chronik, chronikV1, replay
  }

  var range: Range<Int>
  var kind: Kind

  /// Those of a file as a program has written it.
  static func all(in bytes: [UInt8], of path: String, _ world: DiskFuzzWorld) -> [Seal] {
    if path.hasSuffix(".tlo") { return [Seal(range: 0..<bytes.count, kind: .object)] }
    if path.hasSuffix("/manifest") { return [Seal(range: 0..<bytes.count, kind: .manifest)] }
    if path.hasSuffix(".log") { return segment(bytes) }
    guard path.contains(".wal"), !path.hasSuffix(".gz") else { return [] }
    switch world.system {
    case .streamhouse: return records(bytes, StreamhouseCodec.self, .streamhouse)
    case .airunner: return records(bytes, AirunnerCodec.self, .airunner)
    case .chronik: return records(bytes, ChronikV2Codec.self, .chronik)
    case .chronikV1: return records(bytes, ChronikV1Codec.self, .chronikV1)
    case .replayBuffer: return records(bytes, ReplayCodec.self, .replay)
    case .tornlog: return []
    }
  }

  private static func segment(_ bytes: [UInt8]) -> [Seal] {
    guard bytes.count >= 4096 else { return [] }
    var seals = SegmentHeads.positions.map { Seal(range: $0..<$0 + 512, kind: .head) }
    let salt = bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 32, as: UInt64.self)) }
    bytes.withUnsafeBytes { raw in
      var at = 4096
      while at + BatchHeader.size <= raw.count, let base = raw.baseAddress {
        if let header = BatchHeader(at: base + at, position: Int64(at), available: raw.count - at),
          at + header.length <= raw.count
        {
          seals.append(Seal(range: at..<at + header.length, kind: .batch(salt: salt)))
          at += header.length
        } else {
          at += 8
        }
      }
    }
    return seals
  }

  private static func records<Codec: RecordCodec>(_ bytes: [UInt8], _ codec: Codec.Type, _ kind: Kind) -> [Seal] {
    var seals: [Seal] = []
    bytes.withUnsafeBytes { raw in
      var at = Codec.fileHeader.count
      while at + Codec.prefixSize <= raw.count, let base = raw.baseAddress {
        guard let length = try? Codec.length(at: base + at), at + length <= raw.count else { return }
        seals.append(Seal(range: at..<at + length, kind: kind))
        at += length
      }
    }
    return seals
  }

  /// Makes the checksum right for what stands there now.
  func renew(_ bytes: inout [UInt8]) {
    let (start, end) = (range.lowerBound, min(range.upperBound, bytes.count))
    guard start < end, end - start > 16 else { return }
    switch kind {
    case .head: put(Self.crc32(bytes[start + 12..<end]), at: start + 8, &bytes)
    case .object: put(Self.crc32(bytes[start + 12..<end]), at: start + 8, &bytes)
    case .streamhouse: put(Self.crc32(bytes[start + 8..<end]), at: start + 4, &bytes)
    case .chronikV1: put(Self.crc32(bytes[start..<start + 24] + bytes[start + 28..<end]), at: start + 24, &bytes)
    case .chronik: put(Self.crc32(bytes[start..<start + 8] + bytes[start + 12..<end]), at: start + 8, &bytes)
    case .replay: put(Self.crc32(bytes[start + 4..<start + 16] + bytes[start + 20..<end]), at: start + 16, &bytes)
    case .airunner:
      put(Array(bytes[start + 4..<end - 8]).withUnsafeBytes { CRC64.checksum($0) }, at: end - 8, &bytes)
    case .manifest: renewManifest(&bytes)
    case .batch(let salt):
      let length = bytes.withUnsafeBytes {
        Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: start + 8, as: UInt32.self)))
      }
      guard length >= BatchHeader.size, start + length <= bytes.count else { return }
      let checksum = bytes.withUnsafeBytes {
        BatchHeader.computeChecksum(at: $0.baseAddress! + start, length: length, position: Int64(start), salt: salt)
      }
      put(checksum, at: start + 4, &bytes)
    }
  }

  private func renewManifest(_ bytes: inout [UInt8]) {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
    var head = String(decoding: lines.first ?? [], as: UTF8.self).split(separator: " ")
    guard lines.count > 1, head.count == 5 else { return }
    head[3] = "\(lines[1].split(separator: UInt8(ascii: "\n")).count)"
    head[4] = "\(Self.crc32(lines[1]))"
    bytes = Array((head.joined(separator: " ") + "\n").utf8) + lines[1]
  }

  private func put<Number: FixedWidthInteger>(_ value: Number, at: Int, _ bytes: inout [UInt8]) {
    withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(at..<at + $0.count, with: $0) }
  }

  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
  }

  private static func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    ~bytes.reduce(0xFFFF_FFFF as UInt32) { crc, byte in table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ crc >> 8 }
  }
}
