import Glibc
import LogModel
import LogTools
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
  /// option 5, which its project never had. What is valid is decided by `LogMend`, as `tornlog wal repair` has it. On
  /// the medium when this returns, but for the name.
  ///
  /// Where a record says which number it has, a reader of the new file sees what is missing. Where it does not
  /// (Streamhouse), everything behind what was left out has moved, and nothing in the file tells.
  /// - Throws: EEXIST where there is an `output`, EINVAL for a system whose logs hold no single records, and what the
  ///   medium says.
  func extractRecords(
    of system: LogSystem, from input: String, to output: String
  ) async throws(StorageError) -> LogRepairTool {
    guard system != .tornlog else { throw StorageError(errno: EINVAL, .open, input) }
    let sink = MemorySink()
    let mend: LogMend
    let bytes = MemoryBytes(try await wholeFile(input))
    do throws(LogToolError) {
      mend = try LogMend.mend(bytes, of: system, into: sink)
    } catch {
      preconditionFailure("bytes in memory can be read: \(error)")
    }
    let target = try await open(output, [.write, .create, .exclusive])
    do throws(StorageError) {
      let buffer = makeBuffer(capacity: max(1, sink.bytes.count))
      buffer.mutableBytes(0..<sink.bytes.count).copyBytes(from: sink.bytes)
      try await writeWhole(target, output, at: 0, from: buffer, 0..<sink.bytes.count)
      try await sync(target, .all)
      await close(target)
    } catch {
      await close(target)
      throw error
    }
    return LogRepairTool(records: mend.records, skipped: mend.skipped, skippedBytes: mend.skippedBytes)
  }

  /// The bytes of a file; those that the device cannot read are zeros.
  private func wholeFile(_ path: String) async throws(StorageError) -> [UInt8] {
    let file = try await open(path, [])
    do throws(StorageError) {
      let source = FileSource(self, file, limit: try await size(of: file))
      let buffer = makeBuffer(capacity: 256 << 10)
      var bytes: [UInt8] = []
      while true {
        let got = try await source.read(into: buffer, 0..<buffer.capacity)
        if got == 0 { break }
        bytes.append(contentsOf: buffer[0..<got])
      }
      await close(file)
      return bytes
    } catch {
      await close(file)
      throw error
    }
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
