import Testing

@testable import Reporting

@Suite struct WrappedTextTests {
  @Test func linesBreakBetweenWordsAndHangBelowTheText() {
    let text = WrappedText(width: 40)
    #expect(
      text.wrap("  verdict    violated, and something longer than that\nshort\n")
        == "  verdict    violated, and something\n             longer than that\nshort\n")
    #expect(
      text.wrap("one two three four five six seven eight nine") == "one two three four five six seven eight\n  nine")
  }

  /// A token that is cut cannot be copied.
  @Test func nothingButAWordIsWider() {
    let token = "t2." + String(repeating: "x", count: 80)
    let text = WrappedText(width: 40).wrap("  reproduce  tornlog reproduce \(token) and what comes then, on and on")
    let wide = text.split(separator: "\n").filter { $0.count > 40 }
    #expect(wide.map { String($0.drop { $0 == " " }) } == [token], "\(text)")
  }

  /// Colours take no columns.
  @Test func sequencesAreNotCounted() {
    let red = "\u{1B}[1;31mVIOLATED\u{1B}[0m  " + String(repeating: "a ", count: 14) + "b"
    #expect(WrappedText(width: 40).wrap(red) == red)
    #expect(WrappedText(width: 38).wrap(red).hasSuffix("\n          b"))
  }
}

@Suite struct PersistenceTraceTests {
  private static let text = """
    0 1000000 -- life 0
    1 2000000 -- open
    2 3000000 > #2 list topics
    3 3100000 < #2 -2
    4 4000000 > #4 write a/0.log @0+512 durable 9c
    5 5000000 < #4 512
    6 5500000 ACK a/0 < 1
    7 6000000 > #7 read a/0.log @0+512
    8 6500000 < #7 -5
    9 6600000 > #9 write a/0.log @512+512 9c
    10 6700000 < #9 -9223372036854775808
    11 7000000 !! process-kill
    0 9000000 -- life 1
    1 9500000 > #1 wri
    """

  @Test func timesBeginWithTheTrialAndErrorsHaveNames() {
    let lines = PersistenceTrace(Self.text).lines(whole: false)
    #expect(
      lines == [
        "       0.000 ms  -- life 0", "       1.000 ms  -- open", "               ... 2 lines of reads and look-ups",
        "       3.000 ms  > #4 write a/0.log @0+512 durable 9c", "       4.000 ms  < #4 write a/0.log: 512",
        "       4.500 ms  ACK a/0 < 1", "               ... 1 line of reads and look-ups",
        "       5.500 ms  < #7 read a/0.log: EIO",
        "       5.600 ms  > #9 write a/0.log @512+512 9c",
        "       5.700 ms  < #9 write a/0.log: failed, with no errno", "       6.000 ms  !! process-kill",
        "       8.000 ms  -- life 1",
        "       8.500 ms  > #1 wri",
      ], "\(lines.joined(separator: "\n"))")
    #expect(PersistenceTrace(Self.text).lines(whole: true).contains("       2.100 ms  < #2 list topics: ENOENT"))
  }

  @Test func nothingOfTheFileThatLostIsLeftOut() {
    var text = "0 0 -- life 0\n"
    for n in 1...200 { text += "\(n) \(n)000000 > #\(n) write \(n == 100 ? "lost.log" : "other.log") @0+1 0\n" }
    func lines(_ focus: Set<String>) -> [String] { PersistenceTrace(text).lines(whole: false, focus: focus) }
    #expect(!lines([]).contains { $0.contains("lost.log") } && lines([]).count == 61)
    #expect(lines(["lost.log"]).contains { $0.contains("#100 write lost.log") })
    #expect(lines([]).contains("               ... 141 lines of operations and acknowledgements"), "\(lines([]))")
  }
}
