import Foundation
import Glibc
import LogModel
import Testing
import Verification

@testable import Reporting

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// Text of others never steers the terminal: control characters, bidirectional ones and NUL are shown by their numbers.
/// It is
/// made certain in one place, where text leaves for standard output and standard error.
@Suite struct HostileTextTests {
  /// Sets a window's title, clears the screen, goes back over the line, shows what follows from right to left.
  static let hostile = [
    "\u{1B}]0;pwned\u{7}\u{1B}[2J", "a\rb", "a\u{0}b", "\u{9B}31mred", "\u{202E}txt.exe", "\u{2066}x\u{2069}",
    "\u{200E}\u{200F}\u{061C}",
    "\u{85}", "\u{7F}", "\u{2028}", "\u{1B}[1;31m", "\u{1B}[0m", "\u{1B}[K", "\u{1B}",
  ]

  private static func steering(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x0A, 0x09: false
    case 0..<0x20, 0x7F...0x9F, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }

  /// What reaches a descriptor.
  private func written(_ body: (DescriptorSink) throws -> Void, sequences: [String] = []) throws -> String {
    var template = Array("/tmp/tornlog-test-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    defer {
      close(descriptor)
      unlink(template)
    }
    try body(DescriptorSink(descriptor, name: "test", sequences: sequences))
    return try String(
      contentsOfFile: String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self), encoding: .utf8
    )
  }

  @Test(arguments: hostile) func nothingOfItReachesADescriptor(text: String) throws {
    let plain = try written { try $0.write("before \(text)\tafter\n") }
    #expect(
      !plain.unicodeScalars.contains(where: Self.steering) && plain.hasPrefix("before ") && plain.hasSuffix("\tafter\n")
    )
    // Where the writer may colour, the text of others still may not.
    let style = TerminalStyle(colour: true, verbosity: .verbose)
    let coloured = try written(
      { sink in
        let result = trial(scenario: "s\(text)", verdict: .unknown, notices: [text])
        try run(TerminalRecorder(sink, style: style), [result, trial(scenario: text)])
      }, sequences: style.sequences)
    var rest = coloured
    for sequence in style.sequences { rest = rest.replacingOccurrences(of: sequence, with: "") }
    #expect(!rest.unicodeScalars.contains(where: Self.steering))
    // Every colour is one that the report has begun itself: as many beginnings as ends.
    let ends = coloured.components(separatedBy: "\u{1B}[0m").count
    #expect(coloured.components(separatedBy: "\u{1B}[").count - 1 == 2 * (ends - 1))
  }

  @Test func onlyTheWritersOwnSequencesPass() throws {
    let text = "\r\u{1B}[K[1 of 2]\u{1B}[2J\r\u{1B}[K\u{1B}[Kx"
    let drawn = try written({ try $0.write(text) }, sequences: ProgressRecorder.sequences)
    #expect(drawn == "\r\u{1B}[K[1 of 2]\\u001b[2J\r\u{1B}[K\\u001b[Kx")
    #expect(try written { try $0.write(text) } == "\\u000d\\u001b[K[1 of 2]\\u001b[2J\\u000d\\u001b[K\\u001b[Kx")
  }

  /// JSON that goes to standard output says the same with or without what is escaped there.
  @Test(arguments: hostile) func jsonStaysWhatItIs(text: String) throws {
    let document = try JSONEncoder().encode(["title": text])
    let shown = try written { try $0.write(String(decoding: document, as: UTF8.self)) }
    #expect(try JSONDecoder().decode([String: String].self, from: Data(shown.utf8)) == ["title": text])
    #expect(!shown.unicodeScalars.contains(where: Self.steering))
  }

  @Test(arguments: hostile) func tablesAndXMLKeepTheirShape(text: String) throws {
    let table = markdownTable([["a", "b"], ["x\n| y | z |\(text)", "1"]])
    #expect(table.split(separator: "\n").count == 3)
    let xml = XMLText.escape("a\(text)b", inAttribute: true)
    #expect(try XMLDocument(xmlString: "<a b=\"\(xml)\"/>").rootElement() != nil)
  }

  @Test func whatIsHarmlessStays() {
    for text in ["", "ünï☃ 漢字 😀", "a b", "µ – … «x»", "\u{FEFF}"] { #expect(text.escapingControls() == text) }
    #expect("a\nb\tc".escapingControls { $0 == "\n" } == "a\nb\\u0009c")
  }

  @Test func longTextIsCut() {
    #expect("short".shortened() == "short" && String(repeating: "x", count: 80).shortened().count == 80)
    let long = String(repeating: "ab", count: 500_000).shortened()
    #expect(long.count < 110 && long.hasPrefix("abab") && long.hasSuffix("abab") && long.contains("characters]"))
    #expect("a\u{1B}\n".shortened() == "a\\u001b\\u000a")
  }
}
