import Foundation
import LogModel
import ObjectStore
import RecordLogs
import Storage
import Testing
import WriteAheadLog

@testable import PartitionEngine

/// Logs that builds of each version of the formats have written, as `Tests/format-versions/VERSION/SYSTEM`. Every later
/// build opens them, serves what was acknowledged, and goes on with them.
@Suite struct FormatFilesTests {
  static let root =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
    + "/format-versions"
  static let versions = ["1"]
  static let messages = 30
  /// 20 of the messages had been processed.
  static let committed: Offset = 20
  static let object = ObjectName(TopicPartition("orders", 3), base: 7, end: 37, epoch: Epoch(5))
  static let objectBatches = (0..<3000).map { UInt8(truncatingIfNeeded: $0 &* 7) }

  @Test(arguments: versions, LogSystem.allCases) func aLogOfThisVersionIsOpened(_ version: String, _ system: LogSystem)
    throws
  {
    let folder = "\(Self.root)/\(version)/\(system.rawValue)"
    let machine = try Machine(.memory)
    let names = try #require(FileManager.default.subpaths(atPath: folder))
    var files = 0
    for name in names {
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: "\(folder)/\(name)", isDirectory: &isFolder)
      if isFolder.boolValue { continue }
      let bytes = try #require(FileManager.default.contents(atPath: "\(folder)/\(name)"))
      try Self.makeFolders(of: name, on: machine)
      try machine.disk.putAtRest(name, Array(bytes), at: 0)
      files += 1
    }
    #expect(files > 2)
    for (before, after) in [(Self.messages, Self.messages + 4), (Self.messages + 4, Self.messages + 4)] {
      try machine.boot(seed: UInt64(after)) { storage in
        let (engine, recovery) = try await PartitionEngine.open(storage, SystemLogTests.configuration(system))
        #expect(recovery.partitions.allSatisfy { $0.damage.isEmpty })
        #expect(try engine.committedOffset(group: "g", "orders", 0) == Self.committed)
        let found = try await SystemLogTests.consume(engine)
        let expected = Dictionary(uniqueKeysWithValues: (0..<before).map { (Int64($0), SystemLogTests.text($0)) })
        #expect(found.served == expected && found.damaged.isEmpty)
        if after > before { _ = try await SystemLogTests.produce(engine, before..<after) }
        try await engine.close()
      }
    }
  }

  @Test(arguments: versions) func anObjectOfThisVersionIsRead(_ version: String) throws {
    let bytes = try #require(FileManager.default.contents(atPath: "\(Self.root)/\(version)/object"))
    let found = try SegmentObject(Array(bytes), expecting: Self.object)
    #expect(found.batches == Self.objectBatches && found.partitionCount == 4 && found.batchCount == 2)
  }

  /// An object of a later version is intact: the refusal names the version.
  @Test func anObjectOfALaterVersionIsRefused() throws {
    var bytes = Array(try #require(FileManager.default.contents(atPath: "\(Self.root)/1/object")))
    bytes[12] = 9
    let checksum = bytes[12...].withUnsafeBytes { crc($0) }
    for at in 0..<4 { bytes[8 + at] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(at))) }
    do {
      _ = try SegmentObject(bytes, expecting: Self.object)
      Issue.record("it was taken")
    } catch { #expect("\(error)".contains("version 9"), "\(error)") }
  }

  /// CRC-32 bit by bit (RFC 1952, section 8).
  private func crc(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var crc = UInt32.max
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0xEDB8_8320 }
    }
    return ~crc
  }

  private static let folderToWrite = ProcessInfo.processInfo.environment["TORNLOG_WRITE_FORMAT_VERSION"]

  /// Writes the files of the version that this build writes, once it is released, into a folder that is not there yet:
  /// `TORNLOG_WRITE_FORMAT_VERSION=Tests/format-versions/2 swift test --filter FormatFilesTests`.
  @Test(.enabled(if: folderToWrite != nil, "TORNLOG_WRITE_FORMAT_VERSION names no folder"))
  func writeTheFilesOfThisVersion() throws {
    let folder = try #require(Self.folderToWrite)
    let manager = FileManager.default
    try #require(!manager.fileExists(atPath: folder), "files of a released version are never written again")
    for system in LogSystem.allCases {
      let machine = try Machine(.memory)
      try machine.boot { storage in
        var configuration = SystemLogTests.configuration(system)
        configuration.log.saltSeed = 1
        let (engine, _) = try await PartitionEngine.open(storage, configuration)
        try await engine.createTopic("orders", partitions: 1)
        _ = try await SystemLogTests.produce(engine, 0..<Self.messages)
        try await engine.commitOffset(group: "g", "orders", 0, Self.committed)
        try await engine.close()
      }
      for path in machine.disk.paths {
        let place = URL(fileURLWithPath: "\(folder)/\(system.rawValue)/\(path)")
        try manager.createDirectory(at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(try #require(machine.disk.read(path))).write(to: place)
      }
    }
    let object = SegmentObject(
      name: Self.object, partitionCount: 4, batchCount: 2, batches: Self.objectBatches)
    try Data(object.encoded()).write(to: URL(fileURLWithPath: "\(folder)/object"))
  }

  private static func makeFolders(of path: String, on machine: Machine) throws {
    let parts = path.split(separator: "/").dropLast()
    guard !parts.isEmpty else { return }
    try machine.boot { storage in
      for count in 1...parts.count {
        let folder = parts.prefix(count).joined(separator: "/")
        do throws(StorageError) { try await storage.makeDirectory(folder) } catch {
          if !error.isErrno(EEXIST) { throw error }
        }
        try await storage.syncDirectory(parts.prefix(count - 1).joined(separator: "/"))
      }
    }
  }
}
