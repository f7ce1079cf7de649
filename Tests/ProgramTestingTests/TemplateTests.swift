import CrashStates
import Drivers
import Foundation
import ProgramTesting
import Testing
import Verification

/// The drivers of Examples/drivers that people copy, built with the toolchains of this machine.
@Suite(.enabled(if: Programs.refusal == nil, "\(Programs.refusal ?? "")"), .serialized) struct TemplateTests {
  struct Template: Sendable, CustomTestStringConvertible {
    var language: String
    /// What must be on the PATH.
    var tool: String
    /// What `build.sh` is to build; nil where nothing is.
    var target: String?
    var command: [String]
    /// Below Examples/drivers.
    var files: [String]
    var testDescription: String { language }
  }

  private static let drivers = Programs.repository + "/Examples/drivers"
  private static let built = Programs.repository + "/.build/drivers"

  static let templates = [
    Template(
      language: "Python", tool: "python3", target: nil, command: ["python3", drivers + "/file-log.py"],
      files: ["file-log.py"]),
    Template(
      language: "C", tool: "cc", target: "filelog-c", command: [built + "/filelog-c"],
      files: ["filelog.c", "filelog/log.h", "flat-json.h"]),
    Template(
      language: "Go", tool: "go", target: "filelog-go", command: [built + "/filelog-go"],
      files: ["filelog/main.go", "filelog/log.go"]),
    Template(
      language: "Rust", tool: "rustc", target: "filelog-rust", command: [built + "/filelog-rust"],
      files: ["filelog.rs", "filelog/log.rs"]),
    Template(
      language: "Java", tool: "javac", target: "FileLog",
      command: ["java", "-XX:-UsePerfData", "-cp", built, "FileLog"], files: ["FileLog.java"]),
    Template(
      language: "Swift", tool: "swiftc", target: "filelog-swift", command: [built + "/filelog-swift"],
      files: ["filelog.swift"]),
  ]

  /// Runs a command in the examples' folder.
  private static func run(_ words: [String]) throws -> (code: Int32, output: String) {
    let (process, output) = (Process(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words
    process.currentDirectoryURL = URL(fileURLWithPath: drivers)
    (process.standardOutput, process.standardError) = (output, output)
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }

  /// What the build of all of them says.
  private static let build = Result { try run(["sh", "build.sh"] + templates.compactMap(\.target)) }

  /// - Returns: false where its toolchain is not here.
  private static func isBuilt(_ template: Template) throws -> Bool {
    guard let target = template.target else { return try run([template.tool, "--version"]).code == 0 }
    let (code, output) = try build.get()
    if output.contains("skipped \(target): no \(template.tool)") { return false }
    try #require(code == 0 && output.contains("built ../../.build/drivers/\(target)\n"), "\(output)")
    return true
  }

  @Test(arguments: templates) func eachIsASoundDriver(_ template: Template) throws {
    guard try Self.isBuilt(template) else {
      try Test.cancel("no \(template.tool): the template in \(template.language) is not tested")
    }
    let command = DriverCommand(template.command)
    let check = try DriverCheck(command, config: "{}", limit: 20_000_000_000, directory: "/tmp")
    check.run()
    #expect(check.isConformant, "\(check.steps.compactMap(\.problem))")
    var spec = ProgramSpec(command)
    spec.requests = 4
    var options = Programs.options([.ext4Ordered], seconds: 30)
    (options.kills, options.faults, options.secondLives, options.mostPieces) = (1, 1, 1, 0)
    let report = try Programs.test(spec, options)
    let text = report.lines(isVerbose: true).joined(separator: "\n")
    #expect(report.verdict == .held && report.opened > 2, "\(text)")
    #expect(report.runs.count == 2 && report.runs.allSatisfy { $0.verdict == .held }, "\(text)")
  }

  /// What one has written another reads: they are translations of one log.
  @Test func eachReadsWhatTheOthersWrote() throws {
    let scratch = Scratch()
    var written: [String] = []
    for template in Self.templates where try Self.isBuilt(template) {
      let driver = try DriverSession(DriverCommand(template.command), limit: 20_000_000_000)
      func ask(_ request: DriverRequest) throws -> [DriverItem] {
        guard case .done(let reply) = driver.ask(request) else {
          Issue.record("\(template.language): \(request)")
          return []
        }
        return reply.items ?? []
      }
      _ = try ask(.open(folder: scratch.path, create: written.isEmpty, config: "{}"))
      #expect(try ask(.scan(log: "a")).map(\.value) == written, "\(template.language)")
      let value = "by \"\(template.language)\" \\"
      _ = try ask(.append(log: "a", value: value))
      written.append(value)
      _ = try ask(.close)
    }
    #expect(written.count > 1)
  }

  /// Nobody copies a long one.
  @Test func eachIsShort() throws {
    for file in Self.templates.flatMap(\.files) {
      let text = try String(contentsOfFile: Self.drivers + "/" + file, encoding: .utf8)
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
      #expect(lines.count <= 80 && lines.allSatisfy { $0.count <= 120 }, "\(file)")
    }
  }
}
