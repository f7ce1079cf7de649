import ArgumentParser
import Defects
import FaultInjection
import Foundation
import LogModel
import ScenarioFormat
import Trials
import Verification

/// The parts of pages in `docs` that the program itself knows best. `make docs` writes them into the pages; a test
/// fails where a page has anything else. Hidden, for nobody else needs it.
struct ReferenceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reference", abstract: "Print the generated part of a page of the documentation.",
    shouldDisplay: false)

  /// As the marks of the pages name them.
  enum Part: String, CaseIterable, ExpressibleByArgument {
    case commands, defects, axes, checks
    case deviceFaults = "device-faults"
    case damageAtRest = "damage-at-rest"
    case storeFaults = "store-faults"
    case receiverFaults = "receiver-faults"
    case operations
    case faultParameters = "fault-parameters"
    /// `docs/scenario.schema.json`.
    case scenarioSchema = "scenario-schema"
  }

  @Argument(help: ArgumentHelp("The part.", valueName: "part"))
  var part: Part

  func run() throws {
    switch part {
    case .commands: Console.print(try CommandReference.lines())
    case .defects: Console.print(DefectReference.lines())
    case .axes: Console.print(AxisReference.lines())
    case .checks:
      Console.print(
        ["| check | what must be so |", "| --- | --- |"]
          + CheckName.allCases.map { "| `\($0.rawValue)` | \($0.meaning) |" })
    case .deviceFaults: Console.print(FaultReference.device())
    case .damageAtRest: Console.print(FaultReference.lines(of: .atRest, "what happens"))
    case .storeFaults: Console.print(FaultReference.lines(of: .store, "what happens", "own parameters"))
    case .receiverFaults: Console.print(FaultReference.lines(of: .receiver, "what the receiver does"))
    case .operations: Console.print(FaultReference.lines(of: .operation, "what is done"))
    case .scenarioSchema: Console.print([ScenarioSchema(TrialPlanner.vocabulary, ProgramSelection.vocabulary).text])
    case .faultParameters: Console.print(FaultReference.parameters())
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

/// Every kind of fault and every parameter, from the descriptors.
enum FaultReference {
  static func device() -> [String] {
    table(
      ["fault", "what happens", "hits, unless `on` says otherwise", "own parameters"],
      StorageFaultDescriptor.all.filter(\.isWritten).map { fault in
        ["`\(fault.kind.rawValue)`", fault.meaning, fault.usualTargets, names(fault.parameters.map(\.name))]
      })
  }

  /// - Parameter own: the heading of parameters that not all kinds of the family have; nil: all are listed.
  static func lines(of family: FaultDescriptor.Family, _ meaning: String, _ own: String? = nil) -> [String] {
    let kinds = FaultDescriptor.all.filter { $0.family == family }
    let common = own == nil ? [] : common(kinds)
    return table(
      ["fault", meaning, own ?? "parameters"],
      kinds.map { kind in
        ["`\(kind.kind)`", kind.meaning, names(kind.parameters.map(\.name).filter { !common.contains($0) })]
      })
  }

  /// One row for each name, values and meaning, with whose they are.
  static func parameters() -> [String] {
    var rows: [(row: [String], kinds: [FaultDescriptor])] = []
    for kind in FaultDescriptor.all {
      for parameter in kind.parameters {
        let row = ["`\(parameter.name)`", parameter.values, parameter.meaning]
        if let known = rows.firstIndex(where: { $0.row == row }) {
          rows[known].kinds.append(kind)
        } else {
          rows.append((row, [kind]))
        }
      }
    }
    // A name stands once, with all that it may mean.
    var order: [String] = []
    for row in rows where !order.contains(row.row[0]) { order.append(row.row[0]) }
    return table(
      ["parameter", "values", "meaning", "of"],
      order.flatMap { name in rows.filter { $0.row[0] == name }.map { $0.row + [owners($0.kinds)] } })
  }

  /// Families of which every kind has it, and kinds of the others.
  private static func owners(_ kinds: [FaultDescriptor]) -> String {
    let had = Set(kinds.map(\.kind))
    let parts = FaultDescriptor.Family.allCases.flatMap { family -> [String] in
      let all = FaultDescriptor.all.filter { $0.family == family }.map(\.kind)
      let own = all.filter(had.contains)
      return own.count == all.count && all.count > 1 ? [family.rawValue] : own.map { "`\($0)`" }
    }
    return parts.joined(separator: ", ")
  }

  private static func common(_ kinds: [FaultDescriptor]) -> Set<String> {
    kinds.map { Set($0.parameters.map(\.name)) }.reduce(nil) { $0?.intersection($1) ?? $1 } ?? []
  }

  private static func names(_ names: [String]) -> String { names.map { "`\($0)`" }.joined(separator: ", ") }

  private static func table(_ heads: [String], _ rows: [[String]]) -> [String] {
    ([heads, heads.map { _ in "---" }] + rows).map { row in
      "| " + row.map { $0.isEmpty ? "" : $0 }.joined(separator: " | ") + " |"
    }
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
