import ArgumentParser
import Foundation
import Reporting
import ScenarioFormat
import Trials

/// Which scenarios, and which of their cells.
struct ScenarioOptions: ParsableArguments {
  @Argument(help: "Scenario files and folders.", completion: .file())
  var paths: [String] = ScenarioOptions.defaultPaths
  static let defaultPaths = ["Scenarios"]

  @Option(
    name: .customShort("k"),
    help: ArgumentHelp(
      "Take the cells that match, like C2b and messages<=100, or not memory. A word is a part of a cell's name; a "
        + "comparison is "
        + "with a value of an axis.",
      valueName: "expr"))
  var expression: String?

  @Option(
    name: .customShort("t"),
    help: ArgumentHelp("Take the cells of a suite: quick (default), full, ... Repeatable.", valueName: "tag"))
  var tags: [String] = []

  @Option(
    help: ArgumentHelp(
      "Switch on this defect in place of the scenario's: an id, several as C4+P9, or none. It is expected to do no "
        + "harm.",
      valueName: "id"))
  var defect: [String] = []

  @Option(help: ArgumentHelp("Take one part of the trials: slice:M/N, hash:M/N or auto:N.", valueName: "part"))
  var shard: String?

  func load() -> [Scenario] {
    ScenarioPaths.check(paths, isDefault: paths == Self.defaultPaths)
    do {
      return try ScenarioFiles.load(paths, vocabulary: TrialPlanner.vocabulary)
    } catch {
      fail(
        "\(error.errors.count == 1 ? "invalid scenario" : "\(error.errors.count) mistakes in scenarios")\n\(error)",
        ExitStatus.invalidScenario)
    }
  }

  func cells(of scenarios: [Scenario], storage: String? = nil) -> [Cell] {
    do {
      var selection = ScenarioSelection(
        tags: tags, expression: try expression.map { try SelectionExpression($0, vocabulary: TrialPlanner.vocabulary) },
        shard: try shard.map { try Shard($0).resolved() })
      try selection.checkTags(of: scenarios)
      var replaced: [Axis: [AxisValue]] = [:]
      if !defect.isEmpty {
        replaced[.defect] = try defect.map { (id) throws(ScenarioProblem) in
          try Axis.defect.parse(id, vocabulary: TrialPlanner.vocabulary)
        }
        // A defect that the user names runs at every volume of the suite, whatever the suite says of defects.
        if tags.isEmpty { selection.tags = ["quick"] }
      }
      if let storage, storage != "auto" {
        // Scenarios that vary the storage run on this one only.
        replaced = replaced.merging([.storage: [.text(storage)]]) { $1 }
      }
      let cells = selection.cells(of: scenarios, replacing: replaced)
      if !cells.isEmpty || defect.isEmpty || !tags.isEmpty { return cells }
      selection.tags = ["full"]
      return selection.cells(of: scenarios, replacing: replaced)
    } catch {
      fail("\(error)", ExitStatus.usage)
    }
  }
}

extension ScenarioOptions {
  /// Why no cell is selected, and what to add where cells of other suites match.
  func whyNoCell(of loaded: [Scenario]) -> String {
    if shard != nil { return "no cell is in this part; `tornlog list -v` without --shard shows all" }
    if !defect.isEmpty { return "no cell matches; `tornlog list -v` shows them all" }
    guard
      let selection = try? ScenarioSelection(
        tags: tags, expression: expression.map { try SelectionExpression($0, vocabulary: TrialPlanner.vocabulary) })
    else { return "no cell matches" }
    let chosen = selection.tags.joined(separator: ", ")
    var seen: Set<String> = []
    let others = (["full"] + loaded.flatMap(\.suiteNames)).filter { seen.insert($0).inserted }
      .filter { !selection.tags.contains($0) }
      .map {
        (suite: $0, cells: ScenarioSelection(tags: [$0], expression: selection.expression).cells(of: loaded).count)
      }
      .filter { $0.cells > 0 }
    guard let most = others.max(by: { $0.cells < $1.cells }) else {
      return "no cell matches; `tornlog list -v` shows them all"
    }
    let found = others.map { "\($0.suite) has \($0.cells)" }.joined(separator: ", ")
    return "no cell of the suite \(chosen) matches; \(found); add -t \(most.suite)"
  }
}

extension Shard {
  /// `auto:N` takes its part from the CI system's environment.
  func resolved() throws(SelectionError) -> Shard {
    guard case .auto(let count) = self else { return self }
    do { return .hash(try Self.part(of: count, ProcessInfo.processInfo.environment), of: count) } catch {
      throw SelectionError(source: description, column: 1, message: error.message)
    }
  }

  struct PartError: Error { var message: String }

