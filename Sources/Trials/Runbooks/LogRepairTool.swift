import Glibc
import LogModel
import RecordLogs
import Storage
import WriteAheadLog

/// What a repair by hand has found in a file of records.
struct LogRepairTool: Hashable, Sendable {
  /// Valid records, each of which is in the new file.
  var records = 0
  /// Places at which bytes stood that are no record, and all of those bytes.
  var skipped = 0
  var skippedBytes: Int64 = 0
}

/// Who makes a new file of what is valid in a damaged one.
protocol LogRepairing: Sendable {
  /// - Throws: as `Storage.extractRecords`.
  func repair(
    _ input: String, into output: String, of system: LogSystem, on storage: any Storage
  ) async throws(StorageError) -> LogRepairTool
}

/// `wal-repair --skip-corrupted`
struct SkipCorruptedRecords: LogRepairing {
  func repair(
    _ input: String, into output: String, of system: LogSystem, on storage: any Storage
  ) async throws(StorageError) -> LogRepairTool {
    try await storage.extractRecords(of: system, from: input, to: output)
  }
}

extension Storage {
  /// Writes the valid records of the file at `input` one behind the other into a new file at `output`, and nothing of
  /// what stands between them: `wal-repair --input ... --output ... --skip-corrupted` of the Streamhouse runbook,
  /// option 5, which its project never had. On the medium when this returns, but for the name.
  ///
  /// Where a record says which number it has, a reader of the new file sees what is missing. Where it does not
  /// (Streamhouse), everything behind what was left out has moved, and nothing in the file tells.
  /// - Throws: EEXIST where there is an `output`, EINVAL for a system whose logs hold no single records, and what the
  ///   medium says.
  func extractRecords(
    of system: LogSystem, from input: String, to output: String
  ) async throws(StorageError) -> LogRepairTool {
    switch system {
    case .tornlog: throw StorageError(errno: EINVAL, .open, input)
    case .streamhouse: try await extractRecords(StreamhouseCodec.self, from: input, to: output)
    case .airunner: try await extractRecords(AirunnerCodec.self, from: input, to: output)
    case .chronik: try await extractRecords(ChronikV2Codec.self, from: input, to: output)
    case .chronikV1: try await extractRecords(ChronikV1Codec.self, from: input, to: output)
    case .replayBuffer: try await extractRecords(ReplayCodec.self, from: input, to: output)
    }
  }

  private func extractRecords<Codec: RecordCodec>(
    _ codec: Codec.Type, from input: String, to output: String
  ) async throws(StorageError) -> LogRepairTool {
    let source = try await open(input, [])
    do throws(StorageError) {
      let target = try await open(output, [.write, .create, .exclusive])
      do throws(StorageError) {
        let found = try await extract(codec, source, target, output)
        await close(target)
        await close(source)
        return found
      } catch {
        await close(target)
        throw error
      }
    } catch {
      await close(source)
      throw error
    }
  }

  private func extract<Codec: RecordCodec>(
    _ codec: Codec.Type, _ source: FileID, _ target: FileID, _ output: String
  ) async throws(StorageError) -> LogRepairTool {
    var found = LogRepairTool()
    let size = try await size(of: source)
    var scanner = RecordScanner<Codec>(self, FileSource(self, source, limit: size))
    if try await scanner.head(Codec.fileHeader.count) != Codec.fileHeader {
      (found.skipped, found.skippedBytes) = (1, min(size, Int64(Codec.fileHeader.count)))
    }
    scanner.skip(to: min(size, Int64(Codec.fileHeader.count)))
    var buffer = makeBuffer(capacity: 256 << 10)
    buffer.mutableBytes(0..<Codec.fileHeader.count).copyBytes(from: Codec.fileHeader)
    var (filled, written) = (Codec.fileHeader.count, Int64(0))
    func flush() async throws(StorageError) {
      try await writeWhole(target, output, at: written, from: buffer, 0..<filled)
      written += Int64(filled)
      filled = 0
    }
    scanning: while true {
      switch try await scanner.next() {
      case .record(let position, let length):
        if filled + length > buffer.capacity {
          try await flush()
          if length > buffer.capacity { buffer = makeBuffer(capacity: length) }
        }
        buffer.mutableBytes(filled..<filled + length).copyMemory(from: scanner.bytes(at: position, length))
        filled += length
        found.records += 1
      case .damage(let range, _):
        found.skipped += 1
        found.skippedBytes += Int64(range.count)
      case .end(let range, _, let isBlank):
        if !range.isEmpty, !isBlank {
          found.skipped += 1
          found.skippedBytes += Int64(range.count)
        }
        break scanning
      }
    }
    try await flush()
    try await sync(target, .all)
    return found
  }

  /// Copies a file, into a new one or over one that is there, and syncs the copy (not its name). `cp`; `kubectl cp`.
  func copyFile(_ path: String, to target: String) async throws(StorageError) {
    let from = try await open(path, [])
    do throws(StorageError) {
      let copy = try await open(target, [.write, .create])
      do throws(StorageError) {
        let size = try await size(of: from)
        let source = FileSource(self, from, limit: size)
        let buffer = makeBuffer(capacity: 256 << 10)
        var at: Int64 = 0
        while true {
          let got = try await source.read(into: buffer, 0..<buffer.capacity)
          if got == 0 { break }
          try await writeWhole(copy, target, at: at, from: buffer, 0..<got)
          at += Int64(got)
        }
        try await truncate(copy, to: at)
        try await sync(copy, .all)
        await close(copy)
        await close(from)
      } catch {
        await close(copy)
        throw error
      }
    } catch {
      await close(from)
      throw error
    }
  }
}
