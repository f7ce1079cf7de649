import ArgumentParser
import CrashStates
import Foundation
import LogModel
import ProgramOracle
import ProgramTesting
import Reporting
import ScenarioFormat
import Verification

/// Which cells of scenarios of programs.
struct ProgramSelection: ParsableArguments {
  @Option(
    name: .customShort("k"),
    help: ArgumentHelp("Take the cells whose name contains this. Repeatable: all of them.", valueName: "text"))
  var words: [String] = []
  @Option(
    name: .customShort("t"),
    help: ArgumentHelp("Take the cells of a suite: quick (default), full, ... Repeatable.", valueName: "tag"))
  var tags: [String] = []
  @Option(help: ArgumentHelp("Take one part of the cells: slice:M/N, hash:M/N or auto:N.", valueName: "part"))
  var shard: String?

  var isGiven: Bool { !words.isEmpty || !tags.isEmpty || shard != nil }

  static let vocabulary = ProgramVocabulary(
    models: ProgramModel.allCases.map(\.rawValue), allowances: ProgramAllowance.allCases.map(\.rawValue),
    checks: ProgramCheck.allCases.map(\.rawValue), profiles: CrashProfile.known.map(\.name),
    isPromise: { ProgramPromise($0) != nil })

  /// The cells to run, in the order of files and matrices.
  /// - Parameter usual: the suite that is taken where no other is named.
  func cells(of paths: [String], usual: String = "quick") throws -> [(ProgramScenario, ProgramCell)] {
    ScenarioPaths.check(paths, isDefault: false)
    let loaded: [ProgramScenario]
    do { loaded = try ScenarioFiles.loadPrograms(paths, Self.vocabulary) } catch {
      fail(
        "\(error.errors.count == 1 ? "invalid scenario" : "\(error.errors.count) mistakes in scenarios")\n\(error)",
        ExitStatus.invalidScenario)
    }
    let known = ["quick", "full"] + loaded.flatMap { $0.suites.map(\.name) }
    for tag in tags where !known.contains(tag) {
      let near = nearestWord(to: tag, among: known).map { "; did you mean '\($0)'?" } ?? ""
      fail("-t \(tag): no scenario has this suite\(near)", ExitStatus.usage)
    }
    let wanted = tags.isEmpty ? [usual] : tags
    var chosen = loaded.flatMap { scenario in scenario.cells().map { (scenario, $0) } }.filter { _, cell in
      wanted.contains { cell.tags.contains($0) }
        && words.allSatisfy { cell.description.lowercased().contains($0.lowercased()) }
    }
    do {
      if let shard = try shard.map({ try Shard($0).resolved() }) {
        chosen = chosen.enumerated().filter { shard.keeps(position: $0, name: $1.1.description) }.map(\.element)
      }
    } catch { fail("\(error)", ExitStatus.usage) }
    if chosen.isEmpty {
      let all = loaded.flatMap { $0.cells() }.count
      fail(
        all == 0
          ? "nothing selected: there is no scenario of a program in \(paths.joined(separator: ", "))"
          : "nothing selected: none of \(all) cells matches; -t full takes all", ExitStatus.nothingSelected)
    }
    return chosen
  }
}

extension ProgramScenario {
  /// - Parameter isRequested: what the command line says comes first.
  func apply(
    _ cell: ProgramCell, to spec: inout ProgramSpec, _ options: inout ProgramTestOptions,
    isRequested line: ProgramOptions
  ) {
    spec.config = cell.configText
    spec.model = model.flatMap { ProgramModel(rawValue: $0) }
    if let promise = ProgramPromise(cell.promises) { spec.promise = promise }
    spec.allowances = Set(cell.allows.compactMap { ProgramAllowance(rawValue: $0) })
    spec.seed = search.seed ?? 1
    if line.requests == nil, let requests = search.requests { spec.requests = requests }
    if line.concurrency == nil, let concurrency = search.concurrency { spec.concurrency = concurrency }
    if line.timeLimit == nil, let limit = search.timeLimit { spec.requestLimit = UInt64(limit.inSeconds * 1e9) }
    if let names = search.profiles { options.profiles = CrashProfile.known.filter { names.contains($0.name) } }
    if let budget = search.budget { options.budget = UInt64(budget.inSeconds * 1e9) }
    options.kills = search.kills ?? options.kills
    options.faults = search.faults ?? options.faults
    options.damage = search.damage ?? options.damage
  }
}

/// What came of the cells of scenarios of programs.
struct ProgramSuite {
  let isVerbose: Bool
  /// Cells that were to run.
  var cells = 0
  var wasInterrupted = false
  private(set) var results: [Result] = []

  init(isVerbose: Bool) { self.isVerbose = isVerbose }

  struct Result {
    var cell: ProgramCell
    /// Nil where the program could not be tested.
    var report: ProgramReport?
    var failure: String?
    /// The failure is that no volume could be mounted.
    var isWithoutVolume = false

    var verdict: Verdict { report?.verdict ?? .unknown }

