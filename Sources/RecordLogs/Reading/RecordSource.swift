import Glibc
import LogModel
import Storage

/// Bytes of a log from front to back, wherever they come from.
package protocol RecordSource: AnyObject {
  /// The next bytes, up to `range.count` of them, into `buffer[range]`; 0 at the end.
  func read(into buffer: IOBuffer, _ range: Range<Int>) async throws(StorageError) -> Int
  /// Bytes that the device could not read: they count as zeros.
  var unreadableBytes: Int64 { get }
}

/// An open file, up to a limit. A sector that cannot be read costs its own bytes and no others: they read as zeros,
/// which no record survives.
package final class FileSource: RecordSource {
  // Owned by the loop of its storage.

  private static let sector = 512
  /// Reads of a sector before it is given up.
  private static let attempts = 6
  /// A device that fails so much in a row fails altogether: its word is no ground for deciding anything.
  private static let mostUnreadable = 64 << 10

  private let storage: any Storage
  package let file: FileID
  package private(set) var position: Int64
  /// Reading ends here; may grow.
  package var limit: Int64
  package private(set) var unreadableBytes: Int64 = 0
  /// Behind the last byte that could not be read.
  private(set) var unreadableEnd: Int64 = 0
  private var unreadableInARow = 0

  package init(_ storage: any Storage, _ file: FileID, from position: Int64 = 0, limit: Int64) {
    self.storage = storage
    self.file = file
    self.position = position
    self.limit = limit
  }

  package func read(into buffer: IOBuffer, _ range: Range<Int>) async throws(StorageError) -> Int {
    let count = Int(min(Int64(range.count), limit - position))
    guard count > 0 else { return 0 }
    let got: Int
    do throws(StorageError) {
      got = try await storage.readPatiently(
        file, at: position, into: buffer, range.lowerBound..<range.lowerBound + count)
      unreadableInARow = 0
    } catch {
      guard error.isErrno(EIO) else { throw error }
      got = try await readSector(into: buffer, range.lowerBound, atMost: count)
    }
    position += Int64(got)
    return got
  }

  /// Up to the next boundary of a sector.
  private func readSector(into buffer: IOBuffer, _ at: Int, atMost: Int) async throws(StorageError) -> Int {
    let count = min(atMost, Self.sector - Int(position % Int64(Self.sector)))
    for attempt in 1...Self.attempts {
      do throws(StorageError) {
        let got = try await storage.readPatiently(file, at: position, into: buffer, at..<at + count)
        unreadableInARow = 0
        return got
      } catch {
        guard error.isErrno(EIO) else { throw error }
        if attempt == Self.attempts, unreadableInARow + count > Self.mostUnreadable { throw error }
      }
      await storage.loop.sleep(until: storage.loop.now + .milliseconds(1))
    }
    memset(buffer.base + at, 0, count)
    unreadableInARow += count
    unreadableBytes += Int64(count)
    unreadableEnd = position + Int64(count)
    return count
  }
}

extension Storage {
  /// `readWhole`, as one call site.
  func readPatiently(
    _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
  ) async throws(StorageError) -> Int { try await here().readWhole(file, at: offset, into: buffer, range) }
}
