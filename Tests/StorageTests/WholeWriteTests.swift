import Glibc
import LogModel
import Storage
import Testing

/// The one loop that all writes of an engine go through.
@Suite struct WholeWriteTests {
  /// What one attempt does: takes so many bytes, or fails.
  enum Attempt: Hashable, Sendable {
    case takes(Int)
    case fails(Int32)
  }

  /// Writes as attempts say, in order; after the last one everything is taken, or the last one is repeated for ever.
  final class Reluctant: StorageWrapper, @unchecked Sendable {
    // Owned by the base's loop, as every storage.
    private var attempts: [Attempt]
    private let repeatsLast: Bool
    private(set) var writes: [Range<Int64>] = []

    init(_ base: any Storage, _ attempts: [Attempt], repeatsLast: Bool) {
      (self.attempts, self.repeatsLast) = (attempts, repeatsLast)
      super.init(base)
    }

    override func write(
      _ file: FileID, at offset: Int64, from buffer: IOBuffer, _ range: Range<Int>, _ durability: WriteDurability
    ) async throws(StorageError) -> Int {
      writes.append(offset..<offset + Int64(range.count))
      guard let attempt = attempts.first else {
        return try await super.write(file, at: offset, from: buffer, range, durability)
      }
      if attempts.count > 1 || !repeatsLast { attempts.removeFirst() }
      switch attempt {
      case .fails(let code): throw StorageError(errno: code, .write, "f", offset: offset)
      case .takes(let count):
        if count == 0 { return 0 }
        return try await super.write(
          file, at: offset, from: buffer, range.lowerBound..<range.lowerBound + min(count, range.count), durability)
      }
    }
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var attempts: [Attempt]
    var isDirect = false
    var repeatsLast = false
    /// Where the writes begin; nil for any.
    var begins: [Int64]?
    /// Nil where all of it is written.
    var error: StorageError?
    var testDescription: String { name }
  }

  static let size = 4096
  static let cases = [
    Case(name: "at once", attempts: [], begins: [0]),
    Case(
      name: "a hundred bytes at a time", attempts: [.takes(100)], repeatsLast: true,
      begins: stride(from: 0, to: 4096, by: 100).map { $0 }),
    Case(name: "one byte at a time", attempts: [.takes(1)], repeatsLast: true),
    Case(
      name: "past the page cache, off a block", attempts: [.takes(700), .takes(1300)], isDirect: true,
      begins: [0, 512, 1536]),
    Case(name: "in the page cache, off a block", attempts: [.takes(700), .takes(1300)], begins: [0, 700, 2000]),
    Case(
      name: "interrupted in between", attempts: [.fails(EINTR), .takes(512), .fails(EAGAIN), .takes(0)],
      begins: [0, 0, 512, 512, 512]),
    Case(
      name: "nothing is taken", attempts: [.takes(512), .takes(0)], repeatsLast: true,
      error: StorageError(.shortWrite(taken: 512, of: size), .write, "f", offset: 512)),
    Case(
      name: "never a whole block, past the page cache", attempts: [.takes(511)], isDirect: true, repeatsLast: true,
      error: StorageError(.shortWrite(taken: 0, of: size), .write, "f", offset: 0)),
    Case(
      name: "interrupted for ever", attempts: [.fails(EINTR)], repeatsLast: true,
      error: StorageError(errno: EINTR, .write, "f", offset: 0)),
    Case(
      name: "full after a part", attempts: [.takes(512), .fails(ENOSPC)], begins: [0, 512],
      error: StorageError(errno: ENOSPC, .write, "f", offset: 512)),
  ]

  @Test(arguments: cases) func aWriteGoesOnFromWhereItCameToAndIsGivenUpByOneRule(_ test: Case) throws {
    let disk = MemoryDisk(seed: 1)
    try simulate { loop in
      let storage = Reluctant(
        MemoryStorage(disk: disk, loop: loop, directIO: false), test.attempts, repeatsLast: test.repeatsLast)
      // The base takes any bytes; the rule is asked of the wrapper's properties.
      let asked = DirectOnPaper(storage, test.isDirect)
      let file = try await asked.open("f", [.write, .create])
      let buffer = asked.makeBuffer(capacity: Self.size)
      for at in 0..<Self.size { buffer.mutableBytes(at..<at + 1)[0] = UInt8(truncatingIfNeeded: at &* 7) }
      var found: StorageError?
      var wasRetried = false
      do throws(StorageError) {
        wasRetried = try await asked.writeWhole(file, "f", at: 0, from: buffer, 0..<Self.size, isDirect: test.isDirect)
      } catch { found = error }
      #expect(found == test.error)
      if let begins = test.begins { #expect(storage.writes.map(\.lowerBound) == begins) }
      if test.error == nil {
        #expect(try await asked.read(file, Self.size, at: 0) == Array(buffer[0..<Self.size]))
        #expect(wasRetried == !test.attempts.isEmpty)
      } else {
        #expect(storage.writes.count <= WholeWrite.attempts + 1, "it ends")
      }
    }
  }

  /// Says of itself that it honours O_DIRECT, or not.
  final class DirectOnPaper: StorageWrapper, @unchecked Sendable {
    // Owned by the base's loop, as every storage.
    private let isDirect: Bool
    init(_ base: any Storage, _ isDirect: Bool) {
      self.isDirect = isDirect
      super.init(base)
    }
    override var properties: StorageProperties {
      var properties = super.properties
      properties.directIO = isDirect
      return properties
    }
  }

  @Test func theErrorSaysWhatWasTakenAndWhatToDo() {
    let text = "\(StorageError(.shortWrite(taken: 512, of: 4096), .write, "f", offset: 512))"
    #expect(
      text.contains("512 of 4096 bytes") && text.contains("check the device") && !text.contains("No space"), "\(text)")
  }
}
