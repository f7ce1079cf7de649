import Foundation
import LogModel
import Storage
import Testing

@testable import Exploration

/// The table of call sites against the source that it was made of.
@Suite struct CallSiteTests {
  private static let sources = URL(filePath: #filePath).appending(path: "../../../Sources").standardized

  /// By `Module/File.swift`: its lines without comments.
  private func engine() throws -> [String: [Substring]] {
    var files: [String: [Substring]] = [:]
    for module in ["ObjectStore", "PartitionEngine", "RecordLogs", "WriteAheadLog"] {
      let folder = Self.sources.appending(path: module)
      for path in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where path.hasSuffix(".swift") {
        files["\(module)/\(path.split(separator: "/").last!)"] = try lines(folder.appending(path: path))
      }
    }
    files["Storage/DurableDirectories.swift"] = try lines(
      Self.sources.appending(path: "Storage/Interface/DurableDirectories.swift"))
    return files
  }

  private func lines(_ file: URL) throws -> [Substring] {
    try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.range(of: "//").map { line[..<$0.lowerBound] } ?? line
    }
  }

  @Test func theTableHasEveryCallThatSaysWhereItIs() throws {
    let all = EngineCallSite.all
    for kind in EngineCallSite.kinds { #expect(all.contains { $0.kind == kind }, "\(kind)") }
    let files = try engine()
    let marks = files.values.joined().reduce(0) { $0 + $1.ranges(of: "here()").count }
    #expect(all.count > 60 && all.count == marks)
    for site in all {
      let line = try #require(files[site.file]?.dropFirst(site.line - 1).first, "\(site)")
      let isWhole = line.contains("here().\(site.kind.rawValue)Whole(")
      #expect(isWhole || line.contains("here().\(site.kind.rawValue)("), "\(site)")
    }
  }

  /// A call that does not would be missed by nobody while no error has hit it.
  @Test func everyCallOfTheEngineSaysWhereItIs() throws {
    let operations = EngineCallSite.kinds.map(\.rawValue) + ["readWhole", "writeWhole", "writeThenSync"]
    for (file, lines) in try engine() {
      var isInExtension = false
      for (index, line) in lines.enumerated() {
        if line.hasPrefix("extension ") { isInExtension = line.hasPrefix("extension Storage ") }
        if line == "}" { isInExtension = false }
        for operation in operations {
          let isSilent = line.contains("storage.\(operation)(") || isInExtension && line.contains("await \(operation)(")
          #expect(!isSilent, "\(file):\(index + 1) \(operation): say `here().\(operation)(`")
        }
      }
    }
  }

  @Test func rowsThatNameNoOperationThatCanFail() {
    #expect(EngineCallSite(row: "A/a.swift 3 writeWhole")?.description == "A/a.swift:3 write")
    for row in ["A/a.swift 3 close", "A/a.swift 3 makeBuffer", "A/a.swift x read", "A/a.swift 3"] {
      #expect(EngineCallSite(row: row[...]) == nil, "\(row)")
    }
  }

  /// A retry starts where the operation did, whatever else has been started meanwhile.
  @Test func whatIsCarriedOnComesFromTheSamePlace() throws {
    let loop = EventLoop(simulatedWithSeed: 1)
    let base = Interrupting(MemoryStorage(disk: MemoryDisk(), loop: loop))
    let line: UInt32 = #line + 4
    let ending = loop.run(limit: .seconds(60)) {
      do throws(StorageError) {
        let storage = RetryingStorage(base)
        let file = try await storage.here().open("a", [.write, .create])
        let buffer = storage.makeBuffer(capacity: 512)
        try await storage.here().writeWhole(file, "a", at: 0, from: buffer, 0..<512)
        return nil as StorageError?
      } catch { return error }
    }
    #expect(ending.ending == .finished && ending.value == .some(nil))
    #expect(base.lines == [line, line, line + 2, line + 2])
  }
}

/// Refuses each operation once, and has another one started meanwhile.
private final class Interrupting: StorageWrapper, @unchecked Sendable {
  // Owned by the base's loop.

  private(set) var lines: [UInt32?] = []

  override func pass<Value>(
    _ call: StorageCall, traced: (Value) -> Int64, _ operation: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let site = loop.callSite
    lines.append(site?.line)
    guard lines.count % 2 == 1 else { return try await operation() }
    Task(executorPreference: loop) { [loop] in loop.callSite = CallSite(file: "other", line: 0) }
    // As whoever notes call sites does.
    loop.callSite = site
    throw StorageError(errno: 4, call.kind, call.path)
  }
}
