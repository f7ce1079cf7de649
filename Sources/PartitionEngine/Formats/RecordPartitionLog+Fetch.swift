import LogModel
import RecordLogs
import Storage
import WriteAheadLog

extension RecordPartitionLog {
  func fetch(from offset: Offset, maxBytes: Int, into response: FetchResponse) async throws(LogError) {
    guard canBeRead else { throw .closed }
    let visible = highWatermark
    guard offset >= logStartOffset, offset <= visible else {
      throw .offsetOutOfRange(offset, start: logStartOffset, end: visible)
    }
    response.begin(from: offset, below: visible)
    if offset == visible { return }
    if let range = damage.first(where: { $0.from <= offset && offset < $0.to }) { throw .damaged(range) }
    // What is visible and undamaged must be there. If it is not, it may have been misread: once more.
    var missing = DamagedRange(from: offset, to: visible, path: directory, byteFrom: 0, byteTo: 0)
    for _ in 0..<2 {
      response.begin(from: offset, below: visible)
      var search = FetchSearch<Format>(
        offset: offset, end: visible, maxBytes: maxBytes, damage: damage, directory: directory)
      do throws(StorageError) { try await run(&search, into: response) } catch {
        // A file that is gone has been removed for a deletion since the fetch began.
        guard error.isNotFound, offset < logStartOffset else { throw .storage(error) }
      }
      guard offset >= logStartOffset else { throw .offsetOutOfRange(offset, start: logStartOffset, end: highWatermark) }
      if !response.isEmpty { return }
      if let found = search.missing { missing = found }
    }
    throw .damaged(missing)
  }

  private func run(_ search: inout FetchSearch<Format>, into response: FetchResponse) async throws(StorageError) {
    guard let entry = index.entry(atOrBefore: search.offset) else {
      let to = min(index.entries.first?.offset ?? search.end, search.end)
      search.missing = DamagedRange(from: search.offset, to: to, path: directory, byteFrom: 0, byteTo: 0)
      return
    }
    let reader = try await RecordRangeReader<Codec>.open(log, at: entry.position)
    do throws(StorageError) {
      search.begin(at: entry.offset)
      while let finding = try await reader.next(), search.take(finding, index, into: response) {}
      await reader.close()
    } catch {
      await reader.close()
      throw error
    }
  }
}

/// A fetch on its way through the records.
private struct FetchSearch<Format: PartitionFormat> {
  let offset: Offset
  let end: Offset
  let maxBytes: Int
  /// What recovery has reported.
  let damage: [DamagedRange]
  private let directory: String
  /// Where `offset` is missing.
  var missing: DamagedRange?
  private var numbering = MessageNumbering(from: 0)
  private var lastDamage: DamagedBytes?

  init(offset: Offset, end: Offset, maxBytes: Int, damage: [DamagedRange], directory: String) {
    self.offset = offset
    self.end = end
    self.maxBytes = maxBytes
    self.damage = damage
    self.directory = directory
  }

  mutating func begin(at offset: Offset) { numbering = MessageNumbering(from: offset) }

  /// - Returns: whether to go on.
  mutating func take(_ finding: RecordFinding<Format.Codec>, _ index: RecordIndex, into response: FetchResponse) -> Bool
  {
    switch finding {
    case .damage(let bytes):
      lastDamage = bytes
      let isKnown = damage.contains { $0.path == bytes.path && $0.byteFrom == bytes.range.lowerBound }
      if Format.carriesOffsets || isKnown {
        _ = numbering.passOver(isNumbered: Format.carriesOffsets)
        return true
      }
      // New since recovery has counted: what stands before the next place that is known cannot be numbered.
      let next = min(index.entry(after: numbering.next)?.offset ?? end, end)
      if offset >= numbering.next, offset < next { note(offset..<next) }
      return false
    case .record(_, let record):
      var goesOn = true
      var gap: Range<Offset>?
      numbering.beginRecord()
      Format.read(record, &numbering) { message in
        guard goesOn, message.offset >= offset else { return }
        guard message.offset < end else { return goesOn = false }
        let expected = response.isEmpty ? offset : response.nextOffset
        if message.offset > expected {
          if response.isEmpty { gap = offset..<message.offset }
          goesOn = false
          return
        }
        response.add(message.offset, key: message.key, value: message.value)
      }
      if let gap { note(gap) }
      return goesOn && (response.isEmpty || response.usedBytes < maxBytes)
    }
  }

  private mutating func note(_ gap: Range<Offset>) {
    missing = DamagedRange(
      from: gap.lowerBound, to: min(gap.upperBound, end), path: lastDamage?.path ?? directory,
      byteFrom: lastDamage?.range.lowerBound ?? 0, byteTo: lastDamage?.range.upperBound ?? 0)
  }
}
