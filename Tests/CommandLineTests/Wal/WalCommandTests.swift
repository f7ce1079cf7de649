import Foundation
import Glibc
import LogModel
import RecordLogs
import SampleLogs
import Testing

/// A folder with logs, for commands that are typed in it.
struct WalFolder {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let path = scratch.path(name)
    let folder = (path as NSString).deletingLastPathComponent
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }

  func read(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: scratch.path(name))))
  }

  /// Runs lines of a runbook in the folder; `tornlog` is the program.
  func shell(_ script: String, home: String = "home", within limit: Double = 60) async throws -> Ended {
    let path =
      "\((Program.tornlog as NSString).deletingLastPathComponent):\(getenv("PATH").map { String(cString: $0) } ?? "")"
    return try await Running(
      ["bash", "-c", script], in: scratch.root, environment: ["PATH": path, "HOME": scratch.path(home)]
    ).end(within: limit)
  }
}

extension CommandLineTests {
  @Suite struct WalCommands {
    private static let schema = Result {
      try JSONSchema(text: String(contentsOfFile: Program.root + "/docs/report.schema.json", encoding: .utf8))
    }

    private static func damaged(_ system: LogSystem) -> [UInt8] {
      var bytes = SampleLog.bytes(of: system, SampleLog.values(8, size: 40))
      let at = system == .tornlog ? 4096 + 512 * 2 + 80 : bytes.count / 2
      for place in at..<at + 3 { bytes[place] ^= 0x5A }
      return bytes
    }

    // MARK: Output

    @Test(arguments: LogSystem.allCases) func reportsAndLinesAreAsTheSchemaSays(system: LogSystem) async throws {
      let folder = try WalFolder()
      try folder.write("orders-0.wal", Self.damaged(system) + [1, 2, 3, 4, 5])
      let schema = try Self.schema.get()
      let format = system.rawValue
      for command in ["verify", "inspect"] {
        let ended = try await folder.shell("tornlog wal \(command) --report json --format \(format) orders-0.wal")
        #expect(ended.code == (command == "verify" ? 1 : 0), "\(ended)")
        #expect(schema.mistakes(in: try JSONValue(text: ended.out)).isEmpty, "\(ended)")
      }
      let repaired = try await folder.shell("tornlog wal repair --report json --input orders-0.wal --output new.wal")
      #expect(repaired.code == 0, "\(repaired)")
      #expect(schema.mistakes(in: try JSONValue(text: repaired.out)).isEmpty, "\(repaired)")
      for hex in ["", "--hex"] {
        let dumped = try await folder.shell("tornlog wal dump --json \(hex) orders-0.wal")
        let lines = dumped.out.split(separator: "\n")
        #expect(dumped.code == 0 && lines.count >= 8, "\(dumped)")
        for line in lines {
          let mistakes = schema.mistakes(in: try JSONValue(text: String(line)))
          #expect(mistakes.isEmpty, "\(line) \(mistakes)")
        }
      }
    }

    @Test func theDumpIsTheRunbooks() async throws {
      let folder = try WalFolder()
      try folder.write("orders-0.wal", SampleLog.bytes(of: .streamhouse, SampleLog.values(5000)))
      let ended = try await folder.shell(
        "set -o pipefail; tornlog wal dump --format runbook orders-0.wal | head -20")
      let lines = ended.out.split(separator: "\n")
      #expect(ended.code == 0 && ended.err.isEmpty && lines.count == 20, "\(ended)")
      let form = /Record (\d+): offset=(\d+), crc=0x[0-9a-f]{8}, key_size=1, value_size=\d+/
      for (number, line) in lines.enumerated() {
        let match = try #require(line.wholeMatch(of: form), "\(line)")
        #expect(match.output.1 == "\(number)")
      }
      #expect(lines[1].contains("offset=45,"))
    }

    @Test func aPartOfALogIsChosen() async throws {
      let folder = try WalFolder()
      let records = ["a", "b", "a", "c"].enumerated().flatMap {
        SampleLog.chronik1(Int64($0), Array($1.utf8), [UInt8($0)])
      }
      try folder.write("o.wal", records)
      let some = try await folder.shell("tornlog wal dump --from 1 --to 3 o.wal")
      #expect(some.out.split(separator: "\n").map { $0.prefix(8) } == ["offset=1", "offset=2"], "\(some)")
      let keyed = try await folder.shell("tornlog wal dump --key a --hex o.wal")
      #expect(keyed.out.contains("offset=0 ") && keyed.out.contains("offset=2 ") && !keyed.out.contains("offset=1 "))
      #expect(keyed.out.contains("|a|"), "\(keyed)")
    }

