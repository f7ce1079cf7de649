import LogModel
import Storage
import WriteAheadLog

/// H2, where it writes. The file is opened for append: behind everything that was ever written to it, a torn record
/// too. That file ended with its last byte; in one that is filled with zeros ahead, the last byte that is not zero
/// stands for it.
struct LastSegmentReopened: AppendResuming {
  var cutsTail: Bool { false }

  func reopen(
    _ path: String, dataEnd: Int64, isSynchronous: Bool, on storage: any Storage
  ) async throws(StorageError) -> ReopenedSegment? {
    let reader = try await storage.open(path, [])
    let size: Int64
    let end: Int64
    do throws(StorageError) {
      size = try await storage.size(of: reader)
      end = try await endOfContent(reader, from: dataEnd, size, storage)
    } catch {
      await storage.close(reader)
      throw error
    }
    await storage.close(reader)
    let block = Int64(storage.properties.blockSize)
    let position = (end + block - 1) / block * block
    return ReopenedSegment(
      writer: try await storage.open(path, isSynchronous ? [.write, .direct] : [.write]), position: position,
      zeroedEnd: max(position, size))
  }

  private func endOfContent(
    _ file: FileID, from start: Int64, _ size: Int64, _ storage: any Storage
  ) async throws(StorageError) -> Int64 {
    let buffer = storage.makeBuffer(capacity: 256 << 10)
    var end = start
    var at = start
    while at < size {
      let got = try await storage.read(file, at: at, into: buffer, 0..<Int(min(Int64(buffer.capacity), size - at)))
      if got == 0 { break }
      if let last = (0..<got).last(where: { buffer.base.load(fromByteOffset: $0, as: UInt8.self) != 0 }) {
        end = at + Int64(last) + 1
      }
      at += Int64(got)
    }
    return end
  }
}

/// H2, where it reads: a record is as long as it says, whole or torn.
struct LengthsBelieved: BatchResynchronizing {
  func distance(past header: BatchHeader?) -> Int {
    guard let header else { return BatchHeader.alignment }
    return (header.length + BatchHeader.alignment - 1) / BatchHeader.alignment * BatchHeader.alignment
  }
}
