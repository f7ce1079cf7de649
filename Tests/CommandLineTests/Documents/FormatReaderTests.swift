import Foundation
import Testing

/// Tests/FormatReader/reader.py has been written from docs/formats.md alone: what it reads in kept trials is what the
/// engine served.
extension CommandLineTests {
  @Suite(.serialized, .enabled(if: FormatReader.python != nil, "no python3: the reader of docs/formats.md is not run"))
  struct FormatReaderTests {
    @Test func theTestVectors() async throws {
      let ended = try await FormatReader.run("--vectors")
      #expect(ended.out == "[\(0xe901_2f69), \(0x1393_2ccb)]\n", "\(ended)")
    }

    /// Sound trials and damaged ones, in six formats; segments that are rotated, cut, void; a log in an object store.
    @Test(arguments: [
      ("Scenarios/chronik", FormatReader.sound, 6),
      ("Scenarios/regressions/damaged-formats.yaml", FormatReader.skipped, 14),
      ("Scenarios/regressions/damaged-formats.yaml", FormatReader.truncated, 5),
      ("Scenarios/sweeps/fault-kinds.yaml", FormatReader.kinds, 6),
      ("Scenarios/sweeps/rotation.yaml", FormatReader.rotated, 1),
      ("Scenarios/regressions/two-writers.yaml", FormatReader.replaced, 3),
      ("Scenarios/streamhouse/store-and-corrupt-log.yaml", FormatReader.stored, 2),
    ])
    func readsWhatTheEngineServed(_ scenario: String, _ cells: String, _ least: Int) async throws {
      let scratch = try Scratch()
      let ended = try await tornlog(
        "run", scenario, "-t", "full", "-k", cells, "--storage", "posix", "--keep", "always", "--dir",
        try scratch.folder(), "-q",
        "--report", "json=\(scratch.path("j"))", within: 300)
      #expect(ended.code == 0, "\(ended)")
      var compared = 0
      for trial in try scratch.trials("j") {
        let kept = try #require(trial["keptAt"] as? String)
        let system = (trial["axes"] as? [String: Any])?["system"] as? String ?? "tornlog"
        let read = try await FormatReader.read(kept + "/data", system)
        let served = try FormatReader.served(kept + "/readback-2.json")
        #expect(read == served, "\(trial["axes"] ?? "") \(kept)")
        compared += served.count
        try FileManager.default.removeItem(atPath: kept)
      }
      #expect(compared >= least)
    }
  }
}

enum FormatReader {
  static let script = Program.root + "/Tests/FormatReader/reader.py"

  static let python = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/python3" }
    .first { FileManager.default.isExecutableFile(atPath: $0) }

  static let sound = "defect=none and messages=100 and sync=always and partitions=3 and crash=power-loss"
  static let skipped =
    "messages=100 and crash=process-kill and recovery=skip-corrupted and (fault=flipped-header or "
    + "fault=cut-in-a-record or fault=deleted)"
  static let truncated = "messages=100 and crash=none and recovery=truncate-at-corruption and fault=flipped-record"
  /// No sectors that only the harness makes unreadable: whoever reads the kept files reads them.
  static let kinds =
    "sync=always and crash=process-kill and messages=200 and partitions=1 and recovery=skip-corrupted and "
    + "(fault=bit-flip-length"
    + " or fault=cut-to-zero or fault=file-deleted or fault=no-space-at-byte or fault=torn-any or fault=flight-length)"
  static let rotated = "sync=always and crash=power-loss and fault=none and partitions=1 and recovery=skip-corrupted"
  static let replaced =
    "defect=none and messages=100 and partitions=3 and sync=always and crash=none and (writers=lock-removed or "
    + "writers=network-cut)"
  static let stored =
    "sync=always and messages=1000 and partitions=1 and recovery=skip-corrupted and checkpoint=flushed and "
    + "(fault=deleted or fault=cut)"

  struct Log: Equatable {
    var source: String
    var start: Int
    var end: Int
    /// Pairs of the first offset and the one after the last.
    var ranges: [[Int]]
  }

  static func run(_ arguments: String...) async throws -> Ended {
    try await Running([try #require(python), script] + arguments).end(within: 120)
  }

  static func read(_ root: String, _ system: String) async throws -> [Log] {
    let ended = try await run(root, system)
    try #require(ended.code == 0, "\(ended)")
    let json = try #require(try JSONSerialization.jsonObject(with: Data(ended.out.utf8)) as? [String: [[String: Any]]])
    return try (json["partitions"] ?? []).map { log in
      Log(
        source: "\(log["topic"] ?? "")/\(log["partition"] ?? "")", start: try #require(log["start"] as? Int),
        end: try #require(log["end"] as? Int), ranges: try #require(log["ranges"] as? [[Int]]))
    }
  }

  /// What the engine's last readback found.
  static func served(_ path: String) throws -> [Log] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    let readback = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let registered = try #require(readback["registered"] as? [[String: Any]])
    let partitions = try #require(readback["partitions"] as? [[String: Any]])
    return try zip(registered, partitions).map { source, found in
      let marks = try #require((found["after"] ?? found["before"]) as? [String: Int])
      let served = try #require(found["served"] as? [Int])
      var ranges: [[Int]] = []
      for at in stride(from: 0, to: served.count, by: 3) {
        let (from, to) = (served[at], served[at] + served[at + 2])
        if let last = ranges.last, last[1] == from {
          ranges[ranges.count - 1][1] = to
        } else {
          ranges.append([from, to])
        }
      }
      return Log(
        source: "\(source["topic"] ?? "")/\(source["partition"] ?? "")", start: marks["logStartOffset"] ?? -1,
        end: marks["logEndOffset"] ?? -1, ranges: ranges)
    }
  }
}
