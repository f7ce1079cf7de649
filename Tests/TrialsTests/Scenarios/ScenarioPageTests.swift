import CrashStates
import Exploration
import Foundation
import LogModel
import Testing
import Verification

@testable import DefectMatrix
@testable import ScenarioFormat
@testable import Trials

/// `docs/scenarios.md` has every key, axis, fault and parameter that the code has, with the same values, and no other.
@Suite struct ScenarioPageTests {
  static let page = ManualPage("scenarios.md")

  /// A scenario with a key that nobody knows in every mapping: the parser answers with the keys that it does know.
  private static let strange = """
    zzz: 1
    name: a
    title: b
    workload: { zzz: 1 }
    matrix: { messages: [10], zzz: 1 }
    crash: { zzz: 1 }
    checkpoint: { zzz: 1 }
    overrides: [{ zzz: 1 }]
    expect: [{ zzz: 1 }]
    limits: { zzz: 1 }
    claims: [{ zzz: 1, arithmetic: { zzz: 1 } }]
    exploration: { zzz: 1, mishaps: { zzz: 1 }, state: { zzz: 1, in-recovery: { zzz: 1 } } }
    delivery: { zzz: 1 }
    """

  /// By the parser's name of each mapping, the heading of its table.
  private static let headings = [
    "the scenario": "Keys of a scenario", "workload": "workload", "matrix": "Axes", "crash": "crash",
    "checkpoint": "checkpoint", "an override": "overrides", "an expectation": "expect", "limits": "limits",
    "a claim": "claims", "arithmetic": "arithmetic", "exploration": "exploration", "mishaps": "mishaps",
    "state": "state", "in-recovery": "in-recovery", "delivery": "delivery",
  ]

  private static let keys: [String: [String]] = {
    var found: [String: [String]] = [:]
    do throws(InvalidScenarios) {
      _ = try ScenarioParser.parse(strange, file: "a.yaml", vocabulary: TrialPlanner.vocabulary)
    } catch {
      for case .unknownKey("zzz", in: let mapping, known: let known) in error.errors.map(\.problem) {
        found[mapping] = known
      }
    }
    return found
  }()

  @Test(arguments: headings.keys.sorted()) func everyKeyIsOnThePage(mapping: String) throws {
    let known = try #require(Self.keys[mapping], "the parser has not said which keys \(mapping) has")
    let heading = try #require(Self.headings[mapping])
    #expect(Self.page.names(heading).sorted() == known.sorted(), "under the heading \(heading)")
  }