    /// Whether it came out as the scenario says.
    var isExpected: Bool {
      switch cell.expectation {
      case .held: return verdict == .held
      case .caught(let check): return report?.findings.contains { $0.check == check && $0.repeats } ?? false
      }
    }

    var line: String {
      let outcome: String
      if let failure {
        outcome = "unknown: \(failure)"
      } else {
        outcome = report!.conclusion
      }
      switch cell.expectation {
      case .held: return "\(isExpected ? "  " : "! ")\(cell): \(outcome)"
      case .caught(let check):
        return isExpected
          ? "  \(cell): caught by \(check), as expected" : "! \(cell): \(check) was expected to catch it; \(outcome)"
      }
    }
  }

  mutating func add(_ cell: ProgramCell, _ report: ProgramReport) {
    results.append(Result(cell: cell, report: report))
  }

  mutating func add(_ cell: ProgramCell, _ error: ProgramTestError) {
    var result = Result(cell: cell, failure: "\(error)")
    if case .mount = error { result.isWithoutVolume = true }
    results.append(result)
  }

  /// Whether the machine does not let the next cell run either: the first one had no volume, or two after another.
  var isHopeless: Bool {
    let last = results.suffix(2)
    return !last.isEmpty && last.allSatisfy(\.isWithoutVolume)
      && (last.count == 2 || results.count == 1)
  }

  /// The last cell: a line, and what is behind it where that was not expected.
  var lastLines: [String] {
    guard let last = results.last else { return [] }
    return lines(of: last)
  }

  private func lines(of result: Result) -> [String] {
    guard let report = result.report, !result.isExpected || isVerbose else { return [result.line] }
    let behind = isVerbose ? report.lines(isVerbose: true) : report.firstFinding
    return [result.line] + behind.map { $0.isEmpty ? "" : "    " + $0 }
  }

  var code: Int32 {
    let surprises = results.filter { !$0.isExpected }
    if surprises.isEmpty { return 0 }
    let isWrong = surprises.contains { result in
      if result.verdict == .violated { return true }
      if case .caught = result.cell.expectation { return result.verdict == .held }
      return false
    }
    if isWrong { return ExitStatus.violated }
    return results.allSatisfy(\.isWithoutVolume) ? ExitStatus.unavailable : ExitStatus.unknown
  }

  private var verdict: Verdict {
    if code == ExitStatus.violated { return .violated }
    return code == 0 && !wasInterrupted ? .held : .unknown
  }

  var conclusion: String {
    let states = results.reduce(0) { $0 + ($1.report?.opened ?? 0) }
    let surprises = results.count { !$0.isExpected }
    let seconds = Int(results.reduce(0) { $0 + ($1.report?.seconds ?? 0) }.rounded())
    let outcome = surprises == 0 ? "all as expected" : "\(surprises) not as expected"
    if isHopeless, results.count < cells {
      return "stopped after \(results.count) of \(cells) cells, for no volume can be mounted: \(outcome) so far"
    }
    if wasInterrupted { return "interrupted after \(results.count) of \(cells) cells: \(outcome) so far" }
    return "\(results.count) \(results.count == 1 ? "cell" : "cells"): \(outcome); \(states) states in \(seconds) s"
  }

  /// - Parameter withCells: nobody has seen them yet.
  func document(withCells: Bool) -> ReportDocument {
    let text = (withCells ? results.flatMap(lines) : []) + [conclusion]
    return ReportDocument(
      title: "tornlog test", text: text, conclusion: conclusion, json: rendered { try json() },
      cases: results.map { result in
        ReportCase(
          group: result.cell.scenario, name: "\(result.cell)", file: result.cell.file, verdict: result.verdict,
          isExpected: result.isExpected, seconds: result.report?.seconds, message: result.line,
          lines: (result.report?.findings ?? []).flatMap { finding in
            ["\(finding.check): \(finding.detail)"] + finding.story
              + (finding.token.map { ["tornlog reproduce \($0)"] } ?? [])
          })
      })
  }

  private func json() throws -> String {
    struct Document: Encodable {
      struct One: Encodable {
        var scenario: String
        var cell: String
        var file: String
        var config: String
        var source: String?
        var expected: String
        var asExpected: Bool
        var verdict: String
        var failure: String?
        var program: ProgramReport.Document?
      }

      var version = 1
      var tool = "tornlog"
      var programs: [One]
      var verdict: String
      var interrupted: Bool
    }
    let document = Document(
      programs: results.map { result in
        let expected: String
        switch result.cell.expectation {
        case .held: expected = "held"
        case .caught(let check): expected = "caught by \(check)"
        }
        return Document.One(
          scenario: result.cell.scenario, cell: "\(result.cell)", file: result.cell.file,
          config: result.cell.configText, source: result.cell.source, expected: expected,
          asExpected: result.isExpected, verdict: result.verdict.rawValue, failure: result.failure,
          program: result.report?.document)
      }, verdict: verdict.rawValue, interrupted: wasInterrupted)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
  }
}
