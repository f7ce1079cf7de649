import Foundation
import LogModel
import Testing
import Verification

@testable import Reporting

@Suite struct JSONRecorderTests {
  func report(_ results: [TrialResult], interrupted: Bool = false, planned: Int? = nil) throws -> [String: Any] {
    let sink = TextSink()
    try run(JSONRecorder(sink), results, interrupted: interrupted, planned: planned)
    return try #require(try JSONSerialization.jsonObject(with: Data(sink.text.utf8)) as? [String: Any])
  }

  /// The keys of COMMANDS.md, spelled out here a second time on purpose.
  @Test func theContractsKeysAreThereWithTheirTypes() throws {
    let report = try report([lostAll(defect: "C2", expectation: .caught(by: .noAcknowledgedLoss)), trial()])
    #expect(report["version"] as? Int == 1)
    #expect(report["tool"] as? String == "tornlog")
    let run = try #require(report["run"] as? [String: Any])
    #expect(run["seed"] as? Int == 42)
    #expect(run["storage"] as? String == "io_uring")
    #expect(run["filesystem"] as? String == "ext4")

    let trial = try #require((report["trials"] as? [[String: Any]])?.first)
    #expect(trial["scenario"] as? String == "ten-vs-hundred")
    #expect(trial["seed"] as? Int == 42)
    #expect(trial["verdict"] as? String == "violated")
    #expect(trial["reproduce"] as? String == "tornlog reproduce t1C2-100")
    let axes = try #require(trial["axes"] as? [String: Any])
    #expect(axes["messages"] as? Int == 100)
    #expect(axes["partitions"] as? Int == 3)
    #expect(axes["sync"] as? String == "always")
    #expect(axes["defect"] as? String == "C2")
    let counts = try #require(trial["counts"] as? [String: Int])
    #expect(
      counts == [
        "attempted": 100, "acknowledged": 100, "indeterminate": 0, "recovered": 0, "lost": 100, "duplicated": 0,
        "reordered": 0, "phantom": 0, "corruptServed": 0, "corruptReported": 0, "lostLater": 0,
      ])
    let partition = try #require((trial["partitions"] as? [[String: Any]])?.first)
    #expect(Set(partition.keys) == ["partition", "logStartOffset", "highWatermark", "logEndOffset", "gaps"])
    #expect(partition["highWatermark"] as? Int == 34)
    let check = try #require((trial["checks"] as? [[String: Any]])?.last)
    #expect(check["name"] as? String == "no-acknowledged-loss")
    #expect(check["verdict"] as? String == "violated")
    #expect((check["divergence"] as? [String: Any])?["byte"] as? Int == 4096)
    let fault = try #require((trial["faults"] as? [[String: Any]])?.first)
    #expect(fault["kind"] as? String == "process-kill")
    #expect(fault["fired"] as? Int == 1)
    let recovery = try #require(trial["recovery"] as? [String: Any])
    #expect(recovery["seconds"] as? Double == 0.004)
    #expect(recovery["bytesScanned"] as? Int == 18432)
    #expect(recovery["batchesSkipped"] as? Int == 0)

    let summary = try #require(report["summary"] as? [String: Any])
    #expect(summary["trials"] as? Int == 2)
    #expect(summary["held"] as? Int == 1)
    #expect(summary["violated"] as? Int == 1)
    #expect(summary["unknown"] as? Int == 0)
    #expect(summary["seconds"] as? Double == 1.5)
  }

  @Test func theKeysThatWereAdded() throws {
    let report = try report([lostAll(defect: "C2", expectation: .caught(by: .noGaps))])
    let trial = try #require((report["trials"] as? [[String: Any]])?.first)
    #expect(trial["expected"] as? [String: String] == ["verdict": "violated", "check": "no-gaps"])
    #expect(trial["asExpected"] as? Bool == false)
    #expect(trial["seconds"] as? Double == 0.25)
    #expect(trial["file"] as? String == "Scenarios/chronik/ten-vs-hundred.yaml")
    #expect(trial["notices"] as? [String] == [])
    #expect(trial["keptAt"] is NSNull)
    let summary = try #require(report["summary"] as? [String: Any])
    #expect(summary["unexpected"] as? Int == 1)
    #expect(summary["interrupted"] as? Bool == false)
  }

  @Test func anInterruptedRunReportsWhatRan() throws {
    let report = try report([trial()], interrupted: true, planned: 9)
    #expect((report["trials"] as? [Any])?.count == 1)
    #expect((report["summary"] as? [String: Any])?["interrupted"] as? Bool == true)
    #expect((report["run"] as? [String: Any])?["trials"] as? Int == 9)
  }

  @Test func hostileStringsSurvive() throws {
    let hostile = "\u{0}\u{1B}[31m\"\\\n\t\r\u{7F}\u{FFFF}😀</x>"
    let report = try report([trial(notices: [hostile])])
    #expect((report["trials"] as? [[String: Any]])?.first?["notices"] as? [String] == [hostile])
  }

  @Test func trialsStandInTheOrderOfTheMatrix() throws {
    let sink = TextSink()
    let recorder = JSONRecorder(sink)
    try recorder.record(.trialFinished(index: 1, trial(messages: 2)))
    try recorder.record(.trialFinished(index: 0, trial(messages: 1)))
    #expect(sink.text.isEmpty)
    try recorder.record(.finished(RunSummary()))
    let first = try #require(sink.text.firstRange(of: "\"messages\": 1,"))
    let second = try #require(sink.text.firstRange(of: "\"messages\": 2,"))
    #expect(first.lowerBound < second.lowerBound)
  }

  @Test func theWholeFileIsReplacedAndNothingStaysBehind() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tornlog-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: folder) } }
    let path = folder.appendingPathComponent("report.json").path
    try Data(repeating: 0x78, count: 100_000).write(to: URL(fileURLWithPath: path))
    try run(JSONRecorder(AtomicFileSink(path: path)), [trial()])
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    #expect(try JSONSerialization.jsonObject(with: data) is [String: Any])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["report.json"])

    let missing = folder.path + "/no/such/folder.json"
    #expect(throws: ReportError.cannotWrite(path: missing, errno: ENOENT)) {
      try run(JSONRecorder(AtomicFileSink(path: missing)), [trial()])
    }
    // A folder stands where the report should go: the temporary file must not stay.
    try FileManager.default.createDirectory(atPath: folder.path + "/taken", withIntermediateDirectories: false)
    #expect(throws: ReportError.cannotWrite(path: folder.path + "/taken", errno: EISDIR)) {
      try run(JSONRecorder(AtomicFileSink(path: folder.path + "/taken")), [trial()])
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["report.json", "taken"])
  }
}
