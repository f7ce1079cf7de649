import LogModel
import PartitionEngine
import Storage

extension Defect {
  static let chronikMetadata: [Defect] = [
    Defect(
      "C13", origin: "chronik", "The metadata log is never flushed; recovery reads at most 1000 events.",
      showsWhen: "a process kill, or more than 1000 events", layer: { MetadataBuffered($0) }
    ) { $0.metadata = FirstThousandRecords() }
  ]
}

/// C13, where it reads.
struct FirstThousandRecords: MetadataReading {
  func end(of records: Range<Offset>) -> Offset { min(records.upperBound, records.lowerBound + 1000) }
}

/// C13, where it writes: a buffer of the process, which goes to the file when that is closed, and which no sync knows
/// of.
private final class MetadataBuffered: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop, as every storage.

  private typealias Piece = (start: Int64, bytes: [UInt8])

  /// By path, in the order of writing.
  private var pieces: [String: [Piece]] = [:]
  private var writers: Set<FileID> = []

  override func open(_ path: String, _ mode: OpenMode) async throws(StorageError) -> FileID {
    let file = try await super.open(path, mode)
    if mode.contains(.write), path.hasPrefix("metadata") { writers.insert(file) }
    return file
  }

  override func write(
    _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
  ) async throws(StorageError) -> Int {
    guard writers.contains(file) else {
      return try await super.write(file, at: offset, from: buffer, range, durability)
    }
    pieces[paths[file], default: []].append((offset, Array(buffer[range])))
    return range.count
  }

  override func sync(_ file: FileID, _ scope: SyncScope) async throws(StorageError) {
    if !writers.contains(file) { try await super.sync(file, scope) }
  }

  override func size(of file: FileID) async throws(StorageError) -> Int64 {
    let size = try await super.size(of: file)
    return (pieces[paths[file]] ?? []).reduce(size) { max($0, $1.start + Int64($1.bytes.count)) }
  }

  override func read(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int {
    let got = try await super.read(file, at: offset, into: buffer, range)
    guard let pending = pieces[paths[file]], !pending.isEmpty else { return got }
    let end = min(offset + Int64(range.count), try await size(of: file))
    let all = max(got, Int(end - offset))
    if all > got {
      buffer.mutableBytes(range.lowerBound + got..<range.lowerBound + all).initializeMemory(
        as: UInt8.self, repeating: 0)
    }
    for piece in pending {
      let from = max(piece.start, offset)
      let to = min(piece.start + Int64(piece.bytes.count), end)
      guard from < to else { continue }
      let place = range.lowerBound + Int(from - offset)
      buffer.mutableBytes(place..<place + Int(to - from)).copyBytes(
        from: piece.bytes[Int(from - piece.start)..<Int(to - piece.start)])
    }
    return all
  }

  override func unlink(_ path: String) async throws(StorageError) {
    pieces[path] = nil
    try await super.unlink(path)
  }

  override func close(_ file: FileID) async {
    if writers.remove(file) != nil, let pending = pieces.removeValue(forKey: paths[file]) {
      for piece in pending {
        let buffer = makeBuffer(capacity: piece.bytes.count)
        buffer.mutableBytes(0..<piece.bytes.count).copyBytes(from: piece.bytes)
        // Whoever closes a file is told nothing.
        do throws(StorageError) {
          _ = try await super.write(file, at: piece.start, from: buffer, 0..<piece.bytes.count, .durable)
        } catch {}
      }
    }
    await super.close(file)
  }
}