  /// The list above has every mapping that the parser reads.
  @Test func everyMappingIsAskedFor() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "../../../Sources/ScenarioFormat")
    var names: Set<String> = []
    for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where name.hasSuffix(".swift") {
      let file = folder.appendingPathComponent(name)
      let text = try String(contentsOf: file, encoding: .utf8)
      for match in text.matches(of: /mapping\([^"()]+, "([^"]+)", known:/) { names.insert(String(match.output.1)) }
    }
    #expect(names.union(["matrix"]) == Set(Self.headings.keys))
  }

  // MARK: Axes

  /// A cell of a scenario that says nothing but its volume has every default.
  private static let usual: Cell? = {
    let text = "name: a\ntitle: b\nmatrix: { messages: [10] }"
    return try? ScenarioParser.parse(text, file: "a.yaml", vocabulary: TrialPlanner.vocabulary).cells().first
  }()

  /// What the page says of an axis is what the parser does.
  @Test(arguments: AxisDescriptor.all) func theDescriptorOfAnAxisIsTrue(axis: AxisDescriptor) throws {
    let row = try #require(Self.page.rows("Axes").first { ManualPage.plain($0[0]) == axis.name })
    #expect(row == axis.documentation, "run `make docs`")
    try #require(row.count == 4, "axis, values, default, meaning")
    if let bounds = axis.form.numbers {
      #expect(row[1].contains("\(bounds.lowerBound) to \(bounds.upperBound)"), "\(row[1]) is not \(bounds)")
      for (n, isAllowed) in [(bounds.upperBound, true), (bounds.upperBound + 1, false)] {
        let value = try? axis.parse("\(n)", vocabulary: TrialPlanner.vocabulary)
        #expect((value == .integer(n)) == isAllowed, "\(axis.name) \(n)")
      }
    }
    var known: [String] = []
    do {
      _ = try axis.parse("zzz", vocabulary: TrialPlanner.vocabulary)
    } catch {
      if case .unknownWord(_, of: _, known: let words) = error { known = words }
    }
    // The defects have a page of their own.
    if axis != .defect {
      for word in known { #expect(ManualPage.words(row[1]).contains(word), "\(word) is not among \(row[1])") }
    }
    for word in axis.form.words {
      #expect(try "\(axis.parse(word, vocabulary: TrialPlanner.vocabulary))" == word)
    }
    let usual = try #require(Self.usual).value(of: axis).description
    switch axis.usual {
    case .required: #expect(row[2] == "required")
    case .commandLine: #expect(usual == "auto" && row[2] == "`--storage`")
    case .value: #expect(row[2] == "`\(usual)`" && usual == axis.usualValue.description)
    }
  }

  // MARK: Faults

  private struct Family {
    var heading: String
    var kinds: [FaultGrammar]
    /// Parameters that each of its kinds has.
    var common: [String] = []
  }

  private static let families = [
    Family(
      heading: "Faults of the device", kinds: StorageFaultGrammar.grammars, common: ["target"] + StorageFaultGrammar.trigger.map(\.name)),
    Family(heading: "Damage at rest", kinds: AtRestFaultGrammar.grammars),
    Family(
      heading: "Faults of the object store", kinds: ObjectStoreFaultGrammar.grammars,
      common: ["partition", "occurrence", "times", "lasting"]),
    Family(heading: "Faults of a receiver", kinds: ReceiverFaultGrammar.grammars),
    Family(heading: "What an operator does", kinds: [DiskSpaceRecovery.grammar, RecoveryRunbook.grammar]),
  ]

  @Test func everyFaultIsOfAFamily() {
    let kinds = Self.families.flatMap(\.kinds).map(\.kind)
    #expect(kinds.sorted() == TrialPlanner.vocabulary.faults.map(\.kind).sorted())
    for family in Self.families {
      #expect(Self.page.names(family.heading).sorted() == family.kinds.map(\.kind).sorted(), "\(family.heading)")
    }
  }

  /// Of each kind the page names the parameters that are its own; those of the whole family stand once.
  @Test(arguments: TrialPlanner.vocabulary.faults.map(\.kind)) func everyParameterIsOnThePage(kind: String) throws {
    let family = try #require(Self.families.first { $0.kinds.contains { $0.kind == kind } })
    let grammar = try #require(family.kinds.first { $0.kind == kind })
    let row = try #require(Self.page.rows(family.heading).first { ManualPage.plain($0[0]) == kind })
    let said = ManualPage.words(try #require(row.last))
    let own = grammar.parameters.map(\.name).filter { !family.common.contains($0) }
    #expect(said.sorted() == own.sorted(), "own parameters of \(kind)")
    for name in family.common { #expect(grammar.parameters.contains { $0.name == name }, "\(kind) has \(name)") }
    for parameter in grammar.parameters {
      let rows = Self.page.rows("Parameters of faults").filter { ManualPage.plain($0[0]) == parameter.name }
      let values = rows.map { $0[1] }
      #expect(values.contains(Self.values(of: parameter)), "\(kind) \(parameter.name): \(Self.values(of: parameter))")
    }
  }

  /// As the page has them.
  private static func values(of parameter: FaultGrammar.Parameter) -> String {
    let text =
      switch parameter.form {
      case .word(let words): words.map { "`\($0)`" }.joined(separator: ", ")
      case .integer(let range): "\(range.lowerBound) to \(range.upperBound)"
      case .size: "a size"
      case .duration: "a duration"
      case .numbers: "numbers from 0"
      case .anyText: "text"
      }
    return parameter.isRequired ? "\(text); required" : text
  }

  /// No row of the page is of a parameter, or of values, that no fault has.
  @Test func thePageHasNoOtherParameters() {
    let known = Set(
      TrialPlanner.vocabulary.faults.flatMap(\.parameters).map { "\($0.name): \(Self.values(of: $0))" })
    for row in Self.page.rows("Parameters of faults") {
      #expect(known.contains("\(ManualPage.plain(row[0])): \(row[1])"), "\(row)")
    }
  }

  // MARK: Lists

  @Test func everyConditionClientAndPhaseIsOnThePage() {
    #expect(Self.page.names("only-if").sorted() == TrialCondition.allCases.map(\.rawValue).sorted())
    #expect(Self.page.names("Clients").sorted() == TrialClient.allCases.map(\.rawValue).sorted())
    let phases = StorageFaultGrammar.trigger.first { $0.name == "phase" }
    guard case .word(let words)? = phases?.form else {
      Issue.record("the parameter phase is no word")
      return
    }
    #expect(Set(Self.page.names("Phases")) == Set(words))
  }

  @Test func everyCheckIsExplained() {
    #expect(ManualPage("concepts.md").names("Checks").sorted() == CheckName.allCases.map(\.rawValue).sorted())
  }

  @Test func everyCrashProfileIsExplained() {
    let page = ManualPage("crash-profiles.md")
    #expect(page.names("The profiles").sorted() == CrashProfile.known.map(\.name).sorted())
    for profile in CrashProfile.known {
      let row = page.rows("The profiles").first { ManualPage.plain($0[0]) == profile.name } ?? []
      #expect(row.count > 1 && row[1] == "\(profile.unit)", "the unit of \(profile.name)")
      #expect(page.text.contains(profile.source), "the source of \(profile.name)")
    }
  }

  @Test func everyWayOfLookingIsExplained() {
    #expect(ManualPage("defects.md").names("The ways").sorted() == DetectionStrategy.allCases.map(\.name).sorted())
  }
}