  /// The part that a CI system gives this machine, from 1.
  /// - Throws: where it gives none, none of `count`, or one of another number of parts: trials of the parts that no
  ///   machine takes would be missing, and nobody would see it.
  static func part(of count: Int, _ environment: [String: String]) throws(PartError) -> Int {
    // Counted from 1, or from 0; and how many there are, where the system says it. The user's own word comes first.
    let systems = [
      ("TORNLOG_SHARD_INDEX", 1, "TORNLOG_SHARD_TOTAL"), ("CI_NODE_INDEX", 1, "CI_NODE_TOTAL"),
      ("BUILDKITE_PARALLEL_JOB", 0, "BUILDKITE_PARALLEL_JOB_COUNT"), ("CIRCLE_NODE_INDEX", 0, "CIRCLE_NODE_TOTAL"),
    ]
    for (name, base, total) in systems {
      guard let text = environment[name], !text.isEmpty else { continue }
      if let parts = environment[total], !parts.isEmpty, parts != "\(count)" {
        let advice = Int(parts) == nil ? "" : ": say auto:\(parts), or set TORNLOG_SHARD_INDEX"
        throw PartError(message: "\(total) is '\(parts)', and auto:\(count) makes \(count) parts\(advice)")
      }
      guard let number = Int(text), (0..<count).contains(number - base) else {
        throw PartError(message: "\(name) is '\(text)'; it must be from \(base) to \(base + count - 1)")
      }
      return number - base + 1
    }
    throw PartError(
      message: "auto needs \(systems.map(\.0).joined(separator: ", ")) in the environment; or name the part, as in "
        + "hash:1/\(count)")
  }
}

/// How a run is shown.
struct OutputOptions: ParsableArguments {
  @OptionGroup var report: ReportOptions<TrialFormats>

  @Option(help: "Use colours. NO_COLOR counts for auto.")
  var color = Presence.auto

  @Option(help: "Show progress on standard error.")
  var progress = Presence.auto

  @Flag(name: .customShort("q"), help: "Print only what did not come out as expected, and the last line.")
  var quiet = false

  @Flag(name: .customShort("v"), help: "Print a table for each scenario, and a line for each trial.")
  var verbose = false

  /// Whether standard output is for a person.
  var isForPeople: Bool { report.isForPeople }

  /// Whether the terminal's report, which shows notices, goes to standard output.
  var showsNotices: Bool { report.requests.contains(ReportRequest(.terminal)) }

  func validate() throws {
    if quiet, verbose { throw ValidationError("-q and -v: one or the other") }
  }

  /// Ends the program where a report cannot be written: before anything else is done.
  func check() { report.check() }

  /// - Parameter showsShortForms: whether `tornlog reproduce last:N` will mean what is shown.
  /// - Parameter isOfRandomTrials: so many that nobody reads a table of them.
  func recorders(alwaysVerbose: Bool = false, showsShortForms: Bool = false, isOfRandomTrials: Bool = false)
    -> [any RunRecorder]
  {
    let isTerminal = isatty(STDOUT_FILENO) == 1
    var style = TerminalStyle(
      colour: color.colours(isTerminal: isTerminal, environment: ProcessInfo.processInfo.environment),
      verbosity: quiet ? .quiet : verbose || alwaysVerbose ? .verbose : .normal, showsShortForms: showsShortForms)
    style.isOfRandomTrials = isOfRandomTrials
    var recorders: [any RunRecorder] = []
    let onTerminal = isatty(STDERR_FILENO) == 1
    if progress == .always || (progress == .auto && !quiet) {
      var size = winsize()
      let width = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 100
      recorders.append(
        ProgressRecorder(
          DescriptorSink.standardError(sequences: onTerminal ? ProgressRecorder.sequences : []), inPlace: onTerminal,
          clearsForEveryTrial: verbose, width: width,
          now: { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }))
    }
    return recorders + report.requests.map { $0.recorder(style: style) }
  }
}

/// Paths of scenarios, as the user named them.
enum ScenarioPaths {
  /// Ends the program where one is not there: the command line is wrong then, and no scenario.
  /// - Parameter commands: that might stand where the path does.
  static func check(_ paths: [String], isDefault: Bool, commands: [String] = []) {
    var status = stat()
    for path in paths where stat(path, &status) != 0 && (errno == ENOENT || errno == ENOTDIR) {
      let hint =
        isDefault ? "name scenario files or folders, or run it where that folder is" : "name scenario files or folders"
      let word = nearestWord(to: path, among: commands).map { "; or did you mean '\($0)'?" } ?? ""
      fail("there is no \(path) here: \(hint)\(word)", ExitStatus.usage)
    }
  }
}
