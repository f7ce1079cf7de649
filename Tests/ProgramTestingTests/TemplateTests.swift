import CrashStates
import Drivers
import Foundation
import Glibc
import ProgramTesting
import Testing
import Verification

/// The drivers of Examples/drivers that people copy, built with the toolchains of this machine.
@Suite(.enabled(if: Programs.refusal == nil, "\(Programs.refusal ?? "")"), .serialized) struct TemplateTests {
  private struct Template: Sendable {
    var language: String
    /// What must be on the PATH.
    var tool: String
    /// What `build.sh` is to build; nil where nothing is.
    var target: String?
    var command: [String]
    /// Below Examples/drivers.
    var files: [String]

    var isHere: Bool {
      let folders = ProcessInfo.processInfo.environment["PATH"] ?? ""
      return folders.split(separator: ":").contains { access("\($0)/\(tool)", X_OK) == 0 }
    }
  }

  private static let drivers = Programs.repository + "/Examples/drivers"
  private static let built = Programs.repository + "/.build/drivers"

  private static let python = Template(
    language: "Python", tool: "python3", target: nil, command: ["python3", drivers + "/file-log.py"],
    files: ["file-log.py"])
  private static let c = Template(
    language: "C", tool: "cc", target: "filelog-c", command: [built + "/filelog-c"],
    files: ["filelog.c", "filelog/log.h", "flat-json.h"])
  private static let go = Template(
    language: "Go", tool: "go", target: "filelog-go", command: [built + "/filelog-go"],
    files: ["filelog/main.go", "filelog/log.go"])
  private static let rust = Template(
    language: "Rust", tool: "rustc", target: "filelog-rust", command: [built + "/filelog-rust"],
    files: ["filelog.rs", "filelog/log.rs"])
  private static let java = Template(
    language: "Java", tool: "javac", target: "FileLog",
    command: ["java", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "-cp", built, "FileLog"],
    files: ["FileLog.java"])
  private static let swift = Template(
    language: "Swift", tool: "swiftc", target: "filelog-swift", command: [built + "/filelog-swift"],
    files: ["filelog.swift"])
  private static let templates = [python, c, go, rust, java, swift]

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

  // One test for each language, so that a toolchain that is not here is a skip with its name.
  @Test(.enabled(if: python.isHere, "no python3")) func theOneInPython() throws { try check(Self.python) }
  @Test(.enabled(if: c.isHere, "no cc")) func theOneInC() throws { try check(Self.c) }
  @Test(.enabled(if: go.isHere, "no go")) func theOneInGo() throws { try check(Self.go) }
  @Test(.enabled(if: rust.isHere, "no rustc")) func theOneInRust() throws { try check(Self.rust) }
  @Test(.enabled(if: java.isHere, "no javac")) func theOneInJava() throws { try check(Self.java) }
  @Test(.enabled(if: swift.isHere, "no swiftc")) func theOneInSwift() throws { try check(Self.swift) }

  private func requireBuilt(_ template: Template) throws {
    guard let target = template.target else { return }
    let (code, output) = try Self.build.get()
    try #require(code == 0 && output.contains("built ../../.build/drivers/\(target)\n"), "\(output)")
  }

  /// It keeps to the protocol, and its log holds in a short test.
  private func check(_ template: Template) throws {
    try requireBuilt(template)
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
    for template in Self.templates where template.isHere {
      try requireBuilt(template)
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
