import Glibc
import LogModel
import Storage
import WriteAheadLog

/// Decides how far the metadata is read when an engine opens.
public protocol MetadataReading: Sendable {
  /// - Parameter records: those that there are, from the oldest on.
  /// - Returns: the offset after the last one to read.
  func end(of records: Range<Offset>) -> Offset
}

public struct EveryRecord: MetadataReading {
  public init() {}
  public func end(of records: Range<Offset>) -> Offset { records.upperBound }
}

/// What the records of the metadata log add up to, taken in the order of their offsets.
struct MetadataReplay {
  private(set) var state = Metadata()
  private(set) var records = 0
  /// Everything from here on is there: the last whole snapshot, or the beginning of the log.
  private(set) var known: Offset?
  /// The copies are not the same.
  private(set) var isUneven = false
  /// A snapshot of which records are still to come. Until they have, what came before it holds.
  private var partial: (at: Offset, state: Metadata, left: Int)?

  /// Reads all that any of the copies has.
  /// - Throws: `EngineError.damagedMetadata` where something that is not void is in none of them, or means nothing;
  ///   `.storage` where that may be for a device that fails.
  static func run(
    _ copies: [PartitionLog], _ reading: any MetadataReading, on storage: any Storage
  ) async throws(EngineError) -> MetadataReplay {
    var replay = MetadataReplay()
    let response = FetchResponse(in: storage.makeBuffer(capacity: 16 << 10))
    let readers = copies.map { CopyReader($0, response) }
    var at = copies.map(\.firstRetainedOffset).min() ?? 0
    let end = reading.end(of: at..<max(at, copies.map(\.highWatermark).max() ?? 0))
    if at == 0 { replay.known = 0 }
    var missing: Offset = 0
    while at < end {
      var found: CopyReader.Record?
      var next = end
      for reader in readers {
        switch await reader.record(at: at) {
        case .missing(let until):
          replay.isUneven = true
          next = min(next, until)
        case .record(let record):
          if let first = found, first.text != record.text {
            replay.isUneven = true
            if record.isLater(than: first) { found = record }
          } else {
            found = record
          }
        }
      }
      if let found {
        guard let change = MetadataRecord(text: found.text) else {
          throw .damagedMetadata("record \(at) is `\(found.text.prefix(60))`")
        }
        replay.take(change, at: at)
        at = at + 1
      } else {
        missing = next
        at = next
      }
    }
    guard let known = replay.known, missing <= known else {
      if let failure = readers.compactMap(\.failure).first { throw .storage(failure) }
      let gone = max(missing, copies.map(\.firstRetainedOffset).min() ?? 0)
      throw .damagedMetadata(
        "records before \(gone) are in neither copy (\(MetadataLog.directories.joined(separator: ", "))); "
          + "put one of them back from a backup, or from what was set aside there")
    }
    if replay.partial != nil || copies.count < MetadataLog.directories.count { replay.isUneven = true }
    if copies.contains(where: { !$0.damage.isEmpty }) { replay.isUneven = true }
    return replay
  }

  private mutating func take(_ change: MetadataRecord, at offset: Offset) {
    records += 1
    if case .snapshot(let count) = change {
      partial = (offset, Metadata(), count)
    } else if partial != nil {
      partial!.state.apply(change)
      partial!.left -= 1
    } else {
      state.apply(change)
    }
    if let whole = partial, whole.left == 0 {
      state = whole.state
      known = whole.at
      partial = nil
    }
  }
}

/// One copy of the metadata log, read record by record.
private final class CopyReader {
  struct Record {
    var text: String
    var epoch: Epoch
    var time: Instant

    func isLater(than other: Record) -> Bool { (epoch, time) > (other.epoch, other.time) }
  }

  enum Found {
    case record(Record)
    /// Nor are those that follow, before the offset.
    case missing(until: Offset)
  }

  private let log: PartitionLog
  /// Shared by the readers: nothing is left in it between two loads.
  private let response: FetchResponse
  private var first: Offset = 0
  private var records: [Record] = []
  private var damagedEnd: Offset = 0
  /// Why no more could be read.
  private(set) var failure: StorageError?

  init(_ log: PartitionLog, _ response: FetchResponse) {
    self.log = log
    self.response = response
  }

  /// - Parameter offset: not below that of the last call.
  func record(at offset: Offset) async -> Found {
    if offset < log.firstRetainedOffset { return .missing(until: log.firstRetainedOffset) }
    if offset < damagedEnd { return .missing(until: damagedEnd) }
    if offset >= log.highWatermark || failure != nil { return .missing(until: Offset(Int64.max)) }
    if offset >= first + records.count { await load(offset) }
    if offset < first + records.count { return .record(records[Int(offset.rawValue - first.rawValue)]) }
    return .missing(until: failure == nil ? max(damagedEnd, offset + 1) : Offset(Int64.max))
  }

  private func load(_ offset: Offset) async {
    records.removeAll(keepingCapacity: true)
    first = offset
    do throws(LogError) {
      try await log.fetch(from: offset, maxBytes: 256 << 10, into: response)
      var batch = 0
      response.forEachRecord { record in
        while response.batches[batch].header.nextOffset <= record.offset { batch += 1 }
        let header = response.batches[batch].header
        records.append(
          Record(text: String(decoding: record.value, as: UTF8.self), epoch: header.epoch, time: header.time))
      }
      // A batch that counts more records than it holds: the others are nowhere.
      if records.isEmpty { damagedEnd = max(response.nextOffset, offset + 1) }
    } catch {
      switch error {
      case .damaged(let range): damagedEnd = max(range.to, offset + 1)
      case .storage(let storage): failure = storage
      default: damagedEnd = offset + 1
      }
    }
  }
}
