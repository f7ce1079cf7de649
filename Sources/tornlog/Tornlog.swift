import ArgumentParser
import Benchmarks
import CProcess
import DefectMatrix
import Foundation
import Reporting
import ScenarioFormat
import Storage
import Trials

@main
struct Main {
  /// The command line in today's words.
  private static var words: [String] {
    TerminatedWords.asOptions(FormerSpelling.current(Array(CommandLine.arguments.dropFirst())))
  }

  static func main() {
    // What it starts has them too.
    ProcessLimit.raiseAll()
    let shortage = SpareDescriptors.hold()
    // A worker is this same program, spoken to through its standard input.
    if CommandLine.arguments.dropFirst().first == Worker.argument { Worker.main() }
    if CommandLine.arguments.dropFirst().first == DefectSearch.argument { DefectSearch.main() }
    if CommandLine.arguments.dropFirst().first == LargeRecovery.argument {
      LargeRecovery.main(Array(CommandLine.arguments.dropFirst(2)))
    }
    if let shortage { fail(shortage, ExitStatus.unavailable) }
    Console.occupyClosedStreams()
    Interruption.install()
    refuseUnknownHelp(Array(CommandLine.arguments.dropFirst()))
    if let memory = ProcessLimit.memory { tl_explain_deaths(Int(memory.bytes)) }
    if let complaint = MachineClocks.complaint() { fail(complaint, ExitStatus.unavailable) }
    do {
      var command = try Tornlog.parseAsRoot(words)
      try command.run()
    } catch {
      end(error)
    }
  }

  /// `tornlog help NAME` of a command that there is not: the library shows the overview, as if all were well.
  private static func refuseUnknownHelp(_ arguments: [String]) {
    guard arguments.first == "help", let name = arguments.dropFirst().first, !name.hasPrefix("-") else { return }
    let shown = Tornlog.configuration.subcommands.filter { $0.configuration.shouldDisplay }
    let names = shown.compactMap { $0.configuration.commandName }
    if names.contains(name) || name == "help" { return }
    let hint =
      nearestWord(to: name, among: names).map { "; did you mean '\($0)'?" }
      ?? ": one of \(names.joined(separator: ", "))"
    fail("there is no command '\(name)'\(hint)", ExitStatus.usage)
  }

  /// A word that no command knows is the mistake, whatever else the library complains of: it checks what options mean
  /// together before it says that one of them does not exist.
  private static func refuseUnknownWords(_ arguments: [String], _ complaint: String) {
    if complaint.contains("Unknown option") || arguments.first == "help" { return }
    var command: any ParsableCommand.Type = Tornlog.self
    var rest = arguments[...]
    while let word = rest.first,
      let next = command.configuration.subcommands.first(where: { $0.configuration.commandName == word })
    {
      (command, rest) = (next, rest.dropFirst())
    }
    let shown = command.configuration.subcommands.filter { $0.configuration.shouldDisplay }
    let names = shown.compactMap { $0.configuration.commandName }
    if !names.isEmpty, command.configuration.defaultSubcommand == nil, let word = rest.first, !word.hasPrefix("-") {
      let hint =
        nearestWord(to: word, among: names).map { "; did you mean '\($0)'?" }
        ?? ": one of \(names.joined(separator: ", "))"
      fail("there is no command '\(word)'\(hint)", ExitStatus.usage)
    }
    if let standard = command.configuration.defaultSubcommand { command = standard }
    let help = Tornlog.helpMessage(for: command, includeHidden: true)
    let known = Set(help.split { !($0.isLetter || $0.isNumber || $0 == "-") }.map(String.init))
      .union(["--help-hidden", "--generate-completion-script", "--experimental-dump-help"])
    var last = ""
    for word in rest.prefix(while: { $0 != "--" }) {
      defer { last = word }
      // After an option it may be that one's value.
      guard word.hasPrefix("--"), !last.hasPrefix("-") || last.contains("=") else { continue }
      let name = String(word.prefix { $0 != "=" })
      if known.contains(name) { continue }
      let hint =
        nearestWord(to: name, among: known.filter { $0.hasPrefix("--") }.sorted()).map { "; did you mean '\($0)'?" }
        ?? ""
      fail("there is no option '\(name)'\(hint)", ExitStatus.usage)
    }
  }

