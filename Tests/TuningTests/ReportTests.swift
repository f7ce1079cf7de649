import LogModel
import Reporting
import Testing
import Verification

@testable import Tuning

@Suite struct ReportTests {
  private static func point(
    _ policy: SyncPolicy, carries: Double, p99: Duration, loses: Duration, batch: Int = 1, producers: Int = 16
  ) -> TuningPoint {
    let latency = LatencyFigures(
      messages: 1000, p50: 20_000, p90: 30_000, p99: p99.nanoseconds, p999: 2 * p99.nanoseconds,
      longest: 3 * p99.nanoseconds)
    let lost = Spread([loses.nanoseconds])
    let messages = Spread([Int64(loses.inSeconds * 20_000)])
    return TuningPoint(
      setting: LoadSetting(policy, batch: batch, producers: producers), capacity: carries, timesAlways: carries / 3000,
      atRate: LoadFigures(
        rate: 20_000, latency: latency, unsent: 0, exposedTime: lost, exposedMessages: messages),
      rounds: [TuningPoint.Round(capacity: carries, p99: p99.nanoseconds)],
      loss: LossFigures(
        cuts: 25, messages: messages, time: lost, exposedMessages: messages, exposedTime: lost, widestGap: 0,
        beyond: 0))
  }

  private static func result(_ points: [TuningPoint]) -> TuningResult {
    let requirements = Requirements(
      loss: .time(.milliseconds(50)), p99: .milliseconds(5),
      workload: Workload(rate: 20_000, messageSize: 1000, partitions: 3), producers: 16, batch: 1)
    let flush = LatencyFigures(
      messages: 100, p50: 4_000_000, p90: 5_000_000, p99: 6_000_000, p999: 7_000_000, longest: 8_000_000)
    let disk = DiskFigures(
      directory: "/data", fileSystem: "ext4", source: "/dev/sda", messageSize: 1000,
      ways: [FlushFigures(way: .usual, latency: flush, refusal: nil)],
      strip: [FlushMoment(start: 0, latency: 4_000_000), FlushMoment(start: 5_000_000, latency: 200_000_000)],
      signs: [DiskSign(kind: .virtual, text: "a <sign> & another")], isSlowed: false)
    var result = TuningResult(requirements, isThorough: false)
    (result.disk, result.points, result.seconds) = (disk, points, 50)
    result.choose()
    return result
  }

  private static let usual = result([
    point(.always, carries: 3000, p99: .milliseconds(700), loses: .zero),
    point(.interval(.milliseconds(5)), carries: 300_000, p99: .microseconds(100), loses: .milliseconds(10)),
    point(.interval(.milliseconds(20)), carries: 310_000, p99: .microseconds(110), loses: .milliseconds(12)),
    point(.interval(.milliseconds(100)), carries: 320_000, p99: .microseconds(120), loses: .milliseconds(30)),
    point(.never, carries: 400_000, p99: .microseconds(90), loses: .seconds(1)),
    point(.always, carries: 100_000, p99: .milliseconds(5), loses: .zero, batch: 100),
  ])

  @Test func theAnswerComesFirst() {
    let lines = Self.usual.lines(nil)
    #expect(lines[3] == "Use interval(20ms).")
    #expect(lines.contains { $0.contains("always would lose nothing, but it carries 3000/s; its p99 is 700 ms.") })
    #expect(lines.contains { $0.contains("Next cheaper: interval(100ms).") })
    // The answer, without the tables.
    let answer = lines.firstIndex { $0.contains("carries/s ") && $0.contains("may lose ") } ?? 99
    #expect(answer <= 25)
    #expect(lines.count <= 40)
    #expect(lines.allSatisfy { $0.count <= 100 }, "\(lines.filter { $0.count > 100 })")
  }

  @Test func aSettingThatBreaksItsPromiseIsMarked() {
    let broken = Self.usual.row(1)
    #expect(broken[0] == "!" && broken[1] == "interval(5ms)")
    #expect(Self.usual.row(2)[0] == "*")
  }

  @Test func whereNothingDoesTheObstaclesAreNamed() {
    let result = Self.result([
      Self.point(.always, carries: 3000, p99: .milliseconds(700), loses: .zero),
      Self.point(.interval(.milliseconds(100)), carries: 22_000, p99: .microseconds(120), loses: .milliseconds(30)),
    ])
    let lines = result.lines(nil)
    #expect(lines[3] == "No setting does all of this on this disk.")
    #expect(lines.contains { $0.contains("always: it carries 3000/s; its p99 is 700 ms") })
    #expect(lines.contains { $0.contains("interval(100ms): it carries 22k/s at most") })
  }

