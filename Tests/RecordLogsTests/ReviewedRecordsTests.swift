import Foundation
import LogModel
import Storage
import Testing

@testable import RecordLogs

/// Records with right checksums that no log of these programs can hold.
@Suite struct ReviewedRecordsTests {
  private static func put(_ bytes: [UInt8], at path: String, on disk: MemoryDisk) throws {
    let loop = EventLoop(simulatedWithSeed: 1)
    let storage = MemoryStorage(disk: disk, loop: loop)
    let (ending, result) = loop.run { () async -> Result<Void, any Error> in
      do {
        try await storage.makeDirectory("jobs")
        let file = try await storage.open(path, [.write, .create])
        let buffer = storage.makeBuffer(capacity: bytes.count)
        buffer.mutableBytes(0..<bytes.count).copyBytes(from: bytes)
        try await storage.writeWhole(file, path, at: 0, from: buffer, 0..<bytes.count, .durable)
        await storage.close(file)
        return .success(())
      } catch { return .failure(error) }
    }
    #expect(ending == .finished)
    try result?.get()
  }

  private static func event(_ sequence: Int64, _ payload: [UInt8]) -> [UInt8] {
    payload.withUnsafeBytes { raw in
      let record = AirunnerCodec.Record(sequence: sequence, status: .pending, timestamp: 0, payload: raw)
      var bytes = [UInt8](repeating: 0, count: AirunnerCodec.length(of: record))
      bytes.withUnsafeMutableBytes { AirunnerCodec.write(record, to: $0.baseAddress!) }
      return bytes
    }
  }

  @Test(arguments: [Int64.max, Int64.max - 1, Int64(1 << 62) + 1, Int64.min, -1, 0] as [Int64])
  func anImpossibleSequenceNumberEndsNoProcess(_ sequence: Int64) throws {
    let disk = MemoryDisk(seed: 1)
    let text = Array("hello".utf8)
    try Self.put(
      AirunnerCodec.fileHeader + Self.event(sequence, text) + Self.event(1, text), at: "jobs/j.wal", on: disk)
    let loop = EventLoop(simulatedWithSeed: 1)
    let storage = MemoryStorage(disk: disk, loop: loop)
    let (ending, result) = loop.run { () async -> Result<Void, any Error> in
      do {
        let (log, report) = try await JobLog.open(try JobID("j"), in: "jobs", of: storage)
        if sequence > 1 << 62 { #expect(report.events == 1 && report.foreign == 1) }
        let next = try await log.append(text)
        #expect(next > 1 && next < 1 << 62)
        try await log.close()
        return .success(())
      } catch { return .failure(error) }
    }
    #expect(ending == .finished)
    try result?.get()
  }

  /// A damaged event whose payload is a log of small records: what stands in it is looked at once. Counted are
  /// checksums, which is what takes the time.
  @Test func aLogInsideAValueIsLookedAtOnce() throws {
    func checked(_ nested: Int) throws -> Int {
      let disk = MemoryDisk(seed: 1)
      let inner = (0..<nested).flatMap { Self.event(Int64($0), []) }
      try Self.put(AirunnerCodec.fileHeader + Self.event(1, inner) + Self.event(2, [1]), at: "jobs/j.wal", on: disk)
      // A bit of the outer record's timestamp.
      #expect(disk.flipBit("jobs/j.wal", byte: 16 + 17, bit: 3))
      let loop = EventLoop(simulatedWithSeed: 1)
      let storage = MemoryStorage(disk: disk, loop: loop)
      CountedCodec.verified = 0
      let (_, result) = loop.run { () async -> Result<Int, any Error> in
        do {
          let file = try await storage.open("jobs/j.wal", [])
          var scanner = RecordScanner<CountedCodec>(
            storage, FileSource(storage, file, limit: try await storage.size(of: file)))
          scanner.skip(to: 16)
          var records = 0
          while true {
            switch try await scanner.next() {
            case .record: records += 1
            case .damage: continue
            case .end: return .success(records)
            }
          }
        } catch { return .failure(error) }
      }
      #expect(try #require(result).get() > 0)
      return CountedCodec.verified
    }
    let (small, large) = (try checked(500), try checked(1000))
    #expect(large < 3 * small, "\(small) checksums for 500 records, \(large) for 1000")
  }
}

/// airunner's, and counts.
private enum CountedCodec: RecordCodec {
  nonisolated(unsafe) static var verified = 0
  static var fileHeader: [UInt8] { AirunnerCodec.fileHeader }
  static var prefixSize: Int { AirunnerCodec.prefixSize }
  static var lengths: ClosedRange<Int> { AirunnerCodec.lengths }
  static var confirmsLength: Bool { AirunnerCodec.confirmsLength }
  static func length(at prefix: UnsafeRawPointer) throws(RecordFault) -> Int { try AirunnerCodec.length(at: prefix) }
  static func verify(_ record: UnsafeRawBufferPointer) throws(RecordFault) {
    verified += 1
    try AirunnerCodec.verify(record)
  }
  static func record(in bytes: UnsafeRawBufferPointer) -> AirunnerCodec.Record { AirunnerCodec.record(in: bytes) }
  static func length(of record: AirunnerCodec.Record) -> Int { AirunnerCodec.length(of: record) }
  static func write(_ record: AirunnerCodec.Record, to target: UnsafeMutableRawPointer) {
    AirunnerCodec.write(record, to: target)
  }
}
