import Foundation
import Glibc
import LogModel
import ScenarioFormat
import Testing

@testable import Trials

/// Scenarios that were cut, mixed up and filled with nonsense: they are valid, or each mistake has its place. Nothing
/// else happens.
@Suite struct HostileScenarioTests {
  /// Of a text, in lines.
  enum Mutation: CaseIterable {
    case cut, lineDropped, lineDoubled, linesSwapped, indented, characterChanged, characterInserted, wordOfElsewhere,
      numberChanged
    case valueNested, aliased, pieceRepeated

    private static let oddities = [
      "\u{0}", "\t", "\u{1B}[2J", "\u{FEFF}", "\u{202E}", "☃", "\"", "'", "{", "}", "[", "]", ":", "- ", "#", "|", "*",
      "&a", "!!int", "\\", "\r\n", "..", "/",
    ]
    private static let numbers = [
      "0", "-1", "9223372036854775807", "9223372036854775808", "1e9", "0x10", "1000000", "NaN", "1KB", "64MiB",
      "99999999GiB", "interval(0s)",
      "\"> 5\"", "[1, 2]", "{}", "[]", "~", "50%", "101%",
    ]

    func apply(to text: String, _ other: String, _ random: inout SeededGenerator) -> String {
      var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      var letters = Array(text)
      let line = Int.random(in: 0..<lines.count, using: &random)
      let at = Int.random(in: 0..<max(1, letters.count), using: &random)
      let oddity = Self.oddities.randomElement(using: &random)!
      func words(_ text: String) -> [Substring] { text.split { !$0.isLetter && !$0.isNumber && $0 != "-" } }
      func replace(_ pattern: some RegexComponent, by value: String) -> String {
        let places = text.ranges(of: pattern)
        guard let place = places.randomElement(using: &random) else { return text }
        return text.replacingCharacters(in: place, with: value)
      }
      switch self {
      case .cut: return String(letters.prefix(at))
      case .lineDropped: lines.remove(at: line)
      case .lineDoubled: lines.insert(lines[line], at: Int.random(in: 0...lines.count, using: &random))
      case .linesSwapped: lines.swapAt(line, Int.random(in: 0..<lines.count, using: &random))
      case .indented:
        lines[line] = Bool.random(using: &random) ? "  " + lines[line] : String(lines[line].drop { $0 == " " })
      case .characterChanged:
        if letters.indices.contains(at) { letters.replaceSubrange(at...at, with: Array(oddity)) }
        return String(letters)
      case .characterInserted:
        letters.insert(contentsOf: Array(oddity), at: min(at, letters.count))
        return String(letters)
      case .wordOfElsewhere:
        return replace(#/[a-z][a-z-]+/#, by: String(words(other).randomElement(using: &random) ?? "x"))
      case .numberChanged: return replace(#/\d+/#, by: Self.numbers.randomElement(using: &random)!)
      case .valueNested: return replace(#/: .*/#, by: ": { a: [b, { c: \(oddity) }] }")
      case .aliased: return replace(#/: /#, by: ": &x ") + "\nextra: *x\n"
      case .pieceRepeated: return text + String(letters.suffix(letters.count - at))
      }
      return lines.joined(separator: "\n")
    }
  }

  private static let texts: [String] = {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "../../../Scenarios")
    let files =
      FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL } ?? []
    return files.filter { $0.pathExtension == "yaml" }.sorted { $0.path < $1.path }
      .compactMap { try? String(contentsOf: $0, encoding: .utf8) }
  }()

  /// Of the processor, which other work on the machine does not take from.
  private static var seconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// What `check` and `list` do with a file.
  /// - Returns: the exit code.
  private static func check(_ text: String) -> Int {
    do throws(InvalidScenarios) {
      let scenario = try ScenarioParser.parse(text, file: "a.yaml", vocabulary: TrialPlanner.vocabulary)
      let selection = ScenarioSelection(tags: ["quick"], expression: nil, shard: nil)
      let cells = selection.cells(of: [scenario], replacing: [:])
      for cell in cells { #expect(NameRule.topic(of: cell.system).allows(cell.topic)) }
      return cells.isEmpty ? 3 : 0
    } catch {
      #expect(!error.errors.isEmpty)
      for one in error.errors {
        #expect(
          one.position.line > 0 || text.isEmpty || one.position.line == 0 && one.problem == .emptyDocument, "\(one)")
        #expect(!"\(one.problem)".isEmpty)
      }
      return 65
    }
  }

  @Test func `2000 mutated scenarios are valid or invalid and nothing else`() throws {
    #expect(Self.texts.count > 80)
    var random = SeededGenerator(seed: 2000, stream: "hostile scenarios")
    var codes: [Int: Int] = [:]
    var slowest = 0.0
    for _ in 0..<2000 {
      var text = Self.texts.randomElement(using: &random)!
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let mutation = Mutation.allCases.randomElement(using: &random)!
        if !text.isEmpty { text = mutation.apply(to: text, Self.texts.randomElement(using: &random)!, &random) }
      }
      let start = Self.seconds
      codes[Self.check(text), default: 0] += 1
      slowest = max(slowest, Self.seconds - start)
    }
    #expect(
      Set(codes.keys).isSubset(of: [0, 3, 65]) && codes[0, default: 0] > 100 && codes[65, default: 0] > 500, "\(codes)")
    #expect(slowest < 10, "\(slowest) s of the processor")
  }
}
