import CrashStates
import Exploration
import FaultInjection
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
    exploration: { zzz: 1, device-faults: { zzz: 1 }, state: { zzz: 1, in-recovery: { zzz: 1 } } }
    delivery: { zzz: 1 }
    """

  /// By the parser's name of each mapping, the heading of its table.
  private static let headings = [
    "the scenario": "Keys of a scenario", "workload": "workload", "matrix": "Axes", "crash": "crash",
    "checkpoint": "checkpoint", "an override": "overrides", "an expectation": "expect", "limits": "limits",
    "a claim": "claims", "arithmetic": "arithmetic", "exploration": "exploration", "device-faults": "device-faults",
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

  /// The schema's mappings have the keys that the parser knows. Those of conditions and faults follow from descriptors.
  @Test(arguments: headings.keys.sorted()) func everyKeyIsInTheSchema(mapping: String) throws {
    let programs = ProgramVocabulary(models: [], allowances: [], checks: [], profiles: [], isPromise: { _ in true })
    let text = ScenarioSchema(TrialPlanner.vocabulary, programs).text
    let whole = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    let root = try #require((whole["$defs"] as? [String: Any])?["trials"] as? [String: Any])
    let places: [String: [String]] = [
      "the scenario": [], "an override": ["overrides"], "an expectation": ["expect"], "a claim": ["claims"],
      "arithmetic": ["claims", "arithmetic"], "device-faults": ["exploration", "device-faults"],
      "state": ["exploration", "state"],
      "in-recovery": ["exploration", "state", "in-recovery"],
    ]
    var node = root
    for key in places[mapping] ?? [mapping] {
      let keys = try #require(node["properties"] as? [String: Any])
      let next = try #require(keys[key] as? [String: Any], "the schema has no \(key)")
      node = next["items"] as? [String: Any] ?? next
    }
    let keys = try #require(node["properties"] as? [String: Any])
    #expect(keys.keys.sorted() == Self.keys[mapping]?.sorted())
  }

  /// The list above has every mapping that the parser reads.
  @Test func everyMappingIsAskedFor() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "../../../Sources/ScenarioFormat")
    var names: Set<String> = []
    for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    where name.hasSuffix(".swift") && !name.hasPrefix("Programs/") {
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

  /// By family, the heading of its table. Its rows are generated: `DocumentTests` compares them.
  private static let families: [FaultDescriptor.Family: String] = [
    .device: "Faults of the device", .atRest: "Damage at rest", .store: "Faults of the object store",
    .receiver: "Faults of a receiver", .operation: "What an operator does",
  ]

  /// The page's tables have every fault, with its own parameters, and every parameter with its values and meaning.
  @Test(arguments: FaultDescriptor.all) func theFaultIsOnThePage(fault: FaultDescriptor) throws {
    let heading = try #require(Self.families[fault.family])
    let row = try #require(Self.page.rows(heading).first { ManualPage.plain($0[0]) == fault.kind }, "run `make docs`")
    #expect(row[1] == fault.meaning)
    for parameter in fault.parameters {
      let rows = Self.page.rows("Parameters of faults").filter { ManualPage.plain($0[0]) == parameter.name }
      #expect(
        rows.contains { $0[1] == parameter.values && $0[2] == parameter.meaning }, "\(fault.kind) \(parameter.name)")
    }
  }

  /// Kinds, and parameters of one kind, have names of their own; each choice of random trials is one that a scenario
  /// may make.
  @Test func descriptorsAreWellFormed() {
    #expect(Set(FaultDescriptor.all.map(\.kind)).count == FaultDescriptor.all.count)
    #expect(Set(StorageFaultDescriptor.all.map(\.kind)) == Set(FaultKind.allCases))
    for fault in FaultDescriptor.all {
      #expect(Set(fault.parameters.map(\.name)).count == fault.parameters.count, "\(fault.kind)")
      for choice in fault.drawn { #expect(fault.problems(in: choice).isEmpty, "\(fault.kind) \(choice)") }
    }
    for fault in StorageFaultDescriptor.all {
      #expect(fault.usualOperations.isSubset(of: fault.operations), "\(fault.kind)")
      #expect(fault.documentedOperations.isSubset(of: fault.operations), "\(fault.kind)")
      // A stall needs its delay; the others have a usual form.
      #expect(fault.fault(FaultWords(["delay": "1ms"])).kind == fault.kind)
    }
  }

  /// Names of the version before are taken in scenarios and in tokens, and are those of now from there on.
  @Test func formerNamesAreTaken() throws {
    let former = FaultDescriptor.all.filter { $0.former != nil }
    #expect(
      former.map(\.kind).sorted() == [
        "receiver-disconnects", "receiver-rate-limits", "receiver-responds", "store-response-lost", "store-timeout",
      ])
    #expect(Set(former.compactMap(\.former)).isDisjoint(with: FaultDescriptor.all.map(\.kind)))
    let text = """
      name: a
      title: b
      matrix: { messages: [10], checkpoint: background }
      faults:
        - store-silent: { on: put }
        - io-error: { phase: look, on: read }
      """
    let scenario = try ScenarioParser.parse(text, file: "a.yaml", vocabulary: TrialPlanner.vocabulary)
    let faults = [
      FaultSpec(kind: "store-timeout", parameters: ["on": "put"]),
      FaultSpec(kind: "io-error", parameters: ["phase": "verify", "on": "read"]),
    ]
    #expect(scenario.cells().first?.faults == faults)
    let token =
      "t1.sc=a.m=10.p=1.s=always.r=skip-corrupted.c=none.at=end.d=none.b=10.n=4.z=100.a=0.t=orders.seed=1"
      + ".st=memory.ck=background/1ms/4096/65536/2s/none/100ms.f=store-silent/on-put.f=io-error/on-read/phase-look"
    let spec = try Token.decode(token)
    #expect(spec.faults == faults)
    #expect(try Token.decode(Token.encode(spec)) == spec)
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

  @Test func checksGoByTheirFormerNamesToo() {
    for (former, check) in CheckName.former {
      #expect(CheckName(named: former) == check && CheckName(rawValue: former) == nil)
      #expect(TrialPlanner.vocabulary.formerChecks[former] == check.rawValue)
    }
    #expect(CheckName(named: "no-gaps") == .noGaps && CheckName(named: "no-such") == nil)
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
