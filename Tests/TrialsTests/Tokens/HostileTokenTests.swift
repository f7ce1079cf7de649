import LogModel
import ScenarioFormat
import Storage
import Testing

@testable import Trials

/// A word that is cut, retyped or wrapped on its way from a report to a prompt runs the trial that it names, or none.
@Suite struct HostileTokenTests {
  /// What happens to words on their way.
  enum Mutation: CaseIterable {
    case endCut, frontCut, middleCut, fieldCutAtSlash, characterChanged, characterInserted, charactersExchanged,
      caseChanged
    case fieldDuplicated, fieldDropped, fieldsSwapped, fieldOfAnotherToken, partRepeated, oldVersion

    func apply(to token: String, _ other: String, _ random: inout SeededGenerator) -> String {
      var letters = Array(token)
      var fields = token.split(separator: ".").map(String.init)
      let at = Int.random(in: 0..<letters.count, using: &random)
      let field = Int.random(in: 1..<fields.count, using: &random)
      let letter = Character(Unicode.Scalar(UInt8.random(in: 33...126, using: &random)))
      switch self {
      case .endCut: letters.removeSubrange(at...)
      case .frontCut: letters.removeSubrange(..<at)
      case .middleCut: letters.removeSubrange(at..<Int.random(in: at...letters.count, using: &random))
      case .fieldCutAtSlash:
        let slashes = letters.indices.filter { letters[$0] == "/" }
        letters.removeSubrange((slashes.randomElement(using: &random) ?? at)...)
      case .characterChanged: letters[at] = letter
      case .characterInserted: letters.insert(letter, at: at)
      case .charactersExchanged: letters.swapAt(at, Int.random(in: 0..<letters.count, using: &random))
      case .caseChanged:
        letters = letters.map { Character(Bool.random(using: &random) ? $0.uppercased() : $0.lowercased()) }
      case .fieldDuplicated: fields.insert(fields[field], at: Int.random(in: 1...fields.count, using: &random))
      case .fieldDropped: fields.remove(at: field)
      case .fieldsSwapped: fields.swapAt(field, Int.random(in: 1..<fields.count, using: &random))
      case .fieldOfAnotherToken:
        let foreign = other.split(separator: ".").map(String.init)
        fields[field] = foreign[min(field, foreign.count - 1)]
      case .partRepeated: letters.insert(contentsOf: letters[at...], at: at)
      case .oldVersion: fields[0] = Token.oldVersion
      }
      let isOfFields: Set<Mutation> = [
        .fieldDuplicated, .fieldDropped, .fieldsSwapped, .fieldOfAnotherToken, .oldVersion,
      ]
      return isOfFields.contains(self) ? fields.joined(separator: ".") : String(letters)
    }
  }

  /// Twenty trials of all sorts: faults, stores, several topics, deliveries, clients, names with full stops.
  private static func specimens() throws -> [TrialSpec] {
    var random = SeededGenerator(seed: 16, stream: "hostile tokens")
    let cells = ShippedScenarioTests.scenarios.compactMap { scenario in
      scenario.cells().filter { $0.exploration == nil && TrialPlanner.isPossible($0, on: .memory) }.randomElement(
        using: &random)
    }
    var specs = try cells.shuffled(using: &random).prefix(18).map {
      try TrialPlanner.trial($0, storage: .memory, seed: 3, phaseSeconds: 120, expectsSound: true).spec
    }
    for index in specs.indices { specs[index].file = "" }
    var dotted = specs[0]
    (dotted.topic, dotted.delivery, dotted.system, dotted.faults) = ("orders.v2", nil, .tornlog, [bitFlip])
    (dotted.writers, dotted.client, dotted.onlyIf) = (.one, nil, [])
    // Faults need messages that name themselves.
    dotted.messageSize = max(dotted.messageSize, MessageContent.minimumSize)
    var several = dotted
    (several.topic, several.otherTopics, several.partitions, several.faults) = ("a", ["a.b", "a.b.c", "_-."], 4, [])
    return specs + [dotted, several]
  }

