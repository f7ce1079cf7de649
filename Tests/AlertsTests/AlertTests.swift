import EventReceivers
import Foundation
import LogModel
import Metrics
import RecordLogs
import Storage
import Testing
import Trials

/// Each alert of the documents, made true by what a job log, its sender or its archive really does, and cleared again.
/// The metrics are scraped from the run; Prometheus' own tool says whether the rule fires.
@Suite(.enabled(if: Promtool.path != nil, Promtool.absence)) struct AlertTests {
  @Test func theRulesAreInOrder() throws {
    let (status, output) = try Promtool.run("check", "rules", Promtool.root + "/Alerts/tornlog.rules.yml")
    #expect(status == 0 && output.contains("12 rules found"), "\(output)")
    let broken = FileManager.default.temporaryDirectory.appendingPathComponent("broken-\(UUID().uuidString).yml")
    try Data("groups: [{ name: a, rules: [{ alert: B, expr: 'rate(x) >' }] }]".utf8).write(to: broken)
    defer { try? FileManager.default.removeItem(at: broken) }
    #expect(try Promtool.run("check", "rules", broken.path).status != 0)
  }

  /// The connection is refused from minute 1 to 15; 1500 events are appended in minutes 1 and 2. More than 1000 are
  /// pending from before minute 3 on.
  @Test func pendingEvents() throws {
    let run = AlertRun()
    run.receiver.behavior = { now, _ in AlertRun.minute(1) <= now && now < AlertRun.minute(15) ? .refuses : .accepts }
    try run.run(minutes: 25) { storage, loop in
      let (log, sender) = try await run.open("build-17", storage)
      await loop.sleep(until: AlertRun.minute(1))
      for n in 0..<1500 {
        try await log.append(Array("event \(n)".utf8))
        await loop.sleep(until: loop.now + .milliseconds(70))
      }
      await loop.sleep(until: AlertRun.minute(20))
      #expect(log.pendingCount == 0)
      _ = await sender.stop(within: .seconds(10))
    }
    try Promtool.judge(run.series, ["WALPendingEvents": [(4, false), (9, true), (14, true), (20, false), (25, false)]])
  }

  /// 700 jobs, one event each, are refused from the start to minute 15. With the document's back-off a job tries again
  /// every 30 to 60 s in the end: fewer than 450 never come to 10 attempts a second.
  @Test(arguments: [(700, true), (300, false)]) func retryRate(_ jobs: Int, _ fires: Bool) throws {
    let run = AlertRun()
    run.receiver.behavior = { now, _ in now < AlertRun.minute(15) ? .refuses : .accepts }
    try run.run(minutes: 25) { storage, loop in
      for n in 0..<jobs {
        let (log, _) = try await run.open("build-\(n)", storage)
        try await log.append(Array("event".utf8))
      }
      await loop.sleep(until: AlertRun.minute(20))
      #expect(run.metrics.pendingEvents.value == 0)
    }
    try Promtool.judge(run.series, ["WALRetryRate": [(0, false), (12, fires), (14, fires), (24, false)]])
  }

  /// The receiver refuses one event of minute 10 for good.
  @Test func failedEvents() throws {
    let run = AlertRun()
    run.receiver.behavior = { now, _ in now < AlertRun.minute(10) ? .accepts : .rejects(11) }
    try run.run(minutes: 25) { storage, loop in
      let (log, _) = try await run.open("build-17", storage)
      for n in 0..<20 {
        try await log.append(Array("event \(n)".utf8))
        await loop.sleep(until: AlertRun.minute(n + 1))
      }
      #expect(run.metrics.failures.value == 1)
    }
    try Promtool.judge(run.series, ["WALFailedEvents": [(9, false), (11, true), (14, true), (18, false), (24, false)]])
  }

  /// Appends take some 15 ms in minutes 5 to 13, some 30 ms in minutes 13 to 21, and then what they took before.
  @Test func appendLatency() throws {
    let run = AlertRun()
    try run.run(minutes: 35) { storage, loop in
      let (log, _) = try await run.open("build-17", storage)
      for second in 0..<1900 {
        run.slowness.extra =
          second < 300 ? .zero : second < 780 ? .milliseconds(12) : second < 1260 ? .milliseconds(27) : .zero
        try await log.append(Array("event".utf8))
        await loop.sleep(until: Instant(nanoseconds: 0) + .seconds(second))
      }
    }
    let reading = run.metrics.appendDuration.reading
    #expect(reading.counts[4] >= 400 && reading.counts[5] >= 400, "10 to 20 ms, and 20 to 50 ms: \(reading)")
    try Promtool.judge(
      run.series,
      [
        "WALHighLatency": [(4, false), (12, true), (20, true), (34, false)],
        "WALVeryHighLatency": [(4, false), (12, false), (20, true), (34, false)],
      ])
    // As the document has it, it never fires.
    try Promtool.judge(
      run.series, by: "Tests/AlertsTests/as-documented.rules.yml",
      ["WALHighLatency": [(4, false), (12, false), (20, false), (34, false)]])
  }

  /// Finished jobs are archived until the disk is nearly full of them; the retention, which is an hour here, frees it.
  @Test func archiveFillsTheDisk() throws {
    let run = AlertRun(capacity: 8 << 20)
    try run.run(minutes: 100) { storage, loop in
      let archive = JobArchive(
        "archive", of: storage, retention: .seconds(3600), clock: .following(loop), metrics: run.metrics)
      var random = SeededGenerator(seed: 1, stream: "archive")
      await loop.sleep(until: AlertRun.minute(5))
      for n in 0..<15 {
        let (log, sender) = try await run.open("build-\(n)", storage)
        // What does not get smaller.
        for _ in 0..<8 { try await log.append((0..<63 << 10).map { _ in UInt8.random(in: 0...255, using: &random) }) }
        #expect(await sender.stop(within: .seconds(60)) == 0)
        _ = try await archive.archive(log)
      }
      #expect(run.metrics.archiveBytes.value > 0.9 * Double(8 << 20))
      await loop.sleep(until: AlertRun.minute(75))
      #expect(try await archive.removeExpired().removed.count == 15)
    }
    let moments = [(4, false), (10, true), (70, true), (80, false), (95, false)].map { (minute: $0.0, isFiring: $0.1) }
    try Promtool.judge(run.series, ["WALDiskFull": moments, "DiskSpaceLow": moments])
  }

  /// What the documents alert on and nothing of Tornlog's counts, and a share of limited requests that no run has: the
  /// rules alone, over series that no run has made.
  @Test func rulesOfOthers() throws {
    let series = MetricSeries()
    // Four samples a minute: 10 minutes of each.
    series.add("throttle_decisions_total{decision=\"allowed\"}", "0+80x200")
    series.add("throttle_decisions_total{decision=\"rate_limited\"}", "0+1x39 40+40x39 1600+1x121")
    series.add("container_memory_usage_bytes", "50x39 90x39 50x121")
    series.add("container_spec_memory_limit_bytes", "100x201")
    series.add("schema_registry_errors_total{type=\"registration\"}", "0x39 0+1x39 39x121")
    let moments = [(8, false), (18, true), (30, false)].map { (minute: $0.0, isFiring: $0.1) }
    try Promtool.judge(
      series,
      [
        "HighThrottlingRate": moments, "HighMemoryUsage": moments, "SchemaRegistrationFailures": moments,
      ])
    // As the document has it, a request in eighty that is limited fires for ever.
    try Promtool.judge(
      series, by: "Tests/AlertsTests/as-documented.rules.yml",
      ["HighThrottlingRate": [(8, true), (18, true), (30, true)]])
  }
}
