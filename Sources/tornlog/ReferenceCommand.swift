import ArgumentParser
import Defects
import Foundation
import ScenarioFormat
import Trials

/// The parts of pages in `docs` that the program itself knows best. `make docs` writes them into the pages; a test
/// fails where a page has anything else. Hidden, for nobody else needs it.
struct ReferenceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reference", abstract: "Print the generated part of a page of the documentation.",
    shouldDisplay: false)

  enum Page: String, CaseIterable, ExpressibleByArgument {
    case cli, defects, scenarios
  }

  @Argument(help: "cli, defects or scenarios.")
  var page: Page

  func run() throws {
    switch page {
    case .cli: Console.print(try CommandReference.lines())
    case .defects: Console.print(DefectReference.lines())
    case .scenarios: Console.print(AxisReference.lines())
    }
  }
}

/// Every command and option, from what the argument parser says of itself.
enum CommandReference {
  private struct Tool: Decodable {
    var command: Command
  }

  private struct Command: Decodable {
    var commandName: String
    var abstract, discussion: String?
    var shouldDisplay: Bool?
    var subcommands: [Command]?
    var arguments: [Argument]?
  }

  private struct Argument: Decodable {
    struct Name: Decodable {
      var kind, name: String
    }

    var kind: String
    var shouldDisplay, isOptional, isRepeating: Bool?
    var names: [Name]?
    var valueName, defaultValue, abstract: String?
    var allValues: [String]?

    /// With the values that it takes, where they are few words.
    var meaning: String {
      guard let allValues, !allValues.isEmpty else { return abstract ?? "" }
      return "\(abstract ?? "") One of \(allValues.map { "`\($0)`" }.joined(separator: ", "))."
    }
  }

  static func lines() throws -> [String] {
    let tool = try JSONDecoder().decode(Tool.self, from: Data(Tornlog._dumpHelp().utf8))
    return lines(of: tool.command, named: tool.command.commandName)
  }

  private static func lines(of command: Command, named name: String) -> [String] {
    let arguments = (command.arguments ?? []).filter { $0.shouldDisplay != false && !isOfEveryCommand($0) }
    let positional = arguments.filter { $0.kind == "positional" }
    let others = arguments.filter { $0.kind != "positional" }
    let subcommands = (command.subcommands ?? []).filter { $0.shouldDisplay != false && $0.commandName != "help" }
    var words = [name]
    if !subcommands.isEmpty { words.append("<command>") }
    words += positional.map(usage)
    if !others.isEmpty { words.append("[options]") }
    var lines = ["## \(name)", "", command.abstract ?? "", "", "```", words.joined(separator: " "), "```", ""]
    if let discussion = command.discussion { lines += [cell(discussion), ""] }
    if !positional.isEmpty {
      lines += ["| argument | meaning | default |", "| --- | --- | --- |"]
      lines += positional.map { argument in
        "| `\(argument.valueName ?? "")` | \(cell(argument.meaning)) | \(defaultValue(argument)) |"
      }
      lines.append("")
    }
    if !others.isEmpty {
      lines += ["| option | meaning | default |", "| --- | --- | --- |"]
      lines += others.map { "| \(spelling($0)) | \(cell($0.meaning)) | \(defaultValue($0)) |" } + [""]
    }
    return lines + subcommands.flatMap { self.lines(of: $0, named: "\(name) \($0.commandName)") }
  }

  private static func isOfEveryCommand(_ argument: Argument) -> Bool {
    (argument.names ?? []).contains { $0.name == "help" || $0.name == "version" }
  }

  private static func usage(_ argument: Argument) -> String {
    let word = "<\(argument.valueName ?? "")>" + (argument.isRepeating == true ? " ..." : "")
    return argument.isOptional == true ? "[\(word)]" : word
  }

  /// `-t <tag>`; several names of one option are separated by commas.
  private static func spelling(_ argument: Argument) -> String {
    let names = (argument.names ?? []).map { ($0.kind == "long" ? "--" : "-") + $0.name }
    let value = argument.kind == "option" ? " <\(argument.valueName ?? "")>" : ""
    return names.map { "`\(escaped($0 + value))`" }.joined(separator: ", ")
  }

