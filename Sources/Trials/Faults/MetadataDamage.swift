import FaultInjection
import LogModel
import Storage
import WriteAheadLog

/// Damage at rest of the metadata, which the engine keeps twice (`FaultTarget.metadataCopies`). No message stands
/// there, so nothing is excused by it: with one copy damaged everything must be back.
///
/// Where both are damaged at one record nobody can know what it was, and the engine has to say so: it may refuse to
/// open. Then one copy is put back as it was, as by an operator who has a backup, and everything must be back. An
/// engine that opens all the same is judged by what it serves. Where the damage, zeros over all records say, leaves no
/// later record in both copies, what was in them alone may be forgotten (`DurabilityEvidence`); topics whose logs are
/// there may not.
struct MetadataDamage {
  /// A batch in a copy, by the codec's rules.
  private struct Batch {
    var path: String
    var bytes: Range<Int>
    var first: Offset
  }

  /// What is left on the medium that speaks of records which one fault has destroyed in both copies.
  enum DurabilityEvidence: String, Codable {
    /// A later record stands in both: no log ends before it.
    case records
    /// Of the metadata nothing behind the damage; but logs hold messages, and their folders name topic and partition.
    case logs
    case none
  }

  /// What the copy that was damaged first held before.
  private var backup: MetadataBackup?

  /// Both are damaged at one record, by one fault.
  private var isAtOneRecord = false

  /// Nil as long as each record is whole in one copy, for all that the faults know.
  var backupOfBoth: MetadataBackup? { isAtOneRecord ? backup : nil }

  static func isAimedAt(_ fault: FaultSpec) -> Bool {
    fault.parameters["target"] == FaultTarget.metadata.rawValue && StorageFaultGrammar.isResting(fault)
  }

  /// The edits that the fault comes to, in all the copies that it hits.
  /// - Throws: `TrialError.faultMissed` where nothing stands there that it could hit.
  mutating func edits(
    _ fault: FaultSpec, on medium: some AtRestDamage.Medium, _ random: inout SeededGenerator
  ) throws(TrialError) -> (edits: [AtRestFault], copies: [String], isTestified: Bool) {
    let all = FaultTarget.metadataCopies
    let word = fault.parameters["copy"]
    if word == "both" {
      let (first, second) = (try batches(of: all[0], on: medium), try batches(of: all[1], on: medium))
      // What ends a copy may have been torn by the crash, for all that the engine can see.
      let isFlip = fault.kind == FaultKind.bitFlip.rawValue
      let places = first.dropLast(isFlip ? 1 : 0).compactMap { one in
        second.dropLast(isFlip ? 1 : 0).first { $0.first == one.first }.map { (one, $0) }
      }
      guard let place = places.randomElement(using: &random) else {
        throw .faultMissed(
          "no record of the metadata stands in both copies\(isFlip ? " with another one behind it" : "")")
      }
      try note(all[0], on: medium)
      try note(all[1], on: medium)
      isAtOneRecord = true
      var edits: [AtRestFault] = []
      var isTestified = true
      for (batch, copy) in [(place.0, first), (place.1, second)] {
        let own = try AtRestFaultGrammar.edits(fault, victim(batch, isFlip ? [] : copy, on: medium), &random)
        isTestified = isTestified && Self.isTestified(own, copy)
        edits += own
      }
      return (edits, all, isTestified)
    }
    let copy = word ?? all[Int.random(in: 0..<all.count, using: &random)]
    let found = try batches(of: copy, on: medium)
    guard let batch = found.randomElement(using: &random) else { throw .faultMissed("\(copy) holds no record") }
    try note(copy, on: medium)
    return (try AtRestFaultGrammar.edits(fault, victim(batch, found, on: medium), &random), [copy], true)
  }

  /// Whether a record of the copy stands behind everything that the edits destroy.
  private static func isTestified(_ edits: [AtRestFault], _ copy: [Batch]) -> Bool {
    func isHit(_ batch: Batch) -> Bool {
      edits.contains { edit in
        switch edit {
        case .zero(let path, let range), .garbage(let path, let range, _):
          path == batch.path && range.lowerBound < Int64(batch.bytes.upperBound)
            && range.upperBound > Int64(batch.bytes.lowerBound)
        case .flipBits(let path, let places):
          path == batch.path && places.contains { batch.bytes.contains(Int($0.byte)) }
        default: true
        }
      }
    }
    return copy.last.map { !isHit($0) } ?? false
  }

  /// In the order of their offsets.
  private func batches(of copy: String, on medium: some AtRestDamage.Medium) throws(TrialError) -> [Batch] {
    var found: [Batch] = []
    for path in try medium.files(ofMetadata: copy) {
      found += try medium.read(path) { bytes in
        BatchLayout.batches(in: bytes, at: 0).compactMap { place in
          guard let base = bytes.baseAddress else { return nil }
          let header = BatchHeader(
            at: base + place.lowerBound, position: Int64(place.lowerBound), available: place.count)
          return header.map { Batch(path: path, bytes: place, first: $0.baseOffset) }
        }
      }
    }
    return found.sorted { $0.first < $1.first }
  }

  private func victim(
    _ batch: Batch, _ all: [Batch], on medium: some AtRestDamage.Medium
  ) throws(TrialError) -> AtRestFaultGrammar.Victim {
    let start = min(batch.bytes.lowerBound + BatchHeader.size + 8, batch.bytes.upperBound)
    let records = start..<batch.bytes.upperBound
    let end = all.lazy.filter { $0.path == batch.path }.map(\.bytes.upperBound).max() ?? batch.bytes.upperBound
    return AtRestFaultGrammar.Victim(
      path: batch.path, first: records, any: records, last: records, end: end,
      size: try medium.read(batch.path) { $0.count },
      files: Array(Set(all.map(\.path))).sorted(), layout: FileLayout(.tornlog, topic: ""))
  }

  private mutating func note(_ copy: String, on medium: some AtRestDamage.Medium) throws(TrialError) {
    if backup == nil {
      var files: [MetadataBackup.File] = []
      for path in try medium.files(ofMetadata: copy) {
        files.append(MetadataBackup.File(path: path, bytes: try medium.read(path) { Array($0) }))
      }
      backup = MetadataBackup(copy: copy, files: files)
    }
  }
}

/// A copy of the metadata as it was.
struct MetadataBackup: Sendable {
  struct File: Sendable {
    var path: String
    var bytes: [UInt8]
  }

  /// Its folder.
  var copy: String
  var files: [File]

  /// Puts it back in the place of what is there; no engine may be open. Passes the storage interface, as what an
  /// operator copies passes the file system, and is durable when it returns.
  func putBack(on storage: any Storage) async throws(StorageError) {
    for entry in try await storage.list(copy) { try await storage.unlink("\(copy)/\(entry.name)") }
    for file in files {
      let handle = try await storage.open(file.path, [.write, .create, .exclusive])
      do throws(StorageError) {
        let buffer = storage.makeBuffer(capacity: max(1, file.bytes.count))
        buffer.mutableBytes(0..<file.bytes.count).copyBytes(from: file.bytes)
        try await storage.writeWhole(handle, file.path, at: 0, from: buffer, 0..<file.bytes.count)
        try await storage.sync(handle, .all)
      } catch {
        await storage.close(handle)
        throw error
      }
      await storage.close(handle)
    }
    try await storage.syncDirectory(copy)
  }
}
