import Foundation
import Synchronization
import Testing

@testable import Metrics

/// The text is read back by a parser that shares nothing with the writer, and by that of Prometheus' own Python client
/// where it is installed.
@Suite struct OpenMetricsTests {
  /// Every kind, with and without labels, with everything that has to be escaped.
  static func registry() -> MetricRegistry {
    let registry = MetricRegistry()
    let sent = registry.counter(MetricFamilyName("sent"), help: "A \"quoted\" \\ help\nin two lines")
    sent.add(41)
    sent.add()
    for (n, value) in ["plain", "a \"b\"", "back\\slash", "two\nlines", "{,}=", "ünïcode ∑", ""].enumerated() {
      registry.counter(MetricFamilyName("odd"), help: "labels", labels: ["value": value, "a": "first"]).add(n)
    }
    registry.gauge(MetricFamilyName("room_bytes", unit: "bytes"), help: "room").set(1.5e300)
    registry.gauge(MetricFamilyName("cold"), help: "below zero").set(-0.25)
    let latency = registry.histogram(
      MetricFamilyName("latency_seconds", unit: "seconds"), help: "latency", limits: [0.001, 0.01, 1],
      labels: ["job": "a"])
    for value in [0, 0.001, 0.0011, 0.5, 1, 7] { latency.note(value) }
    _ = registry.histogram(
      MetricFamilyName("latency_seconds", unit: "seconds"), help: "latency", limits: [0.001, 0.01, 1])
    return registry
  }