    @Test func whatIsAddedIsPrinted() async throws {
      let folder = try WalFolder()
      let path = try folder.write("o.wal", SampleLog.chronik1(0, nil, [1]))
      let running = try Running([Program.tornlog, "wal", "dump", "-f", path])
      let added = SampleLog.chronik1(1, nil, [2]) + SampleLog.chronik1(2, nil, [3])
      try await Task.sleep(for: .milliseconds(400))
      let handle = try #require(FileHandle(forWritingAtPath: path))
      try handle.seekToEnd()
      // The second record comes in two parts.
      try handle.write(contentsOf: Data(added.prefix(added.count - 10)))
      try await Task.sleep(for: .milliseconds(400))
      try handle.write(contentsOf: Data(added.suffix(10)))
      try handle.close()
      try await Task.sleep(for: .milliseconds(400))
      running.signal(SIGINT)
      let ended = try await running.end(within: 10)
      #expect(
        ended.out.split(separator: "\n").map { $0.prefix(8) } == ["offset=0", "offset=1", "offset=2"], "\(ended)")
      #expect(!ended.out.contains("torn"))
    }

    // MARK: Exit codes

    @Test func theExitCodeIsTheVerdict() async throws {
      let folder = try WalFolder()
      try folder.write("sound.wal", SampleLog.bytes(of: .chronik, SampleLog.values(3)))
      try folder.write("damaged.wal", Self.damaged(.chronik))
      try folder.write("empty.wal", [])
      try folder.write("text.wal", Array("this is no log at all, and never was one\n".utf8))
      mkfifo(folder.scratch.path("pipe.wal"), 0o600)
      symlink("loop.wal", folder.scratch.path("loop.wal"))
      for (file, code) in [
        ("sound.wal", 0), ("damaged.wal", 1), ("empty.wal", 0), ("text.wal", 2), ("pipe.wal", 2), ("loop.wal", 2),
        ("none.wal", 2), ("/dev/zero", 2), ("--format chronik empty.wal", 0), (".", 1), ("--no-such sound.wal", 64),
        ("", 64),
      ] as [(String, Int32)] {
        let quiet = try await folder.shell("tornlog wal verify --quiet \(file)")
        #expect(quiet.code == code, "\(file): \(quiet)")
        if code < 3 { #expect(quiet.out.isEmpty == (code == 0), "\(file): \(quiet)") }
      }
      let dumped = try await folder.shell("tornlog wal dump none.wal")
      #expect(dumped.code == 69 && dumped.out.isEmpty, "\(dumped)")
    }

    @Test(.enabled(if: getuid() == 0, "root reads everything: the test drops to another user by `setpriv`"))
    func whatMayNotBeReadIsSaidToBe() async throws {
      let folder = try WalFolder()
      let path = try folder.write("o.wal", SampleLog.bytes(of: .chronik, SampleLog.values(3)))
      chmod(path, 0)
      let ended = try await folder.shell("setpriv --reuid=65534 --clear-groups tornlog wal verify o.wal")
      // Where the program itself may not be run by that user, nothing was tested.
      if ended.code == 126 || ended.code == 127 { return }
      #expect(ended.code == 2 && ended.out.contains("Permission denied"), "\(ended)")
    }

    /// 32 MiB of memory for data, whatever the file holds and claims.
    @Test func memoryIsBounded() async throws {
      let folder = try WalFolder()
      // Records that claim 16 MiB each: 32 GB, which are not there.
      var claims: [UInt8] = []
      for number in 0..<2000 {
        claims += SampleLog.little(UInt32(16 << 20 - 4 - number)) + [UInt8](repeating: 7, count: 60)
      }
      truncate(try folder.write("claims.wal", claims), 64 << 20)
      let large = [UInt8](repeating: 3, count: 15 << 20)
      try folder.write("large.wal", (0..<4).flatMap { SampleLog.chronik1($0, nil, large) })
      let limit = "ulimit -d 32768; "
      let claimed = try await folder.shell(limit + "tornlog wal verify --format streamhouse claims.wal")
      #expect(claimed.code == 1, "\(claimed)")
      let ended = try await folder.shell(
        limit
          + """
          set -e
          tornlog wal verify large.wal
          tornlog wal dump --json --hex large.wal > /dev/null
          tornlog wal repair --input large.wal --output repaired.wal
          tornlog wal archive large.wal --to archive
          tornlog wal verify archive
          """)
      #expect(ended.code == 0 && ended.out.contains("4 records recovered"), "\(ended)")
    }
  }
}