  @Test func nothingThatWasNotMeasuredIsRecommended() {
    var idle = Self.point(.always, carries: 100_000, p99: .zero, loses: .zero)
    idle.atRate.latency.messages = 0
    #expect(Self.result([idle]).recommendation.chosen == nil)
    var uncut = Self.point(.always, carries: 100_000, p99: .milliseconds(1), loses: .zero)
    #expect(Self.result([uncut]).recommendation.chosen == 0)
    uncut.loss = nil
    #expect(Self.result([uncut]).recommendation.chosen == nil)
    #expect(Self.result([uncut]).lines(nil).contains { $0.contains("no power cut was made") })
  }

  @Test func anUnsteadyMachineIsNamed() {
    var always = Self.point(.always, carries: 100_000, p99: .milliseconds(33), loses: .zero)
    always.rounds = [.init(capacity: 100_000, p99: 1_000_000), .init(capacity: 100_000, p99: 40_000_000)]
    let interval = Self.point(
      .interval(.milliseconds(20)), carries: 300_000, p99: .milliseconds(1), loses: .milliseconds(9))
    let lines = Self.result([always, interval]).lines(nil)
    #expect(lines[3] == "Use interval(20ms).")
    #expect(lines.contains { $0.contains("unsteady. Fast enough were, by rounds: always in 1 of 2.") }, "\(lines)")
    #expect(Self.usual.doubts.isEmpty)
  }

  /// What the policy does not allow is no figure.
  @Test func aLossUnderAlwaysIsAFinding() throws {
    let lossy = Self.result([Self.point(.always, carries: 100_000, p99: .milliseconds(1), loses: .milliseconds(3))])
    #expect(!lossy.isSound && lossy.recommendation.chosen == nil)
    let document = try lossy.document()
    #expect(document.cases[0].verdict == .violated && document.text.contains { $0.hasPrefix("FINDING: always lost") })
    var wide = Self.point(
      .interval(.milliseconds(20)), carries: 100_000, p99: .milliseconds(1), loses: .milliseconds(3))
    wide.loss?.beyond = 1
    #expect(!Self.result([wide]).isSound)
    #expect(Self.usual.isSound)
  }

  @Test func onMemoryTheHeadlineWarns() {
    var result = Self.result([Self.point(.always, carries: 100_000, p99: .milliseconds(1), loses: .zero)])
    result.disk?.signs = [DiskSign(kind: .memory, text: "memory")]
    #expect(result.headline.contains("no policy survives"))
  }

  @Test func anotherLoadIsNotComparedByItsLatency() {
    var old = Self.usual
    old.requirements.workload.rate = 5000
    let rows = TuningComparison(of: Self.usual, with: old).rows
    #expect(rows[0][3] == "-" && rows[0][6] == "-")
  }

  @Test func theReportIsReadBack() throws {
    let json = try Self.usual.document().json
    let read = try TuningResult.read(json, from: "x")
    #expect(read.points == Self.usual.points && read.requirements == Self.usual.requirements)
    #expect(throws: TuningError.self) { try TuningResult.read("{\"version\":1}", from: "x") }
    #expect(throws: TuningError.self) { try TuningResult.read("no JSON", from: "x") }
    let compared = TuningComparison(of: Self.usual, with: read)
    #expect(compared.rows.count == 6)
    #expect(compared.rows[0][3] == "1.00")
  }

  @Test func thePageStandsAlone() throws {
    let page = try Self.usual.document().html ?? ""
    #expect(page.contains("<svg") && page.contains("prefers-color-scheme: dark"))
    for outside in ["http://", "https://", "src=", "@import", "url(", "<script", "<link"] {
      #expect(!page.contains(outside), "\(outside)")
    }
    #expect(page.contains("a &lt;sign&gt; &amp; another") && !page.contains("<sign>"))
    #expect(!page.contains("nan") && !page.contains("inf\""))
  }

  @Test(arguments: [
    (999, "999 ns"), (1000, "1.0 us"), (9_400, "9.4 us"), (12_000_000, "12 ms"), (1_500_000_000, "1.5 s"), (0, "0"),
  ])
  func times(_ nanoseconds: Int, _ text: String) { #expect(shortTime(Int64(nanoseconds)) == text) }

  @Test(arguments: [(950.0, "950"), (9_994, "9994"), (20_000, "20k"), (1_300_000, "1.3M"), (999_600, "1M")])
  func counts(_ value: Double, _ text: String) { #expect(shortCount(value) == text) }

  @Test(arguments: [
    ("50ms", "50ms"), ("0", "0"), ("100 messages", "100 messages"), ("0ms", "0"), ("1 message", "1 messages"),
  ])
  func limitsOfLoss(_ text: String, _ shown: String) { #expect(Requirements.Loss(text)?.description == shown) }

  @Test(arguments: ["", "50", "-1 messages", "many messages", "100messages", "1e400s"])
  func noLimitsOfLoss(_ text: String) { #expect(Requirements.Loss(text) == nil) }
}