  /// The number of processors differs by machine.
  private static func defaultValue(_ argument: Argument) -> String {
    if (argument.names ?? []).contains(where: { $0.name == "jobs" }) { return "one for each processor" }
    return argument.defaultValue.map { "`\(escaped($0))`" } ?? ""
  }

  private static func escaped(_ text: String) -> String { text.replacing("|", with: "\\|") }

  /// One line: a row of a table has no other.
  private static func cell(_ text: String) -> String {
    escaped(text.split(whereSeparator: \.isNewline).joined(separator: " "))
  }
}

/// Every axis of scenarios, from its descriptor.
enum AxisReference {
  static func lines() -> [String] {
    let rows = [["axis", "values", "default", "meaning"], ["---", "---", "---", "---"]]
    return (rows + AxisDescriptor.all.map(\.documentation)).map { "| \($0.joined(separator: " | ")) |" }
  }
}

/// Every defect: its name, whose it was, what is wrong, when it shows, and which check catches it.
enum DefectReference {
  /// Names of defects without a file of their own in `Scenarios/defects`; of all others the file's name is theirs.
  private static let names = [
    "A4": "header demanded", "P3": "stale records accepted", "P7": "tail rewritten in place",
    "P35": "offsets before their sync", "P36": "offsets after a failed sync", "R2": "replayed again",
    "R2b": "unfinished dropped", "R3": "old files deleted early", "R4": "rollback in memory only",
  ]

  /// Of the document that a project's defects are from; see docs/sources/README.md.
  private static let years = [
    "chronik": "2025", "Streamhouse": "2026", "airunner": "not dated", "replay buffer": "not dated",
  ]

  private struct Catch {
    var checks: [String] = []
    var files: [String] = []
  }

  static func lines() -> [String] {
    let catches = catches()
    var lines: [String] = []
    var origins: [String] = []
    for defect in Defect.all where !origins.contains(defect.origin) { origins.append(defect.origin) }
    for origin in origins {
      lines += ["## \(origin)", "", "| id | name | year | what is wrong | shows when | caught by | scenario |"]
      lines.append("| --- | --- | --- | --- | --- | --- | --- |")
      for defect in Defect.all where defect.origin == origin {
        let caught = catches[defect.id] ?? Catch()
        let columns = [
          defect.id, name(of: defect, caught), years[origin] ?? "-", cell(defect.summary), cell(defect.showsWhen),
          quoted(caught.checks), quoted(caught.files),
        ]
        lines.append("| " + columns.joined(separator: " | ") + " |")
      }
      lines.append("")
    }
    return lines
  }

  /// By the defects' ids, what their scenarios expect.
  private static func catches() -> [String: Catch] {
    let folders = ["Scenarios/defects", "Scenarios/exploration"]
    ScenarioPaths.check(folders, isDefault: true)
    let scenarios: [Scenario]
    do throws(InvalidScenarios) {
      scenarios = try ScenarioFiles.load(folders, vocabulary: TrialPlanner.vocabulary)
    } catch {
      fail("invalid scenario\n\(error)", ExitStatus.invalidScenario)
    }
    var found: [String: Catch] = [:]
    for cell in scenarios.flatMap({ $0.cells() }) {
      guard let defect = cell.defect, case .caught(let check) = cell.expectation else { continue }
      var caught = found[defect] ?? Catch()
      if !caught.checks.contains(check) { caught.checks.append(check) }
      if !caught.files.contains(cell.file) { caught.files.append(cell.file) }
      found[defect] = caught
    }
    return found
  }

  private static func name(of defect: Defect, _ caught: Catch) -> String {
    let prefix = "Scenarios/defects/\(defect.id.lowercased())-"
    if let own = caught.files.first(where: { $0.hasPrefix(prefix) }) {
      return String(own.dropFirst(prefix.count).dropLast(".yaml".count).replacing("-", with: " "))
    }
    return names[defect.id] ?? ""
  }

  private static func quoted(_ words: [String]) -> String { words.map { "`\($0)`" }.joined(separator: ", ") }

  private static func cell(_ text: String) -> String { text.replacing("|", with: "\\|") }
}
