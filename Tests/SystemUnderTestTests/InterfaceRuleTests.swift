import Foundation
import Testing

/// Trials and explorations know the log that they test by its interface alone.
@Suite struct InterfaceRuleTests {
  private static let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Sources")

  /// Lines of code of a module, without comments, imports and text.
  private static func code(of module: String) throws -> [(place: String, line: String)] {
    var lines: [(place: String, line: String)] = []
    let folder = sources.appending(path: module)
    for case let file as URL in FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil) ?? .init()
    where file.pathExtension == "swift" {
      let text = try String(contentsOf: file, encoding: .utf8)
      for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
      where !line.hasPrefix("import ") {
        let code = line.prefix(upTo: line.firstRange(of: "//")?.lowerBound ?? line.endIndex)
        let place = "\(module)/\(file.lastPathComponent):\(number + 1)"
        lines.append((place, String(code.replacing(/"[^"]*"/, with: ""))))
      }
    }
    return lines
  }

  /// Of the engine they name its configuration and its parts, and nothing that can be called.
  @Test(arguments: ["Trials", "Exploration"]) func theEngineIsNotNamed(_ module: String) throws {
    let code = try Self.code(of: module)
    #expect(code.count > 5000, "there is code to look at")
    let callable = /\b(PartitionEngine|EngineError|EngineRecovery|FetchResponse|RecordWriter)\b/
    let named = code.filter { $0.line.contains(callable) }
    #expect(named.isEmpty, "\(named.map { "\($0.place): \($0.line)" }.joined(separator: "\n"))")
  }
}