  @Test func `none of 500 mutations of twenty tokens is run as another trial`() throws {
    let specs = try Self.specimens()
    #expect(specs.count == 20)
    let tokens = specs.map(Token.encode)
    for (token, spec) in zip(tokens, specs) { #expect(try Token.decode(token) == spec) }
    var random = SeededGenerator(seed: 500, stream: "hostile tokens")
    var refused: [Mutation: Int] = [:]
    for (index, token) in tokens.enumerated() {
      for _ in 0..<500 {
        let mutation = Mutation.allCases.randomElement(using: &random)!
        let word = mutation.apply(to: token, tokens.randomElement(using: &random)!, &random)
        do throws(Token.Failure) {
          let decoded = try Token.decode(word)
          #expect(decoded == specs[index], "\(mutation): \(word)")
        } catch {
          refused[mutation, default: 0] += 1
          #expect("\(error)".count < 2000, "\(error)")
        }
      }
    }
    for mutation in Mutation.allCases { #expect(refused[mutation, default: 0] > 100, "\(mutation): \(refused)") }
  }

  @Test func `every single cut, and every change of one character, is refused`() throws {
    let token = Token.encode(try Self.specimens()[18])
    for length in 0..<token.count {
      #expect(throws: Token.Failure.self, "\(length)") { try Token.decode(String(token.prefix(length))) }
      #expect(throws: Token.Failure.self, "\(length)") { try Token.decode(String(token.suffix(length))) }
    }
    for at in 0..<token.count {
      for letter in "0aZ./=%-é" {
        var letters = Array(token)
        guard letters[at] != letter else { continue }
        letters[at] = letter
        #expect(throws: Token.Failure.self) { try Token.decode(String(letters)) }
      }
    }
  }
}

@Suite struct OldTokenTests {
  @Test(arguments: OldTokens.all) func theyRunAndAreWarnedOf(token: String) throws {
    let spec = try Token.decode(token)
    #expect(Token.warning(for: token)?.contains("carries no check sum") == true)
    let renewed = Token.encode(spec)
    #expect(renewed.hasPrefix("t2.") && Token.warning(for: renewed) == nil)
    #expect(try Token.decode(renewed) == spec)
  }

  private static let old =
    "t1.sc=a.m=10.p=1.s=always.r=skip-corrupted.c=none.at=end.d=none.b=5.n=1.z=100.a=0.t=orders.seed=1.st=memory"
    + ".f=sync-failure/how-marks-clean/occurrence-1/on-sync/phase-produce/target-segment"

  /// What shows in a word without a check sum.
  @Test(arguments: [
    (".m=10", ".m=10.m=7", "has the field `m` twice"),
    (".st=memory", ".st=memory.foo=1", "a field `foo`, which this build does not know"),
    ("sc=a.", "sc=.", "field `sc` is empty"), ("sc=a.", "sc=ten vs.", "field `sc=ten vs` cannot be read"),
    (".m=10.", ".m=0.", "field `m=0` cannot be read"), (".m=10.", ".m=+10.", "field `m=+10` cannot be read"),
    (".m=10.", ".m=010.", "field `m=010` cannot be read"), (".p=1.", ".", "has no field `p`"),
    ("/target-segment", "/", "cannot be read"), ("/target-segment", "/target-", "cannot be read"),
    ("/target-segment", "/target-seg", "asks for a fault that there is not"),
    ("/target-segment", "/occurrence-2", "cannot be read"),
    ("/occurrence-1", "/occurrence-", "cannot be read"), ("/how-marks-clean", "/how", "cannot be read"),
    (".f=sync-failure", ".f=", "there is not"), ("t=orders", "t=orders/", "cannot be read"),
    ("t=orders", "t=..", "field `t` is empty"),
    ("t=orders", "t=orders%2Ev2/", "cannot be read"), ("s=always", "s=interval", "cannot be read"),
    ("t1.", "t2.", "is cut off"),
  ])
  func whatCanBeNoticedIsRefused(part: String, other: String, message: String) throws {
    _ = try Token.decode(Self.old)
    let broken = Self.old.replacing(part, with: other)
    #expect(broken != Self.old)
    do throws(Token.Failure) {
      let spec = try Token.decode(broken)
      Issue.record("\(broken) was taken for \(spec)")
    } catch {
      #expect("\(error)".contains(message), "\(error)")
    }
  }
}
