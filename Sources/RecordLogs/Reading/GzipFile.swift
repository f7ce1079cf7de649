import CZlib
import Glibc
import Storage

/// What a compressed file was made of: by this it is compared with its source.
package struct GzipSummary: Hashable {
  /// Of the uncompressed bytes.
  var bytes: Int64 = 0
  var checksum: UInt32 = 0
}

extension Storage {
  private var pieceSize: Int { 128 << 10 }
  /// RFC 1952, section 2.3: ten bytes and the header's checksum.
  private var headerSize: Int { 12 }

  /// Writes all that `source` has to a new file, compressed (RFC 1952); the file is synced, its entry is not.
  /// - Parameter time: seconds since 1970, for the header.
  package func writeCompressed(
    _ source: any RecordSource, to path: String, time: UInt32
  ) async throws(StorageError) -> (summary: GzipSummary, compressedBytes: Int64) {
    let file = try await here().open(path, [.write, .create])
    do throws(StorageError) {
      // A leftover of one who was cut off here.
      try await here().truncate(file, to: 0)
      let result = try await compress(source, into: file, path, time)
      try await here().sync(file, .all)
      await close(file)
      return result
    } catch {
      await close(file)
      throw error
    }
  }

  private func compress(
    _ source: any RecordSource, into file: FileID, _ path: String, _ time: UInt32
  ) async throws(StorageError) -> (summary: GzipSummary, compressedBytes: Int64) {
    guard let stream = tl_gzip_begin(time, 6) else { throw StorageError(errno: ENOMEM, .write, path) }
    defer { tl_zstream_end(stream) }
    let (input, output) = (makeBuffer(capacity: pieceSize), makeBuffer(capacity: pieceSize))
    var summary = GzipSummary()
    var written: Int64 = 0
    while true {
      let count = try await source.read(into: input, 0..<pieceSize)
      summary.bytes += Int64(count)
      summary.checksum = tl_crc32(summary.checksum, input.base, count)
      var (at, hasEnded) = (0, false)
      repeat {
        var (taken, made) = (count - at, pieceSize)
        hasEnded =
          tl_zstream_run(stream, input.base + at, &taken, output.base, &made, count == 0 ? 1 : 0) == Int32(TL_Z_END)
        at += taken
        try await here().writeWhole(file, path, at: written, from: output, 0..<made)
        written += Int64(made)
      } while at < count || count == 0 && !hasEnded
      if count == 0 { return (summary, written) }
    }
  }

  /// What a compressed file holds.
  /// - Returns: nil where it is cut off or damaged.
  func readCompressed(_ path: String) async throws(StorageError) -> GzipSummary? {
    let file = try await here().open(path, [])
    do throws(StorageError) {
      let source = GzipSource(self, FileSource(self, file, limit: try await here().size(of: file)))
      let buffer = makeBuffer(capacity: pieceSize)
      var summary = GzipSummary()
      while true {
        let count = try await source.read(into: buffer, 0..<pieceSize)
        if count == 0 { break }
        summary.bytes += Int64(count)
        summary.checksum = tl_crc32(summary.checksum, buffer.base, count)
      }
      await close(file)
      return source.isDamaged ? nil : summary
    } catch {
      await close(file)
      throw error
    }
  }

  /// The time in the header of a compressed file that `writeCompressed` has made, seconds since 1970.
  /// - Returns: nil where the header is not one of those, or its own checksum does not hold.
  func compressedTime(_ path: String) async throws(StorageError) -> UInt32? {
    let file = try await here().open(path, [])
    let buffer = makeBuffer(capacity: headerSize)
    let count: Int
    do throws(StorageError) {
      count = try await readPatiently(file, at: 0, into: buffer, 0..<headerSize)
      await close(file)
    } catch {
      await close(file)
      throw error
    }
    // ID1, ID2, CM, FLG (bit 1: FHCRC), MTIME, XFL, OS, then the low half of the CRC-32 of these.
    let head = UnsafeRawPointer(buffer.base)
    guard count == headerSize, buffer[0..<4].elementsEqual([0x1F, 0x8B, 8, 2]),
      head.little(10, UInt16.self) == UInt16(truncatingIfNeeded: tl_crc32(0, head, 10))
    else { return nil }
    return head.little(4, UInt32.self)
  }
}
