import ArgumentParser
import CrashStates
import Defects
import Exploration
import FaultInjection
import Foundation
import LogModel
import ProgramTesting
import Reporting
import ScenarioFormat
import Trials
import Verification

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Say what a word of a report means, and what to do.",
    discussion: """
      A check, a fault, a defect, a verdict, an exit code, or a token. `tornlog list --checks` and `list --defects` name the first \
      three.
      """)

  @Argument(
    help: ArgumentHelp("A word, like no-acknowledged-loss, torn-write, C2b, unknown, 69, or t2...", valueName: "word"))
  var word: String

  func run() throws {
    guard let lines = Explanation.lines(of: word) else {
      let hint = nearestWord(to: word, among: Explanation.words).map { "; did you mean '\($0)'?" } ?? ""
      fail(
        "'\(word.prefix(80))' is no check, fault, defect, verdict, exit code or token\(hint)", ExitStatus.usage)
    }
    Console.print(lines, wraps: true)
  }
}

/// What there is to say of a word, from the descriptors that say it everywhere else.
enum Explanation {
  /// Every word but tokens.
  static var words: [String] {
    CheckName.allCases.map(\.rawValue) + FaultDescriptor.all.map(\.kind) + Defect.all.map(\.id)
      + Verdict.allCases.map(\.rawValue) + ExitStatus.all.map { "\($0.code)" }
  }

  /// Nil where nobody knows the word. Letter case counts in tokens only.
  static func lines(of word: String) -> [String]? {
    let small = word.lowercased()
    if let code = Int32(word), let known = ExitStatus.all.first(where: { $0.code == code }) { return lines(of: known) }
    if let check = CheckName(named: small) { return lines(of: check) }
    if let fault = FaultDescriptor.all.first(where: { $0.isCalled(small) }) { return lines(of: fault) }
    if let defect = Defect.all.first(where: { $0.id.lowercased() == small }) { return lines(of: defect) }
    if let verdict = Verdict(rawValue: small) { return lines(of: verdict) }
    return linesOfToken(word)
  }

  private static func row(_ label: String, _ text: String) -> String {
    "  \(label.padding(toLength: 10, withPad: " ", startingAt: 0)) \(text.escapingControls())"
  }

  /// `[Phases](#phases)` as `Phases`.
  private static func unlinked(_ markdown: String) -> String {
    markdown.replacing(/\[([^\]]*)\]\([^)]*\)/) { String($0.output.1) }
  }

  private static func lines(of check: CheckName) -> [String] {
    [
      "check \(check.rawValue)", row("holds", "where \(check.meaning)."),
      row("violated", "the log has broken that promise. The report names the first offset, with segment and byte."),
      row("unknown", "the trial gave it no ground to judge; the report says why."),
      row("to do", "tornlog reproduce TOKEN shows every operation on the disk up to the loss;"),
      row("", "tornlog shrink TOKEN finds the smallest scenario that still violates it."),
      row("see", "docs/concepts.md"),
    ]
  }

  private static func lines(of fault: FaultDescriptor) -> [String] {
    let parameters = fault.parameters.enumerated().map { index, parameter in
      row(index == 0 ? "with" : "", "\(parameter.name): \(unlinked(parameter.meaning)) (\(parameter.values))")
    }
    let required = fault.parameters.filter(\.isRequired).map { "\($0.name): ..." }.joined(separator: ", ")
    return [
      "fault \(fault.kind), one of the \(fault.family.rawValue)",
      row("what", unlinked(fault.meaning)),
      row("scenario", "faults: [\(fault.kind): {\(required.isEmpty ? "" : " \(required) ")}]"),
    ] + parameters + [
      row("receipt", "the report says how often it fired, and where. One that never fired leaves the verdict unknown."),
      row("see", "docs/scenarios.md"),
    ]
  }

  private static func lines(of defect: Defect) -> [String] {
    [
      "defect \(defect.id), \(defect.origin == "planted" ? "planted" : "a bug of \(defect.origin)")",
      row("what", defect.summary), row("shows up", "with \(defect.showsWhen)"),
      row("to do", "tornlog defects --only \(defect.id) looks for it in every way; docs/defects.md names the check"),
      row("", "that catches it. tornlog run --defect \(defect.id) switches it on in scenarios."),
    ]
  }

  private static func lines(of verdict: Verdict) -> [String] {
    let (meaning, remedy) =
      switch verdict {
      case .held: ("Every promise that applied was kept.", "nothing.")
      case .violated:
        ("A promise was broken.", "tornlog reproduce TOKEN, the last line of the report of the trial.")
      case .unknown:
        (
          "There is no judgement: a fault never fired, time ran out, or the machine stood in the way.",
          "the report's notes say which. Place the fault where it fires, raise --timeout, or see tornlog doctor."
        )
      }
    return ["verdict \(verdict.rawValue)", row("means", meaning), row("to do", remedy)]
  }

  private static func lines(of status: ExitStatus) -> [String] {
    ["exit code \(status.code)", row("means", "\(status.meaning)."), row("to do", status.remedy)]
  }

  private static func linesOfToken(_ word: String) -> [String]? {
    let next = [row("to do", "tornlog reproduce TOKEN runs it again")]
    if CrashStateToken.isCrashState(word) {
      do throws(CrashStateToken.Failure) {
        let state = try CrashStateToken.decode(word)
        return [
          "token of a crash state", row("profile", state.profile.name), row("defect", state.defect ?? "none"),
          row("check", "the token names the state; reproduce says which check is violated"),
        ] + next
      } catch { fail("\(error)", ExitStatus.usage) }
    }
    if ProgramToken.isProgram(word) {
      do throws(ProgramToken.Failure) { _ = try ProgramToken(word) } catch { fail("\(error)", ExitStatus.usage) }
      return [
        "token of a program under test",
        row("holds", "the driver's command, its configuration, the requests, and where the crash comes."),
      ] + next
    }
    guard let prefix = word.split(separator: ".").first, ["t1", "t2"].contains(prefix) else { return nil }
    do throws(Token.Failure) {
      let spec = try Token.decode(word)
      return ["token of a trial"] + Timeline.header(spec).split(separator: "\n").map { "  \($0)" } + next
    } catch { fail("\(error)", ExitStatus.usage) }
  }
}
