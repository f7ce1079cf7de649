import LogModel
import Testing
import Verification

/// A report of damage names the file, and bytes among which the damaged ones are (E1: it named no file and a wrong
/// byte, and was believed).
struct DamagedPlaceTests {
  static let file = "topics/orders/0/orders-0.wal"

  static func judge(
    _ place: DamagedPlace, reportedAs path: String?, _ bytes: Range<Int64>?,
    _ recovery: RecoveryPolicy = .skipCorrupted,
    isCertain: Bool = true
  ) -> Judgement {
    var story = TestimonyTests.story()
    story.crash(.processKill)
    story.history.damage(
      Damage(
        partition: TestimonyTests.slot, kind: "bit-flip", touched: [OffsetRange(from: 4, to: 5)],
        description: "a byte of offset 4",
        isCertain: isCertain, places: [place]))
    if recovery == .skipCorrupted {
      for offset in 3..<6 { story.logs[0][offset] = nil }
    } else {
      story.logs[0].removeLast(9)
    }
    var answers = story.answers()
    answers.reported = [
      ReportedDamage(
        partition: TestimonyTests.slot, offsets: OffsetRange(from: 3, to: recovery == .skipCorrupted ? 6 : 12),
        reason: "here",
        path: path, bytes: bytes)
    ]
    return Oracle(Contract(sync: .always, recovery: recovery)).judge(
      story.history, [answers.observed(by: story.history)])
  }

  static func place(_ bytes: Range<Int64>?) -> DamagedPlace {
    DamagedPlace(path: file, bytes: bytes, offsets: [OffsetRange(from: 4, to: 5)])
  }

  @Test(
    arguments: [
      (file, 100..<200, true), (file, 46..<47, true), (file, 0..<47, true), ("", 46..<47, false),
      (file, 47..<200, false),
      (file, 0..<46, false), (file, 1188..<1188, false), ("topics/orders/0/orders-0.wal.1", 40..<50, false),
      ("topics/orders/0", 0..<0, false), (file + ".damaged-12", 40..<50, true), (file + ".cut-40", 6..<7, true),
      (file + ".cut-40", 0..<6, false), (file + ".cut", 46..<47, true),
    ] as [(String, Range<Int64>, Bool)], [RecoveryPolicy.skipCorrupted, .truncateAtCorruption])
  func theBytesAreNamed(_ reported: (path: String, bytes: Range<Int64>, isRight: Bool), _ recovery: RecoveryPolicy)
    throws
  {
    let destroyed: Range<Int64> = reported.bytes == 100..<200 ? 150..<160 : 46..<47
    let judgement = Self.judge(Self.place(destroyed), reportedAs: reported.path, reported.bytes, recovery)
    #expect(judgement.violated == (reported.isRight ? [] : [.damageReported]), "\(judgement.text)")
    if !reported.isRight {
      let detail = try #require(judgement[.damageReported]).detail
      #expect(
        detail.contains("was destroyed in bytes \(destroyed.lowerBound)..<\(destroyed.upperBound) of \(Self.file)"),
        "\(detail)")
    }
  }

  /// Of a write that was lost nobody knows how much of it is there: it begins somewhere.
  @Test(
    arguments: [(512..<512, true), (0..<512, true), (0..<511, false), (513..<600, false)] as [(Range<Int64>, Bool)])
  func theBeginningIsNamed(_ reported: Range<Int64>, _ isRight: Bool) {
    let judgement = Self.judge(Self.place(512..<512), reportedAs: Self.file, reported)
    #expect(judgement.violated == (isRight ? [] : [.damageReported]), "\(judgement.text)")
  }

  /// Of a file that was deleted or cut short the file is named, its folder, or the neighbour behind which it is missed.
  @Test(arguments: [
    (file, true), ("topics/orders/0", true), ("topics/orders/0/orders-0.wal.1", true), ("", false),
    ("topics/orders/1/orders-1.wal", false), ("topics/orders", false),
  ])
  func theFileIsNamed(_ path: String, _ isRight: Bool) {
    let judgement = Self.judge(Self.place(nil), reportedAs: path, 0..<0)
    #expect(judgement.violated == (isRight ? [] : [.damageReported]), "\(judgement.text)")
  }

  /// What may be there all the same, and what the caller does not pass on, is not asked for.
  @Test func whatIsNotKnownIsNotDemanded() {
    #expect(Self.judge(Self.place(46..<47), reportedAs: "", 0..<0, isCertain: false).violated == [])
    #expect(Self.judge(Self.place(46..<47), reportedAs: nil, nil).violated == [])
    let elsewhere = DamagedPlace(path: Self.file, bytes: 46..<47, offsets: [OffsetRange(from: 9, to: 10)])
    #expect(Self.judge(elsewhere, reportedAs: "", 0..<0).violated == [])
  }

  @Test(arguments: [
    (0xDE8_EAF9 as UInt64, 1 as UInt64, "stored 0x0de8eaf9, computed 0x00000001"),
    (0xAE8B_1486_0A79_9888, 0, "stored 0xae8b14860a799888, computed 0x0000000000000000"),
  ])
  func bothChecksumsHaveAllTheirDigits(_ stored: UInt64, _ computed: UInt64, _ text: String) {
    #expect(
      ChecksumMismatch(at: 7, stored: stored, computed: computed).description == "checksum mismatch at byte 7: \(text)")
  }
}
