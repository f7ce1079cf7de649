import Foundation
import Testing

/// What a reader may count on in every file, as `src/tidy.zig` does for TigerBeetle.
@Suite struct TidyTests {
  static let columns = 120
  static let functionLines = 70
  static let filesInAFolder = 15

  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized

  /// Paths below the root of the files that git would commit, by one of the endings. No tool is asked: a checkout may
  /// have no git.
  static func files(_ folders: [String], _ endings: [String]) -> [String] {
    folders.flatMap { folder in
      (FileManager.default.enumerator(atPath: root.appending(path: folder).path)?.compactMap { $0 as? String } ?? [])
        .filter { name in endings.contains { name.hasSuffix($0) } && !name.contains("/.build/") }
        .map { folder + "/" + $0 }
    }.sorted()
  }

  static let swift = files(["Sources", "Tests", "Examples", "Plugins"], [".swift"])
  static let pages =
    files(["docs"], [".md"]) + ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]

  static func lines(_ file: String) throws -> [String] {
    try String(contentsOf: root.appending(path: file), encoding: .utf8).components(separatedBy: "\n")
  }

  @Test func thereIsSomethingToRead() {
    #expect(Self.swift.count > 300 && Self.pages.count > 10)
  }

  // MARK: Columns

  /// Numbers of the lines, from 1, that are too long. Rows of tables in comments stay whole, and so do texts of several
  /// lines. In tests a literal on a line of its own does: what is compared with a message reads as the message.
  static func longLines(_ lines: [String], isTest: Bool) -> [Int] {
    var isInText = false
    var found: [Int] = []
    for (number, line) in lines.enumerated() {
      let text = line.drop { $0 == " " }
      let isFree = ["// |", "/// |"] + (isTest ? ["\"", "+ \"", "#/"] : [])
      if line.count > columns, !isInText, !isFree.contains(where: { text.hasPrefix($0) }) { found.append(number + 1) }
      if line.split(separator: "\"\"\"", omittingEmptySubsequences: false).count % 2 == 0 { isInText.toggle() }
    }
    return found
  }

  @Test func linesFit() throws {
    for file in Self.swift {
      for number in Self.longLines(try Self.lines(file), isTest: file.hasPrefix("Tests/")) {
        Issue.record("\(file):\(number) has more than \(Self.columns) columns: `swift format` breaks code")
      }
    }
  }

  /// `.swift-format` is obeyed: `swift format -i -r -p Package.swift Sources Tests Plugins Examples` makes it so.
  @Test func theFormatIsKept() throws {
    let run = Process()
    run.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    run.currentDirectoryURL = Self.root
    run.arguments = [
      "swift", "format", "lint", "-s", "-r", "-p", "Package.swift", "Sources", "Tests", "Plugins", "Examples",
    ]
    let pipe = Pipe()
    run.standardError = pipe
    try run.run()
    let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    run.waitUntilExit()
    #expect(run.terminationStatus == 0, "\(text.prefix(2000))")
  }

  @Test func aLongLineIsSeen() {
    let long = String(repeating: "x", count: 121)
    let lines = [
      long, String(long.dropLast()), "  // | " + long, "  // " + long, "\"\"\"", long, "\"\"\"", "  \"" + long,
    ]
    #expect(Self.longLines(lines, isTest: true) == [1, 4])
    #expect(Self.longLines(lines, isTest: false) == [1, 4, 8])
  }

  // MARK: Functions

  /// Each function of a file that is longer than `functionLines`: its first line, from 1, and how many it has.
  static func longFunctions(_ lines: [String]) -> [(line: Int, count: Int)] {
    let head = /^( *)((@\S+|[a-z]+(\([a-z]+\))?) )*(func|init|deinit|subscript)\b.*/
    var found: [(Int, Int)] = []
    for (start, line) in lines.enumerated() {
      guard let match = line.wholeMatch(of: head), !line.hasSuffix("}") else { continue }
      let indent = String(match.1)
      let end = lines[start...].dropFirst().firstIndex { text in
        text.hasPrefix(indent + "}") || (!text.isEmpty && text.prefix { $0 == " " }.count < indent.count)
      }
      let count = (end ?? lines.count) - start + 1
      if count > functionLines { found.append((start + 1, count)) }
    }
    return found
  }

  @Test func functionsFit() throws {
    for file in Self.swift {
      for (line, count) in Self.longFunctions(try Self.lines(file)) {
        Issue.record("\(file):\(line) is a function of \(count) lines; \(Self.functionLines) are the most")
      }
    }
  }

  @Test func aLongFunctionIsSeen() {
    func body(_ count: Int) -> [String] {
      ["  private func a(", "    b: Int", "  ) {"] + Array(repeating: "    c()", count: count) + [
        "  }", "  func d() {}",
      ]
    }
    #expect(Self.longFunctions(body(66)).isEmpty)
    #expect(Self.longFunctions(body(67)).map(\.count) == [71])
  }

  // MARK: Folders

  /// Folders with more files than there may be.
  static func crowded(_ files: [String]) -> [(folder: String, files: [String])] {
    Dictionary(grouping: files) { $0.split(separator: "/").dropLast().joined(separator: "/") }
      .filter { $0.value.count > filesInAFolder }.map { ($0.key, $0.value) }
  }

  @Test func aCrowdedFolderIsSeen() {
    let files = (1...16).map { "Sources/A/\($0).swift" } + (1...15).map { "Sources/B/\($0).swift" }
    #expect(Self.crowded(files).map(\.folder) == ["Sources/A"])
  }

  @Test func foldersAreSmall() {
    for (folder, files) in Self.crowded(Self.swift) {
      Issue.record("\(folder) has \(files.count) Swift files; \(Self.filesInAFolder) are the most")
    }
  }

  // MARK: Words

  /// Words of our own making, as regular expressions, and what the field says.
  static let banned = [
    ("\\bof the [a-z]+ those\\b", "put the noun first"), ("\\bof those of which\\b", "two sentences"),
    ("\\bso manyth\\b", "every Nth"), ("(?<!--|\\[\")\\bmishaps?\\b(?!: \\{)", "device fault"),
    ("\\bways? of looking\\b", "strategy"), ("\\bwhereabouts\\b", "location"), ("\\bthe house\\b", "the package"),
  ]

  /// Where `text` has the expression: numbers of lines, from 1.
  static func lines(of expression: String, in text: String) throws -> [Int] {
    let expression = try NSRegularExpression(pattern: expression, options: .caseInsensitive)
    return expression.matches(in: text, range: NSRange(text.startIndex..., in: text)).compactMap { match in
      Range(match.range, in: text).map { text[..<$0.lowerBound].count { $0 == "\n" } + 1 }
    }
  }

  @Test func wordsAreTheFields() throws {
    for file in Self.swift + Self.pages where !file.hasSuffix("TidyTests.swift") && file != "CHANGELOG.md" {
      let text = try Self.lines(file).joined(separator: "\n")
      for (word, instead) in Self.banned {
        for line in try Self.lines(of: word, in: text) {
          Issue.record("\(file):\(line) has a banned word: \(instead)")
        }
      }
    }
  }

  /// Former spellings are accepted for one version: they stand where they are read, and in tests of that.
  @Test func aBannedWordIsSeen() throws {
    let text = "a\nOf the cells those\n--mishaps\nmishaps: {\na Mishap\n[\"mishaps\""
    #expect(try Self.banned.map { try Self.lines(of: $0.0, in: text) } == [[2], [], [], [5], [], [], []])
  }

  /// Documents have names; their numbers stand in docs/sources alone.
  @Test func documentsHaveNames() throws {
    let texts = Self.swift + Self.pages + Self.files(["Scenarios"], [".yaml"])
    for file in texts where !file.hasPrefix("docs/sources") && !file.hasSuffix("TidyTests.swift") {
      let text = try Self.lines(file).joined(separator: "\n")
      for line in try Self.lines(of: "\\bseed 00[0-9]", in: text) {
        Issue.record("\(file):\(line) names a document by its number; docs/sources has its name")
      }
    }
  }
}
