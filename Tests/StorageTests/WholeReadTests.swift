import Glibc
import LogModel
import Storage
import Testing

/// The one loop that reads of an engine go through.
@Suite struct WholeReadTests {
  /// What one attempt does: brings at most so many bytes, or fails.
  enum Attempt: Hashable, Sendable {
    case brings(Int)
    case fails(Int32)
  }

  /// Reads as attempts say, in order; the last one is repeated for ever.
  final class Reluctant: StorageWrapper, @unchecked Sendable {
    // Owned by the base's loop, as every storage.
    private var attempts: [Attempt]

    init(_ base: any Storage, _ attempts: [Attempt]) {
      self.attempts = attempts
      super.init(base)
    }

    override func read(
      _ file: FileID, at offset: Int64, into buffer: IOBuffer, _ range: Range<Int>
    ) async throws(StorageError) -> Int {
      let attempt = attempts[0]
      if attempts.count > 1 { attempts.removeFirst() }
      switch attempt {
      case .fails(let code): throw StorageError(errno: code, .read, "f", offset: offset)
      case .brings(let count):
        return try await super.read(
          file, at: offset, into: buffer, range.lowerBound..<range.lowerBound + min(count, range.count))
      }
    }
  }

  private static func read(_ count: Int, of size: Int, _ attempts: [Attempt]) throws -> Result<Int, StorageError> {
    let disk = MemoryDisk(seed: 1)
    return try simulate { loop in
      let storage = Reluctant(MemoryStorage(disk: disk, loop: loop, directIO: false), attempts)
      let file = try await storage.open("f", [.write, .create])
      let content = (0..<size).map { UInt8($0 % 251) }
      let source = storage.makeBuffer(capacity: size)
      source.mutableBytes(0..<size).copyBytes(from: content)
      try await storage.writeWhole(file, "f", at: 0, from: source, 0..<size)
      let target = storage.makeBuffer(capacity: count)
      do throws(StorageError) {
        let got = try await storage.readWhole(file, at: 0, into: target, 0..<count)
        #expect(Array(target[0..<got]) == Array(content.prefix(got)))
        return .success(got)
      } catch { return .failure(error) }
    }
  }

  @Test(arguments: [1, 7, 512, 4096]) func shortReadsAreGoneOnWith(_ most: Int) throws {
    #expect(try Self.read(1000, of: 1000, [.brings(most)]) == .success(1000))
  }

  /// Only a read of no bytes says where the file ends.
  @Test func theEndOfTheFileEndsIt() throws {
    #expect(try Self.read(1000, of: 300, [.brings(100)]) == .success(300))
  }

  @Test(arguments: [EINTR, EAGAIN]) func whereNothingHappenedItIsReadAgain(_ code: Int32) throws {
    #expect(try Self.read(1000, of: 1000, [.fails(code), .brings(10), .fails(code), .brings(4096)]) == .success(1000))
    // For ever: the device's word is believed in the end.
    guard case .failure(let error) = try Self.read(10, of: 10, [.fails(code)]) else {
      Issue.record("it was read")
      return
    }
    #expect(error.isErrno(code))
  }

  @Test func anyOtherErrorEndsIt() throws {
    guard case .failure(let error) = try Self.read(10, of: 10, [.fails(EIO), .brings(4096)]) else {
      Issue.record("it was read")
      return
    }
    #expect(error.isErrno(EIO))
  }
}
