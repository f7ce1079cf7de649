import LogModel
import ScenarioFormat
import Verification

/// What claims need beside the judgement: found in the readbacks, the receipts and the files, and asked of no engine.
extension Judging {
  static func observed(
    _ spec: TrialSpec, _ history: History, _ faults: [Receipt], _ readbacks: [Observation],
    _ medium: some AtRestDamage.Medium
  ) throws(TrialError) -> [String: Double] {
    var found: [ClaimFigure: Double] = [:]
    if let readback = readbacks.first(where: { $0.restart == 1 }) {
      found[.checksumsUnnamed] = checksumsUnnamed(faults, readback, history)
      found[.servedBehindDamage] = servedBehindDamage(readback, history)
    }
    if let magic = FileLayout.documentedMagic(spec.system) {
      let heads = try FileHeads(spec, magic, medium)
      (found[.magicAt], found[.fileVersion], found[.firstRecord]) = (heads.magicAt, heads.version, heads.firstRecord)
    }
    return Dictionary(uniqueKeysWithValues: found.map { ($0.key.rawValue, $0.value) })
  }

  /// Nil where no bit was flipped of which the harness knows the checksum.
  static func checksumsUnnamed(_ faults: [Receipt], _ readback: Observation, _ history: History) -> Double? {
    let wanted = faults.flatMap(\.checksums)
    guard !wanted.isEmpty else { return nil }
    let unnamed = wanted.count { checksum in
      guard let slot = history.creations.firstIndex(where: { $0.partition.partition == checksum.partition }) else {
        return true
      }
      return !readback.reports(of: PartitionSlot(slot)).contains { checksum.isNamed(by: $0) }
    }
    return Double(unnamed)
  }

  /// Nil where nothing that was acknowledged has been damaged at rest.
  static func servedBehindDamage(_ readback: Observation, _ history: History) -> Double? {
    var first: [PartitionSlot: Offset] = [:]
    for damage in history.damages where !damage.isInLife {
      guard let start = damage.touched?.map(\.from).min() else { continue }
      first[damage.partition] = min(first[damage.partition] ?? start, start)
    }
    guard !first.isEmpty else { return nil }
    return Double(first.reduce(0) { $0 + readback.served(behind: $1.value, of: $1.key) })
  }
}

/// How the files of all logs begin, once everything is over. Messages are known by their content, the magic by the
/// document.
struct FileHeads {
  /// Where the magic stands; nil where no file was found. A file without it counts as -1.
  private(set) var magicAt: Double?
  /// The four bytes behind the magic; nil as that.
  private(set) var version: Double?
  /// The first byte of a first record, of several files one where it stands elsewhere than in the others; nil where no
  /// file holds a message.
  private(set) var firstRecord: Double?

  init(_ spec: TrialSpec, _ magic: [UInt8], _ medium: some AtRestDamage.Medium) throws(TrialError) {
    let layout = FileLayout(spec)
    for number in 0..<spec.partitions {
      let source = spec.source(of: number)
      let messages = MessagesAtRest(spec, source)
      for path in try medium.files(of: source) {
        try medium.read(path) { bytes in
          note(magic, in: bytes)
          messages.forEach(in: bytes) { place, _ in
            let start = Double(place.lowerBound) - Double(layout.requestHeader)
            if firstRecord == nil || firstRecord == Double(layout.headBytes) { firstRecord = start }
            return false
          }
        }
      }
    }
  }

  private mutating func note(_ magic: [UInt8], in bytes: UnsafeRawBufferPointer) {
    let last = min(4096, bytes.count) - magic.count
    let place = last < 0 ? nil : (0...last).first { start in bytes[start..<start + magic.count].elementsEqual(magic) }
    let found = Double(place ?? -1)
    if magicAt == nil || magicAt == 0 { magicAt = found }
    guard let place, place + magic.count + 4 <= bytes.count else { return }
    let number = Double(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: place + magic.count, as: UInt32.self)))
    if version == nil || number != 1 { version = number }
  }
}