  /// As `ParsableCommand.exit(withError:)`, with an eye on what becomes of the text: help and version are results.
  private static func end(_ error: any Error) -> Never {
    let code = Tornlog.exitCode(for: error)
    var text = Tornlog.fullMessage(for: error)
    if text.contains("is invalid for"), text.contains("<duration>'"), let end = text.firstIndex(of: "\n") {
      text.insert(contentsOf: "; give a unit, like 500ms, 30s or 10m", at: end)
    }
    if code == ExitCode.validationFailure {
      refuseUnknownWords(words, text)
    }
    if code.isSuccess {
      if !text.isEmpty { Console.print([text]) }
    } else if !text.isEmpty {
      Console.say(text)
    }
    exit(code.rawValue)
  }
}

struct Tornlog: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tornlog",
    abstract: "Breaks write-ahead logs on purpose, and says, offset by offset, what was lost that had been promised.",
    discussion: "Exit codes: " + ExitStatus.all.map { "\($0.code) \($0.meaning)" }.joined(separator: "; ") + ".",
    version: "tornlog 0.1.0",
    subcommands: [
      DemoCommand.self, RunCommand.self, TestCommand.self, AuditCommand.self, MountCommand.self, VolumeCommand.self,
      DriverToolCommand.self, WalCommand.self,
      ExploreCommand.self,
      ReproduceCommand.self, ShrinkCommand.self, ExplainCommand.self,
      DefectsCommand.self,
      ListCommand.self, CheckCommand.self, BenchCommand.self, TuneCommand.self, DoctorCommand.self,
      ReferenceCommand.self,
    ])
}

/// The exit codes of the contract.
struct ExitStatus {
  static let violated: Int32 = 1
  static let unknown: Int32 = 2
  static let nothingSelected: Int32 = 3
  static let usage: Int32 = 64
  static let invalidScenario: Int32 = 65
  static let unavailable: Int32 = 69
  static let internalError: Int32 = 70
  static let interrupted: Int32 = 130

  var code: Int32
  var meaning: String
  /// For whoever meets it in CI.
  var remedy: String

  private init(_ code: Int32, _ meaning: String, _ remedy: String) {
    (self.code, self.meaning, self.remedy) = (code, meaning, remedy)
  }

  static let all = [
    ExitStatus(0, "everything came out as expected", "nothing."),
    ExitStatus(
      violated, "a promise was broken or a target missed",
      "read the first failure; tornlog reproduce TOKEN, its last line, runs it again."),
    ExitStatus(
      unknown, "unknown (a fault never fired, a time-out, a checker crashed)",
      "the notes of the trial say why. It is no pass: place the fault where it fires, or raise --timeout."),
    ExitStatus(
      nothingSelected, "nothing selected", "tornlog list -v shows all cells; loosen -k and -t."),
    ExitStatus(usage, "wrong usage", "the message names the word; tornlog help COMMAND."),
    ExitStatus(invalidScenario, "invalid scenario", "tornlog check PATH names each mistake with line and column."),
    ExitStatus(unavailable, "the machine cannot run it", "tornlog doctor says what is missing, and the remedy."),
    ExitStatus(internalError, "internal error", "a mistake of this program: report it with the command line."),
    ExitStatus(interrupted, "interrupted, with partial reports written", "run it again; what ran is in the reports."),
  ]
}

/// Ends the program with a message on standard error and one of the exit codes.
func fail(_ message: String, _ code: Int32) -> Never {
  Console.complain(message)
  exit(code)
}

func note(_ message: String) { Console.complain(message) }