  @Test func theTextIsReadBackAsItWas() throws {
    let families = try OpenMetricsParser.parse(OpenMetricsText.render(Self.registry().snapshot))
    #expect(families.count == 5)
    #expect(families["sent"]?.help == "A \"quoted\" \\ help\nin two lines")
    #expect(families["sent"]?.samples.map(\.value) == [42])
    #expect(
      families["odd"]?.samples.map { $0.labels["value"] }
        == ["plain", "a \"b\"", "back\\slash", "two\nlines", "{,}=", "ünïcode ∑", ""])
    #expect(families["odd"]?.samples.map(\.value) == [0, 1, 2, 3, 4, 5, 6])
    #expect(families["room_bytes"]?.samples.map(\.value) == [1.5e300] && families["room_bytes"]?.unit == "bytes")
    #expect(families["cold"]?.samples.map(\.value) == [-0.25])
    let classes = families["latency_seconds"]?.samples.filter {
      $0.labels["job"] == "a" && $0.name.hasSuffix("_bucket")
    }
    #expect(
      classes?.map(\.value) == [2, 3, 5, 6] && classes?.map { $0.labels["le"] } == ["0.001", "0.01", "1.0", "+Inf"])
  }

  /// The parser finds what is wrong: each text breaks one rule.
  @Test(arguments: [
    ("no end", "# TYPE a gauge\na 1\n"), ("behind the end", "# EOF\n# EOF\n"), ("no type", "a 1\n# EOF\n"),
    ("counter without suffix", "# TYPE a counter\na 1\n# EOF\n"),
    ("negative counter", "# TYPE a counter\na_total -1\n# EOF\n"),
    ("interleaved", "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\n# EOF\n"),
    ("twice", "# TYPE a gauge\na 1\na 2\n# EOF\n"), ("unit", "# TYPE a gauge\n# UNIT a bytes\n# EOF\n"),
    ("bare quote", "# TYPE a gauge\n# HELP a \"x\"\n# EOF\n"), ("escape", "# TYPE a gauge\na{b=\"\\x\"} 1\n# EOF\n"),
    ("no +Inf", "# TYPE a histogram\na_bucket{le=\"1.0\"} 1\na_count 1\na_sum 1\n# EOF\n"),
    (
      "not cumulated",
      "# TYPE a histogram\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n# EOF\n"
    ),
    ("count", "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 2\na_sum 1\n# EOF\n"),
    ("label twice", "# TYPE a gauge\na{b=\"1\",b=\"2\"} 1\n# EOF\n"), ("two spaces", "# TYPE a gauge\na  1\n# EOF\n"),
    ("carriage return", "# TYPE a gauge\r\na 1\n# EOF\n"), ("name", "# TYPE 1a gauge\n1a 1\n# EOF\n"),
  ])
  func theParserRefusesWhatBreaksARule(_ name: String, _ text: String) {
    #expect(throws: OpenMetricsParser.Malformed.self, "\(name)") { try OpenMetricsParser.parse(text) }
  }

  /// `make setup` unpacks the parser there where Python has none.
  static let tools = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
    "../../.build/tools/python"
  )
  .standardized.path

  static let python: String? = ["python3", "/usr/bin/python3"].first { python in
    (try? run(python, ["-c", "import prometheus_client.openmetrics.parser"], "").status) == 0
  }

  /// - Returns: the exit status, and what was written to standard output and standard error.
  static func run(_ command: String, _ arguments: [String], _ input: String) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["PYTHONPATH=\(tools)", command] + arguments
    let (stdin, stdout) = (Pipe(), Pipe())
    (process.standardInput, process.standardOutput, process.standardError) = (stdin, stdout, stdout)
    try process.run()
    stdin.fileHandleForWriting.write(Data(input.utf8))
    try stdin.fileHandleForWriting.close()
    let output = stdout.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
  }

  @Test(
    .enabled(
      if: python != nil,
      "no python3 with prometheus_client: `make setup` fetches it (Debian: python3-prometheus-client)"))
  func prometheusOwnParserReadsTheSame() throws {
    let script = """
      import json, sys
      from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
      print(json.dumps({f.name: [f.type, f.unit, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]]
        for f in parse(sys.stdin.read())}))
      """
    let text = OpenMetricsText.render(Self.registry().snapshot)
    let (status, output) = try Self.run(try #require(Self.python), ["-c", script], text)
    try #require(status == 0, "\(output)")
    let json = try #require(JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: [Any]])
    for (name, family) in try OpenMetricsParser.parse(text) {
      let theirs = try #require(json[name], "\(name)")
      #expect(
        theirs[0] as? String == family.kind && theirs[1] as? String == family.unit
          && theirs[2] as? String == family.help)
      let samples = try #require(theirs[3] as? [[Any]]).map {
        OpenMetricsParser.Sample(
          name: $0[0] as? String ?? "", labels: $0[1] as? [String: String] ?? [:],
          value: ($0[2] as? NSNumber)?.doubleValue ?? .nan)
      }
      #expect(samples == family.samples, "\(name)")
    }
    let (refused, _) = try Self.run(try #require(Self.python), ["-c", script], "# TYPE a counter\na 1\n# EOF\n")
    #expect(refused != 0, "the parser takes anything")
  }

  @Test func numbersAsTheyAreWritten() {
    #expect(OpenMetricsText.render(1.0) == "1.0" && OpenMetricsText.render(0.01) == "0.01")
    #expect(OpenMetricsText.render(.infinity) == "+Inf" && OpenMetricsText.render(-.infinity) == "-Inf")
    #expect(OpenMetricsText.render(.nan) == "NaN" && OpenMetricsText.render(1e-9) == "1e-09")
  }

  /// A series is there with 0 before its first event, and whoever asks again gets the same one.
  @Test func askedForTwiceItIsOne() throws {
    let registry = MetricRegistry()
    let first = registry.counter(MetricFamilyName("retries"), help: "h")
    #expect(OpenMetricsText.render(registry.snapshot).contains("retries_total 0\n"))
    registry.counter(MetricFamilyName("retries"), help: "h").add(2)
    #expect(first.value == 2)
    registry.counter(MetricFamilyName("retries"), help: "h", labels: ["a": "b"]).add(5)
    #expect(first.value == 2)
  }

  @Test func manyThreadsCountRight() async {
    let registry = MetricRegistry()
    let counter = registry.counter(MetricFamilyName("n"), help: "h")
    let gauge = registry.gauge(MetricFamilyName("g"), help: "h")
    let histogram = registry.histogram(MetricFamilyName("d"), help: "h", limits: [1])
    await withTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask {
          for n in 0..<1000 {
            counter.add()
            gauge.add(task % 2 == 0 ? 1 : -1)
            histogram.note(Double(n % 2) * 2)
          }
        }
      }
    }
    #expect(counter.value == 8000 && gauge.value == 0)
    #expect(histogram.reading.counts == [4000, 4000] && histogram.reading.sum == 8000)
    #expect(histogram.reading.limit(ofQuantile: 0.5) == 1 && histogram.reading.limit(ofQuantile: 0.99) == nil)
  }

  @Test func namesThatThereAreNot() {
    for name in ["", "1a", "a-b", "a.b", "a b", "ä", "a:b"] { #expect(!MetricFamilyName.isName(name), "\(name)") }
    for name in ["a", "_a", "wal_pending_events", "A9"] { #expect(MetricFamilyName.isName(name), "\(name)") }
    #expect(!MetricFamilyName.isLabel("__name"))
  }

  @Test func roomOfADisk() throws {
    let registry = MetricRegistry()
    let disk = DiskMetrics(in: registry)
    try disk.measure("/tmp")
    #expect(disk.total.value > 0 && disk.free.value >= 0 && disk.free.value <= disk.total.value)
    #expect(throws: DiskMetrics.Failure(path: "/no/such/place", errno: 2)) { try disk.measure("/no/such/place") }
  }
}
