import Foundation
import Testing

extension CommandLineTests {
  /// The commands of README and tutorial, run as they are written there: each ends with the exit code that the page
  /// says and prints the lines that the page shows.
  @Suite struct Examples {
    @Test(arguments: ["README.md", "docs/tutorial.md"])
    func everyCommandDoesWhatThePageShows(page: String) async throws {
      let examples = try Example.all(in: page)
      try #require(!examples.isEmpty, "\(page) has no command")
      let clone = try Clone()
      for example in examples {
        let ended = try await clone.run(example.command)
        #expect(ended.code == example.code, "\(page):\(example.line): \(example.command)\n\(ended)")
        for line in example.missing(from: ended) {
          Issue.record("\(page):\(example.line): \(example.command)\ndoes not print\n\(line)\n\(ended)")
        }
      }
    }

    @Test func aLineThatIsNotPrintedIsFound() {
      let example = Example(line: 1, command: "", code: 0, output: ["one 3 s", "two ... four"])
      func ended(_ out: String) -> Ended { Ended(code: 0, out: out, err: "", seconds: 0) }
      #expect(example.missing(from: ended("one 0.25 s\nmore\ntwo three four\n")).isEmpty)
      #expect(example.missing(from: ended("two three four\none 3 s\n")) == ["two ... four"])
      #expect(example.missing(from: ended("one 3 s\ntwo three\n")) == ["two ... four"])
      #expect(example.missing(from: ended("ones 3 s\ntwo three four\n")) == ["one 3 s"])
    }
  }

  /// A command of a page, in a block of the language `console`.
  struct Example {
    /// Of the page, from 1.
    var line: Int
    var command: String
    /// `# exit code 1` below the output; 0 where nothing is said.
    var code: Int32
    /// What the page shows. `...` stands for anything, in a line or for lines.
    var output: [String]

    static func all(in page: String) throws -> [Example] {
      let text = try String(contentsOfFile: Program.root + "/" + page, encoding: .utf8)
      var examples: [Example] = []
      var isConsole = false
      for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        if line.hasPrefix("```") {
          isConsole = line == "```console"
        } else if isConsole, line.hasPrefix("$ ") {
          examples.append(Example(line: number + 1, command: String(line.dropFirst(2)), code: 0, output: []))
        } else if isConsole, var last = examples.popLast() {
          if last.command.hasSuffix("\\") || last.isOpenDocument {
            last.command += "\n" + line
          } else if line.hasPrefix("# exit code "), let code = Int32(line.dropFirst("# exit code ".count)) {
            last.code = code
          } else if !line.allSatisfy(\.isWhitespace) {
            last.output.append(String(line))
          }
          examples.append(last)
        }
      }
      return examples
    }

    /// Whether a here-document, `<<'END'`, has not come to its end.
    private var isOpenDocument: Bool { command.contains("<<'END'") && !command.hasSuffix("\nEND") }

    /// The lines that neither stream has, or has in another order.
    func missing(from ended: Ended) -> [String] {
      var streams = [ended.out, ended.err].map { $0.split(separator: "\n").map { Self.timeless(String($0)) }[...] }
      return output.filter { $0 != "..." }.filter { line in
        let wanted = Self.timeless(line)
        for index in streams.indices {
          guard let at = streams[index].firstIndex(where: { Self.matches($0, wanted) }) else { continue }
          streams[index] = streams[index][(at + 1)...]
          return false
        }
        return true
      }
    }

    /// How long something took differs by run.
    private static func timeless(_ line: String) -> String {
      line.replacing(/\d+(\.\d+)? ?(ns|us|ms|s|min)\b/, with: "T")
    }

    private static func matches(_ line: String, _ wanted: String) -> Bool {
      let pieces = wanted.components(separatedBy: "...")
      guard line.hasPrefix(pieces[0]), line.hasSuffix(pieces[pieces.count - 1]) else { return false }
      var rest = line[...]
      for piece in pieces where !piece.isEmpty {
        guard let found = rest.range(of: piece) else { return false }
        rest = rest[found.upperBound...]
      }
      return pieces.count > 1 || line == wanted
    }
  }

  /// The root of a clone after `make build`, as far as commands look at it.
  struct Clone {
    private let scratch: Scratch
    private var root: String { scratch.path("clone") }

    init() throws {
      scratch = try Scratch()
      let files = FileManager.default
      for folder in ["clone/.git", "clone/.build/release", "tmp"] {
        try files.createDirectory(atPath: scratch.path(folder), withIntermediateDirectories: true)
      }
      for name in ["Scenarios", "docs", "Examples", "README.md"] {
        try files.createSymbolicLink(atPath: root + "/" + name, withDestinationPath: Program.root + "/" + name)
      }
      try files.createSymbolicLink(atPath: root + "/.build/release/tornlog", withDestinationPath: Program.tornlog)
    }

    func write(_ name: String, _ text: String) throws {
      try text.write(toFile: root + "/" + name, atomically: true, encoding: .utf8)
    }

    func run(_ command: String) async throws -> Ended {
      let environment = ["XDG_CACHE_HOME": scratch.path("cache"), "TMPDIR": scratch.path("tmp")]
      return try await Running(["bash", "-c", command], in: root, environment: environment).end(within: 180)
    }
  }
}
