import CZlib
import LogModel

/// What has been put for one partition: it testifies to objects that somebody has removed, the newest among them.
/// Nothing is read by it that is not there; where it is lost it is made anew from the objects.
///
/// UTF-8 text. The first line is `tornlog-manifest 1 EPOCH COUNT CRC`: the newest writer that has changed it, the
/// number of lines that follow, and the CRC-32 of these in decimal digits. Each further line is the file name of an
/// object.
public struct ObjectManifest: Hashable, Sendable {
  static let fileName = "manifest"
  /// Bytes; no manifest is larger.
  static let largest: Int64 = 64 << 20
  /// Objects that it names at most: with each put it is written anew. Of more it names the first one and the newest.
  /// What is missing between two that are there shows as a gap in their offsets; the manifest is needed for what is
  /// missing at the ends.
  static let mostNames = 10_000

  public enum State: Hashable, Sendable {
    case whole
    case absent
    /// Its bytes are no manifest, or cannot be read.
    case damaged
  }

  public private(set) var state: State
  public private(set) var names: [ObjectName] = []
  private var epoch = Epoch(0)

  init(state: State) { self.state = state }

  init(_ bytes: [UInt8], of source: TopicPartition) {
    state = .damaged
    let lines = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
    let head = String(decoding: lines.first ?? [], as: UTF8.self).split(separator: " ")
    let rest = Array(lines.count > 1 ? lines[1] : [])
    guard head.count == 5, head[0] == "tornlog-manifest", head[1] == "1", let epoch = UInt64(head[2]),
      epoch <= Epoch.largest.rawValue, let count = Int(head[3]),
      UInt32(head[4]) == Self.checksum(rest)
    else { return }
    let names = rest.split(separator: UInt8(ascii: "\n")).compactMap {
      ObjectName(fileName: String(decoding: $0, as: UTF8.self), of: source)
    }
    guard names.count == count else { return }
    (self.names, self.epoch, state) = (names, Epoch(epoch), .whole)
  }

  func encoded() -> [UInt8] {
    let lines = Array(names.map { $0.fileName + "\n" }.joined().utf8)
    return Array("tornlog-manifest 1 \(epoch) \(names.count) \(Self.checksum(lines))\n".utf8) + lines
  }

  private static func checksum(_ bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { tl_crc32(0, $0.baseAddress, $0.count) }
  }

  func newerWriter(than epoch: Epoch) -> Epoch? { self.epoch > epoch ? self.epoch : nil }

  mutating func add(_ name: ObjectName) {
    epoch = max(epoch, name.epoch)
    if !names.contains(name) { insert(name) }
  }

  mutating func remove(_ name: ObjectName) { names.removeAll { $0 == name } }

  mutating func adopt(_ present: [ObjectName]) {
    names = present.sorted()
    epoch = present.map(\.epoch).reduce(epoch, max)
    trim()
  }

  private mutating func insert(_ name: ObjectName) {
    // Most are put in the order of their offsets.
    names.insert(name, at: names.lastIndex { $0 < name }.map { $0 + 1 } ?? names.startIndex)
    trim()
  }

  private mutating func trim() {
    if names.count > Self.mostNames { names.removeSubrange(1..<names.count - Self.mostNames + 1) }
  }
}
